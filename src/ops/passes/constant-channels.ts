/**
 * @file Channels that hold one number whatever the data: what zeros in the weights leave behind a layer,
 * and what becomes of it on its way through the network.
 */
import type { Node } from "../../ir/graph.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { binaryOperators } from "../elementwise/binary.ts";
import { unaryOperators } from "../elementwise/unary.ts";
import { operatorOf } from "../index.ts";
import { attributesOf } from "../operator/attributes.ts";
import type { TiedTensor } from "../operator/operator.ts";
import {
  type BatchNormRole,
  channelOf,
  type LinearRole,
  roleOf,
  slidingAxes,
  tapShares,
  weightOf,
} from "./roles.ts";

/** By index along axis 1: what a channel holds at every place, or NaN where that depends on the data. */
export type ConstantChannels = Float64Array;

/** What the rules may look at. */
export interface ConstantContext {
  readonly node: Node;
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  /** Of an input that is computed; `undefined` where nothing is known of it. */
  readonly channels: (index: number) => ConstantChannels | undefined;
  /** An input that is a constant. */
  readonly constant: (index: number) => HostTensor | undefined;
}

const elementwise = new Set(
  [...unaryOperators, ...binaryOperators].map(({ opType }) => opType).concat("Clip", "PRelu"),
);
const sameElements = new Set(["Identity", "Dropout"]);
const samePlaces = new Set(["MaxPool", "GlobalAveragePool", "GlobalMaxPool"]);
const reductions = new Set(["ReduceMean", "ReduceMax", "ReduceMin"]);
const reshapes = new Set(["Flatten", "Reshape", "Squeeze", "Unsqueeze"]);

/** The constant channels of a node's first output; `undefined` where nothing is known of them. */
export function constantChannels(context: ConstantContext): ConstantChannels | undefined {
  const { node, inputs, outputs } = context;
  const [x] = inputs;
  const [y] = outputs;
  if (node.domain !== "" || x === undefined || y === undefined || y.shape.length < 2)
    return undefined;
  const role = roleOf(node);
  if (role.kind === "linear") return behindLayer(context, role);
  if (role.kind === "batch-norm") return behindBatchNorm(context, role);
  if (elementwise.has(node.opType)) return behindFunction(context);
  if (node.opType === "Concat") return behindConcat(context);
  const own = context.channels(0);
  if (own === undefined) return undefined;
  if (role.kind === "gather") {
    const indices = context.constant(role.indicesInput);
    const axis = role.axis < 0 ? role.axis + x.shape.length : role.axis;
    if (axis !== 1 || indices?.shape.length !== 1) return undefined;
    return Float64Array.from(toNumbers(indices), (i) => own[i < 0 ? i + own.length : i]);
  }
  if (reshapes.has(node.opType)) return reshaped(own, x.shape, y.shape);
  const isSame =
    sameElements.has(node.opType) ||
    samePlaces.has(node.opType) ||
    (node.opType === "AveragePool" && averagesInside(node)) ||
    (reductions.has(node.opType) && keepsChannels(context, x));
  if (isSame) return own;
  // Padding with zeros changes what is not 0.
  return node.opType === "AveragePool"
    ? own.map((value) => (value === 0 ? 0 : Number.NaN))
    : undefined;
}

/** y[o] = b[o] + Σ w x, where every x that counts is constant, and what is padded is 0. */
function behindLayer(context: ConstantContext, role: LinearRole): ConstantChannels | undefined {
  const { node, inputs, outputs } = context;
  const [data, stored] = [inputs[role.dataInput], context.constant(role.weightInput)];
  const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);
  if (data === undefined || stored === undefined || stored.shape.length < 2) return undefined;
  if (axisOf(role.dataAxis, data.shape.length) !== 1) return undefined;
  if (axisOf(role.resultAxis, outputs[0].shape.length) !== 1) return undefined;
  if (role.window === undefined && stored.shape.length > 2) return undefined;
  const weight = weightOf(role, stored);
  const { outputs: filters, inputs: width, taps, values } = weight;
  const hasBias = role.biasInput !== undefined && (node.inputs[role.biasInput] ?? "") !== "";
  const bias = hasBias ? context.constant(role.biasInput ?? 0) : undefined;
  const numbers = bias && toNumbers(bias);
  const isVector = numbers?.length === filters && bias?.shape.at(-1) === filters;
  if (hasBias && !isVector && numbers?.length !== 1) return undefined;
  const of = context.channels(role.dataInput);
  const shapes = { data: data.shape, weight: stored.shape, result: outputs[0].shape };
  const shares = tapShares(role, slidingAxes(role, shapes));
  return Float64Array.from({ length: filters }, (_, o) => {
    let sum = numbers ? numbers[isVector ? o : 0] * role.biasFactor : 0;
    for (let at = o * width * taps; at < (o + 1) * width * taps; at++) {
      if (values[at] === 0) continue;
      const x = of?.[channelOf(weight, o, Math.floor(at / taps) % width)] ?? Number.NaN;
      if (x === 0) continue;
      if (Number.isNaN(x) || shares[at % taps] !== 1) return Number.NaN;
      sum += values[at] * x;
    }
    return sum;
  });
}

