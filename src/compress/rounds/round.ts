/**
 * @file One round of compression: the method scores, the search chooses how many units to remove, and this removal is
 * tried. If it is rejected, a smaller one is tried; accepted rounds stay unchanged.
 */
import { access } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { loadModel, saveModel } from "../../files/model-file.ts";
import type { Graph } from "../../ir/graph.ts";
import { metricOf } from "../../measure/outcomes/outcomes.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { meeting } from "../../prune/cut-order.ts";
import { makeFolder, roundPaths } from "../../runs/folder/run-folder.ts";
import { acceptedDropOf, hasTargets, roundDropOf } from "../../runs/settings/compress-settings.ts";
import { fewestEnough } from "../../structure/choice/shortest-prefix.ts";
import { costOf } from "../../structure/cost/cost.ts";
import { countRemoved, removeNothing } from "../../structure/units/removal.ts";
import { structureOf } from "../../structure/units/units.ts";
import { metricWords } from "../../words/metrics.ts";
import { type CompressContext, densityLeft, remainingOf } from "../context/context.ts";
import { isTimeSpent } from "../context/time-budget.ts";
import {
  type AttemptRecord,
  attemptRecord,
  type RoundRecord,
  searchEntry,
} from "../record/compress-report.ts";
import { posteriorRecordOf } from "../record/posterior-record.ts";
import { epochEntriesOf } from "../record/round-figures.ts";
import { describeAttempt, tryOut } from "./attempt.ts";
import {
  type Candidate,
  canShrink,
  propose,
  removeFirst,
  removesAny,
  unscored,
} from "./candidate.ts";
import { unlessDiverged } from "./divergence.ts";
import { largestWithin } from "./search.ts";
import { roundBudgets } from "./targets.ts";

/** Drops on `select` of what was tried on a network and taken back, by the units that were removed. */
export type Failures = ReadonlyMap<number, number>;

/**
 * Goes one round further from the network at `path`. The record says whether it got anywhere. Where rounds
 * before failed on the same network with the same ranking, `failures` tells of them: what lost too much
 * for this round, too, would do so again, and smaller removals are tried at once.
 */
export async function runRound(
  context: CompressContext,
  round: number,
  path: string,
  failures: Failures,
): Promise<RoundRecord> {
  const { run, settings, hooks, original } = context;
  const model = await loadModel(path);
  if (!canShrink(model, settings))
    return ended(context, round, model, "nothing is left that may go");
  const memory = await memoryBeside(path);
  const candidate = await unlessDiverged(() => propose(context, round, model, memory));
  if (candidate instanceof EspalierError)
    return ended(context, round, model, `learning diverged: ${candidate.message}`);
  // An unfinished training of the method is no basis for a removal.
  if (await isTimeSpent(context, `round ${round}/time before the search`))
    return ended(context, round, model, "the time budget was spent before anything was tried");
  const paths = roundPaths(run, round);
  await makeFolder(dirname(paths.before));
  const { network, proposal, structure, learning, order } = candidate;
  const learnt = writeModel(network);
  await saveModel(paths.before, learnt);
  const begun = remainingOf(costOf(network.graph, structure.analysis.dims), original);
  const dense = order.what === "weights" ? { density: densityLeft(network.graph, original) } : {};
  const warnings = [
    ...(proposal.warnings ?? []),
    ...(await judgeLearning(context, round, candidate, learnt)),
  ];
  for (const warning of warnings) hooks.onWarning?.(`round ${round}: ${warning}`);
  const { units, search } = await howFar(context, round, candidate);

  const attempts = await tryAll(context, round, candidate, units, failures);
  const last = attempts.at(-1);
  const accepted = last?.record.isAccepted ? last : undefined;
  const removed = accepted ? order.choose(accepted.count).removed : removeNothing(structure);
  const { posteriorFacts = [] } = proposal;
  const posterior = posteriorRecordOf(posteriorFacts, removed);
  return {
    round,
    attempts: attempts.map(({ record }) => record),
    isAccepted: accepted !== undefined,
    search,
    ...(posterior && { posterior }),
    remaining: accepted ? accepted.record.remaining : { ...begun, ...dense },
    learning: epochEntriesOf(learning),
    notes: [...proposal.notes],
    ...(warnings.length > 0 && { warnings }),
  };
}

/** An attempt, with how many units or weights it removed. */
interface Attempt {
  readonly count: number;
  readonly record: AttemptRecord;
}

/** Tries to remove so many units or weights, then half of them, and so on, until one try is accepted. */
async function tryAll(
  context: CompressContext,
  round: number,
  candidate: Candidate,
  units: number,
  failures: Failures,
): Promise<readonly Attempt[]> {
  const { run, settings, hooks } = context;
  const { order } = candidate;
  const { pruned, plan, tuned, memory } = roundPaths(run, round);
  const largestDrop = acceptedDropOf(settings, round);
  const hasFailed = (count: number) =>
    (failures.get(countRemoved(order.choose(count).removed)) ?? Number.NEGATIVE_INFINITY) >
    largestDrop;
  const attempts: Attempt[] = [];
  for (let tries = 0; attempts.length < settings.attempts; tries++) {
    const count = order.least + Math.floor((units - order.least) / 2 ** tries);
    if (!removesAny(candidate, count)) break;
    if (hasFailed(count)) continue;
    if (
      attempts.length > 0 &&
      (await isTimeSpent(context, `round ${round}/time before attempt ${tries + 1}`))
    )
      break;
    const name = `round ${round}/attempt ${tries + 1}`;
    const { epochs } = settings;
    const keepsZeros = order.what === "weights";
    const trial = { round, name, count, epochs, keepsZeros, largestDrop };
    const record = await context.journal.once(
      name,
      attemptRecord,
      () => tryOut(context, candidate, trial),
      // The files of one that is taken back are those of the next.
      ({ isAccepted }) => (isAccepted ? [pruned, plan, tuned, memory] : []),
    );
    attempts.push({ count, record });
    hooks.onNote?.(describeAttempt(round, record, context));
    if (record.isAccepted) break;
  }
  return attempts;
}

