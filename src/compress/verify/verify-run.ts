/** @file `verify RUN`: what a run claims, recomputed from the files that it left. */
import { readFile } from "node:fs/promises";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { loadModel } from "../../files/model-file.ts";
import { loadPlan } from "../../files/plan-file.ts";
import { problemsOf, type VerifyOptions } from "../../measure/equality/compare.ts";
import { anyMethodNamed } from "../../methods/learned-registry.ts";
import { isLearned, learnsPosterior } from "../../methods/method/learned-method.ts";
import type { Model } from "../../onnx/model.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { verifyByPlan } from "../../prune/verify.ts";
import {
  type CompressConfig,
  notOver,
  readConfig,
  roundPaths,
  runPaths,
} from "../../runs/folder/run-folder.ts";
import { costOf } from "../../structure/cost/cost.ts";
import { planOf, removalOf } from "../../structure/plan.ts";
import { countRemoved } from "../../structure/units/removal.ts";
import { structureOf } from "../../structure/units/units.ts";
import { countWeights, weightTotal } from "../../structure/weights/layer-weights.ts";
import { requireGoOn } from "../../tensor/steps.ts";
import type { CompressReport, RoundRecord } from "../record/compress-report.ts";
import { roundsTaken } from "../record/round-figures.ts";
import { posteriorOfRun } from "../result/posterior-of-run.ts";
import { finishedReport } from "../resume-run.ts";
import { takesWeights } from "../rounds/candidate.ts";
import { composeRemovals, composeZeros, mismatchAfter, mismatchOf } from "../rounds/compose.ts";
import { type Check, type Found, figureChecks, findings, recompute } from "./verify-run-figures.ts";
import { modelsAt, planZeros, roundZeros } from "./verify-run-zeros.ts";

/** One thing that was verified. */
export interface RunCheck {
  readonly name: string;
  readonly passed: boolean;
  /** How much was compared, and how far it was apart. */
  readonly figures: Readonly<Record<string, number>>;
  /** What is wrong, where it did not pass. */
  readonly problem?: string;
}

/** What came of verifying a run. */
export interface RunVerification {
  readonly passed: boolean;
  readonly checks: readonly RunCheck[];
}

/** How to verify a run: how each removal is verified, and who is told how far it is. */
export interface VerifyRunOptions extends Omit<VerifyOptions, "feeds"> {
  readonly onCheck?:
    | ((progress: { readonly done: number; readonly total: number }) => void)
    | undefined;
}

/**
 * Verifies a compression that is over, from its files alone, without its data: every removal is exact;
 * the rounds follow from one another and add up to the plan and the result; costs, and all figures on
 * `test`, are those that the networks and the predictions give; what the guard says follows from its
 * looks, and those are the ones on record. What `select` said of each round is taken from the record.
 *
 * Fails with `RUN_INVALID` where the folder is no compression that is over.
 */
export async function verifyRun(
  run: string,
  options: VerifyRunOptions = {},
): Promise<RunVerification> {
  const { config, report } = await finishedCompression(run);
  const { onCheck, ...how } = options;
  const all = [
    ...fileChecks(run, report),
    ...roundChecks(run, config, report, how),
    ...resultChecks(run, config, report),
    ...figureChecks(config, report, () => recompute(run, config, report)),
  ];
  const checks: RunCheck[] = [];
  for (const check of all) {
    requireGoOn(options.signal);
    checks.push(await outcomeOf(check, options.signal));
    onCheck?.({ done: checks.length, total: all.length });
  }
  return { passed: checks.every(({ passed }) => passed), checks };
}

async function finishedCompression(
  run: string,
): Promise<{ readonly config: CompressConfig; readonly report: CompressReport }> {
  const config = await readConfig(run);
  const report = await finishedReport(run);
  if (report === undefined) throw notOver(run);
  if (config.command === "compress" && report.command === "compress") return { config, report };
  throw new EspalierError("RUN_INVALID", `${run} holds no compression, but a run of train`, {
    hint: "Its files do not prove its figures; `espalier evaluate RUN` measures them anew.",
    data: { run },
  });
}

/** A file that is missing, damaged or in contradiction is a finding; all else is a failure. */
async function outcomeOf({ name, work }: Check, signal?: AbortSignal): Promise<RunCheck> {
  let found: Found;
  try {
    found = await work();
  } catch (error) {
    if (signal?.aborted || !(error instanceof EspalierError)) throw error;
    found = { figures: {}, problems: [error.message] };
  }
  const { figures, problems } = found;
  const passed = problems.length === 0;
  return { name, passed, figures, ...(passed ? {} : { problem: problems.join("; ") }) };
}

function fileChecks(run: string, report: CompressReport): Check[] {
  const { original, model } = runPaths(run);
  const { chosenRound } = report;
  const source = chosenRound === 0 ? original : roundPaths(run, chosenRound).tuned;
  return [
    {
      name: "digests",
      async work() {
        const { digests } = report;
        const actual = { original: await fileDigest(original), model: await fileDigest(model) };
        return findings({ original: digests.original, model: digests.model }, actual);
      },
    },
    {
      name: "result",
      async work() {
        const isSame = (await fileDigest(model)) === (await fileDigest(source));
        const problems = isSame ? [] : [`${model} and ${source} are different files`];
        return { figures: { round: chosenRound }, problems };
      },
    },
  ];
}

