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
import { addColumnGram } from "../../tensor/linear-algebra.ts";
import { atOnce, type StepProgress, type Steps } from "../../tensor/steps.ts";
import type { ModelledReader, Source } from "./channel-model.ts";
import { type Account, Ledger } from "./ledger.ts";
import { normalizedWeights } from "./normalized-weights.ts";
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

/** The expected damage of each unit, kept up to date while units are removed. */
export interface DamageModel {
  /** The units along each value that linear layers read; -1 where there is none. */
  readonly families: readonly Int32Array[];
  /** The families that a unit is in. */
  readonly familiesOf: (unit: number) => Int32Array;
  /** Expected squared change of the results of the unit's readers, for layers of equal share in the outputs. */
  readonly damageOf: (unit: number) => number;
  /** Removes a unit: the damage of the units of its families has changed. */
  readonly remove: (unit: number) => void;
}

/** A damage model over the sources, and over reads that are no linear layers, where all of a channel is lost. */
export function damageModel(
  unitCount: number,
  sources: readonly Source[],
  others: readonly OtherRead[],
  shares: OutputShares,
): DamageModel {
  const { accounts, elsewhere } = accountsOf(unitCount, sources, others, shares);
  const ledgers = accounts.map((account) => new Ledger(account));
  const { starts, families, channels } = placesOf(unitCount, sources);
  return {
    families: sources.map(({ units }) => units),
    familiesOf: (unit) => families.subarray(starts[unit], starts[unit + 1]),
    damageOf(unit) {
      let damage = elsewhere[unit];
      for (let place = starts[unit]; place < starts[unit + 1]; place++)
        damage += ledgers[families[place]].damageOf(channels[place]);
      return damage;
    },
    remove(unit) {
      for (let place = starts[unit]; place < starts[unit + 1]; place++)
        ledgers[families[place]].remove(channels[place]);
    },
  };
}

/** What the damage of removals follows from. */
export interface Accounts {
  /** One for each source. */
  readonly accounts: readonly Account[];
  /** The damage where something else than a linear layer reads the unit, for each unit. */
  readonly elsewhere: Float64Array;
}

/** The accounts of the sources, and of reads that are no linear layers. */
export function accountsOf(
  unitCount: number,
  sources: readonly Source[],
  others: readonly OtherRead[],
  shares: OutputShares,
): Accounts {
  const average = averageShare(sources, shares);
  const elsewhere = new Float64Array(unitCount);
  for (const { source, sourceUnits } of others)
    for (const [channel, unit] of sourceUnits.entries())
      if (unit >= 0) elsewhere[unit] += (shares.get(source)?.[channel] ?? 0) / average;
  return { accounts: sources.map((source) => accountOf(source, shares, average)), elsewhere };
}

/** Where units lie in the sources: those of unit u from `starts[u]` to `starts[u + 1]`, as sources and channels there. */
function placesOf(unitCount: number, sources: readonly Source[]) {
  const starts = new Int32Array(unitCount + 1);
  for (const { units } of sources) for (const unit of units) if (unit >= 0) starts[unit + 1]++;
  for (let unit = 0; unit < unitCount; unit++) starts[unit + 1] += starts[unit];
  const next = starts.slice();
  const families = new Int32Array(starts[unitCount]);
  const channels = new Int32Array(starts[unitCount]);
  for (const [family, { units }] of sources.entries())
    for (const [channel, unit] of units.entries()) {
      if (unit < 0) continue;
      families[next[unit]] = family;
      channels[next[unit]++] = channel;
    }
  return { starts, families, channels };
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
  return atOnce(removalSteps(model, unitCount, candidates));
}

function stepAt(done: number, total: number): StepProgress {
  return { step: `removal ${done + 1} of ${total}`, done, total };
}

/** Removals between two looks at whether to go on. */
const removalsPerStep = 64;

/** {@link removalOrder} step by step: one for so many removals. */
export function* removalSteps(
  model: DamageModel,
  unitCount: number,
  candidates: readonly number[],
): Steps<Float64Array> {
  const order = new Float64Array(unitCount).fill(Number.POSITIVE_INFINITY);
  const ranking = newRanking(model, unitCount, candidates);
  for (let position = 0; ; position++) {
    if (position % removalsPerStep === 0 && position < candidates.length)
      yield stepAt(position, candidates.length);
    const least = ranking.takeLeast();
    if (least === undefined) return order;
    order[least] = position;
    model.remove(least);
    ranking.rankAgain(model.familiesOf(least));
  }
}

