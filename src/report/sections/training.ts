/** @file Training curves: loss and metric over the epochs, of a compression's rounds or of one training. */
import type { EChartsOption, LineSeriesOption } from "echarts";
import type { z } from "zod";
import type { CompressReport, epochEntry } from "../../compress/record/compress-report.ts";
import { formatInteger, formatScientific } from "../../words/numbers.ts";
import { type Canvas, drawChart, ink, planeOf, still } from "../page/chart.ts";
import { countedOnPage, metricOnPage } from "../page/figures.ts";
import { type Html, html, type Part } from "../page/html.ts";
import { dataTable, folded, keysOf, type Section } from "../page/page.ts";

type Epoch = z.output<typeof epochEntry>;

/** Epochs that belong together. */
export interface Phase {
  readonly name: string;
  /** Whether the method learns in it, rather than the network recovers. */
  readonly isLearning: boolean;
  readonly epochs: readonly Epoch[];
}

/** All training of a compression. */
export function trainingOf({ rounds, metric }: CompressReport): Section | undefined {
  const phases = rounds
    .flatMap(({ round, learning, attempts }): Phase[] => [
      { name: `round ${round}, learning`, isLearning: true, epochs: learning },
      ...attempts.map(({ tuning, isAccepted }, i) => ({
        name: `round ${round}, tuning${isAccepted ? "" : ` of attempt ${i + 1}, not accepted`}`,
        isLearning: false,
        epochs: tuning,
      })),
    ])
    .filter(({ epochs }) => epochs.length > 0);
  if (phases.length === 0) return undefined;
  const learning = phases.some((phase) => phase.isLearning);
  return {
    id: "training",
    title: "Training",
    body: html`<p>${countedOnPage(epochsOf(phases).length, "epoch")} in ${countedOnPage(phases.length, "part")}${
      learning && "; in the shaded ones the method learns which channels matter"
    }.</p>
${curvesOf(phases, metric)}`,
  };
}

/** The charts of loss and metric, side by side, and their table. */
export function curvesOf(phases: readonly Phase[], metric: string): Html {
  const epochs = epochsOf(phases);
  const scored = epochs.filter(({ select }) => select !== undefined);
  // Where there are no labels, what the network calls accuracy is how often it agrees with the original.
  const words = metricOnPage(
    metric === "agreement" ? metric : (scored[0]?.select?.metric ?? metric),
  );
  const hasAccuracy = epochs.some(({ accuracy }) => accuracy !== undefined);
  return html`<div class="pair">
${lossFigure(phases, scored.length > 0)}
${(scored.length > 0 || hasAccuracy) && metricFigure(phases, words, hasAccuracy)}
</div>
${folded(
  "Every epoch as a table",
  dataTable(
    "Epochs",
    [
      { title: "part" },
      { title: "epoch", kind: "number" },
      { title: "steps", kind: "number" },
      { title: "rate, last step", kind: "number" },
      { title: "loss", kind: "number" },
      { title: `${words.name} on select`, kind: "number" },
    ],
    phases.flatMap(({ name, epochs }) =>
      epochs.map(({ epoch, step, rate, loss, select }): readonly Part[] => [
        name,
        formatInteger(epoch),
        formatInteger(step),
        formatScientific(rate),
        loss.toPrecision(4),
        select === undefined ? "—" : words.value(select.value),
      ]),
    ),
  ),
)}`;
}

function epochsOf(phases: readonly Phase[]): readonly Epoch[] {
  return phases.flatMap((phase) => phase.epochs);
}

function lossFigure(phases: readonly Phase[], isScored: boolean): Html {
  const chart = drawChart({
    id: "loss-chart",
    span: "half",
    label: "loss over the epochs",
    height: () => 170,
    option: (canvas) =>
      curveOption(canvas, phases, "loss", (value) => String(Number(value.toPrecision(3))), [
        { color: "muted", pick: ({ loss }) => loss },
        ...(isScored ? [{ color: "after", pick: ({ select }: Epoch) => select?.loss }] : []),
      ]),
  });
  return html`<figure>
${keysOf([
  { mark: "dot", color: "muted", text: "loss on fit" },
  ...(isScored ? [{ mark: "dot" as const, color: "after", text: "loss on select" }] : []),
])}
${chart}
</figure>`;
}

