/** @file Where a loss should read a network: before the Softmax or Sigmoid at its end. */
import { algebraOf } from "../ops/operator/algebra.ts";
import type { Value } from "../ops/operator/gradient.ts";
import { rearrangementOf, squashingOf } from "../ops/passes/roles.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import type { GraphEmitter } from "./emitter.ts";
import { type PredictionForm, smallestProbability } from "./losses.ts";

/** Scores, and what they are. */
export interface Prediction {
  readonly prediction: Value;
  readonly form: PredictionForm;
}

/** What a loss reads. */
export interface Head extends Prediction {
  /** What the network makes of its scores itself; `"none"` where its output holds them. */
  readonly squashing: "softmax" | "log-softmax" | "sigmoid" | "none";
}

/**
 * The scores behind an output: the input of the Softmax, LogSoftmax (over axis 1) or Sigmoid that
 * computes it, which is numerically safer than the logarithm of probabilities, in the shape of the output
 * where it is only reshaped after; else the output itself. Probabilities over another axis, or transposed
 * or resized after, are taken as they are.
 */
export function headOf(emit: GraphEmitter, output: Value): Head {
  const producerOf = (name: string) => emit.nodes.find(({ outputs }) => outputs.includes(name));
  let node = producerOf(output.name);
  let isInOrder = true;
  for (let how = node && rearrangementOf(node); node !== undefined && how !== undefined; ) {
    isInOrder &&= how === "in-order";
    node = producerOf(node.inputs[0]);
    how = node && rearrangementOf(node);
  }
  const role = node && squashingOf(node);
  if (node === undefined || role === undefined)
    return { prediction: output, form: "logits", squashing: "none" };
  const { squashing, axis, toEnd } = role;
  const { shape } = emit.value(node.outputs[0]);
  const isOverClasses =
    axis === undefined ||
    ((axis < 0 ? axis + shape.length : axis) === 1 &&
      (!toEnd || sizeOf(shape.slice(2)) === 1) &&
      shape[0] === output.shape[0] &&
      shape[1] === output.shape[1]);
  // The logarithm of probabilities is a score like any other.
  const form = squashing === "log-softmax" ? "logits" : "probabilities";
  if (!isInOrder || !isOverClasses) return { prediction: output, form, squashing };
  const scores = emit.value(node.inputs[0]);
  const isReshaped = shape.join() !== output.shape.join();
  const prediction = isReshaped ? emit.reshape(scores, output.shape) : scores;
  return { prediction, form: "logits", squashing };
}

/**
 * What a head predicts, as logits: the logarithm of its probabilities where it gives those; of a single
 * one, the logarithm of its odds.
 */
export function logitsOf(emit: GraphEmitter, { prediction, form }: Prediction): Value {
  if (form === "logits") return prediction;
  const t = algebraOf(emit, prediction);
  const log = (p: Value) => t.apply("Log", t.max(p, smallestProbability));
  if (prediction.shape[1] > 1) return log(prediction);
  return t.sub(log(prediction), log(t.sub(1, prediction)));
}
