/** @file What `evaluate` shows a person. */
import type { Evaluation } from "../measure/evaluate.ts";
import type { SegmentationEvaluation } from "../measure/segmentation.ts";
import type { Estimate } from "../measure/statistics.ts";
import type { ClassificationEvaluation } from "../measure/tally.ts";
import { inPercent, metricWords } from "../measure/words.ts";
import { formatInteger } from "../report/text.ts";
import type { Io } from "./io.ts";
import { drawFacts, drawTable } from "./table.ts";

/** The figures as tables; those of single classes where they are asked for. */
export function describeEvaluation(evaluation: Evaluation, showsClasses: boolean, io: Io): string {
  const { samples, split, output, classes, outputKind } = evaluation;
  const isMaps = evaluation.metric === "miou";
  const table = drawTable(
    [
      { title: "metric" },
      { title: "value", align: "right" },
      { title: "95 % interval", align: "right" },
    ],
    isMaps ? mapRows(evaluation) : classRows(evaluation),
    io,
  );
  const facts = drawFacts(
    [
      [isMaps ? "images" : "samples", `${formatInteger(samples)} (${split})`],
      ["output", `${output}, ${classes} classes, ${outputKind}`],
    ],
    io.columns,
  );
  if (isMaps) return [table, facts, describeOverlaps(evaluation, io)].join("\n");
  return [table, facts, ...(showsClasses ? [describeClasses(evaluation, io)] : [])].join("\n");
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
        `accuracy of the surest ${inPercent(part, 0)}`,
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
