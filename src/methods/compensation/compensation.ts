/**
 * @file The parameters by which the readers of removed channels compensate for them, from statistics alone.
 *
 * Three corrections, each exact under its assumption. *Substitution*: the part of a removed channel that kept channels
 * predict is added to their weights. *Mean*: the rest of a removed channel is replaced by its expected value, in the
 * running mean of the batch normalization behind, or in a bias. *Variance*: the running variance shrinks as the
 * result's variance does.
 */
import { type Constant, consumersOf, type Graph, type Node } from "../../ir/graph.ts";
import { channelOf, storedWeight } from "../../ops/operator/linear-layer.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { Removed } from "../../structure/units/removal.ts";
import type { Edit } from "../../structure/weights/edits.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { pow } from "../../tensor/elementary.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { productWithTranspose } from "../../tensor/linear-algebra.ts";
import { type ModelledReader, resultVariance, type Source, substitutes } from "./channel-model.ts";
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
    const isGone = Array.from(source.units, (unit) => unit >= 0 && removed[unit] === 1);
    if (!isGone.includes(true)) return [];
    const kept = [...isGone.keys()].filter((channel) => !isGone[channel]);
    const gone = [...isGone.keys()].filter((channel) => isGone[channel]);
    const shares = substitutes(source, kept, gone);
    return source.readers.flatMap((reader) => {
      const mayChange = reader.weight.group === 1 && !reader.isShared;
      const weights = without(reader, source, {
        kept,
        gone,
        shares: mayChange ? shares : undefined,
      });
      return editReader(graph, consumers, reader, source, { weights, corrections, isGone });
    });
  });
}

/** The weights [O, I, K] with zeros for the removed channels, whose contribution the kept channels take over. */
function without(
  { weight }: Reader,
  { deviation }: Source,
  change: {
    readonly kept: readonly number[];
    readonly gone: readonly number[];
    readonly shares: Float64Array | undefined;
  },
): Float64Array {
  const { outputs, inputs, taps } = weight;
  const { kept, gone, shares } = change;
  const values = weight.values.slice();
  if (shares) {
    // In units of the channels themselves: x_r ≈ Σ X[k, r] s_r / s_k x_k.
    const factors = shares.map((x, i) => {
      const [k, r] = [kept[Math.floor(i / gone.length)], gone[i % gone.length]];
      return deviation[k] > 0 ? (x * deviation[r]) / deviation[k] : 0;
    });
    const lost = new Float64Array(outputs * taps * gone.length);
    for (let o = 0; o < outputs; o++)
      for (const [l, r] of gone.entries())
        for (let tap = 0; tap < taps; tap++)
          lost[(o * taps + tap) * gone.length + l] = weight.values[(o * inputs + r) * taps + tap];
    const gain = productWithTranspose(lost, factors, outputs * taps, kept.length, gone.length);
    for (let o = 0; o < outputs; o++)
      for (const [j, k] of kept.entries())
        for (let tap = 0; tap < taps; tap++)
          values[(o * inputs + k) * taps + tap] += gain[(o * taps + tap) * kept.length + j];
  }
  const isGone = new Set(gone);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      if (isGone.has(channelOf(weight, o, i)))
        values.fill(0, (o * inputs + i) * taps, (o * inputs + i + 1) * taps);
  return values;
}

interface Change {
  /** The weights [O, I, K], with zeros for removed channels. */
  readonly weights: Float64Array;
  readonly corrections: Corrections;
  readonly isGone: readonly boolean[];
}

function editReader(
  graph: Graph,
  consumers: ReadonlyMap<string, readonly Node[]>,
  reader: ModelledReader,
  source: Source,
  { weights, corrections, isGone }: Change,
): Edit[] {
  const { node, role, weight, batchNorm } = reader;
  const edits: Edit[] = [];
  const stored = graph.constants.get(node.inputs[role.weightInput]);
  const goes = slicesThatGo(weight, isGone);
  const isChanged = weights.some((w, i) => w !== weight.values[i] && goes[i] === 0);
  if (stored && isChanged) {
    // The slices that are removed stay unchanged, because verification reads their original values.
    const whole = weights.map((w, i) => (goes[i] === 1 ? weight.values[i] : w));
    const tensor = storedWeight(role, stored, whole);
    edits.push({ node: node.name, input: role.weightInput, tensor });
  }
  const loss = meanLoss(reader, source, weights);
  const lowered = lowerMean(graph, consumers, reader, loss);
  if (lowered) edits.push(lowered);
  if (batchNorm && corrections.variance) {
    const { variance } = batchNorm;
    const shares = varianceShares(reader, source, weights);
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

/** A mask over weights [O, I, K]: 1 for a channel that is removed, else 0. */
function slicesThatGo(weight: Reader["weight"], isGone: readonly boolean[]): Uint8Array {
  const { outputs, inputs, taps } = weight;
  const goes = new Uint8Array(outputs * inputs * taps);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      if (isGone[channelOf(weight, o, i)])
        goes.fill(1, (o * inputs + i) * taps, (o * inputs + i + 1) * taps);
  return goes;
}

/** The decrease of the mean of each result: Σ share_k (w - w') E x. [O] */
function meanLoss(
  { weight, shares }: Reader,
  { mean }: Source,
  weights: Float64Array,
): Float64Array {
  const { outputs, inputs, taps, values } = weight;
  const loss = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let k = 0; k < taps; k++) {
        const at = (o * inputs + i) * taps + k;
        loss[o] += shares[k] * (values[at] - weights[at]) * mean[channelOf(weight, o, i)];
      }
  return loss;
}

/** The share of its running variance that each result keeps. [O] */
function varianceShares(
  reader: ModelledReader,
  source: Source,
  weights: Float64Array,
): Float64Array {
  const after = resultVariance(reader, source, weights);
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
