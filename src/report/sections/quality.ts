/** @file Quality in detail: accuracy by class, and calibration. */
import type { LineSeriesOption } from "echarts";
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { formatInteger, inPercent } from "../../words/numbers.ts";
import { drawChart, ink, planeOf, still } from "../page/chart.ts";
import { countedOnPage, metricOnPage, sentence, signed, spaced } from "../page/figures.ts";
import { type Html, html, type Part, plainName } from "../page/html.ts";
import { dataTable, folded, keysOf, type Section } from "../page/page.ts";
import { coverageFigure, coverageTable, uncertaintyTable } from "./uncertainty.ts";

type Class = CompressReport["classes"][number];
type Calibration = NonNullable<CompressReport["calibration"]>;

/** More classes than that are not named in the sentence about those that lost most. */
const mostNamed = 3;

/** What was measured on `test` besides the metric: calibration, uncertainty, and each class. */
export function qualityOf(report: CompressReport): Section | undefined {
  const charts = [calibrationFigure(report), coverageFigure(report)].filter(
    (chart) => chart !== undefined,
  );
  const parts = [
    uncertaintyTable(report),
    charts.length > 0 && html`<div class="pair">${charts}</div>`,
    classesIn(report),
    calibrationTable(report),
    coverageTable(report),
  ].filter((part) => part !== undefined && part !== false);
  if (parts.length === 0) return undefined;
  return { id: "quality", title: "Quality in detail", body: parts };
}

/** Per class, before and after. */
function classesIn({ classes, task, metric }: CompressReport): Part {
  const measured = classes.filter(({ before, after }) => before !== null || after !== null);
  if (measured.length === 0) return undefined;
  const ofClass = task === "segmentation" ? "miou" : "top1";
  const words = metricOnPage(metric === "agreement" ? metric : ofClass);
  const nameFor = ({ label, name }: Class) => (name === null ? String(label) : plainName(name, 40));
  const rowOf = (one: Class): readonly Part[] => [
    nameFor(one),
    formatInteger(one.samples),
    one.before === null ? "—" : words.value(one.before),
    one.after === null ? "—" : words.value(one.after),
    one.before === null || one.after === null ? "—" : signed(changeOf(one), words.difference),
  ];
  const number = (title: string) => ({ title, kind: "number" as const });
  const hit = measured
    .filter((one) => one.before !== null && one.after !== null && changeOf(one) < 0)
    .sort((a, b) => changeOf(a) - changeOf(b));
  const worst = hit
    .slice(0, mostNamed)
    .map(
      (one) =>
        `${one.name === null ? "class " : ""}${nameFor(one)} (${signed(changeOf(one), words.difference)})`,
    );
  const what = metric === "agreement" ? words.name : task === "segmentation" ? "IoU" : "accuracy";
  return html`<p>${
    hit.length === 0
      ? html`No class lost ${what} on the test data.`
      : html`An average can hide a class that suffered: ${formatInteger(hit.length)} of ${countedOnPage(measured.length, "class", "classes")}
lost ${what} on the test data, most of all ${worst.join(", ")}.`
  }</p>
${folded(
  `${sentence(what).slice(0, -1)} of each class`,
  dataTable(
    "Classes",
    [
      { title: "class" },
      number(task === "segmentation" ? "pixels" : "samples"),
      ...[`${what} before`, "after", "change"].map(number),
    ],
    measured.map(rowOf),
  ),
)}`;
}

function changeOf({ before, after }: Class): number {
  return (after ?? 0) - (before ?? 0);
}

/** Bins of fewer samples are luck, and only in the table. */
const fewestSamples = 10;

const ece = (value: number) => spaced(inPercent(value, 2));

/** Accuracy against confidence. */
function calibrationFigure({ calibration }: CompressReport): Html | undefined {
  if (calibration === null) return undefined;
  const { before, after } = calibration;
  const percent = (value: number) => `${value} %`;
  const chart = drawChart({
    id: "calibration-chart",
    span: "half",
    label: `share right against confidence; calibration error ${ece(before.ece)} before, ${ece(after.ece)} after`,
    height: () => 200,
    option: (canvas) => ({
      ...planeOf(
        { title: "confidence of the answer", write: percent, min: 0, max: 100, interval: 20 },
        { title: "share right", write: percent, min: 0, max: 100, interval: 20 },
        canvas,
      ),
      series: [
        {
          type: "line",
          ...still,
          showSymbol: false,
          data: [
            [0, 0],
            [100, 100],
          ],
          lineStyle: { color: ink("muted"), type: [4, 4], width: 1 },
        },
        calibrationCurve(before, "before", "rect", 6),
        calibrationCurve(after, "after", "circle", 7),
      ],
    }),
  });
  return html`<figure>
${keysOf([
  { mark: "dot", color: "before", text: "before" },
  { mark: "dot", color: "after", text: "after" },
  { mark: "dashes", color: "muted", text: "as sure as right" },
])}
${chart}
<figcaption>Calibration: below the dashed line a network is surer than it should be; off it by ${ece(before.ece)} before,
${ece(after.ece)} after.</figcaption>
</figure>`;
}

/** The accuracy of each bin of confidence that holds enough samples, in percent. */
function calibrationCurve(
  { bins }: Calibration["before"],
  color: string,
  symbol: string,
  symbolSize: number,
): LineSeriesOption {
  return {
    type: "line",
    ...still,
    symbol,
    symbolSize,
    data: bins
      .filter(({ samples }) => samples >= fewestSamples)
      .map(({ confidence, accuracy }) => [100 * confidence, 100 * accuracy]),
    lineStyle: { color: ink(color), width: 2 },
    itemStyle: { color: ink(color) },
  };
}

function calibrationTable({ calibration }: CompressReport): Part {
  if (calibration === null) return undefined;
  const { before, after } = calibration;
  const rows = after.bins.map((bin, i): readonly Part[] => {
    const was = before.bins[i];
    const cell = ({ samples, confidence, accuracy }: typeof bin): readonly Part[] =>
      samples === 0
        ? [0, "—", "—"]
        : [formatInteger(samples), inPercent(confidence), inPercent(accuracy)];
    return [i + 1, ...(was === undefined ? ["—", "—", "—"] : cell(was)), ...cell(bin)];
  });
  const number = (title: string) => ({ title, kind: "number" as const });
  return folded(
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
  );
}
