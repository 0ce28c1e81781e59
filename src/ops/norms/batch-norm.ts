/** @file BatchNormalization: per-channel affine map by running (or, in training mode, batch) statistics. */

import { defineOp, followsInputs, noMacs, notFolded } from "../operator/operator.ts";
import { mayEqual } from "../operator/shapes.ts";
import { normalizedMoments } from "../operator/statistics.ts";
import { type BatchNormAttributes, batchNormGradient } from "./norm-gradient.ts";

const parameterNames = ["scale", "B", "mean", "var"];

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
    // But for channels that go with their scale and B.
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

  // What the layer was trained to give.
  moments: normalizedMoments,

  macs: noMacs,
  gradient: { rule: batchNormGradient },
});
