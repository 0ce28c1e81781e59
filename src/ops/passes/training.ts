/** @file What training makes of a node, as its operator says. */
import type { Node } from "../../ir/graph.ts";
import { operatorFor } from "../index.ts";
import { attributesOf } from "../operator/attributes.ts";
import type { RunningStatistics, Training, TrainingFormContext } from "../operator/training.ts";

/** Which inputs of a node are parameters where they are constant. */
export interface TrainedInputs {
  readonly weights: readonly number[];
  /** Inputs that scale or shift the other one: parameters behind a layer with weights. */
  readonly affine: readonly number[];
  /** Whether the node draws noise: what scales and shifts it is trained as that of a layer. */
  readonly isNoise: boolean;
}

/** The inputs of a node that training may change. */
export function trainedInputs(node: Node): TrainedInputs {
  const training = trainingOf(node);
  if (training === undefined) return { weights: [], affine: [], isNoise: false };
  const { weights, affine, seeded } = training;
  return { weights, affine, isNoise: typeof seeded === "function" };
}

/** The running statistics of a node, if it has any. */
export function runningStatistics(node: Node): RunningStatistics | undefined {
  const operator = operatorFor(node);
  const statistics = trainingOf(node)?.statistics;
  if (operator === undefined || typeof statistics !== "function") return undefined;
  return statistics(operator.attributes(attributesOf(node)));
}

/** The node as it runs in training; the node itself where training changes nothing. */
export function trainingForm(node: Node, context: TrainingFormContext): Node {
  const form = trainingOf(node)?.form;
  return typeof form === "function" ? form(node, context) : node;
}

/** A node that draws noise, with the seed of its stream; any other as it is. */
export function withSeed(node: Node, seed: number): Node {
  const seeded = trainingOf(node)?.seeded;
  return typeof seeded === "function" ? seeded(node, seed) : node;
}

function trainingOf(node: Node): Training<unknown> | undefined {
  const training = operatorFor(node)?.training;
  return training === undefined || "none" in training ? undefined : training;
}
