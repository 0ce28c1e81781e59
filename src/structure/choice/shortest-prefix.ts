/** @file The shortest prefix of an order of removals that is enough, found by halving. */

/** Removals that take more and more. */
export interface PrefixOrder<Taken> {
  /** How many are taken already, and how many may be taken at most. */
  readonly least: number;
  readonly count: number;
  /** How closely the length of the prefix is found, as a share of those that stay; 0 finds it exactly. */
  readonly precision: number;
  /** What is taken with the first `count`, as far as the rules allow. */
  readonly choose: (count: number) => Taken;
  /** Less than what was taken, where rounded widths leave room for it and it is allowed. */
  readonly giveBack: (taken: Taken, isAllowed: (taken: Taken) => boolean) => Taken;
}

/** The fewest that must be taken to be enough; all that may where nothing is. */
export function fewestEnough<Taken>(
  { least, count, precision, choose }: PrefixOrder<Taken>,
  isEnough: (taken: Taken) => boolean,
): number {
  let low = least;
  let high = count;
  const isNear = () => high - low <= precision * (count - high);
  while (low < high && !isNear()) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(choose(middle))) high = middle;
    else low = middle + 1;
  }
  return high;
}

/** What takes least, in this order, and is enough; the most that may be taken where nothing is. */
export function leastEnough<Taken>(
  order: PrefixOrder<Taken>,
  isEnough: (taken: Taken) => boolean,
): Taken {
  const taken = order.choose(fewestEnough(order, isEnough));
  return isEnough(taken) ? order.giveBack(taken, isEnough) : taken;
}
