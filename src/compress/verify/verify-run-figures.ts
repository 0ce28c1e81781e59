/** @file `verify RUN`: what `report.json` says against the report that follows from the files of the run. */
import type { CompressConfig } from "../../runs/folder/run-folder.ts";
import { version } from "../../runtime/versions.ts";
import type { CompressReport } from "../record/compress-report.ts";
import { type Evidence, reportOf } from "../record/report-of.ts";
import { uncertaintyRecord } from "../record/uncertainty-record.ts";
import { type Echoed, evidenceOfRun, type FiledEvidence, type Source } from "./evidence-of-run.ts";
import { compareJson } from "./json-comparison.ts";

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
  const { compared, largestDifference, differences } = compareJson(written, recomputed);
  const more = differences.length - mostTold;
  const problems = [
    ...differences.slice(0, mostTold),
    ...(more > 0 ? [`${more} more differences`] : []),
  ];
  return { figures: { compared, largestDifference }, problems };
}

/** Fields of a report that are verified together. */
interface Part {
  readonly name: string;
  readonly fieldsOf: (report: CompressReport) => unknown;
  /** The part of the evidence without which nothing can be said of them. */
  readonly source?: Source;
  /** What must hold besides. */
  readonly besides?: (report: CompressReport, evidence: Evidence) => Found;
}

/** All of `report.json` that follows from the files of a run, with what proves it. */
const parts: readonly Part[] = [
  {
    name: "settings",
    fieldsOf({ network, method, methodOptions, seed, asked, hasLabels, digests: { data } }) {
      return { network, method, methodOptions, seed, asked, hasLabels, data };
    },
  },
  {
    name: "costs",
    fieldsOf: ({ baseline, result, layers, groups, selected, sparsity }) => ({
      baseline: costsOf(baseline),
      result: costsOf(result),
      layers,
      groups,
      selected,
      sparsity,
    }),
  },
  { name: "packing", fieldsOf: ({ packing }) => packing },
  {
    name: "metric",
    source: "predictions",
    fieldsOf: ({ baseline, result, metric, task, samples }) => ({
      baseline: testedOf(baseline),
      result: testedOf(result),
      metric,
      task,
      samples: samples.test,
    }),
  },
  {
    name: "drop",
    source: "predictions",
    fieldsOf: ({ drop: { value, ci95 } }) => ({ value, ci95 }),
  },
  {
    name: "calibration",
    source: "predictions",
    fieldsOf: ({ calibration, uncertainty }) => ({ calibration, uncertainty }),
  },
  { name: "classes", source: "predictions", fieldsOf: ({ classes }) => classes },
  {
    name: "guard",
    source: "guard",
    fieldsOf({ looks, chosenRound, drop: { certified, words } }) {
      return { looks, chosenRound, certified, words };
    },
    besides: looksAtAll,
  },
  {
    name: "outcome",
    fieldsOf({ outcome, verification, notes, result: { select } }) {
      return { outcome, verification, notes, select };
    },
    besides: dropsOnSelect,
  },
  {
    name: "record",
    source: "record",
    fieldsOf: ({ rounds, latency, warnings, baseline, result }) => ({
      rounds,
      latency,
      warnings,
      latencies: [baseline.latencyMs, result.latencyMs],
    }),
  },
];

/** The report that follows from the files of a run, with the evidence for it. */
export interface Recomputed extends FiledEvidence {
  readonly expected: CompressReport;
}

/** Makes the report of a run anew from its files. Fails as `evidenceOfRun`. */
export async function recompute(
  run: string,
  config: CompressConfig,
  report: Echoed,
): Promise<Recomputed> {
  const found = await evidenceOfRun(run, config, report);
  return { ...found, expected: reportOf(found.evidence) };
}

/**
 * The checks of everything in `report.json` that follows from the files of the run.
 *
 * @param recomputed The report made anew; it is asked for with the first check.
 */
export function figureChecks(
  config: CompressConfig,
  report: CompressReport,
  recomputed: () => Promise<Recomputed>,
): Check[] {
  let made: Promise<Recomputed> | undefined;
  const isOfThisVersion = config.versions.espalier === version();
  const asTold = ({ sparsity, uncertainty, ...rest }: CompressReport) => ({
    ...rest,
    // Earlier versions did not tell of magnitudes.
    sparsity: report.sparsity.some((layer) => layer.magnitude !== undefined)
      ? sparsity
      : sparsity.map(({ magnitude: _, ...layer }) => layer),
    uncertainty: isOfThisVersion ? uncertainty : withoutIntervals(uncertainty),
  });
  return parts
    .filter(({ name }) => name !== "packing" || report.packing !== undefined)
    .map(({ name, source, fieldsOf, besides }) => ({
      name,
      async work() {
        made ??= recomputed();
        const { evidence, missing, expected } = await made;
        const failure = source && missing.get(source);
        if (failure !== undefined) throw failure;
        const found = findings(fieldsOf(asTold(report)), fieldsOf(asTold(expected)));
        const more = besides?.(report, evidence);
        return {
          figures: { ...found.figures, ...more?.figures },
          problems: [...found.problems, ...(more?.problems ?? [])],
        };
      },
    }));
}

/** The record with empty intervals: version 0.1.0 gave the metric others here than elsewhere in its reports. */
function withoutIntervals(uncertainty: CompressReport["uncertainty"]) {
  const text = JSON.stringify(uncertainty, (key, value: unknown) =>
    key === "ci95" ? [0, 0] : value,
  );
  return uncertaintyRecord.nullable().parse(JSON.parse(text));
}

/** What one side costs. */
function costsOf({ macs, params, sizeBytes }: CompressReport["result"]) {
  return { macs, params, sizeBytes };
}

/** What one side does on `test`. */
function testedOf({ value, ci95, loss, samples }: CompressReport["result"]) {
  return { value, ci95, loss, samples };
}

/** The guard looks at all samples of `certify`. */
function looksAtAll({ samples }: CompressReport, { choice: { looks } }: Evidence): Found {
  const partial = looks.filter((look) => look.samples !== samples.certify);
  const problems = partial.map(
    ({ round, samples: seen }) => `the look at round ${round} is at ${seen} samples`,
  );
  return { figures: { looks: looks.length }, problems };
}

/** The drop of each attempt on `select` is that from the original, which no file but the report tells of. */
function dropsOnSelect({ baseline }: CompressReport, { rounds }: Evidence): Found {
  const attempts = rounds.flatMap((round) => round.attempts);
  const drops = attempts.map(({ drop }) => drop);
  const { problems } = findings(
    { drops },
    {
      drops: attempts.map(({ tuned, removed }) => baseline.select.value - (tuned ?? removed).value),
    },
  );
  return { figures: {}, problems };
}
