/** @file The objective of stochastic variational inference: the task's loss, and a sample's share of the KL. */
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { Objective, ObjectiveContext } from "../../train/step/objectives.ts";

/**
 * The scalar of a step that weighs the KL for one of N samples: λ(t) / N, or, where λ is in the KL, its rise over N.
 */
export const klWeight = "kl weight";

/**
 * mean loss + λ(t) / (N P) KL, for P positions of each sample; the task's loss alone in steps without {@link klWeight}.
 * The second term is reported as `kl`.
 */
export function freeEnergyOf(
  task: Objective,
  klOf: (context: ObjectiveContext) => Value,
): Objective {
  return (context) => {
    const { emit, prediction, scalars } = context;
    const loss = task(context);
    const weight = scalars.get(klWeight);
    if (weight === undefined) return loss;
    const [batch, channels] = prediction.shape;
    const positions = sizeOf(prediction.shape) / (batch * channels);
    const t = algebraOf(emit, loss);
    const penalty = t.mul(klOf(context), t.div(weight, positions));
    context.tell?.("kl", penalty);
    return t.add(loss, penalty);
  };
}
