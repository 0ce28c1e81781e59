/** @file Figures of uncertainty before and after, and of a posterior's draws: likelihood, Brier score, calibration. */
import type { LineSeriesOption } from "echarts";
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { inPercent } from "../../words/numbers.ts";
import { drawChart, ink, planeOf, still } from "../page/chart.ts";
import {
  countedOnPage,
  metricOnPage,
  minus,
  signed,
  signedInterval,
  spaced,
} from "../page/figures.ts";
import { type Html, html, type Part } from "../page/html.ts";
import { type Column, dataTable, folded, keysOf } from "../page/page.ts";

type Uncertainty = NonNullable<CompressReport["uncertainty"]>;
type Side = Uncertainty["before"];
type Change = Uncertainty["change"];
type Estimate = Side["nll"];

/** Likelihood, Brier score and calibration of the test data, before and after, and of draws from a posterior. */
export function uncertaintyTable(report: CompressReport): Html | undefined {
  const { uncertainty } = report;
  if (uncertainty === null) return undefined;
  const { posterior } = uncertainty;
  return html`<p>Test data; changes are of the same images, with 95 % intervals.${
    posterior !== null &&
    html` <b>Drawn</b> is the mean of ${countedOnPage(posterior.draws, "draw")} from <code>posterior.onnx</code>, compared with the network
of the means.`
  }</p>
${tableOf(report, uncertainty)}`;
}

function tableOf(
  report: Pick<CompressReport, "task" | "metric" | "drop">,
  uncertainty: Uncertainty,
): Html {
  const number = (title: string): Column => ({ title, kind: "number" });
  const drawn = uncertainty.posterior ? ["drawn", "its change"] : [];
  const columns = ["before", "after", "change", ...drawn];
  const rows = rowsOf(report, uncertainty).map((row) => cellsOf(row, uncertainty));
  return dataTable("Uncertainty", [{ title: "figure" }, ...columns.map(number)], rows);
}

/** A figure of the table: where it is found, and how it is written. */
interface Row {
  readonly name: Part;
  readonly pick: (side: Side) => Estimate | undefined;
  readonly pickChange: (change: Change) => Estimate | undefined;
  readonly write: (value: number) => string;
  /** How a change is written, and how without its unit; default as the figure. */
  readonly writeChange?: (value: number) => string;
  readonly writeBare?: (value: number) => string;
}

function rowsOf(
  { task, metric, drop }: Pick<CompressReport, "task" | "metric" | "drop">,
  { after, change }: Uncertainty,
): readonly Row[] {
  const words = metricOnPage(
    metric === "agreement" ? metric : task === "segmentation" ? "miou" : "top1",
  );
  const percent = (value: number) => spaced(inPercent(value, 2));
  const plain = (value: number) => minus(value.toFixed(4));
  const asShare = { write: percent, writeChange: words.difference, writeBare: words.amount };
  return [
    {
      name: words.name,
      ...asShare,
      pick: ({ value }) => value,
      pickChange: (own) => (own === change ? (changeIn(drop) ?? own.value) : own.value),
    },
    {
      name: "negative log-likelihood, nats",
      write: plain,
      pick: ({ nll }) => nll,
      pickChange: ({ nll }) => nll,
    },
    {
      name: "Brier score",
      write: plain,
      pick: ({ brier }) => brier,
      pickChange: ({ brier }) => brier,
    },
    {
      name: "calibration error",
      ...asShare,
      pick: ({ ece }) => ece,
      pickChange: ({ ece }) => ece,
    },
    ...(after.selective === undefined
      ? []
      : [
          {
            name: "area under risk-coverage",
            write: plain,
            pick: ({ selective }: Side) => selective?.riskArea,
            pickChange: ({ riskArea }: Change) => riskArea,
          },
        ]),
  ];
}

function cellsOf(
  { name, pick, pickChange, write, writeChange = write, writeBare = writeChange }: Row,
  { before, after, change, posterior }: Uncertainty,
): readonly Part[] {
  const cell = (estimate: Estimate | undefined) => (estimate ? write(estimate.value) : "—");
  const changeCell = (estimate: Estimate | undefined) =>
    estimate
      ? html`${signed(estimate.value, writeChange)} <small>(${signedInterval(estimate.ci95, writeBare)})</small>`
      : "—";
  const drawn = posterior
    ? [cell(pick(posterior.figures)), changeCell(pickChange(posterior.change))]
    : [];
  return [name, cell(pick(before)), cell(pick(after)), changeCell(pickChange(change)), ...drawn];
}

/** The change of the metric is its drop, as it stands everywhere on the page. */
function changeIn({ value, ci95 }: CompressReport["drop"]): Estimate | undefined {
  return value === null || ci95 === null
    ? undefined
    : { value: -value, ci95: [-ci95[1], -ci95[0]] };
}

/** The figures of {@link coverageFigure}. */
export function coverageTable({ uncertainty }: Pick<CompressReport, "uncertainty">): Part {
  const coverage = uncertainty?.after.selective?.coverage;
  if (uncertainty === null || coverage === undefined) return undefined;
  const { before, after, posterior } = uncertainty;
  const sides = [before, after, ...(posterior ? [posterior.figures] : [])];
  const titles = ["before", "after", "drawn"].slice(0, sides.length);
  const rightAt = ({ selective }: Side, share: number) => {
    const found = selective?.coverage.find((own) => own.share === share);
    return found === undefined ? "—" : spaced(inPercent(found.accuracy.value, 2));
  };
  return folded(
    "Accuracy of the surest answers as a table",
    dataTable(
      "Accuracy of the surest answers",
      [
        { title: "share that is answered", kind: "number" },
        ...titles.map((title): Column => ({ title, kind: "number" })),
      ],
      coverage.map(({ share }) => [
        spaced(inPercent(share, 0)),
        ...sides.map((side) => rightAt(side, share)),
      ]),
    ),
  );
}

/** Accuracy of what a network is surest of. */
export function coverageFigure({
  uncertainty,
}: Pick<CompressReport, "uncertainty">): Html | undefined {
  if (uncertainty?.after.selective === undefined) return undefined;
  const { before, after, posterior } = uncertainty;
  const curve = (side: Side, color: string, symbol: string): LineSeriesOption => ({
    type: "line",
    ...still,
    symbol,
    symbolSize: 6,
    data: (side.selective?.coverage ?? []).map(({ share, accuracy }) => [
      100 * share,
      100 * accuracy.value,
    ]),
    lineStyle: { color: ink(color), width: 2 },
    itemStyle: { color: ink(color) },
  });
  const percent = (value: number) => `${Number(value.toFixed(2))} %`;
  const chart = drawChart({
    id: "coverage-chart",
    span: "half",
    label: "share right of the samples that a network is surest of, against how many these are",
    height: () => 200,
    option: (canvas) => ({
      ...planeOf(
        { title: "share that is answered", write: percent, min: 50, max: 100, interval: 10 },
        { title: "share right", write: percent },
        canvas,
      ),
      series: [
        curve(before, "before", "rect"),
        curve(after, "after", "circle"),
        ...(posterior ? [curve(posterior.figures, "s3", "triangle")] : []),
      ],
    }),
  });
  return html`<figure>
${keysOf([
  { mark: "dot", color: "before", text: "before" },
  { mark: "dot", color: "after", text: "after" },
  ...(posterior ? [{ mark: "dot" as const, color: "s3", text: "drawn" }] : []),
])}
${chart}
<figcaption>Accuracy of the answers that a network is surest of.</figcaption>
</figure>`;
}
