/** @file The end of a compression: the chosen network is checked, measured on `test`, and written. */
import { dirname } from "node:path";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { loadModel, saveModel } from "../../files/model-file.ts";
import { loadPlan, savePlan } from "../../files/plan-file.ts";
import { type TimedNetwork, timePair } from "../../measure/latency/pair.ts";
import { saveOutcomes } from "../../measure/outcomes/outcomes-file.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import {
  type CompressConfig,
  makeFolder,
  roundPaths,
  runPaths,
} from "../../runs/folder/run-folder.ts";
import { planOf } from "../../structure/plan.ts";
import type { Removed } from "../../structure/units/removal.ts";
import type { Zeros } from "../../structure/weights/zeros.ts";
import type { CompressContext } from "../context/context.ts";
import type { CompressReport, RoundRecord } from "../record/compress-report.ts";
import type { ChosenRound } from "../record/outcome-record.ts";
import {
  type Evidence,
  recordOfTiming,
  reportOf,
  type TestEvidence,
  timingRecord,
} from "../record/report-of.ts";
import { roundsTaken } from "../record/round-figures.ts";
import { kindOf, measuredOf } from "../record/sample-figures.ts";
import { composeRemovals, composeZeros, mismatchAfter } from "../rounds/compose.ts";
import { saveExamples } from "./examples.ts";
import { samplePosterior } from "./posterior-of-run.ts";
import { sensitivityOfRun } from "./sensitivity-of-run.ts";

/** The state of a run after its rounds. */
export interface Outcome {
  readonly rounds: readonly RoundRecord[];
  readonly choice: ChosenRound;
  readonly isTimeSpent: boolean;
  /** Warnings of the original and its data; those of rounds stand with the rounds. */
  readonly warnings: readonly string[];
}

/**
 * Writes `model.onnx`, `plan.json` and `predictions/`, and gives the report. `test` is read here, and
 * nowhere else.
 */
export async function finish(
  context: CompressContext,
  config: CompressConfig,
  outcome: Outcome,
): Promise<CompressReport> {
  const evidence = await gather(context, config, outcome);
  context.hooks.onPhase?.("packing");
  return reportOf(evidence);
}

/** Checks and measures the chosen network, and writes all files of the result but the report. */
async function gather(
  context: CompressContext,
  config: CompressConfig,
  { rounds, choice, isTimeSpent, warnings }: Outcome,
): Promise<Evidence> {
  const { run, original, dataset, settings } = context;
  const paths = runPaths(run);
  const taken = roundsTaken(rounds, choice.round);
  const { model, removed, zeros } = await chosenNetwork(context, taken);
  const measurements = await measure(context, config, taken, model);
  await saveModel(paths.model, writeModel(model));
  await savePlan(paths.plan, planOf(original.structure, removed, settings.method, [], zeros));
  return {
    config,
    classNames: dataset.classNames,
    samples: {
      fit: dataset.size("fit"),
      select: dataset.size("select"),
      certify: dataset.size("certify"),
      test: dataset.size("test"),
    },
    kind: kindOf(original.select, config.hasLabels),
    original: original.model,
    structure: original.structure,
    result: await loadModel(paths.model),
    removed,
    select: measuredOf(original.select),
    ...measurements,
    rounds,
    choice,
    isTimeSpent,
    warnings,
    sensitivity: await sensitivityOfRun(context, isTimeSpent),
    digests: { original: await fileDigest(paths.original), model: await fileDigest(paths.model) },
  };
}

/** The network of the last of these rounds, or the original, with all that was removed on the way to it. */
async function chosenNetwork(
  { run, original: { model: original, structure } }: CompressContext,
  taken: readonly RoundRecord[],
): Promise<{ readonly model: Model; readonly removed: Removed; readonly zeros: Zeros }> {
  const last = taken.at(-1);
  const model = last === undefined ? original : await loadModel(roundPaths(run, last.round).tuned);
  const plans = await Promise.all(taken.map(({ round }) => loadPlan(roundPaths(run, round).plan)));
  const removed = composeRemovals(structure, plans);
  const mismatch = mismatchAfter(structure, removed, model.graph);
  if (mismatch !== undefined)
    throw new EspalierError("VERIFY_FAILED", `the rounds do not add up: ${mismatch}`);
  return { model, removed, zeros: composeZeros(structure, plans) };
}

/** Tests both networks and the posterior, measures latencies, and writes what they said of the samples. */
async function measure(
  context: CompressContext,
  { hasLabels }: CompressConfig,
  taken: readonly RoundRecord[],
  model: Model,
): Promise<Pick<Evidence, "test" | "latencies">> {
  const { run, original, dataset, hooks } = context;
  hooks.onPhase?.("testing");
  const test = async (network: Model) =>
    dataset.size("test") > 0 ? context.measureOutcomes(chunksOf(network), "test") : undefined;
  const [before, after] = [await test(original.model), await test(model)];
  const latencies = await latenciesOf(context, model);
  await savePredictions(run, { before, after });
  const posterior = await samplePosterior(context, taken, model, after);
  if (before?.kind === "maps") {
    const networks = { original: chunksOf(original.model), compressed: chunksOf(model) };
    await saveExamples(context, networks, hasLabels, runPaths(run).predictions.examples);
  }
  return { test: { before, after, posterior }, latencies };
}

/** Latencies, measured once in a run, unless that was not wanted. */
async function latenciesOf(
  { journal, hooks, session, settings, original }: CompressContext,
  model: Model,
): Promise<Evidence["latencies"]> {
  if (!settings.benches) return undefined;
  return journal.once("latency", timingRecord, async () => {
    hooks.onPhase?.("timing");
    const network = (each: Model): TimedNetwork => ({ graph: each.graph, source: chunksOf(each) });
    const how = { ...session, seconds: settings.benchSeconds };
    const timed = await timePair(network(original.model), network(model), how);
    return "skipped" in timed ? timed : recordOfTiming(timed);
  });
}

async function savePredictions(
  run: string,
  { before, after }: Pick<TestEvidence, "before" | "after">,
): Promise<void> {
  if (before === undefined || after === undefined) return;
  const { predictions } = runPaths(run);
  await makeFolder(dirname(predictions.original));
  await saveOutcomes(predictions.original, before);
  await saveOutcomes(predictions.result, after);
}

function chunksOf(model: Model): readonly Uint8Array[] {
  return writeModel(model).chunks;
}
