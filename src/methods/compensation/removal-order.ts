/**
 * @file Expected damage of removing a unit, and the order in which the least damage is done.
 *
 * A reader computes z_o = Σ w_oc x_c. When channel c is removed, and the part of it that kept channels predict is added
 * to their weights, z_o loses w_oc times the part of x_c that no kept channel predicts: with the normalized weights'
 * Gram matrix H = Σ over outputs and taps of gain_o w_o w_oᵀ and the inverse P of the kept channels' correlations, the
 * expected square of the loss is H_cc / P_cc. The gain of a result is its power behind normalization (of last layers,
 * which have none, 3) over the variance that the model explains, times a factor from its share of the network's outputs
 * (`output-shares.ts`). That is the step of Optimal Brain Surgeon (Hassibi and Stork, NIPS 1992) with statistics in
 * place of a Hessian of data. After each step the weights, and so H, are those that the removal leaves; and since the
 * running variance behind is corrected for what is lost (`compensation.ts`), the rest counts for more, which keeps any
 * layer from being emptied.
 */

import { channelOf } from "../../ops/operator/linear-layer.ts";
import { square } from "../../tensor/elementary.ts";
import { gramMatrix, inverseFromFactor } from "../../tensor/linear-algebra.ts";
import { type ModelledReader, normalizedWeights, type Source } from "./channel-model.ts";
import type { OutputShares } from "./output-shares.ts";
import type { OtherRead } from "./readers.ts";

/**
 * Results whose share of the outputs, over the average share, lies between these bounds count alike: shares are carried
 * back by variances alone, and within a residual network they are less informative than the layer itself. Beyond the
 * bounds, results count in proportion: class scores before the last upsampling count for more, blocks that hardly reach
 * the output for less. Chosen by accuracy on development data: a ResNet-56 at 58 % of its multiply-accumulates keeps
 * 89.6 % within these borders, 87.1 % where shares count everywhere; an ESPNet at 90 % agrees with its original on 96 %
 * of the pixels, 64 % where they never do.
 */
const ordinaryShares = { least: 0.1, most: 10 };

/**
 * The factor by which the results of last layers count more: no layer behind them averages their loss out or normalizes
 * it away. Chosen on development data: a ResNet-8 at 90 % of its multiply-accumulates agrees with its original on 81.9
 * % of the images, and on 68.4 with 1; a VGG-16 at 50 % on 92.4, and on 92.2; other ResNets and an ESPNet come out the
 * same.
 */
const lastPower = 3;

/**
 * The least share of a layer's variance that counts as left: the layer's damage counts at most (1 / this)² times as
 * much.
 */
const leastRemaining = 0.01;

/**
 * One value with what removing its channels costs. The matrices are symmetric: their lower halves are kept
 * up to date, over the channels that are left.
 */
interface Ledger {
  readonly width: number;
  /** The channels in the order of the matrices' rows; the first `left` of them are left. */
  readonly channels: Int32Array;
  /** The row of each channel; -1 once it is gone. */
  readonly rows: Int32Array;
  left: number;
  /** Damage that no other channel can compensate: grouped layers, sums without weights. [C] */
  readonly alone: Float64Array;
  /** H, and P where channels are correlated; without them H holds its diagonal only. */
  readonly gram: Float64Array;
  readonly precision: Float64Array | undefined;
  /** The power that all channels together give the readers, and the part of it that is lost. */
  readonly total: number;
  lost: number;
}

/** The expected damage of each unit, kept up to date while units are removed. */
export interface DamageModel {
  /** Expected squared change of the results of the unit's readers, for layers of equal share in the outputs. */
  damageOf(unit: number): number;
  /** Removes a unit; the damage of the units returned has changed. */
  remove(unit: number): ReadonlySet<number>;
}

