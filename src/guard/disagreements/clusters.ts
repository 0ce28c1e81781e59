/**
 * @file Images that come in groups: frames of one video, shots of one burst. Their outcomes resemble each other, so that
 * they say less than as many images of their own.
 */
import type { Counts } from "./enumeration.ts";
import type { Unit } from "./wealth.ts";

/** With fewer groups that are lost or won in part, their variance says too little. */
const fewestGroups = 10;

/**
 * By what factor the variance of the drop is larger than that of independent images: the design effect of Rao and
 * Scott ("A simple method for the analysis of clustered binary data", Biometrics 48, 1992), at least 1. Where fewer
 * than ten groups show a difference it is that of groups whose images are all alike, Σ m² / Σ m.
 */
export function designEffect(units: readonly Unit[]): number {
  const all = totalOf(units);
  if (units.every(({ size }) => size === 1)) return 1;
  const differing = units.filter(({ lost, won }) => lost + won > 0).length;
  if (differing < fewestGroups) return worstDesignEffect(units);
  const drop = (all.lost - all.won) / all.samples;
  const clustered = units.reduce(
    (sum, { size, lost, won }) => sum + (lost - won - drop * size) ** 2,
    0,
  );
  const alone =
    all.lost * (1 - drop) ** 2 +
    all.won * (1 + drop) ** 2 +
    (all.samples - all.lost - all.won) * drop ** 2;
  const effect = (clustered / alone) * (units.length / (units.length - 1));
  return Math.max(1, effect);
}

/** The design effect of groups whose images all share one fate. */
export function worstDesignEffect(units: readonly Pick<Unit, "size">[]): number {
  const total = units.reduce((sum, { size }) => sum + size, 0);
  return total === 0 ? 1 : units.reduce((sum, { size }) => sum + size * size, 0) / total;
}

/** The sums over units. */
export function totalOf(units: readonly Unit[]): Counts {
  let [lost, won, samples] = [0, 0, 0];
  for (const unit of units) {
    lost += unit.lost;
    won += unit.won;
    samples += unit.size;
  }
  return { lost, won, samples };
}

/** The counts that as many independent images would have shown: all divided by the design effect. */
export function effectiveCounts(units: readonly Unit[]): Counts & { readonly effect: number } {
  const { lost, won, samples } = totalOf(units);
  const effect = designEffect(units);
  return { lost: lost / effect, won: won / effect, samples: samples / effect, effect };
}
