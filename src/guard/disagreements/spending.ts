/**
 * @file Levels of several looks at growing data, whose false alarms add up to one level.
 *
 * Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983): a function says how
 * much of the level is spent by the time a share of the data is seen. The one here resembles O'Brien and Fleming's
 * boundaries, which spend next to nothing early: 2 - 2 Φ(z / √share) with z the quantile at 1 - level / 2.
 */
import { assert } from "../../errors.ts";
import { normalCdf } from "../../tensor/gaussian.ts";
import { normalQuantile } from "../../tensor/normal-quantile.ts";

/** Points of the grid on which densities are kept; odd, for Simpson's rule. */
const points = 801;
/** Standard deviations at which densities are cut off. */
const reach = 8;

/**
 * The one-sided level of each look at the data so far, in the normal approximation.
 * @param level All looks together; in (0, 0.5).
 * @param shares Of all data, rising to 1.
 */
export function spendingLevels(level: number, shares: readonly number[]): readonly number[] {
  assert(level > 0 && level < 0.5, `a level, got ${level}`);
  assert(shares.at(-1) === 1 && shares.every((share, k) => share > (shares[k - 1] ?? 0)), "shares");
  const spent = (share: number) => 2 * normalCdf(normalQuantile(level / 2) / Math.sqrt(share));
  const levels: number[] = [];
  // The statistic is a Brownian motion at these shares; the density is that of motions not stopped so far.
  let density: Density | undefined;
  for (const [k, share] of shares.entries()) {
    const before = k === 0 ? 0 : shares[k - 1];
    const toSpend = spent(share) - (k === 0 ? 0 : spent(before));
    const bound = boundFor(toSpend, density, share - before);
    levels.push(normalCdf(-bound / Math.sqrt(share)));
    density = densityBelow(bound, density, share - before, share);
  }
  return levels;
}

/** A density on equally spaced points. */
interface Density {
  readonly at: Float64Array;
  /** Density times the weight of the point in Simpson's rule. */
  readonly mass: Float64Array;
}

/** Where a motion that goes on for `step` has to be cut off for a tail of this probability. */
function boundFor(probability: number, density: Density | undefined, step: number): number {
  let [low, high] = [0, 2 * reach];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (tailAbove(middle, density, step) > probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function tailAbove(bound: number, density: Density | undefined, step: number): number {
  const deviation = Math.sqrt(step);
  if (density === undefined) return normalCdf(-bound / deviation);
  let sum = 0;
  for (let i = 0; i < points; i++)
    sum += density.mass[i] * normalCdf((density.at[i] - bound) / deviation);
  return sum;
}

function densityBelow(
  bound: number,
  before: Density | undefined,
  step: number,
  share: number,
): Density {
  const lowest = -reach * Math.sqrt(share);
  const width = (bound - lowest) / (points - 1);
  const scale = 1 / Math.sqrt(2 * Math.PI * step);
  const at = Float64Array.from({ length: points }, (_, i) => lowest + i * width);
  const mass = at.map((x, i) => {
    let sum = 0;
    if (before === undefined) sum = Math.exp((-x * x) / (2 * step));
    else
      for (let j = 0; j < points; j++)
        sum += before.mass[j] * Math.exp(-((x - before.at[j]) ** 2) / (2 * step));
    const weight = i === 0 || i === points - 1 ? 1 : i % 2 === 1 ? 4 : 2;
    return (sum * scale * weight * width) / 3;
  });
  return { at, mass };
}
