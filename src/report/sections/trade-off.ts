/** @file The way from the original to the result: what each round gave up, and what it got for it. */
import type { EChartsOption, LineSeriesOption, ScatterSeriesOption } from "echarts";
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { largestOf, smallestOf } from "../../tensor/extremes.ts";
import { formatInteger } from "../../words/numbers.ts";
import {
  type Canvas,
  drawChart,
  ink,
  levelLine,
  planeOf,
  roundScale,
  still,
} from "../page/chart.ts";
import {
  countedOnPage,
  formatDrop,
  formatShare,
  metricOnPage,
  type PageWords,
  sentence,
} from "../page/figures.ts";
import { html, type Part } from "../page/html.ts";
import { dataTable, folded, keysOf, type Section } from "../page/page.ts";
import { imageNoun } from "./headline.ts";

type Round = CompressReport["rounds"][number];
type Attempt = Round["attempts"][number];
/** MACs that are left in percent, and the metric. */
type Point = readonly [x: number, y: number];

/** The curve, and every attempt in a table. */
export function tradeOffOf(report: CompressReport): Section {
  const body =
    report.rounds.length === 0
      ? html`<p>No round was run: there is nothing between the original and the result.</p>`
      : [introductionOf(report), figureOf(report), attemptsOf(report)];
  return { id: "trade-off", title: "What each step cost", body };
}

function introductionOf({ rounds, chosenRound, baseline, task }: CompressReport): Part {
  const attempts = rounds.reduce((sum, round) => sum + round.attempts.length, 0);
  const accepted = rounds.filter((round) => round.isAccepted).length;
  return html`<p>${countedOnPage(rounds.length, "round")}, ${countedOnPage(attempts, "attempt")}, ${accepted} accepted${
    chosenRound > 0 && html`; the result is that of round ${chosenRound}`
  }. On the ${countedOnPage(baseline.select.samples, imageNoun(task))} of <code>select</code>, which flatter what was chosen by
them.</p>`;
}

/** Whether the size of networks is told by their weights that are not 0, as multiply-accumulates do not tell it. */
function isByDensity({ rounds }: Pick<CompressReport, "rounds">): boolean {
  const attempts = rounds.flatMap((round) => round.attempts);
  return attempts.length > 0 && attempts.every(({ remaining }) => remaining.density !== undefined);
}

/** The share of the original that is left, by which networks are drawn. */
function sizeIn(report: Pick<CompressReport, "rounds">) {
  const hasDensity = isByDensity(report);
  return ({
    macs,
    density = macs,
  }: {
    readonly macs: number;
    readonly density?: number | undefined;
  }) => (hasDensity ? density : macs);
}

interface Points {
  /** What the size is told by. */
  readonly size: "MACs" | "weights";
  readonly accepted: readonly Point[];
  readonly chosen: Point;
  /** From each accepted point down to the bound of its drop: line pieces with gaps between them. */
  readonly bounds: readonly (readonly [x: number, y: number | null])[];
  readonly removed: readonly Point[];
  readonly rejected: readonly Point[];
  readonly searched: readonly Point[];
}

function pointsOf({ rounds, chosenRound, baseline: { select } }: CompressReport): Points {
  const attempts = rounds.flatMap((round) => round.attempts);
  const taken = attempts.filter((attempt) => attempt.isAccepted);
  const sizeOf = sizeIn({ rounds });
  const xOf = ({ remaining }: Attempt) => 100 * sizeOf(remaining);
  const end = (attempt: Attempt): Point => [xOf(attempt), (attempt.tuned ?? attempt.removed).value];
  const original: Point = [100, select.value];
  const chosen = rounds
    .filter(({ round }) => round === chosenRound)
    .flatMap((round) => round.attempts.filter((attempt) => attempt.isAccepted));
  const tried = {
    accepted: [original, ...taken.map(end)],
    chosen: chosen.map(end).at(0) ?? original,
    bounds: taken.flatMap((attempt) => [
      end(attempt),
      [xOf(attempt), select.value - attempt.upper] as const,
      [xOf(attempt), null] as const,
    ]),
    removed: attempts
      .filter(({ tuned }) => tuned !== null)
      .map((attempt): Point => [xOf(attempt), attempt.removed.value]),
    rejected: attempts.filter((attempt) => !attempt.isAccepted).map(end),
  };
  const { min } = sharesOf(tried);
  return {
    ...tried,
    size: isByDensity({ rounds }) ? "weights" : "MACs",
    searched: rounds
      .flatMap(({ search }) =>
        search.map((tried): Point => [100 * sizeOf(tried), select.value - tried.drop]),
      )
      .filter(([x]) => x >= min),
  };
}

