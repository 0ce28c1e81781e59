/** @file Which channel blocks the convolutions of onnxruntime's CPU provider take on this machine. */
import { EspalierError } from "../errors.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { type BlockSize, blockSizes, withBlockedConvolutions } from "../ops/passes/blocked.ts";
import { sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { type SessionOptions, withSession } from "./session.ts";
import type { Feeds, ModelSource } from "./values.ts";

/** Wrong blocks mix channels up: errors are as large as the values. */
const tolerance = 1e-4;

/**
 * The block size with which `withBlockedConvolutions` gives the numbers of the graph as it was, tried
 * on two small convolutions. `undefined` where none does (the build has no such kernels, say), or
 * where the first provider is not the CPU: then graphs stay as they are. Takes some 10 ms.
 *
 * Fails with `ABORTED`, and as `openSession` does where even the plain convolutions do not run.
 */
export async function findBlockSize(options: SessionOptions = {}): Promise<BlockSize | undefined> {
  const { providers = ["cpu"], signal } = options;
  if (providers[0] !== "cpu") return undefined;
  const graph = trial();
  const feeds: Feeds = new Map(
    graph.inputs.map((name) => {
      const shape = (graph.types.get(name)?.shape ?? []).map(Number);
      return [name, tensorOf("float32", shape, randomOf(1, name).normals(sizeOf(shape)))];
    }),
  );
  const run = (model: ModelSource) =>
    withSession(model, { threads: 1, signal }, (session) => session.run(feeds));
  const expected = await run(encodeGraph(graph).chunks);
  for (const block of blockSizes) {
    const blocked = withBlockedConvolutions(graph, block, () => true);
    try {
      const { chunks } = encodeGraph(blocked, { isForThisMachine: true });
      if (areClose(expected, await run(chunks))) return block;
    } catch (error) {
      // An error says that this build has no such operators, which is what was to be found out.
      if (!(error instanceof EspalierError) || error.code !== "RUNTIME_FAILED") throw error;
    }
  }
  return undefined;
}

/** Convolutions from 20 to 13 to 18 channels, with a bias: all that the blocked form does to fill its blocks. */
function trial(): Graph {
  const b = new GraphBuilder("trial");
  const input = (name: string, shape: readonly number[]) => b.input(name, "float32", shape);
  const [x, w1, b1, w2] = [
    input("x", [2, 20, 5, 6]),
    input("w1", [13, 20, 3, 3]),
    input("b1", [13]),
    input("w2", [18, 13, 3, 3]),
  ];
  const attributes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };
  const [y] = b.node("Conv", [x, w1, b1], attributes);
  const [z] = b.node("Conv", [y, w2], { ...attributes, strides: [2, 2] });
  b.output(y);
  b.output(z);
  return b.build();
}

function areClose(expected: Feeds, actual: Feeds): boolean {
  return [...expected].every(([name, tensor]) => {
    const other = actual.get(name);
    if (other === undefined) return false;
    const [a, b] = [toNumbers(tensor), toNumbers(other)];
    const scale = a.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    return a.length === b.length && a.every((v, i) => Math.abs(v - b[i]) <= tolerance * scale);
  });
}
