/** @file The page of a compression. */
import type { CompressReport } from "../compress/record/compress-report.ts";
import { countedOnPage } from "./page/figures.ts";
import { documentOf } from "./page/page.ts";
import { shellFlag, shellPath } from "./page/shell.ts";
import { checksOf } from "./sections/certainty.ts";
import { type Examples, examplesOf } from "./sections/examples.ts";
import { headlineOf, isUnchanged, titleOf } from "./sections/headline.ts";
import { layersOf } from "./sections/layers.ts";
import { posteriorOf } from "./sections/posterior.ts";
import { qualityOf } from "./sections/quality.ts";
import { remarksOf } from "./sections/remarks.ts";
import { reproductionOf } from "./sections/reproduction.ts";
import { sensitivityOf } from "./sections/sensitivity.ts";
import { isSafe, shipOf } from "./sections/ship.ts";
import { type Supports, sparsityOf } from "./sections/sparsity.ts";
import { tradeOffOf } from "./sections/trade-off.ts";
import { trainingOf } from "./sections/training.ts";

/** What is drawn besides the report. */
export interface Extras {
  /** `config.json` as it was read. */
  readonly config: unknown;
  /** The name of the run's folder, for commands to copy. */
  readonly run: string;
  /** Where the data lay; for commands to copy. */
  readonly data: string;
  /** The command that makes the run again; none where no command does. */
  readonly again?: string;
  /** A few images with their maps, of a network that segments. */
  readonly examples?: Examples;
  /** Where the weights of a result with zeros stand. */
  readonly supports?: Supports;
}

/** `report.html`: one file that needs no other. The same arguments give the same text. */
export function drawReport(report: CompressReport, extras: Extras): string {
  const { config, run, data, again, examples, supports = new Map() } = extras;
  const sections = [
    ...(isSafe(report)
      ? [shipOf(report, run), remarksOf(report)]
      : [remarksOf(report), shipOf(report, run)]),
    tradeOffOf(report),
    ...(isUnchanged(report) ? [] : [examplesOf(report, examples), layersOf(report)]),
    sparsityOf(report, supports),
    ...(isUnchanged(report) ? [] : [qualityOf(report)]),
    posteriorOf(report),
    sensitivityOf(report),
    trainingOf(report),
    checksOf(report),
    reproductionOf({
      config,
      facts: factsOf(report),
      again,
      onward: isUnchanged(report) ? [] : onwardFrom(run, data),
    }),
  ].filter((section) => section !== undefined);
  return documentOf({
    title: `${titleOf(report.network)} compressed: report of Espalier`,
    header: headlineOf(report),
    sections,
  });
}

function onwardFrom(run: string, data: string): readonly (readonly [string, string])[] {
  const files = [run, `${run}/model.onnx`, `${run}/original.onnx`, `${run}-tuned`].map(shellPath);
  const [, model, original, tuned] = files;
  return [
    [
      "To tune the result further, with the original as its teacher:",
      `espalier train ${model} ${shellFlag("--data", data)} --distill ${original} -o ${tuned}`,
    ],
  ];
}

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
    ...(latency === undefined
      ? []
      : [
          [
            "latency on",
            `${latency.provider}, ${countedOnPage(latency.threads, "thread")}`,
          ] as const,
        ]),
    ["digest of original.onnx", digests.original],
    ["digest of model.onnx", digests.model],
    ["digest of the data", digests.data],
  ];
}
