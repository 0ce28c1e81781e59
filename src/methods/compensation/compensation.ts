/**
 * @file The parameters by which the readers of removed channels compensate for them, from statistics alone.
 *
 * Three corrections, each exact under its assumption. *Substitution*: the part of a removed channel that kept channels
 * predict is added to their weights. *Mean*: the rest of a removed channel is replaced by its expected value, in the
 * running mean of the batch normalization behind, or in a bias. *Variance*: the running variance shrinks as the
 * result's variance does.
 */
import { type Constant, consumersOf, type Graph, type Node } from "../../ir/graph.ts";
import { storedWeight } from "../../ops/operator/linear-layer.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Removed } from "../../structure/units/removal.ts";
import type { Edit } from "../../structure/weights/edits.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { pow } from "../../tensor/elementary.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { productWithTranspose } from "../../tensor/linear-algebra.ts";
import {
  type ModelledReader,
  resultVarianceOfKept,
  type Source,
  type Substitutes,
  substitutes,
} from "./channel-model.ts";
import { weightPowers } from "./normalized-weights.ts";
import type { Reader } from "./readers.ts";

/** The corrections to make besides that of the mean. */
export interface Corrections {
  readonly variance: boolean;
}

/** The least share of the running variance that a channel keeps. */
const leastShare = 0.1;

/**
 * The power to which the modelled share of variance is taken. 1 would be exact for one layer alone; 2 also accounts for
 * two effects that the model leaves out: kept and removed channels are correlated between positions, and the layers
 * behind see less than they were trained on. Chosen by accuracy on the first half of CIFAR-10's test images.
 */
const variancePower = 2;

/** New parameters for all readers of removed channels, in the original's widths. */
export function compensate(
  graph: Graph,
  sources: readonly Source[],
  removed: Removed,
  corrections: Corrections,
): readonly Edit[] {
  const consumers = consumersOf(graph);
  return sources.flatMap((source) => {
    const isGone = Uint8Array.from(source.units, (unit) =>
      unit >= 0 && removed[unit] === 1 ? 1 : 0,
    );
    if (!isGone.includes(1)) return [];
    const kept = placesWhere(isGone, 0);
    const gone = placesWhere(isGone, 1);
    const change = { isGone, kept, gone, stand: substitutes(source, kept, gone) };
    return source.readers.flatMap((reader) =>
      editReader(graph, consumers, reader, source, change, corrections),
    );
  });
}

/** Which channels of a source go. */
interface Change {
  /** One flag per channel. */
  readonly isGone: Uint8Array;
  readonly kept: Int32Array;
  readonly gone: Int32Array;
  /** How the kept channels stand in for those that go, where they are correlated. */
  readonly stand: Substitutes | undefined;
}

function placesWhere(flags: Uint8Array, flag: number): Int32Array {
  return Int32Array.from([...flags.keys()].filter((place) => flags[place] === flag));
}

/**
 * The weights [O, I, K] by which the kept channels take over the contribution of those that go; the weights themselves
 * where they take over nothing. Those of channels that go are unchanged, because verification reads their original values.
 */
function compensatedWeights(
  { weight, isShared }: Reader,
  { deviation }: Source,
  change: Change,
): Float64Array {
  if (!change.stand || weight.group > 1 || isShared) return weight.values;
  const values = weight.values.slice();
  takeOver(values, weight, deviation, change, change.stand.shares);
  return values;
}

/** Adds to the weights of the kept channels what they take over of those that go: x_r ≈ Σ X[k, r] s_r / s_k x_k. */
function takeOver(
  values: Float64Array,
  { outputs, inputs, taps, values: before }: Reader["weight"],
  deviation: Float64Array,
  { kept, gone }: Change,
  shares: Float64Array,
): void {
  const factors = new Float64Array(kept.length * gone.length);
  for (let j = 0, at = 0; j < kept.length; j++)
    for (let l = 0; l < gone.length; l++, at++) {
      const own = deviation[kept[j]];
      factors[at] = own > 0 ? (shares[at] * deviation[gone[l]]) / own : 0;
    }
  const lost = new Float64Array(outputs * taps * gone.length);
  for (let o = 0; o < outputs; o++)
    for (let l = 0; l < gone.length; l++)
      for (let tap = 0, from = (o * inputs + gone[l]) * taps; tap < taps; tap++, from++)
        lost[(o * taps + tap) * gone.length + l] = before[from];
  const gain = productWithTranspose(lost, factors, outputs * taps, kept.length, gone.length);
  for (let o = 0; o < outputs; o++)
    for (let j = 0; j < kept.length; j++)
      for (let tap = 0, to = (o * inputs + kept[j]) * taps; tap < taps; tap++, to++)
        values[to] += gain[(o * taps + tap) * kept.length + j];
}