function figureOf(report: CompressReport): Part {
  const points = pointsOf(report);
  const { asked, baseline, metric } = report;
  const words = metricOnPage(metric);
  const tolerated = asked.maxDrop === undefined ? undefined : baseline.select.value - asked.maxDrop;
  const scale = scaleOf(points, tolerated);
  const below = [...points.removed, ...points.searched, ...points.rejected].filter(
    ([, y]) => y < scale.min,
  ).length;
  const last = points.accepted[points.accepted.length - 1];
  const chart = drawChart({
    id: "trade-off-chart",
    span: "full",
    label: `${words.name} on select against the ${points.size === "MACs" ? "multiply-accumulates" : "weights"} that are left: from ${words.value(baseline.select.value)} at 100 % to ${words.value(last[1])} at ${last[0].toFixed(1)} %`,
    height: ({ isNarrow }) => (isNarrow ? 230 : 220),
    option: (canvas) => optionOf(canvas, points, scale, words, asked.maxDrop),
  });
  const { removed, rejected, searched } = points;
  return html`<figure>
${keysOf([
  { mark: "dot", color: "after", text: "accepted, down to the bound of its drop" },
  ...(rejected.length > 0
    ? [{ mark: "cross" as const, color: "bad", text: "tried and not accepted" }]
    : []),
  ...(removed.length > 0
    ? [{ mark: "ring" as const, color: "muted", text: "right after removal" }]
    : []),
  ...(searched.length > 0
    ? [{ mark: "speck" as const, color: "muted", text: "looked at, not tuned" }]
    : []),
])}
${chart}
${below > 0 && html`<figcaption>Triangles: ${countedOnPage(below, "point")} below the scale.</figcaption>`}
</figure>`;
}

/** The scale of the shares that are left: down to the smallest network that was tried in earnest. */
function sharesOf({
  accepted,
  rejected,
  removed,
}: Pick<Points, "accepted" | "rejected" | "removed">) {
  const smallest = smallestOf([...accepted, ...rejected, ...removed].map(([x]) => x));
  const interval = smallest < 60 ? 20 : 10;
  return { interval, min: Math.max(0, interval * Math.floor((smallest - 2) / interval)) };
}

/**
 * The scale: what was accepted and the tolerance fill it. Networks right after a removal may lie far
 * below; they do not squeeze the rest.
 */
function scaleOf(
  { accepted, bounds, rejected, removed, searched }: Points,
  tolerated: number | undefined,
): ReturnType<typeof roundScale> {
  const wanted = accepted.map(([, y]) => y);
  if (tolerated !== undefined) wanted.push(tolerated);
  const high = largestOf(wanted);
  const least = smallestOf(wanted);
  const spread = Math.max(high - least, 0.005 * Math.abs(high), 1e-6);
  const others = [...bounds, ...rejected, ...removed, ...searched].map(([, y]) => y ?? high);
  const low = Math.max(Math.min(least, smallestOf(others)), least - 3.5 * spread);
  return roundScale(low - 0.1 * spread, high + 0.1 * spread);
}

const cross = "path://M-4,-5L0,-1L4,-5L5,-4L1,0L5,4L4,5L0,1L-4,5L-5,4L-1,0L-5,-4Z";

function optionOf(
  canvas: Canvas,
  points: Points,
  scale: ReturnType<typeof roundScale>,
  words: PageWords,
  maxDrop: number | undefined,
): EChartsOption {
  const least = scale.min;
  return {
    ...planeOf(
      {
        title: `${points.size} left, % of the original`,
        write: (value) => `${value} %`,
        ...sharesOf(points),
        max: 100,
        isInverse: true,
      },
      { title: `${words.name} on select`, write: words.tick, ...scale },
      canvas,
    ),
    series: [
      scattered(points.searched, least, "circle", 4, { color: ink("muted"), opacity: 0.55 }),
      scattered(points.removed, least, "circle", 7, {
        color: "none",
        borderColor: ink("muted"),
        borderWidth: 1.5,
      }),
      boundsOfDrops(points, least),
      lineOfAccepted(points, words, maxDrop),
      ringOfResult(points, least),
      scattered(points.rejected, least, cross, 11, { color: ink("bad") }),
    ],
  };
}

