/** @file The process behind `backend-runner.ts`: reads, writes, runs and compares one model at a time. */
import { readFileSync } from "node:fs";
import { EspalierError } from "../src/errors.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { operatorOf } from "../src/ops/index.ts";
import { withSession } from "../src/runtime/session.ts";
import type { Feeds } from "../src/runtime/values.ts";
import { difference, feedsOf, type Recording, recordingOf } from "./backend-cases.ts";
import type { RunOutcome } from "./backend-runner.ts";

type Result =
  | { readonly kind: "not loaded" | "failed"; readonly why: string }
  | { readonly kind: "ran"; readonly problem: string | undefined };

/** Runs a model on the recorded inputs and compares with the recorded outputs. */
async function runRecorded(bytes: Uint8Array, feeds: Feeds, recording: Recording): Promise<Result> {
  let isLoaded = false;
  try {
    return await withSession(bytes, { threads: 1 }, async (session) => {
      isLoaded = true;
      const results = await session.run(feeds);
      for (const [i, recorded] of recording.outputs.entries()) {
        const name = session.outputs[i]?.name;
        const actual = results.get(name);
        if (!recorded || !actual) return { kind: "failed", why: `no tensor for output ${i}` };
        const problem = difference(actual, recorded);
        if (problem) return { kind: "ran", problem: `${name}: ${problem}` };
      }
      return { kind: "ran", problem: undefined };
    });
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return { kind: isLoaded ? "failed" : "not loaded", why: error.message.slice(0, 160) };
  }
}

/**
 * The graph as our rules see it (lifted to the canonical operator set), emitted from nothing: it must
 * compute the same. Operators without a rule are not lifted.
 */
async function checkLifted(
  model: Model,
  feeds: Feeds,
  recording: Recording,
): Promise<RunOutcome | undefined> {
  const { graph } = model;
  const isLifted = graph.nodes.every((node) => operatorOf(node) && node.captures.length === 0);
  if (!isLifted) return undefined;
  const emitted = concatBytes(encodeGraph(graph));
  const result = await runRecorded(emitted, feeds, recording);
  if (result.kind !== "ran")
    return { category: `lifted to the canonical opset: ${result.kind}`, why: result.why };
  if (result.problem === undefined)
    return { category: "lifted to the canonical opset: equal", why: "" };
  return { category: "BROKEN BY LIFTING", why: result.problem };
}

async function check(path: string): Promise<RunOutcome> {
  const original = readFileSync(path);
  const model = readModel(original);
  const recording = recordingOf(path);
  const feeds = recording && feedsOf(model, recording);
  if (!recording || !feeds) return { category: "not compared", why: "no recorded tensors" };
  const written = concatBytes(writeModel(model));
  readModel(written);
  const result = await runRecorded(written, feeds, recording);
  if (result.kind === "ran" && result.problem === undefined)
    return { category: "equal", why: "", lifted: await checkLifted(model, feeds, recording) };
  const why = (result.kind === "ran" ? result.problem : result.why) ?? "";
  // What the original file does no better is onnxruntime's matter.
  const reference = await runRecorded(original, feeds, recording);
  if (reference.kind === "ran" && (reference.problem === undefined || result.kind !== "ran"))
    return { category: "BROKEN BY WRITING", why };
  if (reference.kind === "ran") return { category: "onnxruntime differs from the record", why };
  if (reference.kind === "failed")
    return { category: "onnxruntime loads it, but cannot run it", why };
  return { category: "onnxruntime does not load it", why };
}

process.on("message", async (paths: readonly string[]) => {
  for (const path of paths) {
    const outcome = await check(path).catch((error: unknown) => ({
      category: "BROKEN BY WRITING",
      why: String(error),
    }));
    process.send?.(outcome);
  }
});
