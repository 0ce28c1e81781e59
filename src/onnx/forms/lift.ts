/**
 * @file Lifting: nodes of an older opset in the form of the canonical one, one for one.
 *
 * An analysis view: the file keeps its opset. What an old form holds as an attribute and the
 * canonical form as an input becomes a constant, and the {@link Lift} remembers where everything
 * came from, so that a changed node is written back in its old form.
 */
import {
  type Attribute,
  type Constant,
  constantOf,
  type Node,
  type TensorType,
} from "../../ir/graph.ts";
import { dtypesOf } from "./dtypes.ts";
import { liftRules, type ValueFacts } from "./lift-rules.ts";

/** Where an input of a lifted node stands in the old form. */
export type Slot =
  | { readonly kind: "input"; readonly index: number }
  | {
      readonly kind: "attribute";
      readonly attribute: string;
      readonly form: "int" | "ints" | "float" | "floats";
    }
  /** The old form has no such input. */
  | { readonly kind: "absent" };

/** How a node was lifted: where each canonical input came from. */
export interface Lift {
  readonly slots: readonly Slot[];
  /** Attributes of the canonical form that are implied by, or named otherwise in, the old one. */
  readonly implied: ReadonlySet<string>;
}

/** Nodes in canonical form, with the constants that lifting made. */
export interface Lifted {
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Constant>;
  readonly lifts: ReadonlyMap<number, Lift>;
}

/** Lifts all default-domain nodes of `opset`, given in topological order. */
export function liftNodes(
  nodes: readonly Node[],
  opset: number,
  constants: ReadonlyMap<string, Constant>,
  types: ReadonlyMap<string, TensorType>,
): Lifted {
  const all = new Map(constants);
  const lifts = new Map<number, Lift>();
  const taken = new Set([...constants.keys(), ...types.keys()]);
  for (const node of nodes)
    for (const name of [...node.inputs, ...node.outputs, ...node.captures]) taken.add(name);
  const facts: ValueFacts = {
    dtypeOf: dtypesOf(nodes, constants, types),
    shapeOf: (name) => types.get(name)?.shape ?? constants.get(name)?.shape,
  };

  const lifted = nodes.map((node): Node => {
    const rule = node.domain === "" ? liftRules.get(node.opType) : undefined;
    const change = rule?.(node, opset, facts);
    if (change === undefined) return node;
    if (change.opType !== undefined && change.inputs === undefined && !change.attributes)
      return { ...node, opType: change.opType };
    const attributes = new Map(node.attributes);
    const slots: Slot[] = [];
    const inputs = (change.inputs ?? node.inputs.map((_, index) => index)).map((input): string => {
      if (typeof input === "number") {
        slots.push({ kind: "input", index: input });
        return node.inputs[input] ?? "";
      }
      if (input === "absent") {
        slots.push({ kind: "absent" });
        return "";
      }
      const { attribute, form, tensor } = input;
      attributes.delete(attribute);
      slots.push({ kind: "attribute", attribute, form });
      if (tensor === undefined) return "";
      const name = freshName(`${node.name}.${attribute}`, taken);
      const origin = { kind: "attribute", node: node.origin ?? -1, attribute } as const;
      all.set(name, constantOf(name, tensor, origin));
      return name;
    });
    for (const [name, value] of change.attributes ?? []) attributes.set(name, value);
    if (node.origin !== undefined)
      lifts.set(node.origin, { slots, implied: new Set(change.attributes?.keys()) });
    return {
      ...node,
      opType: change.opType ?? node.opType,
      inputs: withoutTrailingEmpty(inputs),
      attributes: attributes as ReadonlyMap<string, Attribute>,
    };
  });
  return { nodes: lifted, constants: all, lifts };
}

function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  while (taken.has(name)) name += "'";
  taken.add(name);
  return name;
}

/** A list of inputs without the absent ones at its end. */
export function withoutTrailingEmpty(inputs: readonly string[]): readonly string[] {
  let length = inputs.length;
  while (length > 0 && inputs[length - 1] === "") length--;
  return inputs.slice(0, length);
}
