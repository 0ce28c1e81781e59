/** @file What `sensitivity` shows a person. */

import type { GroupSensitivity, Sensitivity } from "../../prune/sensitivity.ts";
import { largestOf } from "../../tensor/extremes.ts";
import { metricWords } from "../../words/metrics.ts";
import { formatInteger, inPercent } from "../../words/numbers.ts";
import { escapeForTerminal, shorten, wrap } from "../../words/text.ts";
import type { Io } from "../terminal/io.ts";
import { drawFacts, drawTable } from "../terminal/table.ts";

/** Columns of a name inside a sentence. */
const longestName = 40;
/** The largest number of shares that have a column; the bars show all shares. */
const mostColumns = 5;
/** The least drop that a full bar stands for, so that noise does not look like harm. */
const leastScale = 0.05;
const bars = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** Writes a row for each group in graph order, and the groups that matter most and least. */
export function describeSensitivity(measured: Sensitivity, io: Io): string {
  const { groups, method, metric, samples, split, value, notes } = measured;
  const facts = drawFacts(
    [
      [metricWords(metric).name, `${metricWords(metric).value(value)}, of the original`],
      ["samples", `${formatInteger(samples)} (${split})`],
      ["removed first", `by ${method}`],
    ],
    io.columns,
  );
  if (groups.length === 0) return `${facts}\nno group here may be thinned\n`;
  const shares = groups[0].points.map(({ share }) => share);
  const shown = spread(shares.length);
  const drops = groups.flatMap(({ points }) => points.map(({ drop }) => drop));
  const largest = Math.max(leastScale, largestOf(drops));
  const table = drawTable(
    [
      { title: "group", isFlexible: true },
      { title: "units", align: "right" },
      ...shown.map((i) => ({
        title: `-${inPercent(shares[i], Number.isInteger(100 * shares[i]) ? 0 : 1)}`,
        align: "right" as const,
      })),
      { title: "" },
    ],
    groups.map(({ id, prunableUnits, points }) => [
      id,
      String(prunableUnits),
      ...shown.map((i) => inPoints(points[i].drop)),
      points.map(({ drop }) => barOf(drop, largest)).join(""),
    ]),
    io,
  );
  return [
    facts,
    `drop of ${metricWords(metric).name} in points when so much of a group goes (bars: its square root)\n${table}`,
    `${[...conclusionOf(groups), ...notes.map((note) => `note: ${escapeForTerminal(note)}`)]
      .map((line) => `${wrap(line, io.columns, "  ")}\n`)
      .join("")}`,
  ].join("\n");
}

/** The indices of at most {@link mostColumns} of the points, evenly spread, with both ends. */
function spread(count: number): readonly number[] {
  if (count <= mostColumns) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: mostColumns }, (_, i) =>
    Math.round((i * (count - 1)) / (mostColumns - 1)),
  );
}

function barOf(drop: number, largest: number): string {
  const height = Math.floor(Math.sqrt(Math.max(0, drop) / largest) * bars.length);
  return bars[Math.min(bars.length - 1, height)];
}

/** Which groups matter most and least, over all shares. */
function conclusionOf(groups: readonly GroupSensitivity[]): readonly string[] {
  const ranked = groups.toSorted((a, b) => meanDrop(b) - meanDrop(a));
  const few = Math.min(3, Math.floor(groups.length / 2));
  if (few === 0) return [];
  const list = (some: readonly GroupSensitivity[]) =>
    some.map(({ id }) => shorten(escapeForTerminal(id), longestName)).join(", ");
  return [
    `most sensitive: ${list(ranked.slice(0, few))}`,
    `least sensitive: ${list(ranked.slice(-few).toReversed())}`,
  ];
}

function meanDrop({ points }: GroupSensitivity): number {
  return points.reduce((sum, { drop }) => sum + drop, 0) / points.length;
}

/** A drop in points: 0.123 as `12.3`. */
function inPoints(drop: number): string {
  const text = (100 * drop).toFixed(1);
  return text === "-0.0" ? "0.0" : text;
}