/** A damage model over the sources, and over reads that are no linear layers, where all of a channel is lost. */
export function damageModel(
  unitCount: number,
  sources: readonly Source[],
  others: readonly OtherRead[],
  shares: OutputShares,
): DamageModel {
  const average = averageShare(sources, shares);
  const ledgers = sources.map((source) => ledgerOf(source, shares, average));
  const places = Array.from({ length: unitCount }, (): (readonly [number, number])[] => []);
  for (const [s, { units }] of sources.entries())
    for (const [channel, unit] of units.entries()) if (unit >= 0) places[unit].push([s, channel]);
  const elsewhere = new Float64Array(unitCount);
  for (const { source, sourceUnits } of others)
    for (const [channel, unit] of sourceUnits.entries())
      if (unit >= 0) elsewhere[unit] += (shares.get(source)?.[channel] ?? 0) / average;

  return {
    damageOf(unit) {
      let damage = elsewhere[unit];
      for (const [s, channel] of places[unit]) damage += channelDamage(ledgers[s], channel);
      return damage;
    },
    remove(unit) {
      const touched = new Set<number>();
      for (const [s, channel] of places[unit]) {
        removeChannel(ledgers[s], channel);
        for (const other of sources[s].units) if (other >= 0) touched.add(other);
      }
      return touched;
    },
  };
}

/** The average share of the outputs of a layer's results; 1 where no output depends on any result. */
function averageShare(sources: readonly Source[], shares: OutputShares): number {
  let [total, count] = [0, 0];
  for (const { readers } of sources)
    for (const { result, weight } of readers) {
      count += weight.outputs;
      for (const share of shares.get(result) ?? []) total += share;
    }
  return total > 0 ? total / count : 1;
}

/**
 * The order in which removing one candidate after the other does the least damage each time: position
 * per unit, infinite for units that are no candidates.
 */
export function removalOrder(
  model: DamageModel,
  unitCount: number,
  candidates: readonly number[],
): Float64Array {
  const order = new Float64Array(unitCount).fill(Number.POSITIVE_INFINITY);
  const damage = new Float64Array(unitCount).fill(Number.POSITIVE_INFINITY);
  const open = new Set(candidates);
  for (const unit of open) damage[unit] = model.damageOf(unit);
  for (let position = 0; open.size > 0; position++) {
    let least: number | undefined;
    for (const unit of open) if (least === undefined || damage[unit] < damage[least]) least = unit;
    if (least === undefined) break;
    open.delete(least);
    order[least] = position;
    for (const unit of model.remove(least)) if (open.has(unit)) damage[unit] = model.damageOf(unit);
  }
  return order;
}

/**
 * The weight of each result. Behind batch normalization its power is scale², else 1, over its variance. The modelled
 * variance is used in place of the running one, which also contains variance that the model does not explain, so that
 * damage is a share of the explained variance.
 */
function gainsOf(
  { result, batchNorm, isLast, resultVariance }: ModelledReader,
  shares: OutputShares,
  average: number,
): Float64Array {
  const own = shares.get(result);
  const { least, most } = ordinaryShares;
  const epsilon = batchNorm?.role.epsilon ?? 0;
  return resultVariance.map((variance, o) => {
    if (!(variance > 0)) return 0;
    const share = (own?.[o] ?? 0) / average;
    const weight = share > most ? share / most : Math.min(1, share / least);
    const power = batchNorm === undefined ? (isLast ? lastPower : 1) : square(batchNorm.scale[o]);
    return (weight * power) / (variance + epsilon);
  });
}

function ledgerOf(
  { units, deviation, correlations, factor, readers }: Source,
  shares: OutputShares,
  average: number,
): Ledger {
  const width = units.length;
  const alone = new Float64Array(width);
  const gram = new Float64Array(correlations ? width * width : width);
  for (const reader of readers) {
    const gains = gainsOf(reader, shares, average);
    if (reader.weight.group > 1) addOwnSquares(reader, gains, deviation, alone);
    else addGram(reader, gains, deviation, gram, correlations !== undefined);
  }
  let total = 0;
  for (let i = 0; i < gram.length; i++) total += gram[i] * (correlations?.[i] ?? 1);
  const precision = factor && inverseFromFactor(factor, width);
  return {
    width,
    channels: Int32Array.from({ length: width }, (_, c) => c),
    rows: Int32Array.from({ length: width }, (_, c) => c),
    left: width,
    alone,
    gram,
    precision,
    total,
    lost: 0,
  };
}

/** Squares of the weights of each channel, without outputs that are removed together with the channel. */
function addOwnSquares(
  reader: ModelledReader,
  gains: Float64Array,
  deviation: Float64Array,
  out: Float64Array,
): void {
  const { weight, sourceUnits, resultUnits } = reader;
  const { outputs, inputs } = weight;
  for (const tap of normalizedWeights(reader, deviation))
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < inputs; i++) {
        const channel = channelOf(weight, o, i);
        if (sourceUnits[channel] !== resultUnits[o] || resultUnits[o] < 0)
          out[channel] += gains[o] * square(tap[o * inputs + i]);
      }
}

