/**
 * @file Channels that hold one number whatever the data: what zeros in the weights leave behind a layer,
 * and the rules by which several operators pass such channels on.
 */
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { channelOf, slidingAxes, tapShares, weightOf } from "./linear-layer.ts";
import type { NotApplicable } from "./not-applicable.ts";
import type { ConstantChannels, ConstantContext, Fold } from "./operator.ts";
import type { LinearRole } from "./role.ts";

/** The `constantChannels` facet of operators behind which nothing counts as constant. */
export const notFollowed: NotApplicable = {
  none: "no rule; a channel that was constant may hold anything behind it",
};

/** The `constantChannels` facet of operators that leave a channel of equal elements as it is. */
export function sameChannels({ channels }: ConstantContext<unknown>): ConstantChannels | undefined {
  return channels(0);
}

/** The rule of linear layers, whose role `roleFor` gives. */
export function behindLayer<A>(
  roleFor: (attrs: A) => LinearRole | NotApplicable,
): (context: ConstantContext<A>) => ConstantChannels | undefined {
  return (context) => {
    const role = roleFor(context.attrs);
    return "none" in role ? undefined : sumsOfConstants(context, role);
  };
}

/** y[o] = b[o] + Σ w x, where every x that counts is constant, and what is padded is 0. */
function sumsOfConstants<A>(
  context: ConstantContext<A>,
  role: LinearRole,
): ConstantChannels | undefined {
  const { inputs, outputs } = context;
  const [data, stored] = [inputs[role.dataInput], context.constant(role.weightInput)];
  const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);
  if (data === undefined || stored === undefined || stored.shape.length < 2) return undefined;
  if (axisOf(role.dataAxis, data.shape.length) !== 1) return undefined;
  if (axisOf(role.resultAxis, outputs[0].shape.length) !== 1) return undefined;
  if (role.window === undefined && stored.shape.length > 2) return undefined;
  const weight = weightOf(role, stored);
  const { outputs: filters, inputs: width, taps, values } = weight;
  const biasOf = biasBehind(context, role, filters);
  if (biasOf === undefined) return undefined;
  const own = context.channels(role.dataInput);
  const shapes = { data: data.shape, weight: stored.shape, result: outputs[0].shape };
  const shares = tapShares(role, slidingAxes(role, shapes));
  return Float64Array.from({ length: filters }, (_, o) => {
    let sum = biasOf(o);
    for (let at = o * width * taps; at < (o + 1) * width * taps; at++) {
      if (values[at] === 0) continue;
      const x = own?.[channelOf(weight, o, Math.floor(at / taps) % width)] ?? Number.NaN;
      if (x === 0) continue;
      if (Number.isNaN(x) || shares[at % taps] !== 1) return Number.NaN;
      sum += values[at] * x;
    }
    return sum;
  });
}

/** The bias of each filter, 0 where the node has none; `undefined` where it is not one number per filter. */
function biasBehind<A>(
  { node, constant }: ConstantContext<A>,
  { biasInput, biasFactor }: LinearRole,
  filters: number,
): ((filter: number) => number) | undefined {
  if (biasInput === undefined || (node.inputs[biasInput] ?? "") === "") return () => 0;
  const bias = constant(biasInput);
  if (bias === undefined) return undefined;
  const numbers = toNumbers(bias);
  const isVector = numbers.length === filters && bias.shape.at(-1) === filters;
  if (!isVector && numbers.length !== 1) return undefined;
  return (filter) => numbers[isVector ? filter : 0] * biasFactor;
}

/** The rule of operators that work place by place: what they make of constants is computed on one place. */
export function placeByPlace<A>(
  fold: Fold<A> | NotApplicable,
): ((context: ConstantContext<A>) => ConstantChannels | undefined) | NotApplicable {
  if (typeof fold !== "function")
    return { none: "it is not computed before the network runs, so neither on one place" };
  return ({ attrs, inputs, outputs, channels, constant }) => {
    const [{ shape, dtype }] = outputs;
    const place = shape.map((size, axis) => (axis === 1 ? size : 1));
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
    const folded = fold(tensors, attrs, [{ dtype, shape: place }], types);
    if (folded === undefined || sizeOf(folded[0].shape) !== shape[1]) return undefined;
    return toNumbers(folded[0]).map((value, c) => (varies[c] === 1 ? Number.NaN : value));
  };
}
