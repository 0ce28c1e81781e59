/**
 * @file Losses as graph functions: they add nodes that compute a number from the network's output and
 * the target. A loss of one's own is any function of the same type.
 *
 * Class scores lie on axis 1: [N, C] for images, [N, C, ...positions] for pixels. Means are over all
 * images and positions that count.
 */
import { EspalierError } from "../errors.ts";
import { type Algebra, algebraOf } from "../ops/operator/algebra.ts";
import type { Emitter, Value } from "../ops/operator/gradient.ts";
import { range } from "../ops/operator/known.ts";
import { isFloat } from "../tensor/dtype.ts";
import { int64Vector, sizeOf, tensorOf } from "../tensor/host-tensor.ts";

/** Adds a loss to a graph; gives it as a rank-0 float32. */
export type Loss<Options = undefined> = (
  emit: Emitter,
  prediction: Value,
  target: Value,
  options: Options,
) => Value;

/** What the prediction holds: scores before Softmax or Sigmoid (log-probabilities are scores too), or after. */
export type PredictionForm = "logits" | "probabilities";

/** Probabilities are clamped to at least this before their logarithm is taken. */
export const smallestProbability = 1e-12;

/** How cross-entropy counts. */
export interface CrossEntropyOptions {
  /** Default `"logits"`. `headOf` finds out what a network gives. */
  readonly form?: PredictionForm | undefined;
  /** Share of the target that is spread evenly over all classes, in [0, 1); default 0. */
  readonly smoothing?: number | undefined;
  /** One weight for each class. */
  readonly classWeights?: readonly number[] | undefined;
  /** Label of what does not count. */
  readonly ignoreIndex?: number | undefined;
}

/**
 * Cross-entropy from logits [N, C, ...] and either whole labels [N, ...] or probabilities of the
 * prediction's shape, as PyTorch's `cross_entropy` defines it:
 *
 *     -Σ w_c · t_c · ln softmax(z)_c / Σ w_y,   t = (1 - smoothing) · target + smoothing / C
 *
 * where the divisor counts each image or position that is not ignored with the weight of its label
 * (with 1 for soft targets). The loss is 0 where nothing counts.
 */
export const crossEntropy: Loss<CrossEntropyOptions> = (emit, prediction, target, options) => {
  const { form = "logits", smoothing = 0, classWeights, ignoreIndex } = options;
  const scores = asFloat32(emit, prediction);
  const t = algebraOf(emit, scores);
  const logs =
    form === "logits"
      ? emit.op("LogSoftmax", [scores], { axis: 1 })
      : t.apply("Log", t.max(scores, smallestProbability));
  const { hot, counted } = targetOf(emit, scores, target, ignoreIndex);
  const isHard = !isFloat(target.dtype);
  const weights = classWeights && perClass(emit, scores, classWeights);

  const spread = smoothing / scores.shape[1];
  const smooth = t.add(t.mul(hot, 1 - smoothing), counted ? t.mul(counted, spread) : spread);
  const weighted = weights ? t.mul(smooth, weights) : smooth;
  const total = sumAll(emit, t.mul(weighted, logs));

  const positions = sizeOf(scores.shape) / scores.shape[1];
  if (isHard && weights) return perCount(t, total, sumAll(emit, t.mul(hot, weights)));
  if (counted) return perCount(t, total, sumAll(emit, counted));
  return t.mul(total, -1 / positions);
};

/** How binary cross-entropy counts. */
export interface BinaryCrossEntropyOptions {
  /** Default `"logits"`. */
  readonly form?: PredictionForm | undefined;
  /** Weight of positive targets; default 1. */
  readonly positiveWeight?: number | undefined;
  /** Share of the target that is spread evenly over both classes, in [0, 1); default 0. */
  readonly smoothing?: number | undefined;
  /** Label of what does not count. */
  readonly ignoreIndex?: number | undefined;
}

/**
 * Binary cross-entropy, the mean over all elements that count (0 where none does) of
 *
 *     (1 - t) · z + (1 + (positiveWeight - 1) · t) · ln(1 + e^-z)
 *
 * for logits z and targets t in [0, 1] of the same number of elements (whole or not).
 */
