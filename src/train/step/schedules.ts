/**
 * @file Learning-rate schedules: pure functions of the step, as factors of the base rate.
 *
 * Steps are counted from 0 to `total` - 1, over all epochs; a schedule is asked before each step. Those that
 * fall to 0 have that factor at the last step; an only step has the full rate.
 */

/** The factor of the learning rate at `step` of `total`. */
export type Schedule = (step: number, total: number) => number;

/** The share of the way from the first step (0) to the last (1). An only step is a first one. */
function progress(step: number, total: number): number {
  return total <= 1 ? 0 : Math.min(1, step / (total - 1));
}

/** Falls from 1 at share 0 to 0 at share 1, along half a cosine. */
function cosineFall(share: number): number {
  return (1 + Math.cos(Math.PI * share)) / 2;
}

/** Always 1. */
export function constant(): Schedule {
  return () => 1;
}

/**
 * Multiplies by `factor` at each of `milestones`, which are shares of the run: [0.5, 0.75] with
 * factor 0.1 gives 1, 0.1, 0.01.
 */
export function steps(milestones: readonly number[], factor = 0.1): Schedule {
  return (step, total) => factor ** milestones.filter((share) => step >= share * total).length;
}

/** Falls from 1 along half a cosine to `final` at the last step. Loshchilov and Hutter, "SGDR", 2017, eq. 5. */
export function cosine(final = 0): Schedule {
  return (step, total) => final + (1 - final) * cosineFall(progress(step, total));
}

/** Falls from 1 straight to `final` at the last step. */
export function linear(final = 0): Schedule {
  return (step, total) => 1 + (final - 1) * progress(step, total);
}

/** The shape of {@link oneCycle}. */
export interface OneCycleOptions {
  /** Share of the run until the peak; default 0.3. */
  readonly peakAt?: number | undefined;
  /** The first factor is 1 / this; default 25. */
  readonly initialDivisor?: number | undefined;
  /** The last factor is the first divided by this; default 10,000. */
  readonly finalDivisor?: number | undefined;
}

/**
 * Rises to 1 at the peak and falls to almost nothing, both along half a cosine: Smith and Topin,
 * "Super-Convergence", 2018, in the two-phase form and with the defaults of PyTorch's OneCycleLR.
 */
export function oneCycle(options: OneCycleOptions = {}): Schedule {
  const { peakAt = 0.3, initialDivisor = 25, finalDivisor = 1e4 } = options;
  const first = 1 / initialDivisor;
  const last = first / finalDivisor;
  const between = (from: number, to: number, share: number) =>
    to + (from - to) * cosineFall(Math.min(1, share));
  return (step, total) => {
    if (total <= 1) return 1;
    const peak = peakAt * total - 1;
    if (step <= peak) return between(first, 1, step / peak);
    return between(1, last, (step - peak) / (total - 1 - peak));
  };
}

/** Rises straight over the first `share` of the run, where it reaches 1, and follows `then` over the rest. */
export function warmUp(share: number, then: Schedule): Schedule {
  return (step, total) => {
    const rising = Math.min(total, Math.round(share * total));
    return step < rising ? (step + 1) / (rising + 1) : then(step - rising, total - rising);
  };
}
