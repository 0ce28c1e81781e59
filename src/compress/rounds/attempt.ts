/**
 * @file One try of a round: units are removed, the rest is tuned and judged on `select`. A try that loses
 * too much, or whose tuning diverges, is taken back.
 */
import { join } from "node:path";
import { EspalierError } from "../../errors.ts";
import { saveModel } from "../../files/model-file.ts";
import { savePlan } from "../../files/plan-file.ts";
import { levelOf } from "../../guard/ladder.ts";
import { metricOf, type Outcomes, pairedDropAsync } from "../../measure/outcomes/outcomes.ts";
import type { ModelBytes } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { type Pruned, partsOf } from "../../prune/pruned.ts";
import { verifyPruned, verifyZeros } from "../../prune/verify.ts";
import { roundPaths } from "../../runs/folder/run-folder.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import { countRemoved } from "../../structure/units/removal.ts";
import { structureOf } from "../../structure/units/units.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import { train } from "../../train/loop/train.ts";
import { metricWords } from "../../words/metrics.ts";
import { inPoints } from "../../words/numbers.ts";
import { type CompressContext, densityLeft, remainingOf, reread } from "../context/context.ts";
import { secondsLeft } from "../context/time-budget.ts";
import type { AttemptRecord } from "../record/compress-report.ts";
import { epochEntriesOf } from "../record/round-figures.ts";
import { measuredOf } from "../record/sample-figures.ts";
import { type Candidate, removeFirst } from "./candidate.ts";
import { unlessDiverged } from "./divergence.ts";

/** The settings of an attempt. */
export interface Trial {
  readonly round: number;
  /** The name of its checkpoint. */
  readonly name: string;
  /** Units or weights to remove. */
  readonly count: number;
  /** Whether weights that are 0 then stay 0 in tuning. */
  readonly keepsZeros: boolean;
  /** Epochs of fine-tuning. */
  readonly epochs: number;
  /** The largest drop on `select` with which it is accepted. */
  readonly largestDrop: number;
}

/**
 * Removes, verifies, tunes, and judges on `select`. The networks and the plan of a try that was judged lie
 * in the folder of the round, also if it was taken back; one whose tuning diverged leaves no files.
 *
 * Fails with `VERIFY_FAILED` where the removal is not exact, and as `train`, but for `TRAINING_DIVERGED`.
 */
export async function tryOut(
  context: CompressContext,
  candidate: Candidate,
  trial: Trial,
): Promise<AttemptRecord> {
  const { settings, original, metric, hooks, session } = context;
  const { round, count, largestDrop, keepsZeros } = trial;
  const hasDensity = keepsZeros || settings.targets.density !== undefined;
  const pruned = removeFirst(candidate, count);
  hooks.onPhase?.(`round ${round}: verifying the removal`);
  const verification = await requireExact(candidate, pruned, round, session);
  const removed = await context.measureOutcomes(pruned.bytes.chunks, "select");
  const common = {
    units: countRemoved(partsOf(pruned).removed),
    remaining: {
      ...remainingOf(pruned.after, original),
      ...(hasDensity && { density: densityLeft(pruned.graph, original) }),
    },
    removed: measuredOf(removed),
    verification,
  };
  const dropOf = async (outcomes: Outcomes) => {
    const { drop, upper } = await pairedDropAsync(original.select, outcomes, {
      level: levelOf(settings.confidence),
      signal: hooks.signal,
    });
    return { drop, upper };
  };

  const tuned = await unlessDiverged(() => tune(context, trial, pruned, removed));
  if (tuned instanceof EspalierError)
    return {
      ...common,
      ...(await dropOf(removed)),
      tuned: null,
      tuning: [],
      isAccepted: false,
      isDiverged: true,
      reason: `fine-tuning diverged: ${tuned.message}`,
    };
  const { bytes, history, judged } = tuned;
  await saveTry(context, round, candidate, pruned, bytes);
  const { drop, upper } = await dropOf(judged);
  const isAccepted = drop <= largestDrop;
  return {
    ...common,
    drop,
    upper,
    isAccepted,
    isDiverged: false,
    tuned: trial.epochs === 0 ? null : measuredOf(judged),
    tuning: epochEntriesOf(history),
    ...(isAccepted
      ? {}
      : {
          reason: tooMuch(metricWords(metric).difference, largestDrop, settings.maxDrop),
        }),
  };
}

