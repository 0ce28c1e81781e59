/** @file The page of a compression. */
import type { CompressReport } from "../compress/compress-report.ts";
import { guardOf, verificationOf } from "./certainty.ts";
import { type Examples, examplesOf } from "./examples.ts";
import { counted } from "./figures.ts";
import { headlineOf, isUnchanged, titleOf } from "./headline.ts";
import { html } from "./html.ts";
import { costsOf, widthsOf } from "./layers.ts";
import { packingOf } from "./packing.ts";
import { documentOf } from "./page.ts";
import { posteriorOf } from "./posterior.ts";
import { calibrationOf, classesOf } from "./quality.ts";
import { remarksOf } from "./remarks.ts";
import { reproductionOf } from "./reproduction.ts";
import { sensitivityOf } from "./sensitivity.ts";
import { type Supports, sparsityOf } from "./sparsity.ts";
import { tradeOffOf } from "./trade-off.ts";
import { trainingOf } from "./training.ts";
import { uncertaintyOf } from "./uncertainty.ts";

/** What is drawn besides the report. */
export interface Extras {
  /** `config.json` as it was read. */
  readonly config: unknown;
  /** Of segmentation. */
  readonly examples?: Examples;
  /** Of a result with zeros. */
  readonly supports?: Supports;
}

/** `report.html`: one file that needs no other. The same arguments give the same text. */
export function drawReport(report: CompressReport, extras: Extras): string {
  const { config, examples, supports = new Map() } = extras;
  const sections = [
    remarksOf(report),
    tradeOffOf(report),
    examplesOf(report, examples),
    ...(isUnchanged(report) ? [] : [widthsOf(report), costsOf(report)]),
    sparsityOf(report, supports),
    packingOf(report),
    trainingOf(report),
    posteriorOf(report),
    sensitivityOf(report),
    ...(isUnchanged(report)
      ? []
      : [classesOf(report), calibrationOf(report), uncertaintyOf(report)]),
    guardOf(report),
    verificationOf(report),
    reproductionOf(config, factsOf(report), files),
  ].filter((section) => section !== undefined);
  return documentOf({
    title: `${titleOf(report.network)} compressed: report of Espalier`,
    header: headlineOf(report),
    sections,
    footer,
  });
}

const files = html`All figures of this page are in <code>report.json</code> beside it, and <code>espalier verify</code> with
this folder computes them anew.`;

/** What stands under every page. */
export const footer = html`<p>Drawn by Espalier from <code>report.json</code>. This page is complete in itself: it loads
nothing and runs no scripts.</p>`;

function factsOf(report: CompressReport): readonly (readonly [string, string])[] {
  const { network, method, methodOptions, seed, samples, latency, digests } = report;
  const options = Object.entries(methodOptions).map(([name, value]) => `${name}=${value}`);
  const roles = [
    `${samples.fit} fit`,
    `${samples.select} select`,
    `${samples.certify} certify`,
    `${samples.test} test`,
  ];
  return [
    ["network", network],
    ["method", [method, ...options].join(" ")],
    ["seed", String(seed)],
    ["samples", roles.join(", ")],
    ["latency on", `${latency.provider}, ${counted(latency.threads, "thread")}`],
    ["digest of original.onnx", digests.original],
    ["digest of model.onnx", digests.model],
    ["digest of the data", digests.data],
  ];
}
