/**
 * @file The other side of the invariant: the original network with zeros where removed channels were
 * read. A smaller network is right when it computes the same as this one.
 *
 * Nothing here leans on what surgery assumes of sums and counts. All widths and all nodes stay, and a
 * zero stands only where a number was that goes: in the weights that read a removed channel (in front of
 * them where they are computed), and, where no weights read it but a node adds channels up as they are (a
 * mean over channels, say), in the parameters that make it. The network itself computes what such a channel then holds.
 */
import { type Constant, constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import type { Operands } from "../analysis/analysis.ts";
import { goesWith } from "../analysis/revival.ts";
import type { Read } from "../analysis/sums.ts";
import type { Removed } from "../units/removal.ts";
import type { Structure } from "../units/units.ts";

/** The structure's graph with zeros where `removed` was read. All widths stay. */
export function maskReads(structure: Structure, removed: Removed): Graph {
  return new Masking(structure, removed).run();
}

class Masking {
  readonly #structure: Structure;
  readonly #removed: Removed;
  readonly #graph: Graph;
  readonly #fresh: (stem: string) => string;
  readonly #constants: Map<string, Constant>;
  /** Products with zeros and ones by what they mask and how. */
  readonly #masked = new Map<string, string>();
  /** Axes of parameters that make channels, by node. */
  readonly #filterAxes = new Map<Node, readonly Read[]>();
  /** Inputs as they are masked so far, and the products that make them. */
  readonly #changes = new Map<Node, { readonly inputs: string[]; readonly before: Node[] }>();

  constructor(structure: Structure, removed: Removed) {
    this.#structure = structure;
    this.#removed = removed;
    this.#graph = structure.analysis.graph;
    this.#fresh = freshNames(this.#graph);
    this.#constants = new Map(this.#graph.constants);
    for (const producer of structure.analysis.producers)
      if (!producer.isSelection)
        this.#filterAxes.set(producer.node, [
          ...(this.#filterAxes.get(producer.node) ?? []),
          producer,
        ]);
  }

  run(): Graph {
    const { analysis } = this.#structure;
    const added = new Set<number>();
    for (const read of analysis.reads) {
      const operands = analysis.operands.get(read.node);
      if (operands === undefined) continue;
      const units = this.#removedAlong(read, operands);
      if (units.size === 0) continue;
      const weights = this.#weightsOf(read, operands, units);
      if (weights.length === 0) for (const unit of units) added.add(unit);
      // Filters that go with what they read, as depthwise ones do, read nothing for the others.
      const columns = weights.filter((weight) => !this.#isFilterAxis(weight));
      const areStored = columns.every((weight) => this.#isStored(weight, operands));
      if (columns.length > 0 && !areStored) this.#mask(read, operands, () => true);
      else for (const weight of columns) this.#mask(weight, operands, (unit) => units.has(unit));
    }
    if (added.size > 0) this.#silence(added);
    const nodes = this.#graph.nodes.flatMap((node) => {
      const change = this.#changes.get(node);
      return change ? [...change.before, { ...node, inputs: change.inputs }] : [node];
    });
    return { ...this.#graph, nodes, constants: this.#constants };
  }

  /** The axes of a node's parameters that go with some of the channels that it reads. */
  #weightsOf(read: Read, operands: Operands, units: ReadonlySet<number>): readonly Read[] {
    return operands.inputs.flatMap((tensor, input) =>
      tensor?.isParameter
        ? [...tensor.shape.keys()]
            .map((axis): Read => ({ node: read.node, input, axis }))
            .filter((weight) => [...this.#removedAlong(weight, operands)].some((u) => units.has(u)))
        : [],
    );
  }

  #isFilterAxis({ node, input, axis }: Read): boolean {
    const axes = this.#filterAxes.get(node) ?? [];
    return axes.some((own) => own.input === input && own.axis === axis);
  }

  /** Whether the input is a constant of real numbers, rather than computed from such. */
  #isStored({ node, input }: Read, { inputs }: Operands): boolean {
    const tensor = inputs[input];
    return (
      tensor !== undefined && isFloat(tensor.dtype) && this.#graph.constants.has(node.inputs[input])
    );
  }

  /** Zeros in all parameters that make these units. */
  #silence(units: ReadonlySet<number>): void {
    const { operands } = this.#structure.analysis;
    for (const node of this.#graph.nodes) {
      const own = operands.get(node);
      if (own === undefined) continue;
      for (const input of goesWith(node)) {
        const tensor = own.inputs[input];
        if (!tensor?.isParameter || !isFloat(tensor.dtype)) continue;
        for (const axis of tensor.shape.keys())
          this.#mask({ node, input, axis }, own, (unit) => units.has(unit));
      }
    }
  }

  #removedAlong({ input, axis }: Read, operands: Operands): ReadonlySet<number> {
    const tensor = operands.inputs[input];
    if (tensor === undefined) return new Set();
    const units = this.#structure.unitsAlong(operands.layoutOf(tensor), axis);
    return new Set(units.filter((unit) => unit >= 0 && this.#removed[unit] === 1));
  }

  /** Lets a node read zeros at the removed indices along one axis of an input. */
  #mask({ node, input, axis }: Read, operands: Operands, isWanted: (unit: number) => boolean) {
    const tensor = operands.inputs[input];
    if (tensor === undefined) return;
    const layout = operands.layoutOf(tensor);
    const units = this.#structure.unitsAlong(layout, axis);
    const isZero = (unit: number) => unit >= 0 && this.#removed[unit] === 1 && isWanted(unit);
    if (!units.some(isZero)) return;
    const change = this.#changes.get(node) ?? { inputs: [...node.inputs], before: [] };
    this.#changes.set(node, change);
    // Masks along two axes of one input stand one on the other.
    const source = change.inputs[input];
    const flags = Array.from(units, (unit) => (isZero(unit) ? 0 : 1));
    // The base tells apart what each layer selects, and what a shared vector is to each of its readers.
    const key = `${source}\u0000${axis}\u0000${layout.base.name}\u0000${flags.join("")}`;
    let masked = this.#masked.get(key);
    if (masked === undefined) {
      const shape = layout.shape.map((size, i) => (i === axis ? size : 1));
      masked = this.#product(source, shape, flags, tensor.dtype, change.before);
      this.#masked.set(key, masked);
    }
    change.inputs[input] = masked;
  }

  /** The name of `source` times the flags: a constant where it is one, or else a node's output. */
  #product(
    source: string,
    shape: readonly number[],
    flags: readonly number[],
    dtype: DType,
    before: Node[],
  ): string {
    const constant = this.#constants.get(source);
    const output = this.#fresh(`${source}_masked`);
    if (constant !== undefined) {
      const read = () => multiplied(constant.read(), shape, flags);
      this.#constants.set(output, { ...constant, name: output, read, origin: { kind: "new" } });
      return output;
    }
    const name = this.#fresh(`${source}_mask`);
    const type = isFloat(dtype) ? dtype : "float32";
    this.#constants.set(name, constantOf(name, tensorOf(type, shape, flags)));
    before.push(newNode(this.#fresh(`Mask_${source}`), "Mul", [source, name], output));
    return output;
  }
}

/** A tensor times flags along the one axis where their shape is not 1. */
function multiplied(
  tensor: HostTensor,
  mask: readonly number[],
  flags: readonly number[],
): HostTensor {
  const axis = mask.findIndex((size) => size > 1);
  const inner = axis < 0 ? sizeOf(tensor.shape) : sizeOf(tensor.shape.slice(axis + 1));
  const isFloat32 = tensor.data instanceof Float32Array;
  const values = isFloat32 ? new Float32Array(tensor.data) : toNumbers(tensor);
  for (let start = 0; start < values.length; start += inner)
    if (flags[(start / inner) % flags.length] === 0) values.fill(0, start, start + inner);
  return values instanceof Float32Array
    ? { ...tensor, data: values }
    : tensorOf(tensor.dtype, tensor.shape, values);
}
