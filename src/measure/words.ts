/** @file Figures as reports, notes, warnings and lines of progress word them: one wording for one thing. */

/** A share in [0, 1], in percent: `92.9 %`. */
export function inPercent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A metric or a drop of it, in points of a hundredth each: `1.20`. */
export function inPoints(value: number): string {
  return (100 * value).toFixed(2);
}

/** As {@link inPoints}, without zeros at the end: `1.2`. */
export function inShortPoints(value: number): string {
  return String(Number(inPoints(value)));
}

/** `853,018`. */
export function formatInteger(value: number): string {
  // Not toLocaleString, which loads its tables for 20 ms.
  return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** A counted noun: `1 image`, `1,500 images`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatInteger(count)} ${count === 1 ? noun : plural}`;
}

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

/** A ratio of latencies, this network's to the other's, and its 95 % interval. */
interface LatencyRatio {
  readonly ratio: number;
  readonly ci95: readonly [lower: number, upper: number];
}

/** How the speeds of two networks compare, as far as the interval of their ratio tells. */
export interface Speed {
  readonly verdict: "faster" | "slower" | "no difference shown";
  /** `1.90 times as fast`, `slower, 1.25 times as long`, `no difference shown`. */
  readonly words: string;
  /** What a sentence says of the network: `runs 1.90 times as fast`, with `as net.onnx` where another is named. */
  readonly predicate: (other?: string) => string;
  /** The interval, in the words' own terms: `95 %: 1.87 to 1.93`. */
  readonly interval: string;
}

/**
 * What may be said of a ratio: a network is called faster or slower only where the whole interval is. An
 * interval that holds 1 shows no difference, whatever the ratio.
 */
export function speedOf({ ratio, ci95: [lower, upper] }: LatencyRatio): Speed {
  const named = (text: string | undefined, preposition: string) =>
    text === undefined ? "" : ` ${preposition} ${text}`;
  if (upper < 1)
    return {
      verdict: "faster",
      words: `${times(1 / ratio)} times as fast`,
      predicate: (other) => `runs ${times(1 / ratio)} times as fast${named(other, "as")}`,
      interval: `95 %: ${times(1 / upper)} to ${times(1 / lower)}`,
    };
  if (lower > 1)
    return {
      verdict: "slower",
      words: `slower, ${times(ratio)} times as long`,
      predicate: (other) =>
        `is slower${named(other, "than")}: it takes ${times(ratio)} times as long`,
      interval: `95 %: ${times(lower)} to ${times(upper)}`,
    };
  return {
    verdict: "no difference shown",
    words: "no difference shown",
    predicate: (other) => `shows no difference in speed${named(other, "from")}`,
    interval: `95 %: ${times(1 / upper)} to ${times(1 / lower)} times as fast`,
  };
}

/** Two digits behind the point, and more where they would say 1.00 of what is not 1. */
function times(value: number): string {
  const digits = [2, 3, 4, 5, 6].find((count) => Number(value.toFixed(count)) !== 1) ?? 2;
  return value.toFixed(digits);
}
