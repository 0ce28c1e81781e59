/** @file Operators that draw noise: RandomNormalLike, opset 1. */

import type { Node } from "../../ir/graph.ts";
import { dtypeAttribute } from "../elementwise/passing.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import {
  defineOp,
  followsInputs,
  leavesZero,
  noMacs,
  notFolded,
  type Operator,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { noStatistics, type Training } from "../operator/training.ts";

/** The node with another seed, which is a float in the schema of this operator. */
function seeded(node: Node, seed: number): Node {
  return {
    ...node,
    attributes: new Map(node.attributes).set("seed", { kind: "float", value: seed }),
  };
}

const noiseTraining: Training<unknown> = {
  weights: [],
  affine: [],
  statistics: noStatistics,
  form: (node, context) => seeded(node, context.seed()),
  seeded,
};

const randomNormalLike = defineOp({
  opType: "RandomNormalLike",
  summary: "normal numbers of this mean and scale, in the shape of x; others at every run",
  attributes: (raw) => ({
    mean: raw.float("mean", 0),
    scale: raw.float("scale", 1),
    dtype: raw.has("dtype") ? dtypeAttribute(raw, "dtype") : undefined,
  }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    return [{ dtype: context.attrs.dtype ?? dtype, shape }];
  },

  fold: notFolded,

  // With fewer elements, different numbers would be drawn for those that stay.
  ties(t) {
    t.elementwise(t.outputs, [t.input(0)], leavesZero);
    const y = t.output();
    for (const axis of y.shape.keys()) t.fix(t.ids(y, axis), "random numbers are drawn for it");
  },

  shrink: followsInputs,
  moments: { none: "noise is not what data look like" },
  macs: noMacs,
  gradient: { notDifferentiable: "only the shape of x counts" },
  role: noRole,
  training: noiseTraining,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** All operators of this file. */
export const noiseOperators: readonly Operator[] = [randomNormalLike];