/** The checks of every round that was accepted, whether it led to the result or not. */
function roundChecks(
  run: string,
  { settings }: CompressConfig,
  { rounds }: CompressReport,
  how: VerifyOptions,
): Check[] {
  let source = runPaths(run).original;
  return rounds
    .filter(({ isAccepted }) => isAccepted)
    .flatMap((record): Check[] => {
      const { round } = record;
      const paths = roundPaths(run, round);
      const from = source;
      source = paths.tuned;
      return [
        {
          name: `round ${round}: removal`,
          async work() {
            const [before, pruned] = await modelsAt(paths.before, paths.pruned);
            const plan = await loadPlan(paths.plan);
            const verification = await verifyByPlan(before, pruned, plan, how);
            const { maxError, samples, tolerance } = verification;
            return {
              figures: { maxError, tolerance, samples },
              problems: problemsOf(verification),
            };
          },
        },
        ...(settings.tuning.keepsZeros || takesWeights(settings)
          ? [{ name: `round ${round}: zeros`, work: () => roundZeros(run, round, how) }]
          : []),
        {
          name: `round ${round}: chain`,
          work: () => chain(run, record, from, isLearned(anyMethodNamed(settings.method))),
        },
      ];
    });
}

/** A round begins with the network that was accepted last, and tuning changes no shapes. */
async function chain(
  run: string,
  { round, attempts, remaining }: RoundRecord,
  from: string,
  isLearning: boolean,
): Promise<Found> {
  const paths = roundPaths(run, round);
  const [source, before] = await modelsAt(from, paths.before);
  const [pruned, tuned] = await modelsAt(paths.pruned, paths.tuned);
  const problems: string[] = [];
  const require = (what: string, problem: string | undefined) => {
    if (problem !== undefined) problems.push(`${what}: ${problem}`);
  };
  require(paths.before, mismatchOf(source.graph, before.graph));
  require(paths.tuned, mismatchOf(pruned.graph, tuned.graph));
  const isKept = (await fileDigest(from)) === (await fileDigest(paths.before));
  if (!isLearning && !isKept) problems.push(`${paths.before} is not the network of ${from}`);
  const isTuned = attempts.some(({ isAccepted, tuned: network }) => isAccepted && network !== null);
  if (!isTuned && (await fileDigest(paths.pruned)) !== (await fileDigest(paths.tuned)))
    problems.push(`${paths.tuned} was to stay as ${paths.pruned}`);
  const original = await loadModel(runPaths(run).original);
  const [whole, left] = [original, pruned].map(costOfModel);
  const accepted = attempts.find(({ isAccepted }) => isAccepted);
  const shares = {
    macs: left.macs / whole.macs,
    params: left.params / whole.params,
    ...(accepted?.remaining.density !== undefined && {
      density: countWeights(pruned.graph).nonZero / weightTotal(original.graph),
    }),
  };
  const plan = await loadPlan(paths.plan);
  const removed = removalOf(structureOf(before.graph, plan), plan);
  const units = countRemoved(removed);
  const { figures, problems: more } = findings(
    { remaining, attempt: accepted?.remaining, units: accepted?.units },
    { remaining: shares, attempt: shares, units },
  );
  return { figures, problems: [...problems, ...more] };
}

/** What the rounds come to: the plan, the shapes of the result, and the costs of both networks. */
function resultChecks(run: string, { settings }: CompressConfig, report: CompressReport): Check[] {
  const paths = runPaths(run);
  const { rounds, chosenRound, method } = report;
  const taken = roundsTaken(rounds, chosenRound);
  const composed = async () => {
    const original = await loadModel(paths.original);
    const structure = structureOf(original.graph, settings);
    const plans = await Promise.all(
      taken.map(({ round }) => loadPlan(roundPaths(run, round).plan)),
    );
    const zeros = composeZeros(structure, plans);
    return { structure, zeros, removed: composeRemovals(structure, plans) };
  };
  return [
    {
      name: "plan: composed",
      async work() {
        const { structure, removed, zeros } = await composed();
        return findings(await loadPlan(paths.plan), planOf(structure, removed, method, [], zeros));
      },
    },
    {
      name: "plan: applied",
      async work() {
        const { structure, removed } = await composed();
        const mismatch = mismatchAfter(structure, removed, (await loadModel(paths.model)).graph);
        const units = countRemoved(removed);
        return { figures: { units }, problems: mismatch === undefined ? [] : [mismatch] };
      },
    },
    ...(takesWeights(settings)
      ? [{ name: "plan: zeros", work: () => planZeros(run, settings) }]
      : []),
    ...(learnsPosterior(anyMethodNamed(method)) ? [posteriorCheck(run, report)] : []),
  ];
}

/** The posterior is that of the result, with what its rounds have learnt. */
function posteriorCheck(run: string, { method, rounds, chosenRound }: CompressReport): Check {
  return {
    name: "posterior",
    async work() {
      const { model, posterior } = runPaths(run);
      const taken = roundsTaken(rounds, chosenRound);
      const made = await posteriorOfRun(run, anyMethodNamed(method), taken, await loadModel(model));
      const written = await readFile(posterior).catch(() => undefined);
      const expected = made && concatBytes(made);
      const isSame =
        expected === undefined ? written === undefined : written?.equals(expected) === true;
      const problems = isSame ? [] : [`${posterior} is not what the rounds have learnt`];
      return { figures: { bytes: expected?.length ?? 0 }, problems };
    },
  };
}

function costOfModel({ graph }: Model) {
  return costOf(graph, structureOf(graph).analysis.dims);
}
