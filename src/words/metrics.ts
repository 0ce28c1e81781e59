/** @file What metrics are called, and how their values and differences are written. */
import { inPercent, inPoints, inShortPoints } from "./numbers.ts";

/** Metrics that are shares of all: what they are called. */
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

/** How a metric reads. Names of metrics that a user made are as they are: whoever shows them escapes them. */
export interface MetricWords {
  /** `accuracy`. */
  readonly name: string;
  /** Whether it is a share of all, in [0, 1], which is written in percent, and its differences in points. */
  readonly isShare: boolean;
  /** A value of it: `92.96 %`. */
  readonly value: (value: number) => string;
  /** A difference, at least 0: `0.25 points`. */
  readonly difference: (value: number) => string;
  /** The same without zeros at the end, for sentences: `1 point`. */
  readonly shortDifference: (value: number) => string;
  /** A difference, at least 0, without its unit. */
  readonly amount: (value: number) => string;
  /** What differences are counted in. */
  readonly unit: string;
}

/** How to write of a metric; one that is not known keeps its name and its plain numbers. */
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

/** A metric and its value: `accuracy 92.96 %`; of a negative loss the loss. */
export function describeMetric(metric: string, value: number): string {
  if (metric === "objective") return `loss ${(-value).toPrecision(4)}`;
  const words = metricWords(metric);
  return `${words.name} ${words.value(value)}`;
}

function shortPoints(value: number): string {
  const text = inShortPoints(value);
  return `${text} ${text === "1" ? "point" : "points"}`;
}
