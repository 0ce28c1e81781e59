/**
 * @file A graph that runs two networks side by side and sums products of the input and the target output of one layer.
 *
 * U holds the patches that the layer sees in the network under repair, one column per position; T what
 * the same layer computes in the original. Only U Uᵀ, T Uᵀ and the sums leave onnxruntime.
 */
import { assert } from "../../errors.ts";
import {
  type Constant,
  constantOf,
  type Graph,
  type Node,
  type TensorType,
} from "../../ir/graph.ts";
import type { SlidingAxis } from "../../ops/operator/linear-layer.ts";
import { type HostTensor, int64Vector } from "../../tensor/host-tensor.ts";

/** The layer whose input and target are read. */
export interface PatchSite {
  /** The value that the layer reads in the repaired network, and the one it computes in the original. */
  readonly source: string;
  readonly target: string;
  /** Spatial axes of the layer; none for a matrix product over [N, C]. */
  readonly axes: readonly SlidingAxis[];
  /** The stride with which positions of each axis are taken. */
  readonly positionStep: number;
}

/** Names of the outputs of `patchGraph`; a patch lists its values as [tap, channel]. */
export const patchOutputs = {
  /** U Uᵀ: [KC, KC]. */
  gram: "espalier/gram",
  /** T Uᵀ: [O, KC]. */
  cross: "espalier/cross",
  /** Sums over positions: [KC, 1] and [O, 1]. */
  sourceSum: "espalier/source_sum",
  targetSum: "espalier/target_sum",
} as const;

/** The graph for one site. Both networks have the same inputs. */
export function patchGraph(repaired: Graph, original: Graph, site: PatchSite): Graph {
  const parts = new Parts(repaired);
  parts.takeFrom(repaired, site.source, "");
  parts.takeFrom(original, site.target, "original/");
  const patches = parts.patches(parts.float(site.source), site.axes, site.positionStep);
  const targets = parts.columns(
    parts.thinned(parts.float(`original/${site.target}`), site.axes, site.positionStep),
    site.axes.length,
  );
  parts.add("Gemm", [patches, patches], patchOutputs.gram, { transB: 1 });
  parts.add("Gemm", [targets, patches], patchOutputs.cross, { transB: 1 });
  const positions = parts.constant(int64Vector([1]));
  parts.add("ReduceSum", [patches, positions], patchOutputs.sourceSum);
  parts.add("ReduceSum", [targets, positions], patchOutputs.targetSum);
  return parts.graph();
}

/** Collects nodes and constants for a graph. */
class Parts {
  readonly #inputs: readonly string[];
  readonly #nodes: Node[] = [];
  readonly #constants = new Map<string, Constant>();
  readonly #types = new Map<string, TensorType>();
  #count = 0;

  constructor({ inputs, types }: Graph) {
    this.#inputs = inputs;
    for (const name of inputs) {
      const type = types.get(name);
      if (type) this.#types.set(name, type);
    }
    for (const name of Object.values(patchOutputs))
      this.#types.set(name, { dtype: "float32", shape: undefined });
  }

  graph(): Graph {
    return {
      name: "patches",
      inputs: this.#inputs,
      outputs: Object.values(patchOutputs),
      nodes: this.#nodes,
      constants: this.#constants,
      types: this.#types,
    };
  }

  /** Copies everything that `value` depends on, under prefixed names. */
  takeFrom(graph: Graph, value: string, prefix: string): void {
    const needed = new Set([value]);
    const nodes: Node[] = [];
    for (const node of [...graph.nodes].reverse()) {
      if (!node.outputs.some((name) => needed.has(name))) continue;
      nodes.push(node);
      for (const name of [...node.inputs, ...node.captures]) needed.add(name);
    }
    const renamed = (name: string) =>
      name === "" || this.#inputs.includes(name) ? name : `${prefix}${name}`;
    for (const node of nodes.reverse()) {
      assert(prefix === "" || node.captures.length === 0, "subgraphs are not renamed");
      this.#nodes.push({
        ...node,
        name: `${prefix}${node.name}`,
        inputs: node.inputs.map(renamed),
        outputs: node.outputs.map(renamed),
      });
    }
    for (const [name, constant] of graph.constants)
      if (needed.has(name))
        this.#constants.set(renamed(name), { ...constant, name: renamed(name) });
  }

  constant(tensor: HostTensor): string {
    const name = this.#fresh();
    this.#constants.set(name, constantOf(name, tensor));
    return name;
  }

  add(
    opType: string,
    inputs: readonly string[],
    output: string = this.#fresh(),
    attributes: Readonly<Record<string, number | readonly number[]>> = {},
  ): string {
    this.#nodes.push({
      name: output,
      opType,
      domain: "",
      inputs,
      outputs: [output],
      attributes: new Map(
        Object.entries(attributes).map(([key, value]) => [
          key,
          typeof value === "number" ? { kind: "int", value } : { kind: "ints", value },
        ]),
      ),
      captures: [],
      origin: undefined,
    });
    return output;
  }

  float(value: string): string {
    return this.add("Cast", [value], undefined, { to: 1 });
  }

  /** Reshapes [N, C, ...spatial] to [K C, positions]: the values under each tap, with zeros outside the map. */
  patches(value: string, axes: readonly SlidingAxis[], positionStep: number): string {
    if (axes.length === 0) return this.columns(value, 0);
    const before = axes.map((axis) => axis.before);
    const after = axes.map(({ kernel, stride, dilation, before: lead, input, output }) =>
      Math.max(0, (output - 1) * stride + (kernel - 1) * dilation - lead + 1 - input),
    );
    const pads = int64Vector([0, 0, ...before, 0, 0, ...after]);
    const padded = this.add("Pad", [value, this.constant(pads)]);
    let taps: readonly (readonly number[])[] = [[]];
    for (const { kernel, dilation } of axes)
      taps = taps.flatMap((tap) =>
        Array.from({ length: kernel }, (_, k) => [...tap, k * dilation]),
      );
    const slices = taps.map((starts) =>
      this.#slice(padded, axes, {
        starts,
        ends: axes.map(({ output, stride }, i) => starts[i] + (output - 1) * stride + 1),
        steps: axes.map(({ stride }) => stride * positionStep),
      }),
    );
    return this.columns(this.add("Concat", slices, undefined, { axis: 1 }), axes.length);
  }

  /** Takes positions of a result with a stride. */
  thinned(value: string, axes: readonly SlidingAxis[], positionStep: number): string {
    if (axes.length === 0 || positionStep === 1) return value;
    return this.#slice(value, axes, {
      starts: axes.map(() => 0),
      ends: axes.map(({ output }) => output),
      steps: axes.map(() => positionStep),
    });
  }

  /** Reshapes [N, C, ...spatial] to [C, positions]. */
  columns(value: string, spatial: number): string {
    const perm = [1, 0, ...Array.from({ length: spatial }, (_, i) => i + 2)];
    const moved = this.add("Transpose", [value], undefined, { perm });
    return this.add("Flatten", [moved], undefined, { axis: 1 });
  }

  #slice(
    value: string,
    axes: readonly SlidingAxis[],
    cut: Readonly<Record<"starts" | "ends" | "steps", readonly number[]>>,
  ): string {
    return this.add("Slice", [
      value,
      this.constant(int64Vector(cut.starts)),
      this.constant(int64Vector(cut.ends)),
      this.constant(int64Vector(axes.map((_, i) => i + 2))),
      this.constant(int64Vector(cut.steps)),
    ]);
  }

  #fresh(): string {
    return `espalier/${this.#count++}`;
  }
}