export const binaryCrossEntropy: Loss<BinaryCrossEntropyOptions> = (
  emit,
  prediction,
  target,
  { form = "logits", positiveWeight = 1, smoothing = 0, ignoreIndex },
) => {
  const z = asFloat32(emit, prediction);
  const t = algebraOf(emit, z);
  const labels = emit.reshape(t.cast(target), z.shape);
  const counted =
    ignoreIndex === undefined
      ? undefined
      : t.sub(1, t.cast(emit.op("Equal", [labels, emit.scalar(ignoreIndex)])));
  const counting = counted ? t.mul(labels, counted) : labels;
  const truth = smoothing === 0 ? counting : t.add(t.mul(counting, 1 - smoothing), smoothing / 2);
  const mean = (losses: Value) =>
    counted
      ? t.neg(perCount(t, sumAll(emit, t.mul(losses, counted)), sumAll(emit, counted)))
      : meanAll(emit, losses);
  if (form === "probabilities") {
    const log = (p: Value) => t.apply("Log", t.max(p, smallestProbability));
    const positive = t.mul(t.mul(truth, positiveWeight), log(z));
    const negative = t.mul(t.sub(1, truth), log(t.sub(1, z)));
    return mean(t.neg(t.add(positive, negative)));
  }
  if (positiveWeight === 1) return mean(t.sub(t.apply("Softplus", z), t.mul(z, truth)));
  const weight = t.add(t.mul(truth, positiveWeight - 1), 1);
  const missed = t.mul(weight, t.apply("Softplus", t.neg(z)));
  return mean(t.add(t.mul(t.sub(1, truth), z), missed));
};

/** How overlap is measured. */
export interface OverlapOptions {
  /** Default `"logits"`: Softmax is taken over the classes, or Sigmoid where there is one. */
  readonly form?: PredictionForm | undefined;
  /** Added to numerator and denominator; default 1. */
  readonly smooth?: number | undefined;
  readonly ignoreIndex?: number | undefined;
  /** 1 minus the overlap (default), or minus its logarithm, as TernausNet has it. */
  readonly as?: "complement" | "logarithm" | undefined;
}

/**
 * Soft Dice loss, with sums over images and positions, and the mean over classes:
 *
 *     1 - (2 Σ p·t + smooth) / (Σ p + Σ t + smooth)
 */
export const dice: Loss<OverlapOptions> = (emit, prediction, target, options) =>
  overlapLoss(emit, prediction, target, options, (t, both, p, truth, smooth) =>
    t.div(t.add(t.mul(both, 2), smooth), t.add(t.add(p, truth), smooth)),
  );

/**
 * Soft Jaccard (intersection over union) loss, with sums as `dice`:
 *
 *     1 - (Σ p·t + smooth) / (Σ p + Σ t - Σ p·t + smooth)
 */
export const jaccard: Loss<OverlapOptions> = (emit, prediction, target, options) =>
  overlapLoss(emit, prediction, target, options, (t, both, p, truth, smooth) =>
    t.div(t.add(both, smooth), t.add(t.sub(t.add(p, truth), both), smooth)),
  );

type Overlap = (t: Algebra, both: Value, p: Value, truth: Value, smooth: number) => Value;

function overlapLoss(
  emit: Emitter,
  prediction: Value,
  target: Value,
  options: OverlapOptions,
  overlap: Overlap,
): Value {
  const { form = "logits", smooth = 1, ignoreIndex, as = "complement" } = options;
  const scores = asFloat32(emit, prediction);
  const t = algebraOf(emit, scores);
  const classes = scores.shape[1];
  const squashed = () =>
    classes === 1 ? t.apply("Sigmoid", scores) : emit.op("Softmax", [scores], { axis: 1 });
  const all = form === "logits" ? squashed() : scores;
  const { hot, counted } = targetOf(emit, scores, target, ignoreIndex);
  const p = counted ? t.mul(all, counted) : all;
  const axes = range(scores.shape.length).filter((axis) => axis !== 1);
  const sum = (x: Value) => emit.sum(x, axes);
  const shares = overlap(t, sum(t.mul(p, hot)), sum(p), sum(hot), smooth);
  if (as === "logarithm") return t.neg(meanAll(emit, t.apply("Log", shares)));
  return t.sub(1, meanAll(emit, shares));
}

/** How a network learns from another. */
export interface DistillationOptions {
  /** Divides the logits of both; default 1. */
  readonly temperature?: number | undefined;
}

/**
 * Distillation (Hinton, Vinyals, Dean, 2015): the target holds the teacher's logits, shaped as the
 * prediction. With softmax over axis 1 and the mean over images and positions:
 *
 *     T² · Σ softmax(target / T) · (ln softmax(target / T) - ln softmax(prediction / T))
 *
 * A single logit z on axis 1 tells two classes apart: it stands for the logits 0 and z.
 */
export const distillation: Loss<DistillationOptions> = (
  emit,
  prediction,
  target,
  { temperature = 1 },
) => {
  const student = asFloat32(emit, prediction);
  const t = algebraOf(emit, student);
  const bothClasses = (z: Value) =>
    z.shape[1] > 1 ? z : emit.op("Concat", [t.mul(z, 0), z], { axis: 1 });
  const logs = (z: Value) =>
    emit.op("LogSoftmax", [t.mul(bothClasses(z), 1 / temperature)], { axis: 1 });
  const teacher = logs(t.cast(target));
  const divergence = t.mul(t.apply("Exp", teacher), t.sub(teacher, logs(student)));
  const positions = sizeOf(student.shape) / student.shape[1];
  return t.mul(sumAll(emit, divergence), (temperature * temperature) / positions);
};

/** A loss with its options given. */
export type ReadyLoss = (emit: Emitter, prediction: Value, target: Value) => Value;

