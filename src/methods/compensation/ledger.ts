/**
 * @file What removing the channels of one value costs its readers, kept up to date while channels are removed.
 *
 * After a removal, every element of two matrices changes. But the next removal is chosen by their diagonals, and then
 * reads one row of each. So the diagonals are kept up to date, the changes of all other elements wait, and a block of them
 * becomes a product of matrices, which takes a fraction of the time of single changes.
 */
import { square } from "../../tensor/elementary.ts";
import {
  diagonalOf,
  inverseFromFactor,
  multiplyInto,
  rowsOf,
} from "../../tensor/linear-algebra.ts";

/** What a ledger starts from. */
export interface Account {
  /** Damage that no other channel can compensate: grouped layers, sums without weights. [C] */
  readonly alone: Float64Array;
  /** H: the lower half of the Gram matrix of the readers' weights [C, C]; its diagonal where channels are uncorrelated. */
  readonly gram: Float64Array;
  /** The channels' correlations [C, C] with their factor; `undefined` where they count as uncorrelated. */
  readonly correlated:
    | { readonly correlations: Float64Array; readonly factor: Float64Array }
    | undefined;
}

/**
 * The least share of a layer's variance that counts as left: the layer's damage counts at most (1 / this)² times as
 * much.
 */
const leastRemaining = 0.01;

/** The damage of removing each channel of one value. */
export class Ledger {
  readonly #alone: Float64Array;
  /** The power that all channels together give the readers, and the part of it that is lost. */
  readonly #total: number;
  #lost = 0;
  /** The square of the share that is left. */
  #remaining = 1;
  readonly #isGone: Uint8Array;
  /** The power that the readers lose with each channel, that which no other channel predicts; 0 for one that is gone. */
  readonly #losses: Float64Array;
  readonly #shared: SharedChannels | undefined;

  constructor({ alone, gram, correlated }: Account) {
    const width = alone.length;
    this.#alone = alone;
    this.#isGone = new Uint8Array(width);
    this.#shared = correlated && new SharedChannels(gram, correlated.factor, width);
    this.#losses = this.#shared ? this.#shared.losses : gram.slice();
    this.#total = correlated ? dotLower(gram, correlated.correlations, width) : sumOf(gram);
  }

  /** The damage of the next removal, in proportion to the square of what is left, as in the variance correction. */
  damageOf(channel: number): number {
    return this.#alone[channel] + this.#losses[channel] / this.#remaining;
  }

