/** @file The figures of a report, made anew from the networks, the predictions and the record of its run. */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { loadModel } from "../../files/model-file.ts";
import { loadPlan } from "../../files/plan-file.ts";
import type { Outcomes } from "../../measure/outcomes/outcomes.ts";
import { loadOutcomes } from "../../measure/outcomes/outcomes-file.ts";
import { selectedInputs } from "../../prune/prune.ts";
import { Journal } from "../../runs/folder/journal.ts";
import { type CompressConfig, runPaths } from "../../runs/folder/run-folder.ts";
import { version } from "../../runtime/versions.ts";
import { costOf } from "../../structure/cost.ts";
import { countWeights, weightTotal } from "../../structure/layer-weights.ts";
import { type Plan, removalOf } from "../../structure/plan.ts";
import { structureOf } from "../../structure/units.ts";
import { type CompressReport, roundRecord } from "../record/compress-report.ts";
import { packingRecordOf } from "../record/packing-record.ts";
import {
  askedOf,
  calibrationOf,
  classesOf,
  costFigures,
  dropFigures,
  groupsOf,
  kindOf,
  layersOf,
  notesOf,
  outcomeOf,
  roundsTaken,
  selectFigures,
  sharesLeft,
  sparsityOf,
  testFigures,
  verificationOf,
  warningsOf,
} from "../record/report-figures.ts";
import { uncertaintyRecordOf } from "../record/uncertainty-record.ts";
import { chooseRound, lookName, lookRecord } from "../result/certify.ts";
import { latencyRecord } from "../result/finish.ts";
import { agreementOf } from "./agreement.ts";

/** What a check found. */
export interface Found {
  readonly figures: Readonly<Record<string, number>>;
  /** None where it passes. */
  readonly problems: readonly string[];
}

/** One thing to verify. */
export interface Check {
  readonly name: string;
  readonly work: () => Promise<Found>;
}

/** Differences that are told; the others are counted. */
const mostTold = 5;

/** What is written against what it is. */
export function findings(written: unknown, recomputed: unknown): Found {
  const { compared, largestDifference, differences } = agreementOf(written, recomputed);
  const more = differences.length - mostTold;
  const problems = [
    ...differences.slice(0, mostTold),
    ...(more > 0 ? [`${more} more differences`] : []),
  ];
  return { figures: { compared, largestDifference }, problems };
}

/** The checks of everything in `report.json` that follows from the files of the run. */
export function figureChecks(run: string, config: CompressConfig, report: CompressReport): Check[] {
  return [
    { name: "settings", work: async () => settings(config, report) },
    { name: "costs", work: () => costs(run, report) },
    ...(report.packing === undefined
      ? []
      : [{ name: "packing", work: () => packing(run, report) }]),
    ...testChecks(run, config, report),
    { name: "guard", work: () => guard(config, report) },
    { name: "outcome", work: () => outcome(run, config, report) },
    { name: "record", work: () => record(run, report) },
  ];
}

function settings(
  { network, settings: asked, hasLabels, data }: CompressConfig,
  report: CompressReport,
): Found {
  const { method, methodOptions, seed, digests } = report;
  return findings(
    {
      network: report.network,
      method,
      methodOptions,
      seed,
      asked: report.asked,
      hasLabels: report.hasLabels,
      data: digests.data,
    },
    {
      network,
      method: asked.method,
      methodOptions: asked.methodOptions,
      seed: asked.tuning.seed,
      asked: askedOf(asked),
      hasLabels,
      data: data.digest,
    },
  );
}

