/** @file The evidence for the report of a run, gathered from the files that the run left. */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { fileDigest } from "../../files/file-digest.ts";
import { loadModel } from "../../files/model-file.ts";
import { loadPlan } from "../../files/plan-file.ts";
import { loadOutcomes } from "../../measure/outcomes/outcomes-file.ts";
import { Journal } from "../../runs/folder/journal.ts";
import { type CompressConfig, runPaths } from "../../runs/folder/run-folder.ts";
import { version } from "../../runtime/versions.ts";
import { removalOf } from "../../structure/plan.ts";
import { structureOf } from "../../structure/units/units.ts";
import { type CompressReport, roundRecord } from "../record/compress-report.ts";
import type { ChosenRound } from "../record/outcome-record.ts";
import { type Evidence, type TestEvidence, timingRecord } from "../record/report-of.ts";
import { kindOf, testFigures } from "../record/sample-figures.ts";
import { chooseRound, lookName, lookRecord } from "../result/certify.ts";

/** Parts of the evidence that may be missing alone. */
export type Source = "predictions" | "guard" | "record";

/** The evidence of a run, and what is wrong with its files. */
export interface FiledEvidence {
  readonly evidence: Evidence;
  /** What could not be had, and why; the evidence holds what the report says in its place. */
  readonly missing: ReadonlyMap<Source, EspalierError>;
}

/**
 * What the evidence takes from the report itself. No file tells the names of classes, how many samples served
 * as which role, what `select` said of the original, whether the time was spent, and the sensitivity; the
 * other fields say what must be read, or stand in for what is missing.
 */
export type Echoed = Pick<
  CompressReport,
  | "classNames"
  | "samples"
  | "metric"
  | "task"
  | "baseline"
  | "result"
  | "latency"
  | "drop"
  | "looks"
  | "rounds"
  | "chosenRound"
  | "outcome"
  | "uncertainty"
  | "sensitivity"
>;

/** Gathers the evidence from the files of a run. Fails where the networks or the plan cannot be read. */
export async function evidenceOfRun(
  run: string,
  config: CompressConfig,
  report: Echoed,
): Promise<FiledEvidence> {
  const missing = new Map<Source, EspalierError>();
  const orElse = async <T>(source: Source, work: () => Promise<T>, instead: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      missing.set(source, error);
      return instead;
    }
  };
  const paths = runPaths(run);
  const [original, result] = [await loadModel(paths.original), await loadModel(paths.model)];
  const plan = await loadPlan(paths.plan);
  const structure = structureOf(original.graph, plan);
  const recorded = await orElse("record", () => recordOf(run, config, report), asReported(report));
  const nothing = { before: undefined, after: undefined, posterior: undefined };
  const test = await orElse("predictions", () => testOf(run, config, report), nothing);
  const choice = await orElse(
    "guard",
    () => choiceOf(config, report, recorded),
    chosenAsReported(report),
  );
  const { metric, task } = report;
  return {
    missing,
    evidence: {
      config,
      classNames: report.classNames ?? undefined,
      samples: { ...report.samples, test: testFigures(test.before).samples },
      kind: test.before === undefined ? { metric, task } : kindOf(test.before, config.hasLabels),
      original,
      structure,
      result,
      removed: removalOf(structure, plan),
      select: report.baseline.select,
      test,
      latencies: recorded.latencies,
      rounds: recorded.rounds,
      choice,
      isTimeSpent: report.outcome.isTimeSpent,
      warnings: recorded.warnings,
      sensitivity: report.sensitivity,
      digests: { original: await fileDigest(paths.original), model: await fileDigest(paths.model) },
    },
  };
}

/** What a run put on record when it was measured. */
interface Recorded extends Pick<Evidence, "latencies" | "rounds" | "warnings"> {
  /** The look at `certify` that was taken of a round. */
  readonly look: (round: number) => Promise<z.output<typeof lookRecord>>;
}

/** Reads the record. Fails with `RUN_INVALID` where something is not on it. */
async function recordOf(
  run: string,
  { settings }: CompressConfig,
  report: Echoed,
): Promise<Recorded> {
  const journal = await Journal.open(runPaths(run).journal);
  const recorded = async <T>(name: string, schema: z.ZodType<T>): Promise<T> =>
    journal.once(name, schema, () => {
      throw new EspalierError("RUN_INVALID", `"${name}" is not on record`);
    });
  const rounds = [];
  for (const { round } of report.rounds) rounds.push(await recorded(`round ${round}`, roundRecord));
  return {
    rounds,
    latencies: settings.benches ? await recorded("latency", timingRecord) : undefined,
    warnings: await recorded("warnings", z.array(z.string())),
    look: (round) => recorded(lookName(round), lookRecord),
  };
}

/** The latencies that a report says, where it has any. */
function timesIn({
  latency,
  baseline: { latencyMs: original },
  result: { latencyMs: result },
}: Pick<Echoed, "latency" | "baseline" | "result">): Evidence["latencies"] {
  if (latency === undefined || original === undefined || result === undefined) return undefined;
  return { ...latency, original, result };
}

/** What the report says in place of a record that could not be read. */
function asReported({ rounds, latency, baseline, result, looks }: Echoed): Recorded {
  return {
    rounds,
    latencies: timesIn({ latency, baseline, result }),
    warnings: [],
    async look(round) {
      const made = looks.find((look) => look.round === round);
      if (made !== undefined) return made;
      throw new EspalierError("RUN_INVALID", `the guard must look at round ${round}, and did not`);
    },
  };
}

/** What the networks said about each sample of `test`, and what draws from the posterior said. */
async function testOf(
  run: string,
  { settings }: CompressConfig,
  { samples, uncertainty }: Echoed,
): Promise<TestEvidence> {
  if (samples.test === 0) return { before: undefined, after: undefined, posterior: undefined };
  const { predictions } = runPaths(run);
  return {
    before: await loadOutcomes(predictions.original),
    after: await loadOutcomes(predictions.result),
    posterior: uncertainty?.posterior
      ? { draws: settings.posteriorSamples, outcomes: await loadOutcomes(predictions.posterior) }
      : undefined,
  };
}

/** What the guard says of the rounds and looks on record: its ladder is declared and climbed again. */
async function choiceOf(
  { versions: written, settings: { maxDrop, confidence } }: CompressConfig,
  { metric, samples, drop }: Echoed,
  { rounds, look }: Recorded,
): Promise<ChosenRound> {
  const options = { maxDrop, metric, confidence, samples: samples.certify, look };
  const choice = await chooseRound(rounds, options);
  // Another version may say the same in other words.
  return written.espalier === version() ? choice : { ...choice, words: drop.words };
}

function chosenAsReported({ chosenRound, drop, looks }: Echoed): ChosenRound {
  return { round: chosenRound, isCertified: drop.certified, words: drop.words, looks };
}
