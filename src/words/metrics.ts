/** @file The names of metrics, and the form of their values and differences in text. */
import { inPercent, inPoints, inShortPoints } from "./numbers.ts";

/** The names of metrics that are shares in [0, 1]. */
const shares: ReadonlyMap<string, string> = new Map([
  ["top1", "accuracy"],
  ["top5", "top-5 accuracy"],
  ["accuracy", "pixel accuracy"],
  ["pixelAccuracy", "pixel accuracy"],
  ["miou", "mean IoU"],
  ["dice", "Dice"],
  ["agreement", "agreement with the original"],
  ["similarity", "similarity to the original's outputs"],
]);

/**
 * The form of a metric in text. Names of a user's own metrics are not escaped here: whoever shows them escapes them.
 */
export interface MetricWords {
  /** The metric's name, such as `accuracy`. */
  readonly name: string;
  /** Whether the metric is a share in [0, 1], which is written in percent, with differences in points. */
  readonly isShare: boolean;
  /** A value, such as `92.96 %`. */
  readonly value: (value: number) => string;
  /** A difference, at least 0, such as `0.25 points`. */
  readonly difference: (value: number) => string;
  /** A difference without trailing zeros, for sentences, such as `1 point`. */
  readonly shortDifference: (value: number) => string;
  /** A difference, at least 0, without its unit. */
  readonly amount: (value: number) => string;
  /** The unit of differences. */
  readonly unit: string;
}

/** The form of a metric in text; an unknown metric keeps its name and its plain numbers. */
export function metricWords(metric: string): MetricWords {
  const share = shares.get(metric);
  if (share !== undefined)
    return {
      name: share,
      isShare: true,
      value: (value) => inPercent(value, 2),
      difference: (value) => `${inPoints(value)} points`,
      shortDifference: shortPoints,
      amount: inPoints,
      unit: "points",
    };
  const plain = (value: number) => String(Number(value.toPrecision(3)));
  return {
    name: metric === "objective" ? "negative loss" : metric,
    isShare: false,
    value: (value) => String(Number(value.toPrecision(4))),
    difference: plain,
    shortDifference: plain,
    amount: plain,
    unit: metric,
  };
}

/** A metric and its value, such as `accuracy 92.96 %`; a negative loss is shown as the loss. */
export function describeMetric(metric: string, value: number): string {
  if (metric === "objective") return `loss ${(-value).toPrecision(4)}`;
  const words = metricWords(metric);
  return `${words.name} ${words.value(value)}`;
}

function shortPoints(value: number): string {
  const text = inShortPoints(value);
  return `${text} ${text === "1" ? "point" : "points"}`;
}