function addGram(
  reader: ModelledReader,
  gains: Float64Array,
  deviation: Float64Array,
  out: Float64Array,
  isMatrix: boolean,
): void {
  const roots = gains.map(Math.sqrt);
  const { outputs, inputs } = reader.weight;
  for (const tap of normalizedWeights(reader, deviation)) {
    if (isMatrix) {
      const columns = new Float64Array(tap.length);
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++) columns[i * outputs + o] = roots[o] * tap[o * inputs + i];
      const gram = gramMatrix(columns, inputs, outputs);
      for (let i = 0; i < gram.length; i++) out[i] += gram[i];
    } else
      for (let o = 0; o < outputs; o++)
        for (let i = 0; i < inputs; i++) out[i] += gains[o] * square(tap[o * inputs + i]);
  }
}

/** The damage of the next removal, in proportion to the square of what is left, as in the variance correction. */
function channelDamage(ledger: Ledger, c: number): number {
  const { alone, total, lost } = ledger;
  const remaining = total > 0 ? Math.max(leastRemaining, 1 - lost / total) : 1;
  return alone[c] + lossOf(ledger, c) / square(remaining);
}

/** The power that the readers lose with a channel that no other channel predicts. */
function lossOf({ width, rows, gram, precision }: Ledger, c: number): number {
  const row = rows[c];
  if (row < 0) return 0;
  if (precision === undefined) return gram[row];
  const untold = precision[row * width + row];
  return untold > 0 ? gram[row * width + row] / untold : 0;
}

/** Removes a channel; it may be gone already, because a unit has several places. */
function removeChannel(ledger: Ledger, c: number): void {
  if (ledger.rows[c] < 0) return;
  ledger.lost += lossOf(ledger, c);
  if (ledger.precision !== undefined) spreadLoss(ledger, ledger.precision, ledger.rows[c]);
  dropRow(ledger, ledger.rows[c]);
}

/**
 * Updates H and P after a removal: with share b = -P_r / P_rr of the other channels in the removed one, they take over
 * its weights, H += b h_rᵀ + h_r bᵀ + H_rr b bᵀ, and P loses p_r p_rᵀ / P_rr.
 */
function spreadLoss({ width, left, gram }: Ledger, precision: Float64Array, r: number): void {
  const pivot = precision[r * width + r];
  if (!(pivot > 0)) return;
  const own = gram[r * width + r];
  const h = symmetricRow(gram, width, left, r);
  const p = symmetricRow(precision, width, left, r);
  const share = p.map((x) => -x / pivot);
  const taken = h.map((x, i) => x + own * share[i]);
  for (let i = 0; i < left; i++) {
    const [b, w] = [share[i], h[i]];
    const x = p[i] / pivot;
    const row = i * width;
    for (let j = 0; j <= i; j++) {
      gram[row + j] += b * taken[j] + w * share[j];
      precision[row + j] -= x * p[j];
    }
  }
}

/** The first `left` elements of row `r` of a symmetric matrix whose lower half is kept. */
function symmetricRow(matrix: Float64Array, width: number, left: number, r: number): Float64Array {
  return Float64Array.from({ length: left }, (_, i) =>
    i < r ? matrix[r * width + i] : matrix[i * width + r],
  );
}

/** Moves the last row to row `r`, so that the rows that are left are contiguous. */
function dropRow(ledger: Ledger, r: number): void {
  const { width, channels, rows, gram, precision } = ledger;
  const last = --ledger.left;
  rows[channels[r]] = -1;
  if (precision === undefined) gram[r] = gram[last];
  else for (const matrix of [gram, precision]) moveRow(matrix, width, last, r);
  if (r === last) return;
  channels[r] = channels[last];
  rows[channels[r]] = r;
}

/** Copies row and column `from` of a symmetric matrix to `to` < `from`; the lower half is kept. */
function moveRow(matrix: Float64Array, width: number, from: number, to: number): void {
  for (let i = 0; i < to; i++) matrix[to * width + i] = matrix[from * width + i];
  for (let i = to + 1; i < from; i++) matrix[i * width + to] = matrix[from * width + i];
  matrix[to * width + to] = matrix[from * width + from];
}
