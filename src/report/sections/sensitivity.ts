/** @file How much each group of channels matters: the drop against the share of it that is removed. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { drawChart, ink, levelLine, planeOf, still } from "../page/chart.ts";
import { formatDrop, formatShare, metricOnPage, type PageWords } from "../page/figures.ts";
import { type Html, html, nameOf, type Part, plainName } from "../page/html.ts";
import { dataTable, folded, keysOf, type Section } from "../page/page.ts";

type Groups = NonNullable<CompressReport["sensitivity"]>;

/** Colours, with symbols that tell them apart in grey. */
const styles = [
  { color: "s1", symbol: "circle" },
  { color: "s2", symbol: "rect" },
  { color: "s3", symbol: "triangle" },
  { color: "s4", symbol: "diamond" },
  { color: "s5", symbol: "roundRect" },
] as const;

/** Curves that are drawn, and points of each; a report that was changed may hold any number. */
const most = { curves: 1000, points: 64 };

/** The curves, those of the most sensitive groups in colour. */
export function sensitivityOf(report: CompressReport): Section | undefined {
  const { sensitivity, metric, groups } = report;
  const measured = sensitivity?.filter(({ points }) => points.length > 0) ?? [];
  if (measured.length === 0) return undefined;
  const words = metricOnPage(metric);
  const layers = new Map(groups.map((group) => [group.id, group.layers]));
  const nameFor = (id: string) => layers.get(id)?.[0] ?? id;
  const ranked = [...measured]
    .sort((a, b) => meanDrop(b) - meanDrop(a))
    .slice(0, most.curves)
    .map(({ id, points }) => ({ id, points: points.slice(0, most.points) }));
  const others = ranked.length - styles.length;
  return {
    id: "sensitivity",
    title: "What the network can do without",
    body: html`<p>Each group thinned by itself, without fine-tuning: a steep curve is a group that the network needs.</p>
<figure>
${keysOf([
  ...ranked.slice(0, styles.length).map(({ id }, i) => ({
    mark: "dot" as const,
    color: styles[i].color,
    text: nameOf(nameFor(id), 32),
  })),
  ...(others > 0
    ? [{ mark: "line" as const, color: "before", text: `${others} less sensitive` }]
    : []),
])}
${chartOf(ranked, words, nameFor, report.asked.maxDrop)}
</figure>
${folded(`Drops in ${words.unit} as a table`, tableOf(ranked, words, nameFor))}`,
  };
}

/** A curve for each group; the most sensitive, which come first, in colour and in front. */
function chartOf(
  ranked: Groups,
  words: PageWords,
  nameFor: (id: string) => string,
  maxDrop: number | undefined,
): Html {
  const colored = ranked.slice(0, styles.length);
  const others = ranked.slice(styles.length);
  return drawChart({
    id: "sensitivity-chart",
    span: "full",
    label: `drop of ${words.name} against the share of a group that is removed; ${plainName(nameFor(colored[0].id), 40)} is the most sensitive group`,
    height: ({ isNarrow }) => (isNarrow ? 220 : 200),
    option: (canvas) => ({
      ...planeOf(
        {
          title: "share of the group that is removed",
          write: (x) => `${x} %`,
          min: 0,
          max: 100,
          interval: 20,
        },
        { title: `drop of ${words.name} on select, ${words.unit}`, write: words.amountTick },
        canvas,
      ),
      series: [
        ...others.map(({ points }) => ({
          type: "line" as const,
          ...still,
          showSymbol: false,
          data: planeOfPoints(points),
          lineStyle: { color: ink("before"), width: 1 },
        })),
        ...colored
          .map(({ points }, i) => ({
            type: "line" as const,
            ...still,
            symbol: styles[i].symbol,
            symbolSize: 7,
            data: planeOfPoints(points),
            lineStyle: { color: ink(styles[i].color), width: 2 },
            itemStyle: { color: ink(styles[i].color) },
            ...(i === 0 &&
              maxDrop !== undefined && {
                markLine: levelLine(maxDrop, "tolerance", "insideStartTop"),
              }),
          }))
          .reverse(),
      ],
    }),
  });
}

function tableOf(ranked: Groups, words: PageWords, nameFor: (id: string) => string): Html {
  const shares = [
    ...new Set(ranked.flatMap(({ points }) => points.map(({ share }) => share))),
  ].sort((a, b) => a - b);
  return dataTable(
    `Drop in ${words.unit} by group and share removed`,
    [
      { title: "group", kind: "words" },
      ...shares.map((share) => ({ title: `${formatShare(share)} out`, kind: "number" as const })),
    ],
    ranked.map(({ id, points }): readonly Part[] => [
      nameOf(nameFor(id)),
      ...shares.map((share) => {
        const point = points.find((one) => one.share === share);
        return point === undefined ? "—" : formatDrop(point.drop, words.amount);
      }),
    ]),
  );
}

function planeOfPoints(points: Groups[number]["points"]): [number, number][] {
  return [{ share: 0, drop: 0 }, ...points.filter(({ share }) => share > 0)]
    .sort((a, b) => a.share - b.share)
    .map(({ share, drop }) => [100 * share, drop]);
}

function meanDrop({ points }: Groups[number]): number {
  return points.reduce((sum, { drop }) => sum + drop, 0) / points.length;
}
