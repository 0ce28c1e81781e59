/** @file The gradient rules of normalisations. */
import { assert } from "../../errors.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { algebraOf } from "../operator/algebra.ts";
import {
  channelSum,
  type Emitter,
  type GradientContext,
  type GradientRule,
  unbroadcast,
  type Value,
} from "../operator/gradient.ts";

/** The attributes of BatchNormalization. */
export interface BatchNormAttributes {
  readonly epsilon: number;
  /** The share of the old running statistics that stays, in training mode. */
  readonly momentum: number;
  readonly isTraining: boolean;
}

/** With r = 1 / sqrt(var + ε): dX, dscale = r Σ dY (X - mean), dB = Σ dY, dmean and dvar. */
export const batchNormGradient: GradientRule<BatchNormAttributes> = (context) => {
  const { emit, attrs } = context;
  const [x, scale, [dy]] = [context.input(0), context.input(1), context.dy];
  if (!dy) return [];
  const { add, sub, mul, div, apply } = algebraOf(emit, dy);
  const statistic = (index: 3 | 4) =>
    attrs.isTraining ? batchStatistic(context, index) : context.input(index);
  const r = () => apply("Reciprocal", apply("Sqrt", add(statistic(4), attrs.epsilon)));
  const a = () => mul(scale, r());
  const sum = () => channelSum(emit, dy);
  const dScale = () => mul(r(), sub(channelSum(emit, mul(dy, x)), mul(statistic(3), sum())));
  const dx = () => {
    if (!attrs.isTraining) return affine(emit, dy, a(), undefined);
    // dX = a (dY - mean(dY) - x̂ mean(dY x̂)), with x̂ = (X - mean) r. Written as one affine map of
    // dY + slope X, it takes one pass less over the activations than an affine map of dY and another one of X.
    const count = sizeOf(x.shape) / x.shape[1];
    const slope = mul(r(), div(dScale(), -count));
    const shift = mul(a(), sub(mul(slope, mul(statistic(3), -1)), div(sum(), count)));
    const perChannel = x.shape.slice(1).map((size, axis) => (axis === 0 ? size : 1));
    const leaning = add(dy, mul(x, emit.reshape(slope, perChannel)));
    return affine(emit, leaning, a(), shift);
  };
  const isFixed = !attrs.isTraining;
  const dVariance = () => mul(mul(mul(a(), r()), -0.5), dScale());
  return [
    context.needs(0) ? dx() : undefined,
    context.needs(1) ? dScale() : undefined,
    context.needs(2) ? sum() : undefined,
    // In training mode the running statistics do not reach Y.
    isFixed && context.needs(3) ? mul(mul(a(), -1), sum()) : undefined,
    isFixed && context.needs(4) ? dVariance() : undefined,
  ];
};

/**
 * The mean (input 3) or variance (input 4) of the batch in training mode. With a momentum of 0 the node itself
 * gives it, else a second node does. It cannot be computed from the new and the old running statistic, because
 * onnxruntime writes the new one into the memory of the old one. For the same reason the second node has inputs
 * of its own, one for each statistic.
 */
function batchStatistic(context: GradientContext<BatchNormAttributes>, input: 3 | 4): Value {
  const { emit, attrs, outputs } = context;
  const { momentum, epsilon } = attrs;
  const running = outputs[input - 2];
  if (running && momentum === 0) return running;
  const [x, scale, shift] = [context.input(0), context.input(1), context.input(2)];
  const { mul } = algebraOf(emit, scale);
  const again = { ...floats({ epsilon, momentum: 0 }), training_mode: 1 };
  const own = [x, scale, shift, mul(scale, 0), mul(shift, 0)];
  const given = emit.ops("BatchNormalization", own, again, [true, true, true]);
  const statistic = given[input - 2];
  assert(statistic !== undefined, "a wanted output is there");
  return statistic;
}

/** scale · X + shift per channel: BatchNormalization is the fastest such map that onnxruntime has. */
function affine(emit: Emitter, x: Value, scale: Value, shift: Value | undefined): Value {
  const channels = x.shape[1];
  const filled = (value: number) =>
    emit.constant(tensorOf(x.dtype, [channels], new Float64Array(channels).fill(value)));
  const zeros = filled(0);
  const inputs = [x, scale, shift ?? zeros, zeros, filled(1)];
  return emit.op("BatchNormalization", inputs, floats({ epsilon: 0 }));
}

