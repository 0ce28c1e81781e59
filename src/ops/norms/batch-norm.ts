/** @file BatchNormalization: per-channel affine map by running (or, in training mode, batch) statistics. */

import { toNumbers } from "../../tensor/host-tensor.ts";
import {
  type ConstantChannels,
  type ConstantContext,
  defineOp,
  followsInputs,
  noMacs,
  notFolded,
} from "../operator/operator.ts";
import { mayEqual } from "../operator/shapes.ts";
import { normalizedMoments } from "../operator/statistics.ts";
import { noNoise, type Training } from "../operator/training.ts";
import { type BatchNormAttributes, batchNormGradient } from "./norm-gradient.ts";

const parameterNames = ["scale", "B", "mean", "var"];

function roleOfBatchNorm({ isTraining, epsilon }: BatchNormAttributes) {
  if (isTraining) return { none: "it takes the statistics of the batch" };
  return {
    kind: "batch-norm",
    dataInput: 0,
    scaleInput: 1,
    biasInput: 2,
    meanInput: 3,
    varianceInput: 4,
    epsilon,
  } as const;
}

const batchNormTraining: Training<BatchNormAttributes> = {
  weights: [1, 2],
  affine: [],
  statistics: ({ momentum }) => ({
    meanInput: 3,
    varianceInput: 4,
    meanOutput: 1,
    varianceOutput: 2,
    momentum,
  }),
  form(node, context) {
    if (!context.usesBatchStatistics) return node;
    const [y, mean = "", variance = ""] = node.outputs;
    const outputs = [
      y,
      mean || context.fresh(`${y}:mean`),
      variance || context.fresh(`${y}:variance`),
    ];
    // With a momentum of 0 the running statistics are those of the batch.
    const attributes = new Map(node.attributes)
      .set("training_mode", { kind: "int", value: 1 })
      .set("momentum", { kind: "float", value: 0 });
    return { ...node, attributes, outputs };
  },
  seeded: noNoise,
};

function behindBatchNorm({
  attrs,
  channels,
  constant,
}: ConstantContext<BatchNormAttributes>): ConstantChannels | undefined {
  if (attrs.isTraining) return undefined;
  const own = channels(0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((input) => {
    const tensor = constant(input);
    return tensor && toNumbers(tensor);
  });
  if (!own || !scale || !bias || !mean || !variance) return undefined;
  return own.map(
    (x, c) => ((x - mean[c]) / Math.sqrt(variance[c] + attrs.epsilon)) * scale[c] + bias[c],
  );
}

export const batchNormalization = defineOp<BatchNormAttributes>({
  opType: "BatchNormalization",
  summary: "(X - mean) / sqrt(var + epsilon) * scale + B per channel (axis 1)",
  attributes: (raw) => ({
    epsilon: raw.float("epsilon", 1e-5),
    momentum: raw.float("momentum", 0.9),
    isTraining: raw.int("training_mode", 0) !== 0,
  }),

  infer(context) {
    const x = context.required(0).type;
    const channels = x.shape?.[1];
    for (const [i, name] of parameterNames.entries()) {
      const { shape } = context.required(i + 1).type;
      if (shape === undefined || channels === undefined) continue;
      if (shape.length !== 1 || !mayEqual(shape[0], channels))
        context.fail(`${name} has shape [${shape.join(", ")}], X has ${channels} channels`);
    }
    if (context.outputCount > 1 && !context.attrs.isTraining)
      context.fail("names running statistics, which only training mode computes");
    const statistics = context.required(3).type;
    return [x, statistics, statistics].slice(0, Math.max(1, context.outputCount));
  },

  fold: notFolded,

  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    for (const axis of x.shape.keys()) t.define(y, axis, t.ids(x, axis));
    // Zeros in X become a shift. Channels that go together with their scale and B are 0 all the same.
    t.revives(y);
    if (x.shape.length < 2) return;
    const channels = t.ids(x, 1);
    for (const vector of t.inputs.slice(1)) if (vector) t.unite(t.ids(vector, 0), channels);
    for (const vector of t.outputs.slice(1)) t.define(vector, 0, channels);
    if (!t.attrs.isTraining) return;
    for (let axis = 0; axis < x.shape.length; axis++)
      if (axis !== 1) t.fix(t.ids(x, axis), "batch statistics are taken over it");
  },

  shrink: followsInputs,

  // The statistics of each channel are those that it was trained with: mean B and variance scale².
  moments: normalizedMoments,

  macs: noMacs,
  gradient: { rule: batchNormGradient },
  role: roleOfBatchNorm,
  training: batchNormTraining,
  constantChannels: behindBatchNorm,
  hidesDifferences: false,
});