/** Points as symbols; those below the scale are triangles at its lower end. */
function scattered(
  points: readonly Point[],
  least: number,
  symbol: string,
  size: number,
  style: object,
): ScatterSeriesOption {
  return {
    type: "scatter",
    ...still,
    itemStyle: style,
    data: points.map(([x, y]) =>
      y < least
        ? {
            value: [x, least],
            symbol: "triangle",
            symbolRotate: 180,
            symbolSize: 7,
            symbolOffset: [0, -4],
          }
        : { value: [x, y], symbol, symbolSize: size },
    ),
  };
}

/** A bar below each accepted point, down to the bound of its drop. */
function boundsOfDrops({ bounds }: Points, least: number): LineSeriesOption {
  return {
    type: "line",
    ...still,
    showSymbol: false,
    data: bounds.map(([x, y]) => [x, y === null ? null : Math.max(least, y)]),
    lineStyle: { color: ink("after"), width: 5, opacity: 0.3 },
  };
}

/** The way that was taken, and the tolerance as a level line. */
function lineOfAccepted(
  { accepted }: Points,
  words: PageWords,
  maxDrop: number | undefined,
): LineSeriesOption {
  return {
    type: "line",
    ...still,
    symbol: "circle",
    symbolSize: 10,
    data: accepted.map((point) => [...point]),
    lineStyle: { color: ink("after"), width: 2.5 },
    itemStyle: { color: ink("after") },
    ...(maxDrop !== undefined && {
      markLine: levelLine(
        accepted[0][1] - maxDrop,
        `tolerance: ${words.difference(maxDrop)} lower`,
        "insideEndBottom",
      ),
    }),
  };
}

/** A ring around the network that was chosen, with its label. */
function ringOfResult({ chosen }: Points, least: number): ScatterSeriesOption {
  return {
    ...scattered([chosen], least, "circle", 17, {
      color: "none",
      borderColor: ink("after"),
      borderWidth: 1.5,
    }),
    label: {
      // Above the original stands the title of the axis.
      show: true,
      formatter: "result",
      color: ink("ink"),
      fontSize: 12,
      position: chosen[0] > 95 ? "right" : "top",
      textBorderWidth: 3,
      textBorderColor: ink("page"),
    },
  };
}

function attemptsOf(report: CompressReport): Part {
  const words = metricOnPage(report.metric);
  const hasDensity = isByDensity(report);
  const rows = report.rounds.flatMap(({ round, attempts }) =>
    attempts.map((attempt, i): readonly Part[] => [
      i === 0 ? `${round}` : html`<span class="muted">${round}</span>`,
      formatInteger(attempt.units),
      formatShare(attempt.remaining.macs),
      ...(hasDensity ? [formatShare(attempt.remaining.density ?? 1)] : []),
      formatShare(attempt.remaining.params),
      words.value(attempt.removed.value),
      attempt.tuned === null ? "—" : words.value(attempt.tuned.value),
      formatDrop(attempt.drop, words.amount),
      formatDrop(attempt.upper, words.amount),
      verdictOf(attempt),
    ]),
  );
  const table = dataTable(
    "Attempts of all rounds",
    [
      { title: "round" },
      { title: "channels out", kind: "number" },
      { title: "MACs left", kind: "number" },
      ...(hasDensity ? [{ title: "weights left", kind: "number" as const }] : []),
      { title: "params left", kind: "number" },
      { title: "removed", kind: "number" },
      { title: "tuned", kind: "number" },
      { title: `drop, ${words.unit}`, kind: "number" },
      { title: "at most", kind: "number" },
      { title: "verdict", kind: "words" },
    ],
    rows,
  );
  return folded(rows.length === 1 ? "The attempt" : `All ${rows.length} attempts`, table);
}

function verdictOf({ isAccepted, reason }: Attempt): Part {
  const why = reason === undefined ? "" : sentence(reason);
  return isAccepted
    ? html`<b class="good">accepted</b> ${why}`
    : html`<b class="bad">not accepted</b> ${why}`;
}