async function costs(run: string, report: CompressReport): Promise<Found> {
  const plan = await loadPlan(runPaths(run).plan);
  const { original, model, structure, before, after } = await costsOf(run, plan);
  const removed = removalOf(structure, plan);
  const ofSide = ({ macs, params, sizeBytes }: CompressReport["result"]) => ({
    macs,
    params,
    sizeBytes,
  });
  const { baseline, result, layers, groups, selected, sparsity } = report;
  return findings(
    { baseline: ofSide(baseline), result: ofSide(result), layers, groups, selected, sparsity },
    {
      baseline: costFigures(before, original),
      result: costFigures(after, model),
      layers: layersOf(before, after),
      groups: groupsOf(structure, removed),
      selected: selectedInputs(structure, removed),
      sparsity: sparsityAsTold(sparsity, sparsityOf(original.graph, model.graph)),
    },
  );
}

/** Reports of earlier versions do not tell of magnitudes. */
function sparsityAsTold(
  told: CompressReport["sparsity"],
  found: CompressReport["sparsity"],
): CompressReport["sparsity"] {
  if (told.some(({ magnitude }) => magnitude !== undefined)) return found;
  return found.map(({ magnitude: _, ...own }) => own);
}

/** The result is packed again. */
async function packing(run: string, report: CompressReport): Promise<Found> {
  return findings(report.packing, packingRecordOf(await loadModel(runPaths(run).model)));
}

/** Both networks, and what they cost. */
async function costsOf(run: string, plan?: Plan) {
  const paths = runPaths(run);
  const [original, model] = [await loadModel(paths.original), await loadModel(paths.model)];
  const structure = structureOf(original.graph, plan);
  const before = costOf(original.graph, structure.analysis.dims);
  const after = costOf(model.graph, structureOf(model.graph).analysis.dims);
  return { original, model, structure, before, after };
}

/** Everything that follows from what the two networks said about each sample of `test`. */
function testChecks(
  run: string,
  { versions: written, hasLabels }: CompressConfig,
  report: CompressReport,
): Check[] {
  const { predictions } = runPaths(run);
  const isOwn = written.espalier === version();
  const ofRun = async (path: string) =>
    report.samples.test === 0 ? undefined : loadOutcomes(path);
  type Sides = readonly [Outcomes | undefined, Outcomes | undefined];
  const check = (name: string, find: (...sides: Sides) => Found): Check => ({
    name,
    work: async () => find(await ofRun(predictions.original), await ofRun(predictions.result)),
  });
  const ofSide = ({ value, ci95, loss, samples }: CompressReport["result"]) => ({
    value,
    ci95,
    loss,
    samples,
  });
  return [
    check("metric", (before, after) =>
      findings(
        {
          baseline: ofSide(report.baseline),
          result: ofSide(report.result),
          ...(before && { metric: report.metric, task: report.task }),
          samples: report.samples.test,
        },
        {
          baseline: testFigures(before),
          result: testFigures(after),
          ...(before && kindOf(before, hasLabels)),
          samples: testFigures(before).samples,
        },
      ),
    ),
    check("drop", (before, after) => {
      const { value, ci95 } = report.drop;
      return findings({ value, ci95 }, dropFigures(before, after));
    }),
    {
      name: "calibration",
      async work() {
        const before = await ofRun(predictions.original);
        const after = await ofRun(predictions.result);
        const draws = report.uncertainty?.posterior?.draws;
        const posterior =
          draws === undefined
            ? undefined
            : { draws, outcomes: await loadOutcomes(predictions.posterior) };
        const found = uncertaintyRecordOf({ before, after, posterior }, hasLabels);
        const compared = isOwn ? (own: typeof found) => own : withoutIntervals;
        return findings(
          { calibration: report.calibration, uncertainty: compared(report.uncertainty) },
          { calibration: calibrationOf(before, after), uncertainty: compared(found) },
        );
      },
    },
    check("classes", (before, after) =>
      findings(report.classes, classesOf(before, after, report.classNames)),
    ),
  ];
}

/** The record without its intervals: version 0.1.0 gave the metric others here than elsewhere in its reports. */
function withoutIntervals(uncertainty: CompressReport["uncertainty"]): unknown {
  return JSON.parse(
    JSON.stringify(uncertainty, (key, value: unknown) => (key === "ci95" ? undefined : value)),
  );
}