function floats(values: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { kind: "float", value } as const]),
  );
}

/** Which elements share statistics, and how scale and shift meet them. */
export interface Normalization {
  /** X in the shape in which it is normalised. */
  readonly shape: readonly number[];
  /** The axes of `shape` over which statistics are taken. */
  readonly axes: readonly number[];
  /** The shape in which scale or shift broadcast against `affineShape`, from the one they have. */
  readonly vector: (given: readonly number[]) => readonly number[];
  /** X's shape where scale and shift are applied. */
  readonly affineShape: readonly number[];
  readonly epsilon: number;
  /** Whether the mean is taken away. */
  readonly isCentered: boolean;
}

/**
 * Y = scale · x̂ + shift with x̂ = (X - mean) r, r = 1 / sqrt(var + ε) over `axes`:
 * with g = scale · dY, dX = r (g - mean(g) - x̂ mean(g x̂)). Without centring the means of X and g drop out.
 */
export function normalizationGradient<A>(
  describe: (context: GradientContext<A>) => Normalization,
): GradientRule<A> {
  return (context) => {
    const { emit } = context;
    const [x, scale, [dy]] = [context.input(0), context.input(1), context.dy];
    if (!dy) return [];
    const { shape, axes, vector, affineShape, epsilon, isCentered } = describe(context);
    const { add, sub, mul, square, apply } = algebraOf(emit, dy);
    const mean = (v: Value) => emit.op("ReduceMean", [v, emit.ints(axes)], { keepdims: 1 });
    const flat = () => emit.reshape(x, shape);
    const centered = () => (isCentered ? sub(flat(), mean(flat())) : flat());
    const r = () => {
      const power = mean(square(centered()));
      return apply("Reciprocal", apply("Sqrt", add(power, epsilon)));
    };
    const normal = () => mul(centered(), r());
    const dx = () => {
      const scaled = mul(emit.reshape(dy, affineShape), emit.reshape(scale, vector(scale.shape)));
      const g = emit.reshape(scaled, shape);
      const along = mul(normal(), mean(mul(g, normal())));
      const rest = isCentered ? sub(sub(g, mean(g)), along) : sub(g, along);
      return emit.reshape(mul(rest, r()), x.shape);
    };
    const perVector = (v: Value, parameter: Value) =>
      emit.reshape(
        unbroadcast(emit, emit.reshape(v, affineShape), vector(parameter.shape)),
        parameter.shape,
      );
    const dScale = () => perVector(mul(emit.reshape(dy, shape), normal()), scale);
    return [
      context.needs(0) ? dx() : undefined,
      context.needs(1) ? dScale() : undefined,
      context.needs(2) ? perVector(dy, context.input(2)) : undefined,
    ];
  };
}

/** What LRN divides by. */
export interface LrnAttributes {
  readonly alpha: number;
  readonly beta: number;
  readonly bias: number;
  readonly size: number;
}

/**
 * With S = bias + α/n Σ X² over the n neighbours: dX = dY S^-β - 2αβ X · mean(dY X S^(-β-1)), the mean
 * over those channels whose neighbour X is. Windows over channels are pools over an axis of [.., C, rest].
 */
export const lrnGradient: GradientRule<LrnAttributes> = (context) => {
  const { emit } = context;
  const { alpha, beta, bias, size } = context.attrs;
  const [x, [dy]] = [context.input(0), context.dy];
  if (!dy || !context.needs(0)) return [];
  const { add, sub, mul, pow, square } = algebraOf(emit, dy);
  const [batch, channels, ...spatial] = x.shape;
  const rest = spatial.reduce((n, length) => n * length, 1);
  const pooled = (v: Value, before: number) => {
    const flat = emit.reshape(v, [batch, 1, channels, rest]);
    const pads = [before, 0, size - 1 - before, 0];
    const window = { kernel_shape: [size, 1], pads, count_include_pad: 1 };
    return emit.reshape(emit.op("AveragePool", [flat], window), x.shape);
  };
  const before = Math.floor((size - 1) / 2);
  const s = add(mul(pooled(square(x), before), alpha), bias);
  const power = pow(s, -beta);
  const direct = mul(dy, power);
  const spread = pooled(mul(mul(direct, x), pow(s, -1)), size - 1 - before);
  return [sub(direct, mul(mul(x, spread), 2 * alpha * beta))];
};
