/**
 * @file The roles of samples. The cut depends on its own seed and on the number of samples alone, so that every command
 * that reads the same folder agrees on it.
 */
import { randomOf } from "../tensor/random.ts";
import { type SplitName, splitNames } from "./table.ts";

/** `fit` trains, `select` searches, `certify` guards, `test` is read once at the end. */
export const roles = ["fit", "select", "certify", "test"] as const;

/** What samples serve for: one of {@link roles}. */
export type Role = (typeof roles)[number];

/** The samples that are taken: those of a role, or all. */
export const splitChoices = ["all", ...roles] as const;

/** One of {@link splitChoices}. */
export type SplitChoice = Role | "all";

/** Sample numbers of every role; samples are numbered split by split, in the order of `splitNames`. */
export type RoleCut = Readonly<Record<Role, Int32Array>>;

/** How many samples each split name has. */
export type SplitSizes = Readonly<Record<SplitName, number>>;

/** Relative shares of the roles that are cut from one split. */
type Shares = Partial<Record<Role, number>>;

const trainShares: Shares = { fit: 20, select: 1, certify: 3 };
const validationShares: Shares = { select: 1, certify: 3 };
const unsplitShares: Shares = { fit: 60, select: 10, certify: 20, test: 10 };
const heldOutShares: Shares = { select: 20, certify: 50, test: 30 };

/**
 * Cuts the samples into roles.
 *
 * - train and test: `test` is the test split as it is; train gives fit 5/6, select 1/24, certify 1/8
 *   (with a validation split, train is all `fit`, and validation gives select 1/4, certify 3/4).
 * - train and validation: validation is `test`.
 * - test or validation alone: `test`.
 * - train alone, or no split in the names: fit 60, select 10, certify 20, test 10 %.
 * - `heldOut`, for a network that was not trained here: train is `fit`; the test split (or
 *   validation, where there is no test) gives select 20, certify 50, test 30 %; a validation split
 *   beside a test split joins `select`.
 *
 * Roles that are cut are in random order, so that the first N of one are a fair sample; a split that
 * is one role as a whole keeps its order.
 */
export function cutRoles(
  sizes: SplitSizes,
  options: { readonly seed: number; readonly heldOut: boolean },
): RoleCut {
  const shares = sharesOf(sizes, options.heldOut);
  const parts: Record<Role, Int32Array[]> = { fit: [], select: [], certify: [], test: [] };
  let start = 0;
  for (const split of splitNames) {
    const size = sizes[split];
    if (size > 0)
      for (const [role, samples] of cut(size, shares[split], options.seed))
        parts[role].push(samples.map((index) => index + start));
    start += size;
  }
  const join = (role: Role) => Int32Array.from(parts[role].flatMap((part) => [...part]));
  return {
    fit: join("fit"),
    select: join("select"),
    certify: join("certify"),
    test: join("test"),
  };
}

function sharesOf(sizes: SplitSizes, heldOut: boolean): Readonly<Record<SplitName, Shares>> {
  const hasTest = sizes.test > 0;
  const hasVal = sizes.val > 0;
  const none = unsplitShares;
  if (heldOut)
    return {
      train: { fit: 1 },
      val: hasTest ? { select: 1 } : heldOutShares,
      test: heldOutShares,
      none,
    };
  return {
    train: hasTest && hasVal ? { fit: 1 } : hasTest || hasVal ? trainShares : unsplitShares,
    val: hasTest ? validationShares : { test: 1 },
    test: { test: 1 },
    none,
  };
}

/** Random samples for every role; all in their own order where there is only one role. */
function cut(size: number, shares: Shares, seed: number): readonly [Role, Int32Array][] {
  const named = roles.filter((role) => shares[role] !== undefined);
  if (named.length === 1 && named[0] === "test")
    return [["test", Int32Array.from({ length: size }, (_, i) => i)]];
  const order = randomOf(seed, "split").permutation(size);
  const total = named.reduce((sum, role) => sum + (shares[role] ?? 0), 0);
  let sum = 0;
  let from = 0;
  return named.map((role) => {
    sum += shares[role] ?? 0;
    const to = Math.round((size * sum) / total);
    const samples = order.slice(from, to);
    from = to;
    return [role, samples];
  });
}