/** Candidates by their damage. A removal changes few families, so the least of each is known, and the least of those. */
function newRanking(model: DamageModel, unitCount: number, candidates: readonly number[]) {
  const damage = new Float64Array(unitCount);
  const rank = new Int32Array(unitCount).fill(-1);
  /** The family that a unit is ranked in: its first, or one for all units without any. */
  const home = new Int32Array(unitCount).fill(model.families.length);
  const members = Array.from({ length: model.families.length + 1 }, (): number[] => []);
  for (const [position, unit] of candidates.entries()) {
    if (rank[unit] >= 0) continue;
    rank[unit] = position;
    damage[unit] = model.damageOf(unit);
    const [first = model.families.length] = model.familiesOf(unit);
    home[unit] = first;
    members[first].push(unit);
  }
  const leasts = new Int32Array(members.length).fill(-1);
  const isLess = (a: number, b: number): boolean => {
    if (leasts[a] < 0 || leasts[b] < 0) return leasts[b] < 0;
    const [x, y] = [damage[leasts[a]], damage[leasts[b]]];
    return x < y || (x === y && rank[leasts[a]] < rank[leasts[b]]);
  };
  const tournament = newTournament(members.length, isLess);
  /** Looks for the least of a family among those that are left, in the order of the candidates. */
  const rankFamily = (family: number): void => {
    const own = members[family];
    let [count, least] = [0, -1];
    for (const unit of own) {
      if (rank[unit] < 0) continue;
      own[count++] = unit;
      if (least < 0 || damage[unit] < damage[least]) least = unit;
    }
    own.length = count;
    leasts[family] = least;
    tournament.changed(family);
  };
  for (const family of members.keys()) rankFamily(family);
  const seen = new Int32Array(unitCount).fill(-1);
  let turn = 0;

  return {
    /** Takes the unit of the least damage, the first where several have it. */
    takeLeast(): number | undefined {
      const unit = leasts[tournament.winner()];
      if (unit < 0) return undefined;
      rank[unit] = -1;
      rankFamily(home[unit]);
      return unit;
    },

    /** Reads the damage of all units of some families again. */
    rankAgain(families: Int32Array): void {
      turn++;
      const homes = new Set<number>();
      for (const family of families)
        for (const unit of model.families[family]) {
          if (unit < 0 || rank[unit] < 0 || seen[unit] === turn) continue;
          seen[unit] = turn;
          damage[unit] = model.damageOf(unit);
          homes.add(home[unit]);
        }
      for (const each of homes) rankFamily(each);
    },
  };
}

/** Finds the least of `count` players again after one has changed, in as many comparisons as `count` has digits in base 2. */
function newTournament(count: number, isLess: (a: number, b: number) => boolean) {
  // Player p is leaf p + size of a binary tree whose inner nodes hold the lesser of their two children.
  let size = 1;
  while (size < count) size *= 2;
  const winners = new Int32Array(2 * size).fill(-1);
  for (let player = 0; player < count; player++) winners[size + player] = player;
  const play = (node: number): void => {
    const [a, b] = [winners[2 * node], winners[2 * node + 1]];
    winners[node] = a < 0 || (b >= 0 && isLess(b, a)) ? b : a;
  };
  for (let node = size - 1; node > 0; node--) play(node);
  return {
    winner: () => winners[1],
    changed(player: number): void {
      for (let node = (size + player) >> 1; node > 0; node >>= 1) play(node);
    },
  };
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

function accountOf(source: Source, shares: OutputShares, average: number): Account {
  const { units, deviation, correlations, factor, readers } = source;
  const width = units.length;
  const alone = new Float64Array(width);
  // Where all readers are grouped, no channel takes over for another.
  const isShared = readers.some(({ weight }) => weight.group === 1);
  const correlated = correlations && factor && isShared ? { correlations, factor } : undefined;
  const gram = new Float64Array(correlated ? width * width : width);
  for (const reader of readers) {
    const gains = gainsOf(reader, shares, average);
    if (reader.weight.group > 1) addOwnSquares(reader, gains, deviation, alone);
    else if (correlated) addWeightedGram(reader, gains, deviation, gram);
    else addSquares(reader, gains, deviation, gram);
  }
  return { alone, gram, correlated };
}

/** Squares of the weights of each channel, without outputs that are removed together with the channel. */
function addOwnSquares(
  reader: ModelledReader,
  gains: Float64Array,
  deviation: Float64Array,
  out: Float64Array,
): void {
  const { weight, sourceUnits, resultUnits } = reader;
  const { outputs, inputs, taps } = weight;
  const weights = normalizedWeights(reader, deviation);
  for (let o = 0, at = 0; o < outputs; o++)
    for (let k = 0; k < taps; k++)
      for (let i = 0; i < inputs; i++, at++) {
        const channel = channelOf(weight, o, i);
        if (sourceUnits[channel] !== resultUnits[o] || resultUnits[o] < 0)
          out[channel] += gains[o] * square(weights[at]);
      }
}

/** Adds Σ over taps of Wᵀ diag(gains) W of a reader's normalized weights W to the lower half of `out`. [C, C] */
function addWeightedGram(
  reader: ModelledReader,
  gains: Float64Array,
  deviation: Float64Array,
  out: Float64Array,
): void {
  const { outputs, inputs, taps } = reader.weight;
  const weights = normalizedWeights(reader, deviation);
  for (let o = 0, at = 0; o < outputs; o++) {
    const root = Math.sqrt(gains[o]);
    for (const end = at + taps * inputs; at < end; at++) weights[at] *= root;
  }
  addColumnGram(out, weights, inputs, outputs * taps);
}

/** Adds the diagonal of the same. [C] */
function addSquares(
  reader: ModelledReader,
  gains: Float64Array,
  deviation: Float64Array,
  out: Float64Array,
): void {
  const { outputs, inputs, taps } = reader.weight;
  const weights = normalizedWeights(reader, deviation);
  for (let o = 0, at = 0; o < outputs; o++)
    for (let k = 0; k < taps; k++)
      for (let i = 0; i < inputs; i++, at++) out[i] += gains[o] * square(weights[at]);
}
