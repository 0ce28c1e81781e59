/** @file What a round learnt of its units, as histograms that fit into a report. */
import { z } from "zod";
import type { PosteriorFacts } from "../../methods/method/learned-method.ts";
import type { Removed } from "../../structure/units/removal.ts";

const counts = z.object({ kept: z.array(z.number()), removed: z.array(z.number()) });
/** Ends of a logarithmic scale, as powers of 10; bins are equally wide on it. */
const scale = z.object({ from: z.number(), to: z.number() });

/** KL in nats, and ratio of signal to noise, of the units of each group. */
export const posteriorRecord = z.object({
  kl: scale,
  snr: scale,
  groups: z.array(
    z.object({
      id: z.string(),
      units: z.number(),
      /** Units of which the data tell nothing, by the method's own threshold. */
      dead: z.number(),
      kl: counts,
      snr: counts,
    }),
  ),
});

/** What a round learnt of its units. */
export type PosteriorRecord = z.output<typeof posteriorRecord>;

/** Bins of each histogram. */
const posteriorBins = 24;

/** What is smaller counts as this: a logarithm has no place for 0. */
const least = 1e-6;

/** The histograms of what was learnt, by what was removed; `undefined` where nothing was. */
export function posteriorRecordOf(
  facts: readonly PosteriorFacts[],
  removed: Removed,
): PosteriorRecord | undefined {
  if (facts.length === 0) return undefined;
  const [kl, snr] = [
    scaleOf(facts.flatMap((own) => own.kl)),
    scaleOf(facts.flatMap((own) => own.snr)),
  ];
  return {
    kl,
    snr,
    groups: facts.map(({ group, units, dead, members, ...own }) => {
      const isRemoved = members.map((unit) => removed[unit] === 1);
      return {
        id: group,
        units,
        dead,
        kl: countsOf(own.kl, kl, isRemoved),
        snr: countsOf(own.snr, snr, isRemoved),
      };
    }),
  };
}

function logOf(value: number): number {
  return Math.log10(Math.max(least, Math.min(value, 1 / least)));
}

function scaleOf(values: readonly number[]): PosteriorRecord["kl"] {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    from = Math.min(from, logOf(value));
    to = Math.max(to, logOf(value));
  }
  return to - from > 1e-9 ? { from, to } : { from: from - 0.5, to: to + 0.5 };
}

function countsOf(
  values: readonly number[],
  { from, to }: PosteriorRecord["kl"],
  isRemoved: readonly boolean[],
): z.output<typeof counts> {
  const [kept, removed] = [0, 1].map(() => new Array<number>(posteriorBins).fill(0));
  for (const [i, value] of values.entries()) {
    const place = Math.floor(((logOf(value) - from) / (to - from)) * posteriorBins);
    const bin = Math.min(posteriorBins - 1, Math.max(0, place));
    (isRemoved[i] ? removed : kept)[bin]++;
  }
  return { kept, removed };
}
