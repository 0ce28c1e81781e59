/** @file Two networks on the same samples: the paired difference of their accuracies. */
import { EspalierError } from "../../errors.ts";
import { pairedDifferenceInterval } from "../evaluation/classification.ts";
import type { Predictions } from "../evaluation/predictions.ts";
import type { Interval } from "../statistics/statistics.ts";

/** Two networks on the same samples. */
export interface PairedComparison {
  /** Accuracy of the second minus accuracy of the first. */
  readonly difference: number;
  /** Tango's score interval of `difference`, at the confidence asked for. */
  readonly interval: Interval;
  readonly onlyFirst: number;
  readonly onlySecond: number;
  readonly samples: number;
}

/**
 * Compares what two networks said about the same samples.
 * @throws EspalierError `DATA_MISMATCH` where the samples are not the same, in the same order.
 */
export function comparePaired(
  first: Predictions,
  second: Predictions,
  confidence = 0.95,
): PairedComparison {
  const samples = first.indices.length;
  const isSame = (index: number, i: number) =>
    index === second.indices[i] && first.labels[i] === second.labels[i];
  if (second.indices.length !== samples || !first.indices.every(isSame))
    throw new EspalierError("DATA_MISMATCH", "the two evaluations read different samples", {
      hint: "Evaluate both networks with the same data, split, seed and limit.",
    });
  let onlyFirst = 0;
  let onlySecond = 0;
  for (let i = 0; i < samples; i++) {
    if (first.isCorrect[i] > second.isCorrect[i]) onlyFirst++;
    if (first.isCorrect[i] < second.isCorrect[i]) onlySecond++;
  }
  const counts = { onlyFirst, onlySecond, samples };
  return {
    ...counts,
    difference: samples === 0 ? 0 : (onlySecond - onlyFirst) / samples,
    interval: pairedDifferenceInterval(counts, confidence),
  };
}
