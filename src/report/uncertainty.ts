/** @file Whether the networks know how sure they may be: figures before and after, and of a posterior's draws. */
import type { LineSeriesOption } from "echarts";
import type { CompressReport } from "../compress/compress-report.ts";
import { inPercent } from "../measure/words.ts";
import { drawChart, ink, planeOf, still } from "./chart.ts";
import { counted, metricWords, minus, signed, signedInterval, spaced } from "./figures.ts";
import { type Html, html, type Part } from "./html.ts";
import { type Column, dataTable, keysOf, type Section } from "./page.ts";

type Uncertainty = NonNullable<CompressReport["uncertainty"]>;
type Side = Uncertainty["before"];
type Change = Uncertainty["change"];
type Estimate = Side["nll"];

/** Likelihood, Brier score, calibration, and accuracy against coverage. */
export function uncertaintyOf(report: CompressReport): Section | undefined {
  const { uncertainty } = report;
  if (uncertainty === null) return undefined;
  const { posterior, after } = uncertainty;
  const draws = posterior === null ? "" : counted(posterior.draws, "draw");
  return {
    id: "uncertainty",
    title: "How sure it may be",
    body: html`<p>All figures are of the test data, changes of the same images, with 95 % intervals. The negative
log-likelihood and the Brier score cost answers that are sure and wrong; lower is better. The area under the
risk-coverage curve is small where a network is wrong only when it is unsure.</p>
${
  posterior !== null &&
  html`<p>The method learnt a posterior: <b>drawn</b> is the mean of the probabilities of ${draws} from
<code>posterior.onnx</code>, and its change that from the network of the means.</p>`
}
${tableOf(report, uncertainty)}
${after.selective !== undefined && coverageFigure(uncertainty)}`,
  };
}

function tableOf(
  { task }: Pick<CompressReport, "task">,
  { before, after, change, posterior }: Uncertainty,
): Html {
  const words = metricWords(task === "segmentation" ? "miou" : "top1");
  const percent = (value: number) => spaced(inPercent(value, 2));
  const plain = (value: number) => minus(value.toFixed(4));
  const row = (
    name: Part,
    write: (value: number) => string,
    pick: (side: Side) => Estimate | undefined,
    pickChange: (of: Change) => Estimate | undefined,
    writeChange = write,
  ): readonly Part[] => {
    const cell = (estimate: Estimate | undefined) => (estimate ? write(estimate.value) : "—");
    const changeCell = (estimate: Estimate | undefined) =>
      estimate
        ? html`${signed(estimate.value, writeChange)}<br><small>${signedInterval(estimate.ci95, writeChange)}</small>`
        : "—";
    const drawn = posterior
      ? [cell(pick(posterior.figures)), changeCell(pickChange(posterior.change))]
      : [];
    return [name, cell(pick(before)), cell(pick(after)), changeCell(pickChange(change)), ...drawn];
  };
  const coverages = after.selective?.coverage ?? [];
  const rows = [
    row(
      words.name,
      percent,
      ({ value }) => value,
      ({ value }) => value,
      words.difference,
    ),
    row(
      "negative log-likelihood, nats",
      plain,
      ({ nll }) => nll,
      ({ nll }) => nll,
    ),
    row(
      "Brier score",
      plain,
      ({ brier }) => brier,
      ({ brier }) => brier,
    ),
    row(
      "calibration error",
      percent,
      ({ ece }) => ece,
      ({ ece }) => ece,
      words.difference,
    ),
    ...(after.selective === undefined
      ? []
      : [
          row(
            "area under risk-coverage",
            plain,
            ({ selective }) => selective?.riskArea,
            ({ riskArea }) => riskArea,
          ),
        ]),
    ...coverages
      .filter(({ share }) => share < 1)
      .map(({ share }) =>
        row(
          `right of the surest ${inPercent(share, 0)}`,
          percent,
          ({ selective }) => selective?.coverage.find((own) => own.share === share)?.accuracy,
          () => undefined,
        ),
      ),
  ];
  const number = (title: string): Column => ({ title, kind: "number" });
  const columns = ["before", "after", "change", ...(posterior ? ["drawn", "its change"] : [])];
  return dataTable("Uncertainty", [{ title: "figure" }, ...columns.map(number)], rows);
}

function coverageFigure({ before, after, posterior }: Uncertainty): Html {
  const curve = (side: Side, color: string, symbol: string): LineSeriesOption => ({
    ...{ type: "line", ...still, symbol, symbolSize: 6 },
    data: (side.selective?.coverage ?? []).map(({ share, accuracy }) => [
      100 * share,
      100 * accuracy.value,
    ]),
    lineStyle: { color: ink(color), width: 2 },
    itemStyle: { color: ink(color) },
  });
  const percent = (value: number) => `${Number(value.toFixed(2))} %`;
  const chart = drawChart({
    ...{ id: "coverage-chart", span: "half" },
    label: "share right of the samples that a network is surest of, against how many these are",
    height: () => 260,
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
  return html`<div class="pair"><figure>
${keysOf([
  { mark: "dot", color: "before", text: "before" },
  { mark: "dot", color: "after", text: "after" },
  ...(posterior ? [{ mark: "dot" as const, color: "s3", text: "drawn" }] : []),
])}
${chart}
</figure>
<p>Samples are taken in falling order of confidence. Where the curve rises to the left, the network is right about
what it is sure of: it can leave the rest to others.</p></div>`;
}
