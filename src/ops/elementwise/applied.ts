/**
 * @file Functions that several nodes apply to one value, element by element: x · sigmoid(x), x · clip(x + 3, 0, 6) / 6,
 * x · tanh(softplus(x)), x · (1 + erf(x/√2)) / 2 and their kin, as exporters write activations.
 *
 * Factors of such a product depend on each other, so their own means and variances don't tell its. Each value therefore
 * remembers which value it is a function of (`Origin`), and moments come from that one, which counts as Gaussian, by
 * quadrature.
 */
import { type MeanVariance, smoothMoments } from "../../tensor/gaussian.ts";
import { perChannel } from "../operator/moments.ts";
import type { Moments, Origin } from "../operator/operator.ts";

/** A function of one number. */
export interface AppliedFunction {
  readonly f: (x: number) => number;
  readonly kinks: readonly number[];
  /** Moments of f of a Gaussian. */
  readonly moments: (x: MeanVariance) => MeanVariance;
}

/** The moments of f(x), which remembers what x is a function of. */
export function applied(x: Moments, { f, kinks, moments }: AppliedFunction): Moments {
  const inner = originOf(x);
  const origin: Origin = {
    source: inner.source,
    f: (value, channel) => f(inner.f(value, channel)),
    isLinear: false,
    kinks: (channel) => [
      ...inner.kinks(channel),
      ...kinks.flatMap((kink) => crossings(inner, channel, kink)),
    ],
  };
  return { ...(inner.isLinear ? perChannel(x, moments) : momentsFrom(origin)), origin };
}

/** Moments of scale · x + shift, each [C]; they remember what x is a function of. */
export function affine(
  { mean, variance }: Moments,
  x: Moments,
  { scale, shift }: { readonly scale: Float64Array; readonly shift: Float64Array },
): Moments {
  const inner = originOf(x);
  return {
    mean,
    variance,
    origin: { ...inner, f: (value, c) => scale[c] * inner.f(value, c) + shift[c] },
  };
}

/**
 * The moments of f(a, b) for two values that are functions of the same one, place by place; `undefined` for any others.
 */
export function combined(
  a: Moments,
  b: Moments,
  f: (a: number, b: number) => number,
): Moments | undefined {
  const [first, second] = [originOf(a), originOf(b)];
  if (first.source !== second.source) return undefined;
  const origin: Origin = {
    source: first.source,
    f: (value, channel) => f(first.f(value, channel), second.f(value, channel)),
    isLinear: false,
    kinks: (channel) => [...first.kinks(channel), ...second.kinks(channel)],
  };
  return { ...momentsFrom(origin), origin };
}

/** The moments of a value by its origin: f of the source, or of other moments in place of the source's. */
export function momentsFrom(
  { source, f, kinks }: Origin,
  moments: Pick<Moments, "mean" | "variance"> = source,
): Moments {
  return perChannel(moments, (x, c) => smoothMoments((value) => f(value, c), kinks(c), x));
}

function originOf(x: Moments): Origin {
  return x.origin ?? { source: x, f: (value) => value, isLinear: true, kinks: () => [] };
}

/** Standard deviations on both sides of the mean in which kinks are looked for, and steps of that search. */
const reach = 10;
const searchSteps = 80;
const bisections = 50;

/** The places at which f crosses a level, within `reach` standard deviations of the mean. */
function crossings({ source, f }: Origin, channel: number, level: number): readonly number[] {
  const sigma = Math.sqrt(source.variance[channel]);
  const from = source.mean[channel] - reach * sigma;
  const step = (2 * reach * sigma) / searchSteps;
  const isAbove = (x: number) => f(x, channel) >= level;
  const found: number[] = [];
  for (let i = 0; i < searchSteps && step > 0; i++) {
    let [low, high] = [from + i * step, from + (i + 1) * step];
    const isLowAbove = isAbove(low);
    if (isAbove(high) === isLowAbove) continue;
    for (let k = 0; k < bisections; k++) {
      const middle = (low + high) / 2;
      if (isAbove(middle) === isLowAbove) low = middle;
      else high = middle;
    }
    found.push((low + high) / 2);
  }
  return found;
}
