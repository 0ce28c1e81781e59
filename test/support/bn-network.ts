/** @file Small networks with batch normalization whose statistics a test chooses. */
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { withSession } from "../../src/runtime/session.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

/** What a test says about conv → BN → Relu → conv (→ BN). */
export interface Chain {
  /** Scale and shift of the first normalization, per inner channel. */
  readonly scale: readonly number[];
  readonly shift: readonly number[];
  /** Side of both kernels, default 3. */
  readonly kernel?: number;
  /** Padding of the second convolution, default 0. */
  readonly padding?: number;
  /** Whether a normalization follows the second convolution; a bias does otherwise. Default true. */
  readonly isNormalized?: boolean;
  /** Filters of the first convolution [C, 2, k, k]; random otherwise. */
  readonly filters?: HostTensor;
  readonly side?: number;
}

/** Normal values, the same for the same key. */
export function normals(shape: readonly number[], key: string, scale = 1): HostTensor {
  const values = randomOf(11, key).normals(sizeOf(shape));
  return tensorOf(
    "float32",
    shape,
    values.map((value) => scale * value),
  );
}

/** x [N, 2, side, side] → y [N, 4, ...] with `scale.length` channels in between. */
export function chain(options: Chain): Graph {
  const { scale, shift, kernel = 3, padding = 0, isNormalized = true, side = 8 } = options;
  const width = scale.length;
  const b = new GraphBuilder("chain");
  const vector = (name: string, values: ArrayLike<number>) =>
    b.constant(name, tensorOf("float32", [values.length], values));
  const x = b.input("x", "float32", ["N", 2, side, side]);
  const first = b.constant("w1", options.filters ?? normals([width, 2, kernel, kernel], "w1", 0.5));
  const [z] = b.node("Conv", [x, first], {}, { name: "conv1" });
  const ones = new Float32Array(width).fill(1);
  const [n] = b.node(
    "BatchNormalization",
    [
      z,
      vector("s1", scale),
      vector("b1", shift),
      vector("m1", new Float32Array(width)),
      vector("v1", ones),
    ],
    {},
    { name: "bn1" },
  );
  const [h] = b.node("Relu", [n], {}, { name: "relu", outputs: ["h"] });
  const second = b.constant("w2", normals([4, width, kernel, kernel], "w2", 0.5));
  const pads = [padding, padding, padding, padding];
  let [y] = b.node("Conv", [h, second], { pads }, { name: "conv2" });
  if (isNormalized)
    [y] = b.node(
      "BatchNormalization",
      [
        y,
        vector("s2", [1, 2, 0.5, 1.5]),
        vector("b2", [0, 1, 0, -1]),
        vector("m2", [0.1, 0, -0.2, 0.3]),
        vector("v2", [1, 4, 2, 0.5]),
      ],
      {},
      { name: "bn2" },
    );
  b.output(y, { dtype: "float32", shape: undefined });
  return b.build();
}

/** The first output of a graph for one input. */
export async function runGraph(graph: Graph, x: HostTensor): Promise<Float64Array> {
  const [name] = graph.inputs;
  const out = await withSession(concatBytes(encodeGraph(graph)), {}, (session) =>
    session.run(new Map([[name, x]])),
  );
  return toNumbers([...out.values()][0]);
}

/** The largest difference of two lists. */
export function distance(a: Float64Array, b: Float64Array): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
}
