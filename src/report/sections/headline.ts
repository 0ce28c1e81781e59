/** @file What a reader of a compression's report sees first: what was reached, in a sentence and a few figures. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { isFew } from "../../guard/guard.ts";
import { formatBytes, formatCount, formatMs } from "../../words/numbers.ts";
import { speedOf } from "../../words/speed.ts";
import {
  countedOnPage,
  formatShare,
  metricOnPage,
  sentence,
  signed,
  signedInterval,
  spaced,
  timesOf,
} from "../page/figures.ts";
import { type Html, html, type Part, plainName } from "../page/html.ts";

/** The name of a network for people: of a file its name without folder and ending; of a run's that of the run. */
export function titleOf(network: string): string {
  const parts = network.split(/[/\\]/).filter((part) => part !== "");
  const file = (parts.at(-1) ?? network).replace(/\.onnx$/i, "");
  const name = file === "model" ? (parts.at(-2) ?? file) : file;
  return plainName(name || network, 60);
}

/** Whether the result is the original, as nothing that was tried was accepted. */
export function isUnchanged({ chosenRound }: CompressReport): boolean {
  return chosenRound === 0;
}

/** The title, the sentence that says it all, the verdict and the figures. */
export function headlineOf(report: CompressReport): Html {
  const name = titleOf(report.network);
  return html`<p class="kicker">Espalier · compression with method ${plainName(report.method, 40)}</p>
<h1>${name}</h1>
<p class="lead">${isUnchanged(report) ? unchangedSentence(name) : changedSentence(report)}</p>
${verdictOf(report)}
<dl class="cards">
${cardsOf(report).map(drawCard)}</dl>`;
}

function unchangedSentence(name: string): Html {
  return html`<b>${name} is as it was.</b> No smaller network that was tried held what was asked for, so the result
is the original.`;
}

function changedSentence(report: CompressReport): Html {
  const { baseline, result, latency } = report;
  const weights = weightsOf(report);
  return html`It keeps ${
    weights &&
    html`<b>${formatShare(weights.left / weights.all)}</b> of its weights (the others are 0, or gone), `
  }<b>${formatShare(result.macs / baseline.macs)}</b> of its multiply-accumulates (MACs) and
<b>${formatShare(result.params / baseline.params)}</b> of its parameters${
    latency && html`, and <b>${speedOf(latency).predicate()}</b>`
  }.
${qualitySentence(report)}`;
}

/** The weights of the original, those of them that are not 0, and those that are left, where single ones went. */
function weightsOf({
  sparsity,
}: CompressReport):
  | { readonly all: number; readonly before: number; readonly left: number }
  | undefined {
  if (sparsity.length === 0) return undefined;
  const sum = (figureOf: (layer: CompressReport["sparsity"][number]) => number) =>
    sparsity.reduce((total, layer) => total + figureOf(layer), 0);
  return {
    all: sum(({ before }) => before.weights),
    before: sum(({ before }) => before.nonZero),
    left: sum(({ after }) => after.nonZero),
  };
}

function qualitySentence(report: CompressReport): Html {
  const { baseline, result, metric, task } = report;
  const words = metricOnPage(metric);
  const name = sentence(words.name).slice(0, -1);
  if (baseline.value === null || result.value === null) {
    const { samples } = result.select;
    return html`${name} on the ${countedOnPage(samples, imageNoun(task))} that the search used:
<b>${words.value(baseline.select.value)} → ${words.value(result.select.value)}</b>. There was no test data, so this figure
flatters the result.`;
  }
  return html`${name} on ${countedOnPage(result.samples, `test ${imageNoun(task)}`)}:
<b>${words.value(baseline.value)} → ${words.value(result.value)}</b>.`;
}

/** What a sample of a task is called. */
export function imageNoun(task: CompressReport["task"]): string {
  return task === "custom" ? "sample" : "image";
}

/** Whether what was certified rests on few images. */
export function restsOnFew({ looks, asked, metric }: CompressReport): boolean {
  const look = looks.findLast(({ passed }) => passed);
  return (
    look !== undefined && isFew(look, metricOnPage(metric).isShare ? asked.maxDrop : undefined)
  );
}

/** What was promised, and whether it was kept. */
function verdictOf(report: CompressReport): Html {
  const { drop, asked, outcome } = report;
  const isAsked = asked.maxDrop !== undefined;
  const isGood = outcome.isReached && (drop.certified || !isAsked);
  const isSure = drop.certified && !restsOnFew(report);
  const verdict = drop.certified ? "Certified" : "Not certified";
  // The outcome may repeat what was said of the drop.
  const rest = outcome.words.replace(drop.words, "").trim();
  return html`<div class="verdict ${!isGood ? "bad" : isSure && "good"}">
<p>${isAsked ? emphasised(sentence(drop.words), verdict, drop.certified ? (isSure ? "good" : "") : "bad") : sentence(drop.words)}</p>
${rest !== "" && html`<p>${outcome.isReached ? sentence(rest) : emphasised(sentence(rest), "Not all was reached", "bad")}</p>`}
</div>`;
}

