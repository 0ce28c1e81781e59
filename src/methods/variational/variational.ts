/**
 * @file Random weights: noise that is inserted into a network for training, and removed again.
 *
 * A weight keeps its constant, which holds the means μ; beside it stands a new one with ln σ, for each
 * element or for each filter. Every value of the network keeps its name, so that the network without
 * noise is the original with other constants.
 */
import { assert } from "../../errors.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { freePrefix } from "../../ir/names.ts";
import { noZeros, type Zeros, zerosIn } from "../../structure/weights/zeros.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import type { VariationalWeight } from "./variational-layers.ts";
import {
  forms,
  leastLogDeviation,
  makerOf,
  perFilter,
  type SigmaForm,
} from "./variational-noise.ts";

/** The initial deviation of a weight. */
export interface Spread {
  /** σ of every element, or of each in the shape of ln σ; above 0. */
  readonly deviation: number | Float64Array;
  /** σ never exceeds this: the deviation of the prior. */
  readonly limit: number;
}

/** A network with noise in it. */
export interface VariationalGraph {
  readonly graph: Graph;
  /** The constant with ln σ of each weight, by the weight's name. */
  readonly logDeviations: ReadonlyMap<string, string>;
  /** A prefix that the names of these constants have, and those of no other. */
  readonly prefix: string;
  /** Constants that serve the noise and are not to be trained. */
  readonly fixed: readonly string[];
  /** Weights that are 0 and have no noise; what their ln σ come to says nothing. */
  readonly zeros: Zeros;
}

/** Settings of the noise. */
export interface NoiseOptions {
  /**
   * With a σ per weight: weights of linear layers that are 0 stay 0, and get no noise. In a filter of zeros
   * that had to stay, batch normalization has learnt a variance of next to nothing, and would make any noise
   * there enormous. Default false.
   */
  readonly keepsZeros?: boolean | undefined;
}

/** Added to ln σ of weights that have no noise. */
const noNoise = -24;

/** The network whose `weights` are random: a new draw at every run. */
export function insertNoise<W extends VariationalWeight>(
  graph: Graph,
  weights: readonly W[],
  sigma: SigmaForm,
  spreadOf: (weight: W) => Spread,
  { keepsZeros = false }: NoiseOptions = {},
): VariationalGraph {
  assert(!keepsZeros || sigma === "weight", "single weights without noise have a σ of their own");
  const zeros = keepsZeros ? zerosIn(graph) : noZeros;
  const make = makerOf(graph);
  const prefix = freePrefix(graph, "log-deviation/");
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const logDeviations = new Map<string, string>();
  const fixed: string[] = [];
  const kernelOf = (values: HostTensor): string => {
    const name = make.constant(`${prefix}fixed`, values);
    fixed.push(name);
    return name;
  };
  const replaced = new Map<string, readonly Node[]>();
  for (const weight of weights) {
    const { deviation, limit } = spreadOf(weight);
    const logs = logDeviationsOf(weight, sigma, deviation);
    const logDeviation = make.constant(prefix + weight.weight, logs);
    logDeviations.set(weight.weight, logDeviation);
    const masking: Node[] = [];
    const flags = zeros.get(weight.weight);
    const constantOf = (valueFor: (isZero: number) => number) =>
      flags && kernelOf(tensorOf(weight.dtype, weight.shape, Float64Array.from(flags, valueFor)));
    const mask = constantOf((isZero) => 1 - isZero);
    const mean = mask ? make.node(masking, "Mul", [weight.weight, mask]) : weight.weight;
    const shift = constantOf((isZero) => noNoise * isZero);
    const layers = weight.layers.map((layer) => {
      const node = nodes.get(layer.node);
      assert(node !== undefined, "a layer with a random weight is a node of the graph");
      return { ...layer, node: { ...node, inputs: node.inputs.with(layer.input, mean) } };
    });
    const draft = { make, weight, mean, layers, sigma, logDeviation, limit, shift, kernelOf };
    for (const [i, made] of forms[weight.noise](draft).entries())
      replaced.set(layers[i].node.name, i === 0 ? [...masking, ...made] : made);
  }
  return {
    graph: {
      ...graph,
      nodes: graph.nodes.flatMap((node) => replaced.get(node.name) ?? [node]),
      constants: make.constants,
    },
    logDeviations,
    prefix,
    fixed,
    zeros,
  };
}

/** ln σ of a weight: one for each element, or for each filter. */
function logDeviationsOf(
  weight: VariationalWeight,
  sigma: SigmaForm,
  deviation: Spread["deviation"],
): HostTensor {
  const shape = sigma === "weight" ? weight.shape : perFilter(weight);
  const logs =
    typeof deviation === "number"
      ? new Float64Array(sizeOf(shape)).fill(Math.log(deviation))
      : deviation.map(Math.log);
  return tensorOf(weight.dtype, shape, logs);
}

/** The original network with the means that were trained. */
export function meanNetwork(original: Graph, trained: Graph): Graph {
  const constants = [...original.constants].map(([name, old]) => {
    const own = trained.constants.get(name);
    return [name, own === undefined ? old : { ...old, read: own.read }] as const;
  });
  return { ...original, constants: new Map(constants) };
}

/** Mean and deviation of every element of a weight in a network with noise; those of `zeros` have none in fact. */
export function momentsOfWeight(
  trained: Graph,
  { logDeviations }: Pick<VariationalGraph, "logDeviations">,
  { weight, shape, filterAxis }: VariationalWeight,
  limit: number,
): { readonly means: Float64Array; readonly deviations: Float64Array } {
  const read = (name: string | undefined) => {
    const constant = trained.constants.get(name ?? "");
    assert(constant !== undefined, "training keeps constants by name");
    return toNumbers(constant.read());
  };
  const means = read(weight);
  const logs = read(logDeviations.get(weight));
  const inner = sizeOf(shape.slice(filterAxis + 1));
  const deviations = means.map((_, i) => {
    const filter = Math.floor(i / inner) % shape[filterAxis];
    const log = logs[logs.length === means.length ? i : filter];
    return Math.exp(Math.min(Math.log(limit), Math.max(leastLogDeviation, log)));
  });
  return { means, deviations };
}
