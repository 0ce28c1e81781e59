/** @file The order of removals by its definition: before each removal, the damage of every other one is solved anew. */
import type { Source } from "../../src/methods/compensation/channel-model.ts";
import type { Account } from "../../src/methods/compensation/ledger.ts";
import type { Accounts } from "../../src/methods/compensation/removal-order.ts";
import {
  fillUpper,
  inverse,
  product,
  subMatrix,
  transposed,
} from "../../src/tensor/linear-algebra.ts";

/** The position of each candidate in the order of least damage; infinite for all other units. */
export function orderAnew(
  unitCount: number,
  sources: readonly Source[],
  { accounts, elsewhere }: Accounts,
  candidates: readonly number[],
): Float64Array {
  const order = new Float64Array(unitCount).fill(Number.POSITIVE_INFINITY);
  const gone = new Set<number>();
  const lost = accounts.map(() => 0);
  const lossesOf = (s: number) => lossesAnew(accounts[s], sources[s].units, gone);
  const losses = accounts.map((_, s) => lossesOf(s));
  for (let position = 0; position < candidates.length; position++) {
    const damage = elsewhere.slice();
    for (const [s, { units }] of sources.entries()) {
      const left = Math.max(0.01, 1 - lost[s] / totalOf(accounts[s]));
      for (const [channel, unit] of units.entries())
        if (unit >= 0) damage[unit] += accounts[s].alone[channel] + losses[s][channel] / left ** 2;
    }
    const open = candidates.filter((unit) => !gone.has(unit));
    const least = open.reduce((best, unit) => (damage[unit] < damage[best] ? unit : best));
    order[least] = position;
    gone.add(least);
    for (const [s, { units }] of sources.entries()) {
      const channel = units.indexOf(least);
      if (channel < 0) continue;
      lost[s] += losses[s][channel];
      losses[s] = lossesOf(s);
    }
  }
  return order;
}

/** What all channels together give the readers; 1 where that is nothing, of which nothing can be lost. */
function totalOf({ alone, gram, correlated }: Account): number {
  const n = alone.length;
  const whole = gram.slice();
  if (correlated) fillUpper(whole, n);
  const total = whole.reduce((sum, x, i) => sum + x * (correlated?.correlations[i] ?? 1), 0);
  return total > 0 ? total : 1;
}

/**
 * What the readers lose with each channel that is left. With shares T = C_RK C_KK⁻¹ those that are kept (K) have taken over
 * the weights of those that are gone (R), so that the weights' Gram matrix is (I T)ᵀ H (I T), and H_cc / (C_KK⁻¹)_cc is lost.
 */
export function lossesAnew(
  { gram, correlated, alone }: Account,
  units: Int32Array,
  gone: ReadonlySet<number>,
): Float64Array {
  const n = alone.length;
  if (correlated === undefined) return gram.map((x, c) => (gone.has(units[c]) ? 0 : x));
  const channels = [...units.keys()];
  const kept = channels.filter((c) => !gone.has(units[c]));
  const removed = channels.filter((c) => gone.has(units[c]));
  const [k, r] = [kept.length, removed.length];
  const h = gram.slice();
  fillUpper(h, n);
  const precision = inverse(subMatrix(correlated.correlations, n, kept, kept), k);
  const shares = product(subMatrix(correlated.correlations, n, removed, kept), precision, r, k, k);
  const across = product(subMatrix(h, n, kept, removed), shares, k, k, r);
  const own = product(subMatrix(h, n, removed, removed), shares, r, k, r);
  const taken = product(transposed(shares, r, k), own, k, k, r);
  const losses = new Float64Array(n);
  for (const [i, channel] of kept.entries()) {
    const at = i * k + i;
    losses[channel] = (h[channel * n + channel] + 2 * across[at] + taken[at]) / precision[at];
  }
  return losses;
}
