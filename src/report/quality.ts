/** @file Quality in detail: class by class, and whether the network knows how sure it may be. */
import type { CompressReport } from "../compress/compress-report.ts";
import { inPercent } from "../measure/words.ts";
import { drawChart, ink, planeOf, still } from "./chart.ts";
import { metricWords, signed, spaced } from "./figures.ts";
import { html, type Part, plainName } from "./html.ts";
import { dataTable, folded, keysOf, type Section } from "./page.ts";
import { formatInteger } from "./text.ts";

type Class = CompressReport["classes"][number];
type Calibration = NonNullable<CompressReport["calibration"]>;

/** Longer tables of classes are folded; the classes that lost most stand before them. */
const mostClasses = 12;

/** Per class, before and after. */
export function classesOf({ classes, task }: CompressReport): Section | undefined {
  const measured = classes.filter(({ before, after }) => before !== null || after !== null);
  if (measured.length === 0) return undefined;
  const words = metricWords(task === "segmentation" ? "miou" : "top1");
  const rowOf = ({ label, name, samples, before, after }: Class): readonly Part[] => [
    name === null ? String(label) : plainName(name, 40),
    formatInteger(samples),
    before === null ? "—" : words.value(before),
    after === null ? "—" : words.value(after),
    before === null || after === null ? "—" : signed(after - before, words.difference),
  ];
  const columns = [
    { title: "class" },
    { title: task === "segmentation" ? "pixels" : "samples", kind: "number" as const },
    { title: "before", kind: "number" as const },
    { title: "after", kind: "number" as const },
    { title: "change", kind: "number" as const },
  ];
  const table = (label: string, rows: readonly Class[]) =>
    dataTable(label, columns, rows.map(rowOf));
  const changeOf = ({ before, after }: Class) => (after ?? 0) - (before ?? 0);
  const hit = measured
    .filter((one) => one.before !== null && one.after !== null && changeOf(one) < 0)
    .sort((a, b) => changeOf(a) - changeOf(b));
  const what = task === "segmentation" ? "Intersection over union" : "Share right";
  const isLong = measured.length > mostClasses;
  return {
    id: "classes",
    title: "Class by class",
    body: html`<p>${what} of each class on the test data. An average can hide a class that
suffered${hit.length === 0 && "; none did"}.</p>
${isLong && hit.length > 0 && [html`<h3>Those that lost most</h3>`, table("Classes that lost most", hit.slice(0, 8))]}
${isLong ? folded(`All ${measured.length} classes`, table("Classes", measured)) : table("Classes", measured)}`,
  };
}

/** Bins of fewer samples are luck, and only in the table. */
const fewestSamples = 10;

/** Accuracy against confidence. */
export function calibrationOf({ calibration }: CompressReport): Section | undefined {
  if (calibration === null) return undefined;
  const { before, after } = calibration;
  const pointsOf = ({ bins }: Calibration["before"]): [number, number][] =>
    bins
      .filter(({ samples }) => samples >= fewestSamples)
      .map(({ confidence, accuracy }) => [100 * confidence, 100 * accuracy]);
  const percent = (value: number) => `${value} %`;
  const ece = (value: number) => spaced(inPercent(value, 2));
  const chart = drawChart({
    ...{ id: "calibration-chart", span: "half" },
    label: `share right against confidence; calibration error ${ece(before.ece)} before, ${ece(after.ece)} after`,
    height: () => 320,
    option: (canvas) => ({
      ...planeOf(
        { title: "confidence of the answer", write: percent, min: 0, max: 100, interval: 20 },
        { title: "share right", write: percent, min: 0, max: 100, interval: 20 },
        canvas,
      ),
      series: [
        {
          ...{ type: "line", ...still, showSymbol: false },
          data: [
            [0, 0],
            [100, 100],
          ],
          lineStyle: { color: ink("muted"), type: [4, 4], width: 1 },
        },
        {
          ...{ type: "line", ...still, symbol: "rect", symbolSize: 6, data: pointsOf(before) },
          lineStyle: { color: ink("before"), width: 2 },
          itemStyle: { color: ink("before") },
        },
        {
          ...{ type: "line", ...still, symbol: "circle", symbolSize: 7, data: pointsOf(after) },
          lineStyle: { color: ink("after"), width: 2 },
          itemStyle: { color: ink("after") },
        },
      ],
    }),
  });
  const rows = after.bins.map((bin, i): readonly Part[] => {
    const was = before.bins[i];
    const cell = ({ samples, confidence, accuracy }: typeof bin): readonly Part[] =>
      samples === 0
        ? [0, "—", "—"]
        : [formatInteger(samples), inPercent(confidence), inPercent(accuracy)];
    return [i + 1, ...(was === undefined ? ["—", "—", "—"] : cell(was)), ...cell(bin)];
  });
  const number = (title: string) => ({ title, kind: "number" as const });
  return {
    id: "calibration",
    title: "Calibration",
    body: html`<div class="pair"><figure>
${keysOf([
  { mark: "dot", color: "before", text: "before" },
  { mark: "dot", color: "after", text: "after" },
  { mark: "dashes", color: "muted", text: "as sure as right" },
])}
${chart}
</figure>
<div><p>Of the answers given with 80 % confidence, 80 % should be right: on the dashed line. Below it a network is
surer than it should be.</p>
<p>The expected calibration error is the mean distance from the line: <b>${ece(before.ece)}</b> before,
<b>${ece(after.ece)}</b> after.</p>
<p><small>Points stand for at least ${fewestSamples} samples.</small></p></div></div>
${folded(
  "Calibration as a table",
  dataTable(
    "Bins of confidence",
    [
      number("bin"),
      ...["before: samples", "confidence", "right"].map(number),
      ...["after: samples", "confidence", "right"].map(number),
    ],
    rows,
  ),
)}`,
  };
}
