/**
 * @file The noise of random weights as nodes: each form of `variational-layers.ts`, for one layer.
 *
 * The draws are those of RandomNormalLike, whose seeds training assigns.
 */
import { assert } from "../../errors.ts";
import { type Constant, constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import type { LinearRole } from "../../ops/operator/role.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import type { NoiseForm, VariationalLayer, VariationalWeight } from "./variational-layers.ts";

/** The granularity of deviations: one for each weight, or one for each filter. */
export type SigmaForm = "weight" | "filter";

/** The least ln σ: smaller values are clipped to it. */
export const leastLogDeviation = -12;
/** Added to variances before their root is taken, whose slope at 0 is infinite. */
const leastVariance = 1e-8;

/** A weight that is being made random. */
export interface Draft {
  readonly make: Maker;
  readonly weight: VariationalWeight;
  /** The value that holds μ where layers read it. */
  readonly mean: string;
  readonly layers: readonly (Omit<VariationalLayer, "node"> & { readonly node: Node })[];
  readonly sigma: SigmaForm;
  /** The constant of ln σ, and the largest σ. */
  readonly logDeviation: string;
  readonly limit: number;
  /** A constant that is added to ln σ within its limits. */
  readonly shift: string | undefined;
  /** A constant that stands where weights are, but is not to be trained. */
  readonly kernelOf: (values: HostTensor) => string;
}

/** Each layer of a weight as the nodes that compute it with noise. */
type Form = (draft: Draft) => readonly (readonly Node[])[];

/** The functions that draw, by form. */
export const forms: Readonly<Record<NoiseForm, Form>> = {
  // w = μ + σ ε, drawn once for all layers that share it.
  weight({ layers, ...draft }) {
    const { make, mean } = draft;
    const drawing: Node[] = [];
    const noise = weightNoise(draft, drawing);
    const drawn = make.node(drawing, "Add", [mean, noise]);
    return layers.map(({ node, input }, i) => [
      ...(i === 0 ? drawing : []),
      { ...node, inputs: node.inputs.with(input, drawn) },
    ]);
  },

  // y = x μ + b + √(x² σ²) ε, a normal for each element of y.
  local({ layers, ...draft }) {
    const { make, weight, sigma, kernelOf } = draft;
    return layers.map(({ node, role, rank }) => {
      assert(role.kind === "linear", "results are drawn for linear layers alone");
      const { plain, nodes } = meanPart(make, node);
      const data = node.inputs[role.dataInput];
      const square = make.node(nodes, "Mul", [data, data]);
      const log = logDeviationOf(draft, nodes);
      const own = make.node(nodes, "Exp", [make.node(nodes, "Add", [log, log])]);
      // (f σ)² x² where the operator multiplies by f once.
      const factor = role.weightFactor;
      const variance =
        factor === 1 ? own : make.node(nodes, "Mul", [own, make.scalar(weight.dtype, factor)]);
      const sumOf = (kernel: string) => layerOf(make, nodes, node, role, square, kernel);
      const filters = weight.shape[weight.filterAxis];
      let total: string;
      if (sigma === "weight") total = sumOf(variance);
      else if (role.group === 1 && filters > 1) {
        // One σ for all that a filter sums: σ² times a sum of squares that all filters share.
        const shape = weight.shape.with(weight.filterAxis, 1);
        const ones = new Float64Array(sizeOf(shape)).fill(1);
        const shared = sumOf(kernelOf(tensorOf(weight.dtype, shape, ones)));
        const axis = role.resultAxis < 0 ? role.resultAxis + rank : role.resultAxis;
        const aligned = [filters, ...Array.from({ length: rank - 1 - axis }, () => 1)];
        const factors = make.node(nodes, "Reshape", [variance, make.ints(aligned)]);
        total = make.node(nodes, "Mul", [shared, factors]);
      } else total = sumOf(make.node(nodes, "Expand", [variance, make.ints(weight.shape)]));
      const sum = make.node(nodes, "Add", [total, make.scalar(weight.dtype, leastVariance)]);
      const normal = make.node(nodes, "RandomNormalLike", [plain]);
      const noise = make.node(nodes, "Mul", [make.node(nodes, "Sqrt", [sum]), normal]);
      make.node(nodes, "Add", [plain, noise], node.outputs[0]);
      return nodes;
    });
  },

  // y = x μ + b + ((x s) Δ) r, Δ = σ ε, with signs s and r for each channel of each example.
  flipout({ layers, ...draft }) {
    const { make } = draft;
    return layers.map(({ node, role, rank }) => {
      assert(role.kind === "linear", "results are drawn for linear layers alone");
      const { plain, nodes } = meanPart(make, node);
      const signs = (value: string, axis: number) => {
        const first = perExample(make, nodes, value, axis < 0 ? axis + rank : axis, rank);
        return make.node(nodes, "Sign", [make.node(nodes, "RandomNormalLike", [first])]);
      };
      const data = node.inputs[role.dataInput];
      const flipped = make.node(nodes, "Mul", [data, signs(data, role.dataAxis)]);
      const noise = layerOf(make, nodes, node, role, flipped, weightNoise(draft, nodes));
      const turned = make.node(nodes, "Mul", [noise, signs(plain, role.resultAxis)]);
      make.node(nodes, "Add", [plain, turned], node.outputs[0]);
      return nodes;
    });
  },
};

/** The layer as it was, under another name of its result. */
function meanPart(make: Maker, node: Node): { readonly plain: string; readonly nodes: Node[] } {
  const plain = make.fresh(`${node.outputs[0]}/mean`);
  return { plain, nodes: [{ ...node, outputs: node.outputs.with(0, plain) }] };
}

/** The layer with other data and weights, without bias. */
function layerOf(
  make: Maker,
  nodes: Node[],
  node: Node,
  { dataInput, weightInput }: LinearRole,
  data: string,
  weight: string,
): string {
  const inputs = [data, weight].with(dataInput, data).with(weightInput, weight);
  const output = make.fresh(`${node.outputs[0]}/noise`);
  nodes.push({
    ...node,
    name: make.fresh(node.name),
    inputs,
    outputs: [output],
    origin: undefined,
  });
  return output;
}

/** ln σ within its limits, and shifted. */
function logDeviationOf(
  { make, weight, logDeviation, limit, shift }: Omit<Draft, "layers">,
  nodes: Node[],
): string {
  const limits = [leastLogDeviation, Math.log(limit)].map((x) => make.scalar(weight.dtype, x));
  const log = make.node(nodes, "Clip", [logDeviation, ...limits]);
  return shift === undefined ? log : make.node(nodes, "Add", [log, shift]);
}

/** σ ε, in the shape of the weight. */
function weightNoise(draft: Omit<Draft, "layers">, nodes: Node[]): string {
  const { make, weight } = draft;
  const deviation = make.node(nodes, "Exp", [logDeviationOf(draft, nodes)]);
  const normal = make.node(nodes, "RandomNormalLike", [weight.weight]);
  return make.node(nodes, "Mul", [normal, deviation]);
}

/** The first element of each channel of each example: a value with the right shape for draws. */
function perExample(
  make: Maker,
  nodes: Node[],
  value: string,
  channelAxis: number,
  rank: number,
): string {
  const axes = Array.from({ length: rank }, (_, axis) => axis).filter(
    (axis) => axis > 0 && axis !== channelAxis,
  );
  if (axes.length === 0) return value;
  const [starts, ends] = [0, 1].map((place) => make.ints(axes.map(() => place)));
  return make.node(nodes, "Slice", [value, starts, ends, make.ints(axes)]);
}

/** The shape of one number for each filter. */
export function perFilter({ shape, filterAxis }: VariationalWeight): readonly number[] {
  return shape.map((size, axis) => (axis === filterAxis ? size : 1));
}

/** Collects the nodes and constants that a pass adds. */
export interface Maker {
  readonly constants: Map<string, Constant>;
  readonly fresh: (stem: string) => string;
  readonly constant: (stem: string, tensor: HostTensor) => string;
  readonly scalar: (dtype: DType, value: number) => string;
  readonly ints: (values: readonly number[]) => string;
  /** Appends a node; gives its output, which has the name `output` or one of its own. */
  readonly node: (
    nodes: Node[],
    opType: string,
    inputs: readonly string[],
    output?: string,
  ) => string;
}

/** A collector for what is added to a graph. */
export function makerOf(graph: Graph): Maker {
  const fresh = freshNames(graph);
  const constants = new Map(graph.constants);
  const constant = (stem: string, tensor: HostTensor): string => {
    const name = fresh(stem);
    constants.set(name, constantOf(name, tensor));
    return name;
  };
  return {
    constants,
    fresh,
    constant,
    scalar: (dtype, value) => constant("number", tensorOf(dtype, [], [value])),
    ints: (values) => constant("sizes", int64Vector(values)),
    node(nodes, opType, inputs, output = fresh(`noise/${opType}`)) {
      nodes.push(newNode(fresh(`noise/${opType}`), opType, inputs, output));
      return output;
    },
  };
}
