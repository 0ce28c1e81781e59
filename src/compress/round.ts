/**
 * @file One round of compression: the method scores, the search says how far to go, units are removed,
 * the rest is tuned and judged on `select`. A try that loses too much is taken back, and a smaller one
 * is made; what was accepted before is never touched.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { loadModel, saveModel } from "../files/model-file.ts";
import { savePlan } from "../files/plan-file.ts";
import { metricOf, type Outcomes, pairedDrop, samplesOf } from "../measure/outcomes.ts";
import { isLearned } from "../methods/learned-method.ts";
import type { Proposal } from "../methods/method.ts";
import type { Model } from "../onnx/read.ts";
import { type ModelBytes, writeModel } from "../onnx/write.ts";
import { costOf } from "../structure/cost.ts";
import { removeNothing } from "../structure/removal.ts";
import { type RemovalOrder, removalsInOrder } from "../structure/select.ts";
import { type Structure, structureOf } from "../structure/units.ts";
import type { EpochRecord } from "../train/checkpoint.ts";
import { train } from "../train/train.ts";
import {
  type AttemptRecord,
  attemptRecord,
  type Measured,
  type RoundRecord,
} from "./compress-report.ts";
import { acceptedDropOf, hasTargets, roundDropOf, rulesOf } from "./compress-settings.ts";
import { type CompressContext, remainingOf, reread } from "./context.ts";
import { levelOf } from "./ladder.ts";
import { finishPruning, type Pruned } from "./prune.ts";
import { roundPaths } from "./run-folder.ts";
import { largestWithin } from "./search.ts";
import { fewestMeeting, roundBudgets } from "./targets.ts";
import { verifyPruned } from "./verify.ts";

/** A network that is about to lose units, and the order in which they may go. */
interface Candidate {
  readonly network: Model;
  readonly structure: Structure;
  readonly proposal: Proposal;
  readonly order: RemovalOrder;
  readonly learning: readonly EpochRecord[];
}