/** What the guard says, from the rounds and the looks: the ladder is declared and climbed again. */
async function guard(
  { versions: written, settings: { maxDrop, confidence } }: CompressConfig,
  { rounds, looks, metric, chosenRound, drop, samples }: CompressReport,
): Promise<Found> {
  const { round, isCertified, words, ...choice } = await chooseRound(rounds, {
    maxDrop,
    metric,
    confidence,
    samples: samples.certify,
    look: async (asked) => {
      const look = looks.find((made) => made.round === asked);
      if (look !== undefined) return look;
      throw new EspalierError("RUN_INVALID", `the guard must look at round ${asked}, and did not`);
    },
  });
  const { figures, problems } = findings(
    { looks, chosenRound, certified: drop.certified, words: drop.words },
    {
      looks: choice.looks,
      chosenRound: round,
      certified: isCertified,
      // Another version may say the same in other words.
      words: written.espalier === version() ? words : drop.words,
    },
  );
  const others = looks.filter((look) => look.samples !== samples.certify);
  return {
    figures: { ...figures, looks: looks.length },
    problems: [
      ...problems,
      ...others.map((look) => `the look at round ${look.round} is at ${look.samples} samples`),
    ],
  };
}

/** What follows from the rest of the report: the verdict, the summaries of rounds, and `select`. */
async function outcome(
  run: string,
  { settings: asked }: CompressConfig,
  report: CompressReport,
): Promise<Found> {
  const { rounds, chosenRound: round, drop, verification, baseline, result } = report;
  const choice = { round, isCertified: drop.certified, words: drop.words };
  const { original, model, before, after } = await costsOf(run);
  const density = countWeights(model.graph).nonZero / weightTotal(original.graph);
  const shares = sharesLeft(before, after, { density, latency: report.latency.ratio });
  const { uncounted } = after;
  const attempts = rounds.flatMap((record) => record.attempts);
  const taken = roundsTaken(rounds, round);
  return findings(
    {
      outcome: report.outcome,
      verification,
      notes: report.notes,
      select: result.select,
      drops: attempts.map((attempt) => attempt.drop),
    },
    {
      outcome: outcomeOf(asked, choice, report.outcome.isTimeSpent, { shares, rounds, uncounted }),
      verification: verificationOf(taken),
      notes: notesOf(rounds),
      select: selectFigures(taken, baseline.select),
      drops: attempts.map(({ tuned, removed }) => baseline.select.value - (tuned ?? removed).value),
    },
  );
}

/** What was put on record when it was measured: rounds, looks, latencies and warnings. */
async function record(run: string, report: CompressReport): Promise<Found> {
  const journal = await Journal.open(runPaths(run).journal);
  const recorded = async <T>(name: string, schema: z.ZodType<T>): Promise<T> =>
    journal.once(name, schema, () => {
      throw new EspalierError("RUN_INVALID", `"${name}" is not on record`);
    });
  const { rounds, looks, baseline, result, latency, warnings } = report;
  const ofRounds = [];
  for (const { round } of rounds) ofRounds.push(await recorded(`round ${round}`, roundRecord));
  const ofLooks = [];
  for (const { round } of looks) ofLooks.push(await recorded(lookName(round), lookRecord));
  const { original, result: ofResult, ...ratio } = await recorded("latency", latencyRecord);
  return findings(
    {
      rounds,
      latency,
      warnings,
      latencies: [baseline.latencyMs, result.latencyMs],
      looks: looks.map(({ drop, upper, samples }) => ({ drop, upper, samples })),
    },
    {
      rounds: ofRounds,
      latency: ratio,
      latencies: [original, ofResult],
      looks: ofLooks,
      warnings: [...(await recorded("warnings", z.array(z.string()))), ...warningsOf(ofRounds)],
    },
  );
}
