/** @file What methods that learn are tested on: small networks, and the context that they are given. */
import type { Dataset } from "../../src/data/dataset.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { LearningContext, LearningOptions } from "../../src/methods/learned-method.ts";
import { emitModel } from "../../src/onnx/emit.ts";
import { readModel } from "../../src/onnx/read.ts";
import { concatBytes } from "../../src/onnx/write.ts";
import { structureOf } from "../../src/structure/units.ts";
import { sizeOf, tensorOf } from "../../src/tensor/host-tensor.ts";
import { normals } from "./bn-network.ts";

/** Batches of 32, one thread, no checkpoint. */
export const learning: LearningOptions = { batchSize: 32, threads: 1, checkpoint: undefined };

/** What a method is given to learn `graph` on a data set, with seed 0. */
export function contextOf(
  graph: Graph,
  dataset: Dataset,
  options: Readonly<Record<string, string>> = {},
  training: LearningOptions = learning,
): LearningContext {
  const model = readModel(concatBytes(emitModel(graph)));
  return {
    ...{ structure: structureOf(model.graph), model, dataset, training, seed: 0, rules: {} },
    options: new Map(Object.entries(options)),
  };
}

/** Two blocks of convolution, normalization and ReLU, whose second is added or concatenated: [N, 1, 8, 8] → [N, 4]. */
export function branched(join: "Add" | "Concat"): Graph {
  const b = new GraphBuilder("branched");
  const filled = (name: string, shape: readonly number[], value: number) =>
    b.constant(name, tensorOf("float32", shape, new Float64Array(sizeOf(shape)).fill(value)));
  const block = (x: string, name: string, from: number): string => {
    const weight = b.constant(`${name}.w`, normals([6, from, 3, 3], `${name}.w`, 0.4));
    const [y] = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name });
    const inputs = [1, 0, 0, 1].map((value, i) => filled(`${name}.${i}`, [6], value));
    return b.node("BatchNormalization", [y, ...inputs], {}, { name: `${name}.bn` })[0];
  };
  const x = b.input("input", "float32", ["N", 1, 8, 8]);
  const [first] = b.node("Relu", [block(x, "a", 1)]);
  const [second] = b.node("Relu", [block(first, "b", 6)]);
  const [both] = b.node(join, [second, first], join === "Concat" ? { axis: 1 } : {});
  const pool = { kernel_shape: [4, 4], strides: [4, 4] };
  const [flat] = b.node("Flatten", b.node("AveragePool", [both], pool), { axis: 1 });
  const features = (join === "Concat" ? 12 : 6) * 4;
  const head = b.constant("head.w", normals([features, 4], "head", 0.2));
  b.node("Gemm", [flat, head, filled("head.b", [4], 0)], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}