/** Verifies that a removal is exact. Fails with `VERIFY_FAILED` where it is not. */
async function requireExact(
  { network }: Candidate,
  pruned: Pruned,
  round: number,
  session: CompressContext["session"],
): Promise<AttemptRecord["verification"]> {
  const { maxError, samples, passed, checks } = await verifyPruned(network, pruned, session);
  const exact = await verifyZeros(network, { ...pruned, ...partsOf(pruned) }, session);
  if (passed && exact.passed) return { maxError, samples, passed };
  throw new EspalierError("VERIFY_FAILED", `round ${round}: the removal is not exact`, {
    hint: "Please report it with the model if you may share it; `except` may spare the layer.",
    data: {
      round,
      maxError: Math.max(maxError, exact.maxError),
      checks: [...checks, ...exact.checks],
    },
  });
}

/** Writes the networks and the plan of a try, and what its method remembers, pruned like the network. */
async function saveTry(
  { run, method }: CompressContext,
  round: number,
  { memory }: Candidate,
  pruned: Pruned,
  tuned: ModelBytes,
): Promise<void> {
  const paths = roundPaths(run, round);
  await saveModel(paths.pruned, pruned.bytes);
  await savePlan(paths.plan, { ...pruned.plan, method: method.name });
  if (memory !== undefined) {
    const { structure, removed } = partsOf(pruned);
    const kept = removeUnits(structureOf(memory.graph, structure.analysis), removed);
    await saveModel(paths.memory, writeModel(memory, kept));
  }
  await saveModel(paths.tuned, tuned);
}

/**
 * Fine-tunes on `fit`, going on from its checkpoint, no longer than the time budget allows; the best epoch
 * on `select` counts, or the network as it was where tuning made it worse.
 */
async function tune(
  context: CompressContext,
  { round, name, epochs, keepsZeros }: Trial,
  pruned: Pruned,
  before: Outcomes,
): Promise<{
  readonly bytes: ModelBytes;
  readonly history: readonly EpochRecord[];
  /** On `select`. */
  readonly judged: Outcomes;
}> {
  if (epochs === 0) return { bytes: pruned.bytes, history: [], judged: before };
  const { settings, hooks, run, dataset, tuning } = context;
  hooks.onPhase?.(`round ${round}: fine-tuning`);
  const { best, history } = await train(reread(pruned.bytes), dataset, {
    ...tuning,
    epochs,
    checksMemorisation: false,
    ...(keepsZeros && { keepsZeros }),
    timeBudgetSeconds: await secondsLeft(context, name),
    checkpoint: {
      path: join(run, "checkpoint", `${name.replace(/[ /]+/g, "-")}.safetensors`),
      everySteps: settings.tuning.checkpointEvery,
      resumes: true,
    },
    onProgress: hooks.onProgress,
    onEpoch: hooks.onEpoch,
  });
  const judged = await context.measureOutcomes(best.bytes.chunks, "select");
  const isWorse = metricOf(judged).value < metricOf(before).value;
  return isWorse
    ? { bytes: pruned.bytes, history, judged: before }
    : { bytes: best.bytes, history, judged };
}

/** The reason that a round loses more than its share of the tolerance, in the metric's units. */
function tooMuch(inWords: (drop: number) => string, most: number, maxDrop = most): string {
  const share = most < maxDrop ? ` of the ${inWords(maxDrop)} of \`maxDrop\`` : "";
  return `the drop on select is more than ${inWords(most)}, which is what this round may lose${share}`;
}

/** An attempt in one line of text. */
export function describeAttempt(
  round: number,
  { remaining, drop, removed, tuned, isAccepted, reason }: AttemptRecord,
  { original, metric }: Pick<CompressContext, "original" | "metric">,
): string {
  const { name, value, difference } = metricWords(metric);
  const way = [
    value(metricOf(original.select).value),
    `${value(removed.value)} (removed)`,
    ...(tuned === null ? [] : [`${value(tuned.value)} (tuned)`]),
  ];
  const end = isAccepted
    ? "accepted"
    : `taken back: ${reason ?? `a drop of ${difference(drop)} is too much`}`;
  const dense =
    remaining.density === undefined ? "" : `, ${inPoints(remaining.density)} % of the weights`;
  return `round ${round}: ${inPoints(remaining.macs)} % of the MACs${dense}, ${name} on select ${way.join(" -> ")}, ${end}`;
}
