/** @file What `evaluate` shows a person. */
import type { Evaluation } from "../../measure/evaluation/evaluate.ts";
import type { SegmentationEvaluation } from "../../measure/evaluation/segmentation.ts";
import type { SimilarityEvaluation } from "../../measure/evaluation/similarity.ts";
import type { ClassificationEvaluation } from "../../measure/evaluation/tally.ts";
import type { Estimate } from "../../measure/statistics/statistics.ts";
import { metricWords } from "../../words/metrics.ts";
import { formatInteger, inPercent } from "../../words/numbers.ts";
import type { Io } from "../terminal/io.ts";
import { drawFacts, drawTable } from "../terminal/table.ts";

/** Options for showing an evaluation. */
export interface EvaluationView {
  /** Whether the figures of single classes are shown, too. */
  readonly showsClasses: boolean;
  /** The network whose answers stand in for labels. */
  readonly against: string | undefined;
}

/** The figures as tables. */
export function describeEvaluation(
  evaluation: Evaluation,
  { showsClasses, against }: EvaluationView,
  io: Io,
): string {
  const { samples, split } = evaluation;
  const table = drawTable(
    [
      { title: "metric", isFlexible: true },
      { title: "value", align: "right" },
      { title: "95 % interval", align: "right" },
    ],
    rowsOf(evaluation, against !== undefined),
    io,
  );
  const facts = drawFacts(
    [
      [evaluation.metric === "miou" ? "images" : "samples", `${formatInteger(samples)} (${split})`],
      ...(against === undefined ? [] : [["against", against] as const]),
      ["output", describeOutput(evaluation)],
    ],
    io.columns,
  );
  if (evaluation.metric === "miou")
    return [table, facts, describeOverlaps(evaluation, io)].join("\n");
  const isClassifier = evaluation.metric === "top1" && showsClasses;
  return [table, facts, ...(isClassifier ? [describeClasses(evaluation, io)] : [])].join("\n");
}

function describeOutput(evaluation: Evaluation): string {
  if (evaluation.metric === "similarity")
    return evaluation.outputs.length === 1
      ? evaluation.outputs[0].output
      : `${evaluation.outputs.length} outputs`;
  const { output, classes, outputKind } = evaluation;
  return `${output}, ${classes} classes, ${outputKind}`;
}

function rowsOf(evaluation: Evaluation, isAgreement: boolean): string[][] {
  switch (evaluation.metric) {
    case "miou":
      return isAgreement ? mapAgreementRows(evaluation) : mapRows(evaluation);
    case "top1":
      return isAgreement ? agreementRows(evaluation) : classRows(evaluation);
    case "similarity":
      return similarityRows(evaluation);
    default:
      return evaluation satisfies never;
  }
}

/** The answers of another network are not ground truth, so losses and calibration against them are not shown. */
function agreementRows({ top1, top5, classes }: ClassificationEvaluation): string[][] {
  return [
    ["agreement", ...share(top1)],
    ...(classes > 5 ? [["its answer among the top five", ...share(top5)]] : []),
  ];
}

function mapAgreementRows({ miou, pixelAccuracy }: SegmentationEvaluation): string[][] {
  return [
    ["agreement (mean IoU)", ...share(miou)],
    ["pixels that agree", ...share(pixelAccuracy)],
  ];
}

function similarityRows({ value, ci95, outputs }: SimilarityEvaluation): string[][] {
  return [
    ["similarity of all outputs", ...share({ value, ci95 })],
    ...(outputs.length > 1
      ? outputs.map(({ output, ...own }) => [`similarity of ${output}`, ...share(own)])
      : []),
  ];
}

function classRows(evaluation: ClassificationEvaluation): string[][] {
  const { top1, top5, crossEntropy, calibrationError, brier, selective, classes } = evaluation;
  return [
    [metricWords("top1").name, ...share(top1)],
    ...(classes > 5 ? [[metricWords("top5").name, ...share(top5)]] : []),
    ["loss (nats)", ...number(crossEntropy)],
    ["calibration error", ...share(calibrationError)],
    ["Brier score", ...number(brier)],
    ...selective.coverage
      .filter(({ share: part }) => part < 1)
      .map(({ share: part, accuracy }) => [
        `accuracy of the most confident ${inPercent(part, 0)}`,
        ...share(accuracy),
      ]),
    ["area under risk-coverage", ...number(selective.riskArea)],
  ];
}

function mapRows(evaluation: SegmentationEvaluation): string[][] {
  const { miou, dice, pixelAccuracy, crossEntropy, calibrationError, brier } = evaluation;
  return [
    ["mean IoU", ...share(miou)],
    ["mean Dice", ...share(dice)],
    ["pixel accuracy", ...share(pixelAccuracy)],
    ["loss (nats)", ...number(crossEntropy)],
    ["calibration error", ...share(calibrationError)],
    ["Brier score", ...number(brier)],
  ];
}

function share({ value, ci95 }: Estimate): string[] {
  return [inPercent(value, 2), `${inPercent(ci95[0], 2)} to ${inPercent(ci95[1], 2)}`];
}

function number({ value, ci95 }: Estimate): string[] {
  return [value.toFixed(4), `${ci95[0].toFixed(4)} to ${ci95[1].toFixed(4)}`];
}

function describeClasses({ perClass }: ClassificationEvaluation, io: Io): string {
  return drawTable(
    [
      { title: "class", isFlexible: true },
      { title: "samples", align: "right" },
      { title: "right", align: "right" },
    ],
    perClass.map(({ label, name, samples, correct }) => [
      name ?? String(label),
      formatInteger(samples),
      samples === 0 ? "" : inPercent(correct / samples),
    ]),
    io,
  );
}

function describeOverlaps({ perClass }: SegmentationEvaluation, io: Io): string {
  const percent = (value: number | null) => (value === null ? "" : inPercent(value, 2));
  return drawTable(
    [
      { title: "class", isFlexible: true },
      { title: "pixels", align: "right" },
      { title: "IoU", align: "right" },
      { title: "Dice", align: "right" },
    ],
    perClass.map(({ label, name, pixels, iou, dice }) => [
      name ?? String(label),
      formatInteger(pixels),
      percent(iou),
      percent(dice),
    ]),
    io,
  );
}
