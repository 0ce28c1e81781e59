/** @file The figures of a report that follow from what networks did on each sample. */
import { calibrationError, reliability } from "../../measure/evaluation/classification.ts";
import { overlapOf, overlapsOf, sumOfRows } from "../../measure/evaluation/confusion.ts";
import { metricOf, type Outcomes, pairedDrop, samplesOf } from "../../measure/outcomes/outcomes.ts";
import type { CompressReport, Measured } from "./compress-report.ts";

/** A metric on a role, as it is written down. */
export function measuredOf(outcomes: Outcomes): Measured {
  const { value, ci95, loss } = metricOf(outcomes);
  return {
    value,
    ci95: [ci95[0], ci95[1]],
    samples: samplesOf(outcomes),
    ...(loss === undefined ? {} : { loss }),
  };
}

/** The metric of one side on `test`; nulls where there is no such data. */
export function testFigures(
  test: Outcomes | undefined,
): Pick<CompressReport["result"], "value" | "ci95" | "loss" | "samples"> {
  const measured = test && measuredOf(test);
  return {
    value: measured?.value ?? null,
    ci95: measured?.ci95 ?? null,
    loss: measured?.loss ?? null,
    samples: measured?.samples ?? 0,
  };
}

/** What is lost on `test`, sample by sample, and its two-sided interval. */
export function dropFigures(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): Pick<CompressReport["drop"], "value" | "ci95"> {
  if (before === undefined || after === undefined) return { value: null, ci95: null };
  const { drop, ci95 } = pairedDrop(before, after, { level: 0.025 });
  return { value: drop, ci95: [ci95[0], ci95[1]] };
}

/** What the metric is called, and what it is about. */
export function kindOf(
  outcomes: Outcomes,
  hasLabels: boolean,
): Pick<CompressReport, "metric" | "task"> {
  const labelled = (metric: string) => (hasLabels ? metric : "agreement");
  switch (outcomes.kind) {
    case "classes":
      return { metric: labelled("top1"), task: "classification" };
    case "maps":
      return { metric: labelled("miou"), task: "segmentation" };
    case "outputs":
      return { metric: "similarity", task: "outputs" };
    case "values":
      return { metric: outcomes.metric, task: "custom" };
    default:
      return outcomes satisfies never;
  }
}

/** Reliability of classifiers on `test`; null for all else. */
export function calibrationOf(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
): CompressReport["calibration"] {
  if (before?.kind !== "classes" || after?.kind !== "classes") return null;
  const sideOf = ({ predictions: { confidences, isCorrect } }: typeof before) => ({
    ece: calibrationError(confidences, isCorrect)(confidences.map((_, i) => i)),
    bins: [...reliability(confidences, isCorrect)],
  });
  return { before: sideOf(before), after: sideOf(after) };
}

/** Each class on `test`: accuracy of its samples, or its IoU. */
export function classesOf(
  before: Outcomes | undefined,
  after: Outcomes | undefined,
  names: readonly string[] | null,
): CompressReport["classes"] {
  if (before === undefined || after === undefined) return [];
  const [first, second] = [before, after].map(perClass);
  return first.map(({ samples, value }, label) => ({
    label,
    name: names?.[label] ?? null,
    samples,
    before: value,
    after: second[label]?.value ?? null,
  }));
}

/** Accuracy of the samples of each class, or its IoU with its pixels. */
function perClass(
  outcomes: Outcomes,
): readonly { readonly samples: number; readonly value: number | null }[] {
  if (outcomes.kind === "values" || outcomes.kind === "outputs") return [];
  if (outcomes.kind === "maps") {
    const overlaps = overlapsOf(outcomes);
    const sum = sumOfRows(
      overlaps,
      Int32Array.from({ length: overlaps.images }, (_, i) => i),
    );
    return Array.from({ length: outcomes.classes }, (_, label) => {
      const { iou, pixels } = overlapOf(sum, outcomes.classes, label);
      return { samples: pixels, value: iou };
    });
  }
  const { labels, isCorrect } = outcomes.predictions;
  const counts = Array.from({ length: Math.max(0, ...labels) + 1 }, () => ({
    samples: 0,
    right: 0,
  }));
  for (const [i, label] of labels.entries()) {
    counts[label].samples++;
    counts[label].right += isCorrect[i];
  }
  return counts.map(({ samples, right }) => ({
    samples,
    value: samples === 0 ? null : right / samples,
  }));
}
