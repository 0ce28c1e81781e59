/** @file A forecast of the drops that the guard can certify, from the number of images alone. */

import { largestUnseen, samplesToCertify } from "../../guard/guard.ts";
import { levelOf, mostRungs } from "../../guard/ladder.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";

/** The tolerances that can be certified where original and result disagree on a share of the images. */
export interface Outlook {
  /** The share of images on which just one of the two is right. */
  readonly discordance: number;
  /** Images that it takes to certify the tolerance, were no drop observed. */
  readonly samplesNeeded: number;
  readonly isEnough: boolean;
  /** The smallest tolerance that the images at hand certify, were no drop observed. */
  readonly smallestTolerance: number;
}

/** The forecast for the guard of the tolerance. */
export interface GuardOutlook {
  readonly maxDrop: number;
  readonly confidence: number;
  /** The one-sided level of each test. */
  readonly level: number;
  /** Networks that are tested at most, in the main ladder and again in the milder one. */
  readonly rungs: number;
  /** Images of `certify`. */
  readonly samples: number;
  /** The largest share of all images that a kind of image may make up and still be missing among these. */
  readonly largestUnseen: number;
  /** Empty where the metric is none of right and wrong answers: its spread is not known beforehand. */
  readonly outlooks: readonly Outlook[];
}

/** Discordances between a network and its fine-tuned remainder, from mild to harsh. */
const discordances = [0.01, 0.03, 0.05] as const;

/** Foretells what `samples` images certify; `isRightOrWrong`: the metric is a share of right answers. */
export function guardOutlook(
  { maxDrop, confidence }: Pick<GuardOutlook, "maxDrop" | "confidence">,
  samples: number,
  isRightOrWrong: boolean,
): GuardOutlook {
  const level = levelOf(confidence);
  const isTold = isRightOrWrong && maxDrop > 0;
  return {
    maxDrop,
    confidence,
    level,
    rungs: mostRungs,
    samples,
    largestUnseen: samples === 0 ? 1 : largestUnseen(samples, level),
    outlooks: (isTold ? discordances : []).map((discordance) => {
      const samplesNeeded = samplesToCertify({ variance: discordance, maxDrop, level });
      return {
        discordance,
        samplesNeeded,
        isEnough: samples >= samplesNeeded,
        smallestTolerance: smallestTolerance(discordance, samples, level),
      };
    }),
  };
}

/** The tolerance for which {@link samplesToCertify} gives so many samples; 1 at most. */
function smallestTolerance(variance: number, samples: number, level: number): number {
  if (samples === 0) return 1;
  const perSample = normalQuantile(1 - level) ** 2 / samples;
  return Math.min(1, perSample >= variance ? perSample : Math.sqrt(perSample * variance));
}