/**
 * Says where the method's own training has left the network further below the original on `select` than
 * the round may lose: whatever is removed then, tuning begins with a debt.
 */
async function judgeLearning(
  { settings, method, original, metric, journal, measureOutcomes }: CompressContext,
  round: number,
  { learning }: Candidate,
  learnt: ModelBytes,
): Promise<readonly string[]> {
  if (learning.length === 0) return [];
  const value = await journal.once(`round ${round}/learnt`, z.number(), async () => {
    const outcomes = await measureOutcomes(learnt.chunks, "select");
    return metricOf(outcomes).value;
  });
  const before = metricOf(original.select).value;
  if (before - value <= Math.min(roundDropOf(settings), acceptedDropOf(settings, round))) return [];
  const words = metricWords(metric);
  const [was, is] = [before, value].map(words.value);
  const mild = "rate" in method.options ? ": a lower rate (`rate`) is milder" : "";
  return [
    `learning alone took ${words.name} on select from ${was} to ${is}, before anything was removed${mild}`,
  ];
}

/** The memory of the method for the round whose network lies at `path`. */
async function memoryBeside(path: string): Promise<Graph | undefined> {
  const memory = join(dirname(path), basename(roundPaths("", 1).memory));
  const isThere = await access(memory).then(
    () => true,
    () => false,
  );
  return isThere ? (await loadModel(memory)).graph : undefined;
}

/** The record of a round that ends before anything was tried. */
function ended(
  { original, hooks }: CompressContext,
  round: number,
  { graph }: Model,
  why: string,
): RoundRecord {
  const note = `round ${round}: ${why}`;
  hooks.onNote?.(note);
  return {
    round,
    attempts: [],
    isAccepted: false,
    search: [],
    learning: [],
    notes: [why],
    remaining: remainingOf(costOf(graph, structureOf(graph).analysis.dims), original),
  };
}

/**
 * Tunes the network at `path` once more, without removing anything: a round whose plan is empty. It is
 * accepted unless it is worse on `select` than the round before.
 */
export async function runTuning(
  context: CompressContext,
  round: number,
  path: string,
  before: RoundRecord,
): Promise<RoundRecord> {
  const paths = roundPaths(context.run, round);
  await makeFolder(dirname(paths.before));
  const network = await loadModel(path);
  await saveModel(paths.before, writeModel(network));
  const name = `round ${round}/tuning`;
  const largestDrop = before.attempts.at(-1)?.drop ?? Number.POSITIVE_INFINITY;
  const attempt = await tryOut(context, unscored(network, context.settings), {
    round,
    name,
    count: 0,
    epochs: context.settings.finalEpochs,
    largestDrop,
    keepsZeros: before.remaining.density !== undefined,
  });
  context.hooks.onNote?.(describeAttempt(round, attempt, context));
  return {
    round,
    attempts: [attempt],
    isAccepted: attempt.isAccepted,
    search: [],
    remaining: before.remaining,
    learning: [],
    notes: [],
  };
}

/** How many units or weights the round tries to remove: to meet its share of the targets, or by search on `select`. */
async function howFar(
  context: CompressContext,
  round: number,
  candidate: Candidate,
): Promise<{ readonly units: number; readonly search: RoundRecord["search"] }> {
  const { settings, original, hooks, journal } = context;
  const { order, structure } = candidate;
  const { steps } = order;
  if (hasTargets(settings)) {
    const budgets = await roundBudgets(context, round, candidate);
    return { units: fewestEnough(order, meeting(budgets)), search: [] };
  }
  hooks.onPhase?.(`round ${round}: searching`);
  const tolerance = roundDropOf(settings);
  const found = z.object({
    units: z.number(),
    search: z.array(searchEntry),
  });
  return journal.once(`round ${round}/search`, found, async () => {
    const search: RoundRecord["search"] = [];
    const isWithin = async (units: number) => {
      const { graph, bytes } = removeFirst(candidate, units);
      const outcomes = await context.measureOutcomes(bytes.chunks, "select");
      const drop = metricOf(original.select).value - metricOf(outcomes).value;
      const { macs } = remainingOf(costOf(graph, structure.analysis.dims), original);
      const dense = order.what === "weights" ? { density: densityLeft(graph, original) } : {};
      search.push({ units, macs, ...dense, drop });
      const total = Math.ceil(2 * Math.log2(steps.length + 1));
      hooks.onTest?.({ done: search.length, total, unit: "networks" });
      return drop <= tolerance;
    };
    // Half of what may go is a better first guess than one unit: fewer and larger networks are run.
    const start = Math.max(1, steps.length >> 2);
    const isStepWithin = (k: number) => isWithin(steps[k - 1]);
    const { k } = await largestWithin(steps.length, isStepWithin, { start });
    return { units: k === 0 ? order.least : steps[k - 1], search };
  });
}
