/** @file What a step minimises: losses bound to what a training step has at hand. */
import type { Answer } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import type { GraphEmitter } from "../../grad/emitter.ts";
import { logitsOf, type Prediction } from "../../grad/head.ts";
import {
  binaryCrossEntropy,
  type CrossEntropyOptions,
  crossEntropy,
  dice,
  distillation,
  jaccard,
  type OverlapOptions,
  type PredictionForm,
} from "../../grad/losses.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";

/** What an objective may use. */
export interface ObjectiveContext {
  readonly emit: GraphEmitter;
  /** The scores behind the network's output, before a Softmax or Sigmoid at its end. */
  readonly prediction: Value;
  readonly form: PredictionForm;
  /** The same at the height and width of a target of label maps, where the output has others: see `predictionFor`. */
  readonly predictionFor: (target: Value) => Prediction;
  /** Labels or other targets as they are fed; `undefined` where there are none. */
  readonly target: Value | undefined;
  /** The teacher's logits for the same inputs; `undefined` without a teacher. */
  readonly teacher: Value | undefined;
  /** The trained parameters by name, for penalties. */
  readonly parameters: ReadonlyMap<string, Value>;
  /** Values of the network by name. */
  readonly values: ReadonlyMap<string, Value>;
  /** The optimizer's scalars by name, which change from step to step; none outside of training. */
  readonly scalars: ReadonlyMap<string, Value>;
  /** Tells a part of the loss apart, a rank-0 float32: its mean stands in the record of each epoch. */
  readonly tell?: (name: string, part: Value) => void;
}

/** Emits the loss of a batch, a rank-0 float32. Methods and users write their own. */
export type Objective = (context: ObjectiveContext) => Value;

/** Cross-entropy with the labels; binary where the network gives one score per sample or pixel. */
export function labels(options: Omit<CrossEntropyOptions, "form"> = {}): Objective {
  return ({ emit, predictionFor, target }) => {
    if (target === undefined) throw withoutTargets();
    const { prediction, form } = predictionFor(target);
    const { ignoreIndex, smoothing } = options;
    if (prediction.shape[1] === 1)
      return binaryCrossEntropy(emit, prediction, target, {
        form,
        smoothing,
        ignoreIndex,
      });
    return crossEntropy(emit, prediction, target, { ...options, form });
  };
}

/** How far prediction and labels are from covering each other, by soft Dice or soft Jaccard. */
export function overlap(
  measure: "dice" | "jaccard",
  options: Omit<OverlapOptions, "form"> = {},
): Objective {
  const loss = measure === "dice" ? dice : jaccard;
  return ({ emit, predictionFor, target }) => {
    if (target === undefined) throw withoutTargets();
    const { prediction, form } = predictionFor(target);
    return loss(emit, prediction, target, { ...options, form });
  };
}

/** How a network is to follow its teacher. */
export interface TeacherOptions {
  /** Softens both distributions; default 4. */
  readonly temperature?: number | undefined;
}

/** Distillation from the teacher's scores; needs no labels. */
export function teacher({ temperature = 4 }: TeacherOptions = {}): Objective {
  return ({ emit, prediction, form, teacher }) => {
    if (teacher === undefined)
      throw new EspalierError("USAGE", "distillation needs a teacher", {
        hint: "Give the original network as the teacher.",
      });
    return distillation(emit, logitsOf(emit, { prediction, form }), teacher, { temperature });
  };
}

/**
 * The outputs of another network, number by number: the mean over outputs and samples of ln(1 + e), where e is
 * the squared error relative to the square of the output's spread. The logarithm keeps an output that is far off,
 * and whose similarity is 0 anyway, from drowning all others. The targets are those of a data set with such
 * outputs.
 *
 * With a seed, noise as wide as the spread of each output is added to the targets. Around the network that is
 * followed the gradient is 0 otherwise; the square of a noisy one tells what outputs depend on (the Fisher
 * information of normal outputs).
 */
export function followOutputs(answers: readonly Answer[], noiseSeed?: RandomKey): Objective {
  return ({ emit, values, target: given }) => {
    if (given === undefined) throw withoutTargets();
    const [batch, width] = given.shape;
    const t = algebraOf(emit, given);
    const perNumber = (numberFor: (answer: Answer) => number) => {
      const data = new Float32Array(width);
      let at = 0;
      for (const answer of answers) {
        data.fill(numberFor(answer), at, at + answer.size);
        at += answer.size;
      }
      return emit.constant({ dtype: "float32", shape: [1, width], data });
    };
    const noisy = (seed: RandomKey) => {
      const own = { kind: "float", value: randomOf(seed, "outputs").integer(2 ** 24) } as const;
      const noise = emit.op("RandomNormalLike", [given], { seed: own });
      return t.add(
        given,
        t.mul(
          noise,
          perNumber(({ spread }) => spread),
        ),
      );
    };
    const target = noiseSeed === undefined ? given : noisy(noiseSeed);
    let at = 0;
    const errors = answers.map(({ output, size, spread }) => {
      const value = values.get(output);
      if (value === undefined || sizeOf(value.shape) !== batch * size)
        throw new EspalierError(
          "DATA_MISMATCH",
          `the network's output ${output} is not that of the network to follow: it has ` +
            `${value === undefined ? "none" : `the shape [${value.shape.join(", ")}]`}, expected ${size} ` +
            `numbers for each of ${batch} samples`,
          { data: { output, expected: size } },
        );
      const given = t.cast(emit.reshape(value, [batch, size]));
      const range = [at, at + size, 1].map((bound) => emit.ints([bound]));
      const wanted = emit.op("Slice", [target, range[0], range[1], range[2]]);
      at += size;
      const difference = t.sub(given, wanted);
      const squares = emit.sum(t.mul(difference, difference), [1]);
      return t.mul(squares, 1 / (size * spread ** 2));
    });
    const costs = errors.map((error) => t.apply("Log", t.add(error, 1)));
    const total = costs.reduce((sum, cost) => t.add(sum, cost));
    return t.mul(emit.op("ReduceSum", [total], { keepdims: 0 }), 1 / (batch * answers.length));
  };
}

/** Σ weight · objective. */
export function sumOf(
  ...terms: readonly (readonly [weight: number, objective: Objective])[]
): Objective {
  return (context) =>
    terms
      .map(([weight, objective]) => {
        const loss = objective(context);
        return algebraOf(context.emit, loss).mul(loss, weight);
      })
      .reduce((a, b) => context.emit.add(a, b));
}

function withoutTargets(): EspalierError {
  return new EspalierError("DATA_INVALID", "the samples have no labels to learn from", {
    hint: "Give labelled data, or a teacher to learn from.",
  });
}
