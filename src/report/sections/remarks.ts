/** @file Remarks besides the figures: failures, and limits of the evidence. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { speedOf, whySlower } from "../../words/speed.ts";
import { whatMakesFaster } from "../page/advice.ts";
import { formatDrop, metricOnPage, sentence } from "../page/figures.ts";
import { html, type Part } from "../page/html.ts";
import type { Section } from "../page/page.ts";

/** Longer lists are cut. */
const mostRemarks = 40;

/** In plain words; nothing where all went well. */
export function remarksOf(report: CompressReport): Section | undefined {
  const wrong = [...troublesOf(report), ...report.warnings.map(sentence)];
  const notes = [...limitsOf(report), ...report.notes.map(sentence)];
  if (wrong.length + notes.length === 0) return undefined;
  return {
    id: "remarks",
    title: wrong.length > 0 ? "What went wrong, and what to know" : "What to know",
    body: [listOf(wrong, "bad"), listOf(notes, "")],
  };
}

function listOf(texts: readonly string[], kind: string): Part {
  if (texts.length === 0) return undefined;
  const shown = texts.slice(0, mostRemarks);
  const left = texts.length - shown.length;
  return html`<div class="verdict ${kind}">
${shown.map((text) => html`<p>${text}</p>\n`)}${left > 0 && html`<p>${left} more are in report.json.</p>`}</div>`;
}

/** Failures that follow from the figures and have no warning of their own. */
function troublesOf(report: CompressReport): readonly string[] {
  const { rounds, verification, metric } = report;
  const words = metricOnPage(metric);
  const troubles: string[] = [];
  if (!verification.passed)
    troubles.push("The verification failed: the smaller network does not compute what it must.");
  for (const { round, attempts, isAccepted } of rounds) {
    if (isAccepted || attempts.length === 0) continue;
    const last = attempts[attempts.length - 1];
    const why = last.reason ?? `a drop of ${formatDrop(last.drop, words.difference)}`;
    const failed =
      attempts.length === 1 ? "its one attempt was not" : `none of ${attempts.length} attempts was`;
    troubles.push(sentence(`Round ${round} failed: ${failed} accepted. The last one: ${why}`));
  }
  return troubles;
}

/** The limits of the figures. */
function limitsOf(report: CompressReport): readonly string[] {
  const { hasLabels, result } = report;
  const limits: string[] = [];
  if (!hasLabels)
    limits.push(
      "The data have no labels: the figures say how often the networks agree, not how often they are right.",
    );
  if (result.value === null)
    limits.push(
      "There are no test data, so no figure here is from data that had no part in the choice.",
    );
  return [...limits, ...speedLimits(report)];
}

/** Fewer multiply-accumulates that brought no speed: which operators take longer, and what may help. */
function speedLimits({ result, baseline, latency }: CompressReport): readonly string[] {
  if (latency === undefined || result.macs >= baseline.macs) return [];
  const { verdict } = speedOf(latency);
  if (verdict === "faster") return [];
  if (verdict === "slower")
    return [
      `Slower than the original on this machine, with fewer multiply-accumulates. ${whySlower(latency.slowerOperators)} ${whatMakesFaster}`,
    ];
  return [
    `Fewer multiply-accumulates, but not shown to be faster on this machine. ${whatMakesFaster}`,
  ];
}