/** Σ weight · loss of one prediction and target, such as BCE + Dice. */
export function weightedSum(
  terms: readonly (readonly [weight: number, loss: ReadyLoss])[],
): ReadyLoss {
  return (emit, prediction, target) => {
    const t = algebraOf(emit, prediction);
    return terms
      .map(([weight, loss]) => t.mul(loss(emit, prediction, target), weight))
      .reduce((a, b) => t.add(a, b));
  };
}

/** Σ |w|. */
export function l1Penalty(emit: Emitter, weight: Value): Value {
  return emit.op("ReduceL1", [weight], { keepdims: 0 });
}

/** ½ Σ w², whose gradient is w: weight decay. */
export function l2Penalty(emit: Emitter, weight: Value): Value {
  return algebraOf(emit, weight).mul(emit.op("ReduceSumSquare", [weight], { keepdims: 0 }), 0.5);
}

/**
 * Group lasso (Yuan and Lin, 2006): Σ √(size of g) · ‖w_g‖₂ over the slices g of `weight` along `axis`,
 * the filters of a convolution for axis 0.
 */
export function groupLasso(emit: Emitter, weight: Value, axis = 0): Value {
  const others = range(weight.shape.length).filter((other) => other !== axis);
  const norms =
    others.length === 0
      ? emit.op("Abs", [weight])
      : emit.op("ReduceL2", [weight, emit.ints(others)], { keepdims: 0 });
  const size = sizeOf(weight.shape) / weight.shape[axis];
  return algebraOf(emit, weight).mul(sumAll(emit, norms), Math.sqrt(size));
}

interface Target {
  /** Probabilities shaped as the scores; all 0 where nothing counts. */
  readonly hot: Value;
  /** [N, 1, ...]: 1 where the label counts, else 0; `undefined` where all count. */
  readonly counted: Value | undefined;
}

function targetOf(
  emit: Emitter,
  scores: Value,
  target: Value,
  ignoreIndex: number | undefined,
): Target {
  const [batch, classes, ...positions] = scores.shape;
  const t = algebraOf(emit, scores);
  const perPosition = [batch, 1, ...positions];
  const isSoft = isFloat(target.dtype) && sizeOf(target.shape) === sizeOf(scores.shape);
  if (isSoft) return { hot: emit.reshape(t.cast(target), scores.shape), counted: undefined };
  if (isFloat(target.dtype) || sizeOf(target.shape) !== sizeOf(perPosition))
    throw new EspalierError(
      "DATA_MISMATCH",
      `the target is ${target.dtype} [${target.shape.join(", ")}], the network's output ` +
        `[${scores.shape.join(", ")}]`,
      { hint: "Give whole labels without the class axis, or probabilities of the output's shape." },
    );
  const labels = emit.reshape(
    target.dtype === "int64" ? target : emit.op("Cast", [target], { to: 7 }),
    perPosition,
  );
  const equals = (other: Value) => t.cast(emit.op("Equal", [labels, other]));
  const counted =
    ignoreIndex === undefined
      ? undefined
      : t.sub(1, equals(emit.constant(int64Vector([ignoreIndex]))));
  if (classes === 1) {
    const truth = t.cast(labels);
    return { hot: counted ? t.mul(truth, counted) : truth, counted };
  }
  const names = int64Vector(range(classes));
  const hot = equals(emit.reshape(emit.constant(names), [1, classes, ...positions.map(() => 1)]));
  const isClass = ignoreIndex !== undefined && ignoreIndex >= 0 && ignoreIndex < classes;
  return { hot: isClass && counted ? t.mul(hot, counted) : hot, counted };
}

function perClass(emit: Emitter, scores: Value, weights: readonly number[]): Value {
  const classes = scores.shape[1];
  if (weights.length !== classes)
    throw new EspalierError(
      "DATA_MISMATCH",
      `${weights.length} class weights were given, the network has ${classes} classes`,
    );
  const shape = scores.shape.map((_, axis) => (axis === 1 ? classes : 1));
  return emit.constant(tensorOf("float32", shape, weights));
}

function asFloat32(emit: Emitter, prediction: Value): Value {
  if (prediction.shape.length < 2)
    throw new EspalierError(
      "DATA_MISMATCH",
      `the network's output has the shape [${prediction.shape.join(", ")}], expected [N, C, ...]`,
    );
  return prediction.dtype === "float32" ? prediction : emit.op("Cast", [prediction], { to: 1 });
}

/** Sum over all axes, rank 0. */
function sumAll(emit: Emitter, x: Value): Value {
  return emit.op("ReduceSum", [x], { keepdims: 0 });
}

function meanAll(emit: Emitter, x: Value): Value {
  return emit.op("ReduceMean", [x], { keepdims: 0 });
}

/** -total / count, and 0 where nothing counts. */
function perCount(t: Algebra, total: Value, count: Value): Value {
  return t.div(total, t.neg(t.max(count, 1e-12)));
}
