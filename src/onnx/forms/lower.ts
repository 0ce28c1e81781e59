/** @file A changed node back into the form that its file has: the inverse of lifting. */
import { assert, EspalierError } from "../../errors.ts";
import type { Attribute, Constant, Graph, Node } from "../../ir/graph.ts";
import { sizeOf, toNumbers } from "../../tensor/host-tensor.ts";
import { encodeAttribute, encodeNode } from "../parts/encode.ts";
import { patchMessage, Rope } from "../protobuf/rope.ts";
import { attributeProto, decode } from "../protobuf/schema.ts";
import { type Lift, type Slot, withoutTrailingEmpty } from "./lift.ts";

/** A node as it stands in the file: its inputs, and the attributes that differ from the original. */
export interface LoweredNode {
  readonly inputs: readonly string[];
  /** New values; `undefined` drops the attribute. */
  readonly attributes: ReadonlyMap<string, Attribute | undefined>;
}

/**
 * What `after` (which was `before` when it was read) looks like in the file's own opset.
 * Throws `MODEL_UNSUPPORTED` when the old form cannot hold it.
 */
export function lowerNode(
  before: Node,
  after: Node,
  lift: Lift | undefined,
  old: Graph,
  now: Graph,
): LoweredNode {
  const attributes = new Map<string, Attribute | undefined>();
  for (const [name, value] of after.attributes)
    if (value !== before.attributes.get(name)) attributes.set(name, value);
  for (const name of before.attributes.keys())
    if (!after.attributes.has(name)) attributes.set(name, undefined);
  const excluded = excludedBy.get(after.opType);
  if (excluded !== undefined && (after.inputs[excluded.input] ?? "") !== "")
    attributes.set(excluded.attribute, undefined);
  if (lift === undefined) return { inputs: after.inputs, attributes };

  for (const name of lift.implied) attributes.delete(name);
  const inputs: string[] = [];
  const count = Math.max(lift.slots.length, after.inputs.length);
  for (let i = 0; i < count; i++) {
    const slot = lift.slots[i];
    const name = after.inputs[i] ?? "";
    if (slot === undefined || slot.kind === "absent") {
      if (name !== "") cannotHold(after, i);
    } else if (slot.kind === "input") inputs[slot.index] = name;
    else {
      const then = old.constants.get(before.inputs[i] ?? "");
      const constant = now.constants.get(name);
      if (name !== "" && constant === undefined) cannotHold(after, i);
      if (constant !== then)
        attributes.set(slot.attribute, constant && attributeFrom(constant, slot.form, after));
    }
  }
  return { inputs: withoutTrailingEmpty(Array.from(inputs, (name) => name ?? "")), attributes };
}

/** Attributes that must go when an optional input is given, by operator type. */
const excludedBy: ReadonlyMap<string, { readonly input: number; readonly attribute: string }> =
  new Map([["Split", { input: 1, attribute: "num_outputs" }]]);

function cannotHold(node: Node, input: number): never {
  throw new EspalierError(
    "MODEL_UNSUPPORTED",
    `Node "${node.name}": the model's operator set has no computed input ${input} for it.`,
    { hint: "Convert the model to a newer opset first.", data: { node: node.name, input } },
  );
}

function attributeFrom(
  constant: Constant,
  form: Extract<Slot, { kind: "attribute" }>["form"],
  node: Node,
): Attribute {
  const values = toNumbers(constant.read());
  if (form === "ints" || form === "floats") return { kind: form, value: [...values] };
  assert(sizeOf(constant.shape) === 1, `one value for an attribute of "${node.name}"`);
  return { kind: form, value: values[0] };
}

/** A NodeProto in the file's form, patched from the original. */
export function patchNode(original: Uint8Array, before: Node, after: Node, to: LoweredNode): Rope {
  if (before.opType !== after.opType || before.domain !== after.domain)
    return replaceNode(original, after);
  const emitted = new Set<string>();
  let inputsDone = false;
  let outputsDone = false;
  const inputs = new Rope();
  for (const name of to.inputs) inputs.text(1, name);
  const outputs = new Rope();
  for (const name of after.outputs) outputs.text(2, name);
  const rope = patchMessage(original, (field) => {
    if (field.holds(1)) {
      const first = !inputsDone;
      inputsDone = true;
      return first ? inputs : "drop";
    }
    if (field.holds(2)) {
      const first = !outputsDone;
      outputsDone = true;
      return first ? outputs : "drop";
    }
    if (!field.holds(5)) return "keep";
    const bytes = field.value();
    const { name } = decode(attributeProto, bytes, { fields: Number.POSITIVE_INFINITY });
    if (!to.attributes.has(name)) return "keep";
    const value = to.attributes.get(name);
    emitted.add(name);
    return value === undefined ? "drop" : new Rope().field(5, encodeAttribute(name, value, bytes));
  });
  if (!inputsDone) rope.append(inputs);
  if (!outputsDone) rope.append(outputs);
  for (const [name, value] of to.attributes)
    if (value !== undefined && !emitted.has(name)) rope.field(5, encodeAttribute(name, value));
  return rope;
}

/** A node that became another operator keeps its documentation and metadata alone. */
function replaceNode(original: Uint8Array, after: Node): Rope {
  const described = patchMessage(original, (f) => ([6, 9].includes(f.number) ? "keep" : "drop"));
  return encodeNode(after).append(described);
}
