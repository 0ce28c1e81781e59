/**
 * @file Values that shape arithmetic computes, as the smaller network would compute them.
 *
 * Where a value differs from before, surgery decides: a size follows its axis, and any other value is kept (a mean over
 * 64 channels still divides by 64).
 */
import { EspalierError } from "../../errors.ts";
import { type Node, newNode, producersOf, type TensorType } from "../../ir/graph.ts";
import { inferNode } from "../../ops/passes/infer.ts";
import { type HostTensor, int64Vector, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { isVirtual, type Removed, shapeAfter } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/**
 * The values of shape arithmetic after a removal, by name, at the sizes that the analysis was bound
 * to. Values that can't be known then are absent.
 */
function recomputedValues(structure: Structure, removed: Removed): ReadonlyMap<string, HostTensor> {
  const { graph, inference, layouts } = structure.analysis;
  const types = new Map<string, TensorType>(inference.types);
  for (const [name, layout] of layouts) {
    const dtype = types.get(name)?.dtype ?? "float32";
    const isGone = isVirtual(structure, removed, layout);
    const shape = isGone ? undefined : shapeAfter(structure, removed, layout);
    types.set(name, { dtype, shape });
  }
  const values = new Map<string, HostTensor>();
  for (const name of graph.constants.keys()) {
    const value = inference.values.get(name);
    if (value) values.set(name, value);
  }
  for (const node of graph.nodes) {
    if (!node.outputs.some((name) => inference.values.has(name))) continue;
    try {
      const inferred = inferNode(node, types, values, () => "?");
      for (const [i, name] of node.outputs.entries()) {
        const value = inferred?.values?.[i];
        const type = inferred?.types[i];
        if (value === undefined || type === undefined) continue;
        values.set(name, value);
        types.set(name, type);
      }
    } catch (error) {
      // Sizes may not fit together without what surgery will put in place; the values are not known then.
      if (!(error instanceof EspalierError)) throw error;
    }
  }
  return values;
}

/** Where new nodes and constants go. */
export interface SizeEmitter {
  readonly fresh: (stem: string) => string;
  /** Adds a constant; returns its name. */
  readonly constant: (stem: string, tensor: HostTensor) => string;
  readonly node: (node: Node) => void;
  /** The name of an unchanged constant. */
  readonly original: (name: string) => string;
}

/** Puts sizes in place, and keeps what the original computed where it is no size. */
export class ComputedSizes {
  readonly #structure: Structure;
  readonly #emit: SizeEmitter;
  readonly #after: ReadonlyMap<string, HostTensor>;
  readonly #producers: ReadonlyMap<string, Node>;
  /** Names of the original's values in the new graph, where they differ. */
  readonly #originals = new Map<string, string>();

  constructor(structure: Structure, removed: Removed, emit: SizeEmitter) {
    this.#structure = structure;
    this.#emit = emit;
    this.#after = recomputedValues(structure, removed);
    this.#producers = producersOf(structure.analysis.graph);
  }

  /** The name of a computed value with the elements of `wanted`; those that vary stay computed. */
  resized(name: string, wanted: HostTensor): string {
    const after = this.#after.get(name);
    if (isSameValue(after, wanted)) return name;
    const varies = this.#structure.analysis.dynamicElements(name) ?? [];
    const isRight = after && varies.every((v, i) => !v || after.data[i] === wanted.data[i]);
    return this.#merged(name, isRight ? name : this.original(name), wanted, varies);
  }

  /** The name of a value as the original network computes it. */
  original(name: string): string {
    const { graph, inference, dynamicElements } = this.#structure.analysis;
    if (graph.constants.has(name)) return this.#emit.original(name);
    const before = inference.values.get(name);
    const after = this.#after.get(name);
    const node = this.#producers.get(name);
    if (before === undefined || node === undefined || isSameValue(before, after)) return name;
    const known = this.#originals.get(name);
    if (known !== undefined) return known;
    const varies = dynamicElements(name) ?? [];
    const made = this.#asBefore(node, name, before, varies);
    this.#originals.set(name, made);
    return made;
  }

  /** What `node` computed as `name`, where that is `before` now. */
  #asBefore(node: Node, name: string, before: HostTensor, varies: readonly boolean[]): string {
    const { graph, inference } = this.#structure.analysis;
    const { values } = inference;
    const after = this.#after.get(name);
    if (!varies.includes(true)) return this.#emit.constant(`${name}_fixed`, before);
    if (after === undefined || after.data.length !== before.data.length)
      return this.#copied(node, name);
    if (varies.every((v, i) => !v || after.data[i] === before.data[i]))
      return this.#merged(name, name, before, varies);
    if (node.inputs.some((input) => input !== "" && !values.has(input))) {
      // The count is of a narrower tensor now: it is scaled by what the original counted over what is left.
      const times = this.#binary("Mul", name, this.#emit.constant(`${name}_before`, before));
      return this.#binary("Div", times, this.#emit.constant(`${name}_after`, after));
    }
    // Unsqueeze and its kin, whatever form the file has for their axes.
    const [first, ...others] = node.inputs;
    const elements = values.get(first);
    const isOnlyShape =
      others.every((input) => input === "" || graph.constants.has(input)) &&
      elements?.data.length === before.data.length &&
      elements.shape.length !== before.shape.length &&
      isSameData(elements, before);
    if (isOnlyShape) {
      const shape = this.#emit.constant(`${name}_shape`, int64Vector(before.shape));
      return this.#binary("Reshape", this.original(first), shape);
    }
    return this.#copied(node, name);
  }

  /** The same operation on the original's values. */
  #copied(node: Node, name: string): string {
    const { graph, inference } = this.#structure.analysis;
    const isWritable = node.inputs.every(
      (input) =>
        input === "" ||
        (inference.values.has(input) && graph.constants.get(input)?.origin.kind !== "attribute"),
    );
    if (!isWritable)
      throw new EspalierError("MODEL_UNSUPPORTED", `"${name}" can't be computed any more`, {
        hint: "Export the model with fixed sizes, or with a newer operator set.",
        data: { tensor: name },
      });
    const inputs = node.inputs.map((input) => (input === "" ? "" : this.original(input)));
    const outputs = node.outputs.map((output) =>
      output === "" ? "" : this.#emit.fresh(`${output}_original`),
    );
    for (const [i, output] of node.outputs.entries()) this.#originals.set(output, outputs[i]);
    const copy = { ...node, name: this.#emit.fresh(`${node.name}_original`), origin: undefined };
    this.#emit.node({ ...copy, inputs, outputs });
    return outputs[node.outputs.indexOf(name)];
  }

  /** The elements of `source` that vary, those of `fixed` elsewhere. */
  #merged(stem: string, source: string, fixed: HostTensor, varies: readonly boolean[]): string {
    const { dtype, shape } = fixed;
    if (!varies.includes(true)) return this.#emit.constant(`${stem}_static`, fixed);
    const numbers = toNumbers(fixed);
    const share = tensorOf(dtype, shape, varies.map(Number));
    const rest = tensorOf(
      dtype,
      shape,
      Array.from(numbers, (value, i) => (varies[i] ? 0 : value)),
    );
    const kept = this.#binary("Mul", source, this.#emit.constant(`${stem}_varies`, share));
    return this.#binary("Add", kept, this.#emit.constant(`${stem}_static`, rest));
  }

  #binary(opType: string, a: string, b: string): string {
    const output = this.#emit.fresh(`${a}_${opType}`);
    this.#emit.node(newNode(this.#emit.fresh(`${opType}_${a}`), opType, [a, b], output));
    return output;
  }
}

/** Whether both are known, and equal in shape and in every element. */
export function isSameValue(a: HostTensor | undefined, b: HostTensor | undefined): boolean {
  return (
    a !== undefined && b !== undefined && a.shape.join() === b.shape.join() && isSameData(a, b)
  );
}

function isSameData(a: HostTensor, b: HostTensor): boolean {
  for (let i = 0; i < a.data.length; i++) if (a.data[i] !== b.data[i]) return false;
  return true;
}
