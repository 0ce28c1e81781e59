/** @file Sentences about the speeds of two networks. */
import { formatMs } from "./numbers.ts";

/** A ratio of latencies, this network's to the other's, and its 95 % interval. */
interface LatencyRatio {
  readonly ratio: number;
  readonly ci95: readonly [lower: number, upper: number];
}

/** What may be said of two speeds. */
export type SpeedVerdict = "faster" | "slower" | "no difference shown";

/** The comparison of two speeds in words, as far as the interval of their ratio supports it. */
export interface Speed {
  readonly verdict: SpeedVerdict;
  /** `faster: 1.90 times as fast`, `slower: 1.25 times as long`, `no difference shown`. */
  readonly words: string;
  /**
   * The predicate of a sentence about the network: `runs 1.90 times as fast`; where another network is named, `is
   * faster than net.onnx: it runs 1.90 times as fast`.
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
  const faster = `${times(1 / ratio)} times as fast`;
  const slower = `${times(ratio)} times as long`;
  if (upper < 1)
    return {
      verdict: "faster",
      words: `faster: ${faster}`,
      predicate: (other) =>
        other === undefined ? `runs ${faster}` : `is faster than ${other}: it runs ${faster}`,
      interval: `95 %: ${times(1 / upper)} to ${times(1 / lower)}`,
    };
  if (lower > 1)
    return {
      verdict: "slower",
      words: `slower: ${slower}`,
      predicate: (other) => `is slower${named(other, "than")}: it takes ${slower}`,
      interval: `95 %: ${times(lower)} to ${times(upper)}`,
    };
  return {
    verdict: "no difference shown",
    words: "no difference shown",
    predicate: (other) => `shows no difference in speed${named(other, "from")}`,
    interval: `95 %: ${times(1 / upper)} to ${times(1 / lower)} times as fast`,
  };
}

/** An operator that takes longer in a network than in the one that it was made from. */
interface SlowerOperator {
  readonly name: string;
  readonly opType: string;
  /** Whether ONNX Runtime inserts it: no node of the file has that name. */
  readonly isInserted: boolean;
  /** Operators that are counted together. */
  readonly count: { readonly before: number; readonly after: number };
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** So many operators are named, and the rest counted. */
const mostNamed = 4;

/** A sentence on the operators that make a network slower, from the greatest difference on. */
export function whySlower(operators: readonly SlowerOperator[]): string {
  if (operators.length === 0) return "No single operator takes longer by more than noise.";
  const named = operators
    .slice(0, mostNamed)
    .map(({ name, opType, isInserted, count, beforeMs, afterMs }) => {
      const about = isInserted ? `${count.before} before, ${count.after} now` : opType;
      return `${name} (${about}): ${formatMs(beforeMs)} before, ${formatMs(afterMs)} now`;
    });
  const rest = operators.length - named.length;
  const more = rest > 0 ? [`and ${rest} more`] : [];
  return `These operators take longer: ${[...named, ...more].join("; ")}.`;
}

/** The number with two decimals, and with more where two would show 1.00 for a number that is not 1. */
function times(value: number): string {
  const digits = [2, 3, 4, 5, 6].find((count) => Number(value.toFixed(count)) !== 1) ?? 2;
  return value.toFixed(digits);
}