  /** Removes a channel; it may be gone already, because a unit has several places. */
  remove(channel: number): void {
    if (this.#isGone[channel] === 1) return;
    this.#isGone[channel] = 1;
    this.#lost += this.#losses[channel];
    if (this.#total > 0)
      this.#remaining = square(Math.max(leastRemaining, 1 - this.#lost / this.#total));
    if (this.#shared) this.#shared.remove(channel);
    this.#losses[channel] = 0;
  }
}

/** Removals whose changes of the matrices wait at most. */
const mostPending = 24;

/**
 * Correlated channels: H and the inverse P of the correlations, over those that are left. When channel r goes, the others
 * take over its weights with shares b = -P_r / P_rr: H += b h_rᵀ + h_r bᵀ + H_rr b bᵀ, and P loses p_r p_rᵀ / P_rr.
 */
class SharedChannels {
  /** What is lost with each channel: H_cc / P_cc. [C] */
  readonly losses: Float64Array;
  /** Lower halves; rows of channels that are gone stay until the pending changes are made. Rows are `#size` long. */
  #gram: Float64Array;
  #precision: Float64Array;
  #size: number;
  readonly #gramDiagonal: Float64Array;
  readonly #precisionDiagonal: Float64Array;
  /** The channel of each row, and the row of each channel; -1 once it is gone. */
  readonly #channels: Int32Array;
  readonly #rows: Int32Array;
  /**
   * Changes that wait, one row each: P loses outer products of `scaled` with itself, and H gains those of `share` with
   * `taken` and of `weights` with `share`.
   */
  readonly #pending: Readonly<Record<"scaled" | "share" | "taken" | "weights", Float64Array>>;
  #count = 0;

  constructor(gram: Float64Array, factor: Float64Array, width: number) {
    this.#gram = gram.slice();
    this.#precision = inverseFromFactor(factor, width);
    this.#size = width;
    this.#gramDiagonal = diagonalOf(this.#gram, width);
    this.#precisionDiagonal = diagonalOf(this.#precision, width);
    this.#channels = Int32Array.from({ length: width }, (_, c) => c);
    this.#rows = this.#channels.slice();
    this.losses = new Float64Array(width);
    for (let row = 0; row < width; row++) this.#tellLoss(row);
    const changes = () => new Float64Array(mostPending * width);
    this.#pending = { scaled: changes(), share: changes(), taken: changes(), weights: changes() };
  }

  remove(channel: number): void {
    const r = this.#rows[channel];
    const pivot = this.#precisionDiagonal[r];
    this.#rows[channel] = -1;
    if (!(pivot > 0)) return;
    const size = this.#size;
    const at = this.#count * size;
    const { scaled, share, taken, weights } = this.#pending;
    // Row r as it is now: what lies in the matrices, and the changes that wait.
    copyRow(this.#gram, size, r, weights, at);
    copyRow(this.#precision, size, r, scaled, at);
    for (let change = 0; change < at; change += size) {
      const p = scaled[change + r];
      const b = share[change + r];
      const t = taken[change + r];
      for (let i = 0; i < size; i++) {
        scaled[at + i] -= p * scaled[change + i];
        weights[at + i] += t * share[change + i] + b * weights[change + i];
      }
    }
    const own = this.#gramDiagonal[r];
    const root = Math.sqrt(pivot);
    for (let i = 0; i < size; i++) {
      const p = scaled[at + i];
      const b = -p / pivot;
      const w = weights[at + i];
      const t = w + own * b;
      share[at + i] = b;
      taken[at + i] = t;
      scaled[at + i] = p / root;
      this.#gramDiagonal[i] += b * t + w * b;
      this.#precisionDiagonal[i] -= (p / pivot) * p;
      this.#tellLoss(i);
    }
    this.#count++;
    if (this.#count === mostPending) this.#settle();
  }

  /** What is lost with the channel of a row, if it is still there. */
  #tellLoss(row: number): void {
    const channel = this.#channels[row];
    if (this.#rows[channel] < 0) return;
    const untold = this.#precisionDiagonal[row];
    this.losses[channel] = untold > 0 ? this.#gramDiagonal[row] / untold : 0;
  }

  /** Makes the changes that wait, and lets the rows of channels that are gone go. */
  #settle(): void {
    const before = this.#size;
    const kept = this.#channels
      .subarray(0, before)
      .map((_, row) => row)
      .filter((row) => this.#rows[this.#channels[row]] >= 0);
    const size = kept.length;
    const { scaled, share, taken, weights } = this.#pending;
    const changes = (...parts: readonly Float64Array[]) =>
      rowsOf(columnsOf(parts, kept, before), parts.length * mostPending);
    this.#gram = squareOf(this.#gram, kept, before);
    this.#precision = squareOf(this.#precision, kept, before);
    const lost = changes(scaled);
    const all = { n: size, m: size, isLower: true, from: "first" } as const;
    multiplyInto(rowsOf(this.#precision, size), lost, lost, {
      ...all,
      k: mostPending,
      effect: "subtract",
    });
    multiplyInto(rowsOf(this.#gram, size), changes(share, weights), changes(taken, share), {
      ...all,
      k: 2 * mostPending,
      effect: "add",
    });
    for (const [to, row] of kept.entries()) {
      this.#channels[to] = this.#channels[row];
      this.#rows[this.#channels[to]] = to;
      this.#gramDiagonal[to] = this.#gramDiagonal[row];
      this.#precisionDiagonal[to] = this.#precisionDiagonal[row];
    }
    this.#size = size;
    this.#count = 0;
  }
}

/** Copies row r of a symmetric matrix [n, n] whose lower half is kept to `out`, from element `at` on. */
function copyRow(matrix: Float64Array, n: number, r: number, out: Float64Array, at: number): void {
  for (let i = 0; i < r; i++) out[at + i] = matrix[r * n + i];
  for (let i = r; i < n; i++) out[at + i] = matrix[i * n + r];
}

/** The lower half of some rows and columns of a matrix [n, n], in place of all. */
function squareOf(matrix: Float64Array, kept: Int32Array, n: number): Float64Array {
  const size = kept.length;
  const out = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = kept[i] * n;
    for (let j = 0; j <= i; j++) out[i * size + j] = matrix[row + kept[j]];
  }
  return out;
}

/** Some columns of matrices [mostPending, n], as rows, which hold those of all matrices. */
function columnsOf(parts: readonly Float64Array[], kept: Int32Array, n: number): Float64Array {
  const length = parts.length * mostPending;
  const out = new Float64Array(kept.length * length);
  for (const [part, matrix] of parts.entries())
    for (let change = 0; change < mostPending; change++)
      for (let i = 0, to = part * mostPending + change; i < kept.length; i++, to += length)
        out[to] = matrix[change * n + kept[i]];
  return out;
}

/** The sum of the products of the elements of two symmetric matrices [n, n], from their lower halves. */
function dotLower(a: Float64Array, b: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < i; j++) sum += 2 * a[i * n + j] * b[i * n + j];
    sum += a[i * n + i] * b[i * n + i];
  }
  return sum;
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
