/** @file What methods that learn are tested on, and what all of them must hold: exact removals, resuming. */
import { expect } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { compareModels } from "../../src/measure/equality/compare.ts";
import type {
  LearnedProposal,
  LearningContext,
  LearningOptions,
} from "../../src/methods/method/learned-method.ts";
import type { GivenOptions } from "../../src/methods/method/options.ts";
import { readModel } from "../../src/onnx/reading/read.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../../src/onnx/writing/write.ts";
import { maskReads } from "../../src/structure/change/masks.ts";
import { removeUnits } from "../../src/structure/change/surgery.ts";
import { selectUnits } from "../../src/structure/choice/select.ts";
import { costModel } from "../../src/structure/cost/cost.ts";
import type { Removed } from "../../src/structure/units/removal.ts";
import { structureOf } from "../../src/structure/units/units.ts";
import { applyEdits, type Edit } from "../../src/structure/weights/edits.ts";
import { sizeOf, tensorOf } from "../../src/tensor/host-tensor.ts";
import { normals } from "./bn-network.ts";

/** Batches of 32, one thread, no checkpoint. */
export const learning: LearningOptions = { batchSize: 32, threads: 1, checkpoint: undefined };

/** What a method is given to learn `graph` on a data set, with seed 0 unless `more` says otherwise. */
export function contextOf(
  graph: Graph,
  dataset: Dataset,
  options: GivenOptions = {},
  more: Partial<LearningContext> = {},
): LearningContext {
  const model = readModel(concatBytes(encodeGraph(graph)));
  return {
    structure: structureOf(model.graph),
    model,
    dataset,
    training: learning,
    seed: 0,
    rules: {},
    options,
    ...more,
  };
}

/**
 * Removes what the proposal ranks lowest, down to 60 % of the parameters, and expects that the smaller
 * network computes what the masked one does. Gives the removal, and the edits that go with it.
 */
export async function expectExactRemoval(
  { structure, model }: LearningContext,
  { scores, edits, graph }: LearnedProposal,
): Promise<{ readonly removed: Removed; readonly own: readonly Edit[] }> {
  const cost = costModel(structure);
  const whole = cost(new Uint8Array(scores.length)).params;
  const { removed } = selectUnits(structure, scores, [
    { name: "params", fraction: 0.6, remaining: (of) => cost(of).params / whole },
  ]);
  expect(removed).toContain(1);
  const own = edits(removed);
  const edited = structureOf(applyEdits(graph, own), structure.analysis);
  const [masked, small] = [
    writeModel(model, maskReads(edited, removed)),
    writeModel(model, removeUnits(edited, removed)),
  ];
  const { dims } = structure.analysis;
  expect((await compareModels(model, masked, small, dims, { samples: 1 })).passed).toBe(true);
  return { removed, own };
}

/** A proposal as plain values that compare, its networks as the bytes of the files that they make. */
export function comparable<P extends LearnedProposal>({ model }: LearningContext, proposal: P) {
  const [graph, memory] = [proposal.graph, proposal.memory].map((of) =>
    Buffer.from(concatBytes(writeModel(model, of))).toString("base64"),
  );
  return { ...proposal, edits: undefined, graph, memory };
}

/**
 * Expects that `learn` gives the same twice, in one go; where it is stopped at each of these steps and goes
 * on; and once more when it is over. Its checkpoints, at `path(name)`, are written every 5 steps: noise
 * depends on that.
 */
export async function expectSameAfterInterruptions(
  learn: (training: LearningOptions) => Promise<unknown>,
  path: (name: string) => string,
  stops: readonly number[],
): Promise<void> {
  const at = (name: string): LearningOptions => ({
    ...learning,
    checkpoint: { path: path(name), everySteps: 5 },
  });
  const whole = await learn(at("whole"));
  expect(await learn(at("again"))).toEqual(whole);
  for (const stop of stops) {
    const controller = new AbortController();
    const stopped = learn({
      ...at("parts"),
      signal: controller.signal,
      onProgress: ({ step }) => step >= stop && controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  }
  expect(await learn(at("parts"))).toEqual(whole);
  expect(await learn(at("parts"))).toEqual(whole);
}

/** A constant that holds one value everywhere. */
export function filled(
  b: GraphBuilder,
  name: string,
  shape: readonly number[],
  value: number,
): string {
  return b.constant(name, tensorOf("float32", shape, new Float64Array(sizeOf(shape)).fill(value)));
}

/** A convolution of `from` channels to 6, and its normalization. */
export function normalizedConv(b: GraphBuilder, x: string, name: string, from: number): string {
  const weight = b.constant(`${name}.w`, normals([6, from, 3, 3], `${name}.w`, 0.4));
  const [y] = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name });
  const inputs = [1, 0, 0, 1].map((value, i) => filled(b, `${name}.${i}`, [6], value));
  return b.node("BatchNormalization", [y, ...inputs], {}, { name: `${name}.bn` })[0];
}

/** Two blocks of convolution, normalization and ReLU, whose second is added or concatenated: [N, 1, 8, 8] → [N, 4]. */
export function branched(join: "Add" | "Concat"): Graph {
  const b = new GraphBuilder("branched");
  const x = b.input("input", "float32", ["N", 1, 8, 8]);
  const [first] = b.node("Relu", [normalizedConv(b, x, "a", 1)]);
  const [second] = b.node("Relu", [normalizedConv(b, first, "b", 6)]);
  const [both] = b.node(join, [second, first], join === "Concat" ? { axis: 1 } : {});
  const pool = { kernel_shape: [4, 4], strides: [4, 4] };
  const [flat] = b.node("Flatten", b.node("AveragePool", [both], pool), { axis: 1 });
  const features = (join === "Concat" ? 12 : 6) * 4;
  const head = b.constant("head.w", normals([features, 4], "head", 0.2));
  b.node("Gemm", [flat, head, filled(b, "head.b", [4], 0)], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}