/** A sentence whose beginning stands out: `start`, which is put before it unless it is there. */
function emphasised(text: string, start: string, kind: "good" | "bad" | ""): Html {
  return text.startsWith(start)
    ? html`<b class="${kind}">${start}</b>${text.slice(start.length)}`
    : html`<b class="${kind}">${start}.</b> ${text}`;
}

/** Five figures, more where single weights went; of a network that is as it was nothing is to be compared. */
function cardsOf(report: CompressReport): readonly Card[] {
  const cards = [qualityCard(report), ...sizeCards(report), ...latencyCards(report)];
  if (!isUnchanged(report)) return [...cards, ...weightCards(report)];
  return cards.map(({ title, before }) => ({ title, before, after: before, change: "unchanged" }));
}

interface Card {
  readonly title: Part;
  readonly after: string;
  readonly before: string;
  readonly change: Part;
  /** Share of the original that is left; draws a bar. */
  readonly share?: number;
}

function drawCard({ title, after, before, change, share }: Card): Html {
  const width = share === undefined ? 0 : Math.min(100, Math.max(0.5, 100 * share));
  return html`<div class="card"><dt>${title}</dt>
<dd class="value">${after}</dd>
<dd class="was">was ${before}</dd>
<dd class="change">${change}${
    share !== undefined &&
    html`<div class="share" aria-hidden="true"><i style="width:${width.toFixed(1)}%"></i></div>`
  }</dd></div>
`;
}

function qualityCard(report: CompressReport): Card {
  const { baseline, result, metric, drop } = report;
  const words = metricOnPage(metric);
  const isOnTest = baseline.value !== null && result.value !== null;
  const [before, after] = isOnTest ? [baseline, result] : [baseline.select, result.select];
  const change = (after.value ?? 0) - (before.value ?? 0);
  const interval =
    isOnTest && drop.ci95 !== null ? ([-drop.ci95[1], -drop.ci95[0]] as const) : undefined;
  return {
    title: `${sentence(words.name).slice(0, -1)}, ${isOnTest ? "test" : "search data"}`,
    after: words.value(after.value ?? 0),
    before: words.value(before.value ?? 0),
    change: [
      html`<b>${signed(change, words.difference)}</b>`,
      interval &&
        html`<br><span class="muted">95 %: ${signedInterval(interval, words.amount)}</span>`,
    ],
  };
}

function sizeCards({ baseline, result }: CompressReport): readonly Card[] {
  const card = (
    title: string,
    write: (value: number) => string,
    before: number,
    after: number,
  ): Card => ({
    title,
    before: spaced(write(before)),
    after: spaced(write(after)),
    share: after / before,
    change: html`<b>${formatShare(after / before)}</b> left${
      before / after >= 1.05 &&
      html`<br><span class="muted">${timesOf(before, after)} times less</span>`
    }`,
  });
  return [
    card("MACs", formatCount, baseline.macs, result.macs),
    card("Parameters", formatCount, baseline.params, result.params),
    card("File size", formatBytes, baseline.sizeBytes, result.sizeBytes),
  ];
}

/** Where single weights went: how many are left, and what that takes, which the file does not show. */
function weightCards(report: CompressReport): readonly Card[] {
  const weights = weightsOf(report);
  if (weights === undefined) return [];
  const { all, before, left } = weights;
  const { packing, baseline } = report;
  const counts: Card = {
    title: "Weights that are not 0",
    before: spaced(formatCount(before)),
    after: spaced(formatCount(left)),
    share: left / all,
    change: html`<b>${formatShare(left / all)}</b> of all weights`,
  };
  if (packing === undefined || "skipped" in packing) return [counts];
  const { bytes } = packing;
  return [
    counts,
    {
      title: "If packed",
      before: spaced(formatBytes(baseline.sizeBytes)),
      after: spaced(formatBytes(bytes)),
      share: bytes / baseline.sizeBytes,
      change: html`<b>${timesOf(baseline.sizeBytes, bytes)} times</b> less<br><span
class="muted">in steps of 8 bits, not measured</span>`,
    },
  ];
}

/** The latency, where it was measured. */
function latencyCards({
  baseline: { latencyMs: beforeMs },
  result: { latencyMs: afterMs },
  latency,
}: CompressReport): readonly Card[] {
  if (latency === undefined || beforeMs === undefined || afterMs === undefined) return [];
  const { words, interval } = speedOf(latency);
  return [
    {
      title: `Latency, ${countedOnPage(latency.threads, "thread")}`,
      before: spaced(formatMs(beforeMs)),
      after: spaced(formatMs(afterMs)),
      share: latency.ratio,
      change: html`<b>${words}</b><br><span class="muted">${interval}</span>`,
    },
  ];
}
