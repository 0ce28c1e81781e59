/** @file The page of a training run. */
import type { TrainReport } from "../runs/training/train-report.ts";
import { formatBytes, formatInteger } from "../words/numbers.ts";
import type { Extras } from "./draw.ts";
import { countedOnPage, metricOnPage, sentence, spaced } from "./page/figures.ts";
import { type Html, html } from "./page/html.ts";
import { documentOf, type Section } from "./page/page.ts";
import { shellFlag, shellPath } from "./page/shell.ts";
import { titleOf } from "./sections/headline.ts";
import { reproductionOf } from "./sections/reproduction.ts";
import { curvesOf } from "./sections/training.ts";

const ends = {
  completed: "all epochs were done",
  "early-stop": "it ended early, as nothing got better any more",
  "time-budget": "it ended when the time was spent",
  "rolled-back": "it ended with an epoch that broke the network, and went back to the one before",
} as const;

/** `report.html` of a training run. The same arguments give the same text. */
export function drawTrainReport(
  report: TrainReport,
  { config, run, data, again }: Pick<Extras, "config" | "run" | "data" | "again">,
): string {
  const [model, small] = [`${run}/model.onnx`, `${run}-small`].map(shellPath);
  const { network, seed, history, warnings } = report;
  const remarks: Section = {
    id: "remarks",
    title: "What to know",
    body: html`<div class="verdict bad">${warnings.map((text) => html`<p>${sentence(text)}</p>`)}</div>`,
  };
  const curves: Section = {
    id: "training",
    title: "Training",
    body: curvesOf([{ name: "training", isLearning: false, epochs: history }], "top1"),
  };
  return documentOf({
    title: `${titleOf(network)} trained: report of Espalier`,
    header: headerOf(report),
    sections: [
      ...(warnings.length > 0 ? [remarks] : []),
      ...(history.length > 0 ? [curves] : []),
      reproductionOf({
        config,
        facts: [
          ["network", network],
          ["seed", String(seed)],
        ],
        again,
        onward: [
          [
            "To measure the best network on each class:",
            `espalier evaluate ${shellPath(run)} --per-class`,
          ],
          [
            "To make it as small as a tolerance of one point allows:",
            `espalier compress ${model} ${shellFlag("--data", data)} --max-drop 0.01 -o ${small}`,
          ],
        ],
      }),
    ],
  });
}

function headerOf(report: TrainReport): Html {
  const { network, epochs, steps, end, best, final, sizeBytes } = report;
  const score = final ?? best;
  const words = metricOnPage(score?.metric ?? "");
  const where =
    final !== null
      ? `on ${countedOnPage(final.samples, "test sample")}`
      : best !== null
        ? "on select, which also chose it"
        : "";
  const interval =
    final?.ci95 === undefined ? "" : ` (95\u00a0%: ${final.ci95.map(words.value).join(" to ")})`;
  return html`<p class="kicker">Espalier · training</p>
<h1>${titleOf(network)}</h1>
<p class="lead">${countedOnPage(epochs, "epoch")}; ${ends[end]}.${
    score === null
      ? " There were no data to measure it on."
      : html` ${sentence(words.name).slice(0, -1)} ${where}: <b>${words.value(score.value)}</b>${interval}.`
  }</p>
<dl class="cards">
${card("Steps", formatInteger(steps))}
${best !== null && card("Best epoch", formatInteger(best.epoch))}
${score !== null && card("Loss", score.loss.toPrecision(4))}
${card("File size", spaced(formatBytes(sizeBytes)))}</dl>`;
}

function card(title: string, value: string): Html {
  return html`<div class="card"><dt>${title}</dt><dd class="value">${value}</dd></div>`;
}