function editReader(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  reader: ModelledReader,
  source: Source,
  change: Change,
  corrections: Corrections,
): Edit[] {
  const { node, role, batchNorm } = reader;
  const edits: Edit[] = [];
  const weights = compensatedWeights(reader, source, change);
  const stored = graph.constants.get(node.inputs[role.weightInput]);
  if (stored && areDifferent(weights, reader.weight.values)) {
    const tensor = storedWeight(role, stored, weights);
    edits.push({ node: node.name, input: role.weightInput, tensor });
  }
  const loss = meanLoss(reader, source, weights, change);
  const lowered = lowerMean(graph, consumers, reader, loss);
  if (lowered) edits.push(lowered);
  if (batchNorm && corrections.variance) {
    const { variance } = batchNorm;
    const shares = varianceShares(reader, source, weights, change);
    const old = graph.constants.get(batchNorm.node.inputs[batchNorm.role.varianceInput]);
    const tensor =
      old &&
      like(
        old,
        variance.map((v, o) => v * shares[o]),
      );
    if (tensor)
      edits.push({ node: batchNorm.node.name, input: batchNorm.role.varianceInput, tensor });
  }
  return edits;
}

/**
 * The correction for results that fall by `loss` [O] on average: a lower mean in the batch normalization behind, or a
 * higher bias; `undefined` where there is no place for it.
 */
export function lowerMean(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  reader: Reader,
  loss: Float64Array,
): Edit | undefined {
  const { batchNorm } = reader;
  if (batchNorm === undefined) return raiseBias(graph, consumers, reader, loss);
  const { node, role, mean } = batchNorm;
  const old = graph.constants.get(node.inputs[role.meanInput]);
  const tensor =
    old &&
    like(
      old,
      mean.map((m, o) => m - loss[o]),
    );
  return tensor && { node: node.name, input: role.meanInput, tensor };
}

function areDifferent(a: Float64Array, b: Float64Array): boolean {
  return a !== b && a.some((value, i) => value !== b[i]);
}

/** The decrease of the mean of each result: Σ share_k (w - w') E x, where w' is 0 for channels that go. [O] */
function meanLoss(
  { weight, shares }: Reader,
  { mean }: Source,
  weights: Float64Array,
  { isGone }: Change,
): Float64Array {
  const { outputs, inputs, taps, values, group } = weight;
  const loss = new Float64Array(outputs);
  for (let o = 0, at = 0; o < outputs; o++) {
    const first = Math.floor((o * group) / outputs) * inputs;
    let sum = 0;
    for (let i = 0; i < inputs; i++) {
      const stays = isGone[first + i] === 0 ? 1 : 0;
      let lost = 0;
      for (let k = 0; k < taps; k++, at++) lost += shares[k] * (values[at] - stays * weights[at]);
      sum += lost * mean[first + i];
    }
    loss[o] = sum;
  }
  return loss;
}

/** The share of its running variance that each result keeps. [O] */
function varianceShares(
  reader: ModelledReader,
  source: Source,
  weights: Float64Array,
  { kept, stand, isGone }: Change,
): Float64Array {
  const after =
    stand && reader.weight.group === 1
      ? resultVarianceOfKept(reader, source, weights, { kept, factor: stand.factor })
      : weightPowers(
          reader,
          source.deviation.map((s, c) => (isGone[c] === 1 ? 0 : s)),
          weights,
        );
  return reader.resultVariance.map((all, o) => {
    const share = all > 0 ? Math.min(1, after[o] / all) : 1;
    return pow(Math.max(leastShare, share), variancePower);
  });
}

/** The reader's own bias, or the bias that a sum behind it adds, raised by `loss`. */
export function raiseBias(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  reader: Reader,
  loss: Float64Array,
): Edit | undefined {
  const { node, role, result } = reader;
  if (role.biasInput !== undefined) {
    const name = node.inputs[role.biasInput] ?? "";
    const old = graph.constants.get(name);
    if (name !== "" && old === undefined) return undefined;
    const dtype = graph.constants.get(node.inputs[role.weightInput])?.dtype ?? "float32";
    return raised(old, dtype, node, role.biasInput, loss, role.biasFactor);
  }
  const [next, ...others] = consumers.get(result) ?? [];
  if (next === undefined || others.length > 0 || graph.outputs.includes(result)) return undefined;
  if (roleOf(next).kind !== "add") return undefined;
  const input = next.inputs[0] === result ? 1 : 0;
  const old = graph.constants.get(next.inputs[input]);
  return old && raised(old, old.dtype, next, input, loss, 1);
}

function raised(
  old: Constant | undefined,
  dtype: Constant["dtype"],
  node: Node,
  input: number,
  loss: Float64Array,
  factor: number,
): Edit | undefined {
  if (old === undefined)
    return { node: node.name, input, tensor: tensorOf(dtype, [loss.length], loss) };
  const size = sizeOf(old.shape);
  const isVector = size === loss.length && old.shape.at(-1) === size;
  if (!isFloat(old.dtype) || factor === 0 || !(isVector || size === 1)) return undefined;
  const numbers = toNumbers(old.read());
  const values = loss.map((x, o) => numbers[isVector ? o : 0] + x / factor);
  const shape = isVector ? old.shape : [loss.length];
  return { node: node.name, input, tensor: tensorOf(old.dtype, shape, values) };
}

function like({ dtype, shape }: Constant, values: Float64Array) {
  return tensorOf(dtype, shape, values);
}
