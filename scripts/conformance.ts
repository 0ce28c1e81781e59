/**
 * @file `npm run conformance -- DIR`: ONNX's backend tests against our reader, inference and writer.
 *
 * DIR holds `onnx/backend/test/data` unpacked, or is the .tar.gz of it. Exits with 1 below the bars.
 */
import { readFileSync } from "node:fs";
import { EspalierError } from "../src/errors.ts";
import type { TensorType } from "../src/ir/graph.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { inferTypes } from "../src/ops/passes/infer.ts";
import type { Feeds } from "../src/runtime/values.ts";
import { analyze } from "../src/structure/analysis/analysis.ts";
import { isFloat } from "../src/tensor/dtype.ts";
import { type HostTensor, sizeOf } from "../src/tensor/host-tensor.ts";
import {
  type BackendCase,
  difference,
  feedsOf,
  findCases,
  openTestData,
  type Recording,
  recordingOf,
} from "./backend-cases.ts";
import { runAll } from "./backend-runner.ts";

const bars = { inferred: 840, equal: 740 };
const slowMs = 2000;

/** Results by category, each with the cases and why. */
class Tally {
  readonly #entries = new Map<string, string[]>();

  add(category: string, what: string): void {
    const list = this.#entries.get(category);
    if (list) list.push(what);
    else this.#entries.set(category, [what]);
  }

  count(category: string): number {
    return this.#entries.get(category)?.length ?? 0;
  }