function metricFigure(
  phases: readonly Phase[],
  words: ReturnType<typeof metricOnPage>,
  hasAccuracy: boolean,
): Html {
  const isScored = phases.some(({ epochs }) => epochs.some(({ select }) => select !== undefined));
  const chart = drawChart({
    id: "metric-chart",
    span: "half",
    label: `${words.name} over the epochs`,
    height: () => 170,
    option: (canvas) =>
      curveOption(canvas, phases, isScored ? words.name : "accuracy", words.tick, [
        ...(hasAccuracy ? [{ color: "muted", pick: ({ accuracy }: Epoch) => accuracy }] : []),
        ...(isScored ? [{ color: "after", pick: ({ select }: Epoch) => select?.value }] : []),
      ]),
  });
  return html`<figure>
${keysOf([
  ...(hasAccuracy ? [{ mark: "dot" as const, color: "muted", text: "share right on fit" }] : []),
  ...(isScored ? [{ mark: "dot" as const, color: "after", text: `${words.name} on select` }] : []),
])}
${chart}
</figure>`;
}

/** A curve over epochs: its colour (the name of a style variable), and its value at each. */
export interface Curve {
  readonly color: string;
  readonly pick: (epoch: Epoch) => number | undefined;
}

/** Curves over all epochs of the phases, countedOnPage through. */
export function curveOption(
  canvas: Canvas,
  phases: readonly Phase[],
  title: string,
  write: (value: number) => string,
  curves: readonly Curve[],
): EChartsOption {
  const places = placesOf(phases);
  const last = epochsOf(phases).length;
  const series = curves.map(({ color, pick }): LineSeriesOption => {
    const data = places.flatMap(({ from, phase }) => [
      ...phase.epochs.map((epoch, i): [number, number | null] => [from + i, finite(pick(epoch))]),
      // A gap: what comes next is another network.
      [from + phase.epochs.length - 0.5, null] as [number, null],
    ]);
    return {
      type: "line",
      ...still,
      symbol: "circle",
      symbolSize: last > 60 ? 2 : 5,
      data,
      lineStyle: { color: ink(color), width: 2 },
      itemStyle: { color: ink(color) },
    };
  });
  return {
    ...planeOf(
      { title: "epoch", write: String, min: 0.5, max: last + 0.5, isWhole: true },
      { title, write },
      canvas,
    ),
    series: [{ ...bordersOf(places), type: "line", data: [] }, ...series],
  };
}

interface Place {
  readonly from: number;
  readonly phase: Phase;
}

/** The number of each phase's first epoch when all are countedOnPage through from 1. */
function placesOf(phases: readonly Phase[]): readonly Place[] {
  let from = 1;
  return phases.map((phase) => {
    const place = { from, phase };
    from += phase.epochs.length;
    return place;
  });
}

function bordersOf(places: readonly Place[]): LineSeriesOption {
  const common = { silent: true, animation: false } as const;
  return {
    ...still,
    markLine: {
      ...common,
      symbol: "none",
      label: { show: false },
      lineStyle: { color: ink("muted"), type: "solid", width: 1, opacity: 0.5 },
      data: places.slice(1).map(({ from }) => ({ xAxis: from - 0.5 })),
    },
    markArea: {
      ...common,
      itemStyle: { color: ink("grid"), opacity: 0.7 },
      data: places
        .filter(({ phase }) => phase.isLearning)
        .map(({ from, phase }) => [
          { xAxis: from - 0.5 },
          { xAxis: from + phase.epochs.length - 0.5 },
        ]),
    },
  };
}

function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}
