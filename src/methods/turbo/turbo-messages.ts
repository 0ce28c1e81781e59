/**
 * @file Messages between neighbouring bits of a support: sum-product on chains and grids.
 *
 * Bits s are 1 where a weight is active. Along a line they form a stationary Markov chain with
 * p01 = P(1 | 0) and p10 = P(0 | 1), so that P(s = 1) = λ = p01 / (p01 + p10). Such a chain of two states
 * is reversible, and its joint distribution is
 *
 *     Π over bits of λ(s) · Π over neighbours of P(s, t) / (λ(s) λ(t))
 *
 * The same form serves grids, where neighbours stand in rows and in columns: bits on which nothing is known have P(s =
 * 1) = λ there, too. All messages are log odds, and all are made by {@link passOn}: the message to a neighbour from a
 * bit's log odds u (its evidence and the messages of its other neighbours, without λ).
 */

/** The transition probabilities between neighbours: P(1 | 0) and P(0 | 1), within (0, 1). */
export interface Transitions {
  readonly p01: number;
  readonly p10: number;
}

/** Expected numbers of neighbours by their states: [both 0, 0 then 1, 1 then 0, both 1]. */
export type PairCounts = Float64Array;

/** Bits in a line within an array: `length` of them from `offset`, `stride` apart. */
export interface Line {
  readonly offset: number;
  readonly stride: number;
  readonly length: number;
}

/** Log odds are clipped to this size. */
export const surest = 13.8;

/** The logistic function 1 / (1 + e^-x). */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

/** The log odds ln p / (1 - p). */
export function logit(p: number): number {
  return Math.log(p) - Math.log1p(-p);
}

/** The share of active bits, λ. */
export function activeShare({ p01, p10 }: Transitions): number {
  return p01 / (p01 + p10);
}

/** ln P(u | t = 1) / P(u | t = 0) for the neighbour t of a bit whose own log odds are u. */
export function passOn(u: number, { p01, p10 }: Transitions): number {
  // Odds e^u : 1, whichever of both is the smaller as a number.
  const small = Math.exp(-Math.abs(u));
  const [active, silent] = u > 0 ? [1, small] : [small, 1];
  return Math.log((p10 * silent + (1 - p10) * active) / ((1 - p01) * silent + p01 * active));
}

/**
 * Adds to `out` the messages from the other bits of a chain to each bit, without its own evidence and λ: exact, by one
 * pass forward and one backward.
 *
 * @param evidence Log odds of each bit, in the layout of `out`.
 * @param pairs Where given, expected numbers of neighbours by their states are added to it.
 */
export function addChainMessages(
  evidence: Float64Array,
  { offset, stride, length }: Line,
  transitions: Transitions,
  out: Float64Array,
  pairs?: PairCounts,
): void {
  /** Own evidence and what comes from before. */
  const before = new Float64Array(length);
  let message = 0;
  for (let n = 0, at = offset; n < length; n++, at += stride) {
    out[at] += message;
    before[n] = evidence[at] + message;
    message = passOn(before[n], transitions);
  }
  message = 0;
  for (let n = length - 1, at = offset + n * stride; n >= 0; n--, at -= stride) {
    out[at] += message;
    const after = evidence[at] + message;
    if (pairs && n > 0) countPair(pairs, before[n - 1], after, transitions);
    message = passOn(after, transitions);
  }
}

/** Adds one pair of neighbours, whose log odds without each other and λ are u and v. */
function countPair(pairs: PairCounts, u: number, v: number, { p01, p10 }: Transitions): void {
  const share = activeShare({ p01, p10 });
  const [u0, u1, v0, v1] = [sigmoid(-u), sigmoid(u), sigmoid(-v), sigmoid(v)];
  const none = (1 - share) * (1 - p01) * u0 * v0;
  const begins = (1 - share) * p01 * u0 * v1;
  const ends = share * p10 * u1 * v0;
  const both = share * (1 - p10) * u1 * v1;
  const total = none + begins + ends + both;
  pairs[0] += none / total;
  pairs[1] += begins / total;
  pairs[2] += ends / total;
  pairs[3] += both / total;
}

/** The settings of message passing on a grid. */
export interface Flooding {
  /** Default 20. */
  readonly iterations?: number;
  /** Share of the old in each new message, in [0, 1); default 0.5. */
  readonly damping?: number;
  /** Ends where no message changes by more; default 1e-6. */
  readonly tolerance?: number;
}

/**
 * Adds to `out` the messages from the four neighbours to each bit of a grid with this many columns. All messages are
 * made anew at once from the last ones; exact on a single row or column after as many iterations as it is long,
 * elsewhere an approximation (belief propagation on a graph with loops).
 */
export function addGridMessages(
  evidence: Float64Array,
  columns: number,
  transitions: Transitions,
  out: Float64Array,
  { iterations = 20, damping = 0.5, tolerance = 1e-6 }: Flooding = {},
  pairs?: PairCounts,
): void {
  const rows = evidence.length / columns;
  // The messages to a bit from its left, right, upper and lower neighbour.
  let now = [0, 1, 2, 3].map(() => new Float64Array(evidence.length));
  let next = now.map((messages) => messages.slice());
  const steps = [
    { from: 0, against: 1, isAlong: true, way: 1 },
    { from: 1, against: 0, isAlong: true, way: -1 },
    { from: 2, against: 3, isAlong: false, way: 1 },
    { from: 3, against: 2, isAlong: false, way: -1 },
  ];
  for (let iteration = 0; iteration < iterations; iteration++) {
    const belief = evidence.map((own, i) => own + now[0][i] + now[1][i] + now[2][i] + now[3][i]);
    let change = 0;
    for (const { from, against, isAlong, way } of steps)
      for (let i = 0; i < evidence.length; i++) {
        const place = (isAlong ? i % columns : Math.floor(i / columns)) + way;
        if (place < 0 || place >= (isAlong ? columns : rows)) continue;
        const to = i + way * (isAlong ? 1 : columns);
        const old = now[from][to];
        const message = passOn(belief[i] - now[against][i], transitions);
        next[from][to] = damping * old + (1 - damping) * message;
        change = Math.max(change, Math.abs(message - old));
      }
    [now, next] = [next, now];
    if (change <= tolerance) break;
  }
  const [left, right, upper, lower] = now;
  for (let i = 0; i < evidence.length; i++) out[i] += left[i] + right[i] + upper[i] + lower[i];
  if (pairs === undefined) return;
  const belief = evidence.map((own, i) => own + left[i] + right[i] + upper[i] + lower[i]);
  for (let i = 0; i < evidence.length; i++) {
    const below = i + columns;
    if ((i + 1) % columns !== 0)
      countPair(pairs, belief[i] - right[i], belief[i + 1] - left[i + 1], transitions);
    if (below < evidence.length)
      countPair(pairs, belief[i] - lower[i], belief[below] - upper[below], transitions);
  }
}