/** Goes one round further from the network at `path`. The record says whether it got anywhere. */
export async function runRound(
  context: CompressContext,
  round: number,
  path: string,
): Promise<RoundRecord> {
  const { run, settings, hooks, original } = context;
  const paths = roundPaths(run, round);
  await mkdir(dirname(paths.before), { recursive: true });
  const candidate = await propose(context, round, await loadModel(path));
  const { network, proposal, order, structure } = candidate;
  await saveModel(paths.before, writeModel(network));
  const begun = remainingOf(costOf(network.graph, structure.analysis.dims), original);
  const { units, search } = await howFar(context, round, candidate);

  const attempts: AttemptRecord[] = [];
  for (let tries = 0; tries < settings.attempts; tries++) {
    const count = Math.floor(units / 2 ** tries);
    if (count === 0) break;
    const name = `round ${round}/attempt ${tries + 1}`;
    const attempt = await context.journal.once(name, attemptRecord, () =>
      tryOut(context, candidate, {
        ...{ round, name, count, epochs: settings.epochs },
        largestDrop: acceptedDropOf(settings, round),
      }),
    );
    attempts.push(attempt);
    hooks.onNote?.(describeAttempt(round, attempt, context));
    if (attempt.isAccepted) break;
  }
  const last = attempts.at(-1);
  const isAccepted = last?.isAccepted ?? false;
  return {
    ...{ round, attempts, isAccepted, search },
    remaining: isAccepted && last ? last.remaining : begun,
    learning: candidate.learning.map((record) => ({ ...record, epoch: record.epoch + 1 })),
    notes: [...proposal.notes, ...(order.count === 0 ? ["nothing is left that may go"] : [])],
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
  await mkdir(dirname(paths.before), { recursive: true });
  const network = await loadModel(path);
  await saveModel(paths.before, writeModel(network));
  const structure = structureOf(network.graph);
  const nothing = removeNothing(structure);
  const candidate: Candidate = {
    ...{ network, structure, learning: [] },
    proposal: { scores: new Float64Array(nothing.length), edits: () => [], notes: [] },
    order: { count: 0, choose: () => nothing },
  };
  const name = `round ${round}/tuning`;
  const largestDrop = before.attempts.at(-1)?.drop ?? Number.POSITIVE_INFINITY;
  const attempt = await tryOut(context, candidate, {
    ...{ round, name, count: 0, epochs: context.settings.finalEpochs, largestDrop },
  });
  context.hooks.onNote?.(describeAttempt(round, attempt, context));
  return {
    ...{ round, attempts: [attempt], isAccepted: attempt.isAccepted, search: [] },
    ...{ remaining: before.remaining, learning: [], notes: [] },
  };
}

async function propose(context: CompressContext, round: number, model: Model): Promise<Candidate> {
  const { run, settings, method, dataset, tuning, hooks } = context;
  const { seed } = settings.tuning;
  const rules = rulesOf(settings);
  const common = { seed, options: new Map(Object.entries(settings.methodOptions)), rules };
  const structure = structureOf(model.graph);
  const ranked = (
    network: Model,
    of: Structure,
    proposal: Proposal,
    learning: readonly EpochRecord[],
  ): Candidate => ({
    ...{ network, structure: of, proposal, learning },
    order: removalsInOrder(of, proposal.scores, rules),
  });
  if (!isLearned(method)) {
    hooks.onPhase?.(`round ${round}: scoring`);
    return ranked(model, structure, method.propose({ structure, ...common }), []);
  }
  hooks.onPhase?.(`round ${round}: learning`);
  const proposal = await method.learn({
    ...{ structure, ...common, model, dataset },
    training: {
      ...tuning,
      checkpoint: {
        path: join(run, "checkpoint", `learn-${round}.safetensors`),
        everySteps: settings.tuning.checkpointEvery,
        resumes: true,
      },
      onProgress: hooks.onProgress,
      onEpoch: hooks.onEpoch,
    },
  });
  const network = reread(writeModel(model, proposal.graph));
  return ranked(network, structureOf(network.graph), proposal, proposal.history);
}

/** How many units the round tries to remove: to meet its share of the targets, or by search on `select`. */
async function howFar(
  context: CompressContext,
  round: number,
  candidate: Candidate,
): Promise<{ readonly units: number; readonly search: RoundRecord["search"] }> {
  const { settings, original, hooks, journal } = context;
  const { order, structure } = candidate;
  if (hasTargets(settings)) {
    const budgets = await roundBudgets(context, round, candidate);
    return { units: fewestMeeting(order, budgets), search: [] };
  }
  hooks.onPhase?.(`round ${round}: searching`);
  const tolerance = roundDropOf(settings);
  const found = z.object({
    units: z.number(),
    search: z.array(z.object({ units: z.number(), macs: z.number(), drop: z.number() })),
  });
  return journal.once(`round ${round}/search`, found, async () => {
    const search: RoundRecord["search"] = [];
    const isWithin = async (units: number) => {
      const { graph, bytes } = removeFirst(candidate, units);
      const outcomes = await context.examine(bytes.chunks, "select");
      const drop = metricOf(original.select).value - metricOf(outcomes).value;
      const { macs } = remainingOf(costOf(graph, structure.analysis.dims), original);
      search.push({ units, macs, drop });
      const total = Math.ceil(2 * Math.log2(order.count + 1));
      hooks.onTest?.({ done: search.length, total, unit: "networks" });
      return drop <= tolerance;
    };
    // Half of what may go is a better first guess than one unit: fewer and larger networks are run.
    const start = Math.max(1, order.count >> 2);
    const { k } = await largestWithin(order.count, isWithin, { start });
    return { units: k, search };
  });
}

/** Removes the `count` units that matter least. */
function removeFirst({ network, structure, order, proposal }: Candidate, count: number): Pruned {
  const removed = order.choose(count);
  return finishPruning(network, structure, {
    ...{ method: "", removed, isReached: true, notes: [] },
    edits: proposal.edits(removed),
  });
}

/** What to try. */
interface Trial {
  readonly round: number;
  /** For its checkpoint. */
  readonly name: string;
  /** Units to remove. */
  readonly count: number;
  /** Of tuning. */
  readonly epochs: number;
  /** On `select`, for it to be accepted. */
  readonly largestDrop: number;
}

/** Removes, verifies, tunes, and judges on `select`. */
async function tryOut(
  context: CompressContext,
  candidate: Candidate,
  trial: Trial,
): Promise<AttemptRecord> {
  const { settings, original, hooks, session, run, method } = context;
  const { round, count, largestDrop } = trial;
  const paths = roundPaths(run, round);
  const pruned = removeFirst(candidate, count);
  hooks.onPhase?.(`round ${round}: verifying the removal`);
  const { maxError, samples, passed, checks } = await verifyPruned(
    candidate.network,
    pruned,
    session,
  );
  if (!passed)
    throw new EspalierError("VERIFY_FAILED", `round ${round}: the removal is not exact`, {
      hint: "Please report it with the model if you may share it; --except may spare the layer.",
      data: { round, maxError, checks },
    });
  const removed = await context.examine(pruned.bytes.chunks, "select");
  const { bytes, history } = await tune(context, trial, pruned);
  const judged = history.length === 0 ? removed : await context.examine(bytes.chunks, "select");
  await saveModel(paths.pruned, pruned.bytes);
  await savePlan(paths.plan, { ...pruned.plan, method: method.name });
  await saveModel(paths.tuned, bytes);
  const { drop, upper } = pairedDrop(original.select, judged, {
    level: levelOf(settings.confidence),
  });
  const isAccepted = drop <= largestDrop;
  return {
    units: pruned.removed.reduce((sum, gone) => sum + gone, 0),
    remaining: remainingOf(pruned.after, original),
    removed: measuredOf(removed),
    tuned: history.length === 0 ? null : measuredOf(judged),
    ...{ drop, upper, isAccepted },
    ...(isAccepted
      ? {}
      : { reason: `the drop on select is more than ${(100 * largestDrop).toFixed(2)} points` }),
    tuning: history.map((record) => ({ ...record, epoch: record.epoch + 1 })),
    verification: { maxError, samples, passed },
  };
}

/** Fine-tunes on `fit`, going on from its checkpoint; the best epoch on `select` counts. */
async function tune(
  { settings, hooks, run, dataset, tuning }: CompressContext,
  { round, name, epochs }: Trial,
  pruned: Pruned,
): Promise<{ readonly bytes: ModelBytes; readonly history: readonly EpochRecord[] }> {
  if (epochs === 0) return { bytes: pruned.bytes, history: [] };
  hooks.onPhase?.(`round ${round}: fine-tuning`);
  const { best, history } = await train(reread(pruned.bytes), dataset, {
    ...tuning,
    ...{ epochs, checksMemorisation: false },
    checkpoint: {
      path: join(run, "checkpoint", `${name.replace(/[ /]+/g, "-")}.safetensors`),
      everySteps: settings.tuning.checkpointEvery,
      resumes: true,
    },
    onProgress: hooks.onProgress,
    onEpoch: hooks.onEpoch,
  });
  return { bytes: best.bytes, history };
}

/** A metric on a role, as it is written down. */
export function measuredOf(outcomes: Outcomes): Measured {
  const { value, ci95, loss } = metricOf(outcomes);
  return {
    ...{ value, ci95: [ci95[0], ci95[1]], samples: samplesOf(outcomes) },
    ...(loss === undefined ? {} : { loss }),
  };
}

function describeAttempt(
  round: number,
  { remaining, drop, removed, tuned, isAccepted }: AttemptRecord,
  { original }: CompressContext,
): string {
  const points = (value: number) => `${(100 * value).toFixed(2)}`;
  const before = metricOf(original.select).value;
  const after = tuned ?? removed;
  return (
    `round ${round}: ${points(remaining.macs)} % of the MACs, on select ${points(before)} -> ` +
    `${points(removed.value)} (removed) -> ${points(after.value)} (tuned), ` +
    `${isAccepted ? "accepted" : `taken back: a drop of ${points(drop)} is too much`}`
  );
}