function behindBatchNorm(
  { channels, constant }: ConstantContext,
  role: BatchNormRole,
): ConstantChannels | undefined {
  const own = channels(role.dataInput);
  const [scale, bias, mean, variance] = [
    ...[role.scaleInput, role.biasInput, role.meanInput, role.varianceInput],
  ].map((input) => {
    const tensor = constant(input);
    return tensor && toNumbers(tensor);
  });
  if (!own || !scale || !bias || !mean || !variance) return undefined;
  return own.map(
    (x, c) => ((x - mean[c]) / Math.sqrt(variance[c] + role.epsilon)) * scale[c] + bias[c],
  );
}

/** What works place by place is computed on one place. */
function behindFunction({
  node,
  inputs,
  outputs,
  channels,
  constant,
}: ConstantContext): ConstantChannels | undefined {
  const bound = operatorOf(node);
  const [{ shape, dtype }] = outputs;
  const place = shape.map((size, axis) => (axis === 1 ? size : 1));
  if (typeof bound?.operator.fold !== "function") return undefined;
  const varies = new Uint8Array(shape[1]);
  const tensors: (HostTensor | undefined)[] = [];
  for (const [i, input] of inputs.entries()) {
    const own = channels(i);
    const tensor = constant(i);
    if (input === undefined) tensors.push(undefined);
    else if (tensor !== undefined) {
      const lead = shape.length - tensor.shape.length;
      if (tensor.shape.some((size, axis) => size > (place[axis + lead] ?? 0))) return undefined;
      tensors.push(tensor);
    } else if (own?.length === shape[1] && input.shape.length === shape.length) {
      for (const [c, value] of own.entries()) if (Number.isNaN(value)) varies[c] = 1;
      const known = own.map((value) => (Number.isNaN(value) ? 0 : value));
      tensors.push(tensorOf(input.dtype, place, known));
    } else return undefined;
  }
  const types = tensors.map((tensor) => tensor && { dtype: tensor.dtype, shape: tensor.shape });
  const folded = bound.operator.fold(tensors, bound.attrs, [{ dtype, shape: place }], types);
  if (folded === undefined || sizeOf(folded[0].shape) !== shape[1]) return undefined;
  return toNumbers(folded[0]).map((value, c) => (varies[c] === 1 ? Number.NaN : value));
}

function behindConcat({ node, inputs, channels, outputs }: ConstantContext): ConstantChannels {
  const axis = attributesOf(node).int("axis", 0);
  const unknown = new Float64Array(outputs[0].shape[1]).fill(Number.NaN);
  if ((axis < 0 ? axis + outputs[0].shape.length : axis) !== 1) return unknown;
  const parts = inputs.map((input, i) => {
    const width = input?.shape[1] ?? 0;
    const own = channels(i);
    return own?.length === width ? own : new Float64Array(width).fill(Number.NaN);
  });
  const all = Float64Array.from(parts.flatMap((part) => [...part]));
  return all.length === unknown.length ? all : unknown;
}

/** [N, C, ...] as [N, C · rest] or with other axes behind the channels. */
function reshaped(
  own: ConstantChannels,
  from: readonly number[],
  to: readonly number[],
): ConstantChannels | undefined {
  if (from[0] !== to[0] || from[1] !== own.length) return undefined;
  if (to[1] === from[1]) return own;
  const inner = sizeOf(from.slice(2));
  if (to.length !== 2 || to[1] !== own.length * inner) return undefined;
  return Float64Array.from({ length: to[1] }, (_, i) => own[Math.floor(i / inner)]);
}

/** Whether an average never counts padding. */
function averagesInside(node: Node): boolean {
  const raw = attributesOf(node);
  if (raw.int("count_include_pad", 0) === 0) return true;
  const isPlain = ["NOTSET", "VALID"].includes(raw.string("auto_pad", "NOTSET"));
  const pads = raw.ints("pads") ?? [];
  return isPlain && raw.int("ceil_mode", 0) === 0 && pads.every((pad) => pad === 0);
}

/** Whether a reduction leaves batch and channels alone. */
function keepsChannels({ constant, outputs }: ConstantContext, { shape }: TiedTensor): boolean {
  const axes = constant(1);
  if (axes === undefined || outputs[0].shape[1] !== shape[1]) return false;
  return [...toNumbers(axes)].every((axis) => (axis < 0 ? axis + shape.length : axis) > 1);
}
