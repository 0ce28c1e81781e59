/** @file DeformConv: a convolution whose taps read from computed places. ONNX DeformConv, opset 19. */
import { sizeOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixAxes } from "../operator/known.ts";
import { defineOp, noMoments, notFolded } from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import {
  type ConvAttributes,
  convAttributes,
  convolved,
  fixPositions,
  shrinkGroups,
} from "./conv.ts";
import { tieGroups } from "./groups.ts";

interface DeformConvAttributes extends ConvAttributes {
  /** Sets of places; the channels of X take them in equal runs. */
  readonly offsetGroups: number;
}

export const deformConv = defineOp<DeformConvAttributes>({
  opType: "DeformConv",
  summary:
    "X [N, C, ...], W [O, C/group, ...k] whose taps `offset` moves, B [O], mask → Y [N, O, ...]",
  attributes: (raw) => ({ ...convAttributes(raw), offsetGroups: raw.int("offset_group", 1) }),

  infer(context) {
    const { dtype } = context.required(0).type;
    context.required(2);
    return [{ dtype, shape: convolved(context, { x: 0, w: 1, bias: 3 }) }];
  },

  fold: notFolded,

  // The ties are those of a convolution. The places are fixed, and so are channels where several sets of places divide
  // them into runs.
  ties(t) {
    const [x, w, offset, y] = [t.input(0), t.input(1), t.input(2), t.output()];
    const { group, offsetGroups } = t.attrs;
    const [bias, mask] = [t.inputs[3], t.inputs[4]];
    const filters = t.ids(w, 0);
    const channels = t.ids(x, 1);
    t.define(y, 0, t.ids(x, 0));
    tieGroups(t, { group, outer: filters, inner: t.ids(w, 1), channels });
    t.define(y, 1, filters);
    if (bias) t.unite(t.ids(bias, 0), filters);
    t.reads(x, 1);
    t.produces(w, 0);
    if (offsetGroups > 1) t.fix(channels, "channels take their places in runs");
    for (const tensor of [offset, mask]) fixAxes(t, tensor, "a place that a convolution looks at");
    fixPositions(t, x, w, y);
  },

  shrink: (context) => shrinkGroups(context, context.inputs[0], context.inputs[1]),

  moments: noMoments,

  // Every output element is a dot product over [C/group, ...k]; interpolation is not counted.
  macs({ inputs: [, w], outputs: [y] }) {
    return w === undefined ? 0 : sizeOf(y) * sizeOf(w.slice(1));
  },

  gradient: { notDifferentiable: "it looks at computed places; there is no rule for it" },
  role: noRole,
  training: { none: "no gradient reaches its weights, for which there is no rule" },
  constantChannels: notFollowed,
  hidesDifferences: false,
});