  print(title: string, listed: readonly string[]): void {
    console.log(`\n${title}`);
    for (const [category, cases] of this.#entries)
      console.log(`  ${String(cases.length).padStart(5)}  ${category}`);
    for (const category of listed)
      for (const line of this.#entries.get(category) ?? []) console.log(`    ${category}: ${line}`);
  }
}

/** Values that stand for sizes, axes and scales: whole numbers and short lists, not images. */
function isShapeLike({ dtype, shape }: HostTensor): boolean {
  return shape.length <= 1 && sizeOf(shape) <= (isFloat(dtype) ? 16 : 64);
}

/** Compares inferred types (and folded values) with the recorded outputs. */
function checkTypes(
  test: BackendCase,
  model: Model,
  recording: Recording,
  feeds: Feeds,
  tally: Tally,
): void {
  const shapeLike = new Map([...feeds].filter(([, tensor]) => isShapeLike(tensor)));
  const inputTypes = new Map<string, TensorType>(feeds);
  // What the file declares about its outputs must not help.
  const { graph } = model;
  const types = new Map([...graph.types].filter(([name]) => graph.inputs.includes(name)));
  const inference = inferTypes({ ...graph, types }, { inputs: shapeLike, inputTypes });
  if (inference.unknown.length > 0) {
    const names = [...new Set(inference.unknown.map(({ opType }) => opType))];
    tally.add("operator without a rule", `${test.name}: ${names.join(", ")}`);
    return;
  }
  for (const [i, recorded] of recording.outputs.entries()) {
    const name = graph.outputs[i];
    const type = inference.types.get(name);
    if (recorded === undefined || type === undefined) continue;
    const shown = `${type.dtype} [${type.shape?.join(", ") ?? "?"}]`;
    const expected = `${recorded.dtype} [${recorded.shape.join(", ")}]`;
    if (shown !== expected) {
      const isOpen = type.shape?.some((dim) => typeof dim === "string") ?? true;
      const isWrong = type.dtype !== recorded.dtype || !isOpen;
      tally.add(isWrong ? "WRONG" : "left open", `${test.name}: ${shown}, recorded ${expected}`);
      return;
    }
    const value = inference.values.get(name);
    const problem = value && difference(value, recorded);
    if (problem) {
      tally.add("WRONG", `${test.name}: folded value: ${problem}`);
      return;
    }
    if (value) tally.add("  of these, folded values that equal the recorded ones", test.name);
  }
  tally.add("equal", test.name);
}

/** Reads any file, and analyses what was read: success or a typed error, soon. */
function checkReading(test: BackendCase, bytes: Uint8Array, tally: Tally): Model | undefined {
  const start = performance.now();
  let model: Model | undefined;
  try {
    model = readModel(bytes);
    analyze(model.graph);
    tally.add("read and analysed", test.name);
  } catch (error) {
    if (error instanceof EspalierError)
      tally.add(`${model ? "read; analysis refused" : "refused"} with ${error.code}`, test.name);
    else {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      tally.add("CRASHED", `${test.name}: ${message.split("\n").slice(0, 3).join(" ")}`);
    }
  }
  const ms = performance.now() - start;
  if (ms > slowMs) tally.add("SLOW", `${test.name}: ${Math.round(ms)} ms`);
  return model;
}

interface Flags {
  /** List every model that did not count, with the reason. */
  readonly isVerbose: boolean;
  /** Write and run in onnxruntime as well. */
  readonly runs: boolean;
}

async function main(path: string, { isVerbose, runs: isRunning }: Flags): Promise<number> {
  const { root, close } = openTestData(path);
  const reading = new Tally();
  const types = new Tally();
  const runs = new Tally();
  const runnable: BackendCase[] = [];
  try {
    const cases = findCases(root);
    for (const test of cases) {
      const bytes = readFileSync(test.path);
      const model = checkReading(test, bytes, reading);
      if (model === undefined || !test.isNode) continue;
      const recording = recordingOf(test.path);
      const feeds = recording && feedsOf(model, recording);
      if (!recording || !feeds || recording.outputs.includes(undefined)) {
        types.add("sequences, maps or optionals: not compared", test.name);
        runs.add("sequences, maps or optionals: not compared", test.name);
        continue;
      }
      try {
        checkTypes(test, model, recording, feeds, types);
      } catch (error) {
        types.add("WRONG", `${test.name}: ${error instanceof Error ? error.message : error}`);
      }
      runnable.push(test);
    }
    const outcomes = isRunning ? await runAll(runnable.map(({ path }) => path)) : [];
    for (const [i, { category, why, lifted }] of outcomes.entries()) {
      runs.add(category, `${runnable[i].name}: ${why}`);
      if (lifted) runs.add(lifted.category, `${runnable[i].name}: ${lifted.why}`);
    }
    console.log(
      `${cases.length} models, ${cases.filter(({ isNode }) => isNode).length} of one node`,
    );
  } finally {
    close();
  }
  reading.print("Reading and analysing every model", ["CRASHED", "SLOW"]);
  types.print(
    "Inferred types against recorded outputs (recorded whole-number inputs of up to 64 and real ones of up\nto 16 elements with at most one axis are given as known values, other inputs by type)",
    isVerbose ? ["WRONG", "left open", "operator without a rule"] : ["WRONG", "left open"],
  );
  runs.print("Read, written, run in onnxruntime, against recorded outputs", [
    "BROKEN BY WRITING",
    "BROKEN BY LIFTING",
    ...(isVerbose
      ? [
          "onnxruntime differs from the record",
          "onnxruntime loads it, but cannot run it",
          "onnxruntime does not load it",
          "onnxruntime ends the process",
          "lifted to the canonical opset: not loaded",
          "lifted to the canonical opset: failed",
        ]
      : []),
  ]);
  const isMet =
    types.count("equal") >= bars.inferred &&
    types.count("WRONG") === 0 &&
    (!isRunning || runs.count("equal") >= bars.equal) &&
    runs.count("BROKEN BY WRITING") + runs.count("BROKEN BY LIFTING") === 0 &&
    reading.count("CRASHED") === 0 &&
    reading.count("SLOW") === 0;
  console.log(
    `\nInferred ${types.count("equal")} (bar ${bars.inferred}), equal after writing ${runs.count("equal")} (bar ${bars.equal}): ${isMet ? "passed" : "FAILED"}`,
  );
  return isMet ? 0 : 1;
}

const [path, ...flags] = process.argv.slice(2);
if (path === undefined) {
  console.error("Usage: npm run conformance -- DIR_OR_TAR_GZ [--verbose] [--types-only]");
  process.exitCode = 2;
} else
  process.exitCode = await main(path, {
    isVerbose: flags.includes("--verbose"),
    runs: !flags.includes("--types-only"),
  });
