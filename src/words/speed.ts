/** @file Sentences about the speeds of two networks. */

/** A ratio of latencies, this network's to the other's, and its 95 % interval. */
interface LatencyRatio {
  readonly ratio: number;
  readonly ci95: readonly [lower: number, upper: number];
}

/** The comparison of two speeds in words, as far as the interval of their ratio supports it. */
export interface Speed {
  readonly verdict: "faster" | "slower" | "no difference shown";
  /** `1.90 times as fast`, `slower, 1.25 times as long`, `no difference shown`. */
  readonly words: string;
  /**
   * The predicate of a sentence about the network: `runs 1.90 times as fast`, with `as net.onnx` where another network
   * is named.
   */
  readonly predicate: (other?: string) => string;
  /** The interval in the terms of the words: `95 %: 1.87 to 1.93`. */
  readonly interval: string;
}

/**
 * The words for a ratio: a network is called faster or slower only where its whole interval lies on that side of 1. An
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

/** The number with two decimals, and with more where two would show 1.00 for a number that is not 1. */
function times(value: number): string {
  const digits = [2, 3, 4, 5, 6].find((count) => Number(value.toFixed(count)) !== 1) ?? 2;
  return value.toFixed(digits);
}
