/**
 * @file What a random network says: the mean of the probabilities of several draws. For weights drawn
 * from a posterior that is the posterior's predictive distribution, by Monte Carlo.
 */
import type { Graph } from "../../ir/graph.ts";
import { withSeed } from "../../ops/passes/training.ts";
import type { SessionValue } from "../../runtime/values.ts";
import { type HostTensor, sizeOf, toNumbers } from "../../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";
import type { OutputKind } from "./classification.ts";
import { outputKindOf, roundingOf } from "./pixels.ts";
import type { Rows } from "./rows.ts";

/** How often a batch is run, and what its outputs are. */
export interface Draws {
  readonly count: number;
  /** [N, channels, ...] outputs as probabilities, in the same shape and order. */
  readonly probabilities: (outputs: HostTensor) => Float64Array;
}

/** The network with seeds for all noise that it draws: every session of it draws the same. */
export function withSeeds(graph: Graph, seed: RandomKey): Graph {
  const random = randomOf(seed, "draws");
  // onnxruntime keeps seeds as float32: above 2^24 two of them may be one.
  const nodes = graph.nodes.map((node) => withSeed(node, random.integer(2 ** 24)));
  return { ...graph, nodes };
}

/**
 * The draws of a classifier, or of a network that segments: what `declared` does not tell, values do. A
 * single channel is the probability of class 1.
 */
export function drawsOf(
  count: number,
  { dtype }: SessionValue,
  declared: OutputKind | undefined,
): Draws {
  let kind = declared;
  return {
    count,
    probabilities({ shape, ...tensor }) {
      const values = toNumbers({ shape, ...tensor });
      kind ??= outputKindOf(values, shape[1], sizeOf(shape.slice(2)), roundingOf(dtype));
      if (kind === "probabilities") return values;
      return shape[1] === 1 ? values.map((z) => 1 / (1 + Math.exp(-z))) : softmax(values, shape);
    },
  };
}

/** Runs a batch `count` times; gives the means of the probabilities, in float64. */
export async function meanOfDraws(
  run: () => Promise<readonly Rows[]>,
  { count, probabilities }: Draws,
): Promise<readonly Rows[]> {
  const sums: { readonly rows: Rows; readonly total: Float64Array }[] = [];
  for (let draw = 0; draw < count; draw++)
    for (const [part, rows] of (await run()).entries()) {
      const own = probabilities(rows.tensor);
      if (draw === 0) sums.push({ rows, total: new Float64Array(own.length) });
      const { total } = sums[part];
      for (let i = 0; i < own.length; i++) total[i] += own[i] / count;
    }
  return sums.map(({ rows, total }) => {
    const tensor = { dtype: "float64", shape: rows.tensor.shape, data: total } as const;
    return { ...rows, tensor, tensors: [tensor] };
  });
}

/** Softmax over the second axis of [N, channels, ...]. */
function softmax(values: Float64Array, shape: readonly number[]): Float64Array {
  const [examples, channels] = shape;
  const inner = sizeOf(shape.slice(2));
  const result = new Float64Array(values.length);
  for (let example = 0; example < examples; example++)
    for (let i = 0; i < inner; i++) {
      const first = example * channels * inner + i;
      let most = Number.NEGATIVE_INFINITY;
      for (let k = 0; k < channels; k++) most = Math.max(most, values[first + k * inner]);
      let sum = 0;
      for (let k = 0; k < channels; k++) sum += Math.exp(values[first + k * inner] - most);
      for (let k = 0; k < channels; k++)
        result[first + k * inner] = Math.exp(values[first + k * inner] - most) / sum;
    }
  return result;
}
