/** @file Conv: 1-D to 3-D convolution, grouped, depthwise, dilated, strided, with automatic padding. */
import type { Shape } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { behindLayer } from "../operator/constant-channels.ts";
import {
  defineOp,
  type InferContext,
  notFolded,
  type ShrinkContext,
  type Shrunk,
  type TiedTensor,
  type Ties,
} from "../operator/operator.ts";
import { type LinearRole, linearRole, type Window } from "../operator/role.ts";
import { linearMoments } from "../operator/statistics.ts";
import { trains } from "../operator/training.ts";
import { convGradient } from "./conv-gradient.ts";
import { tieGroups } from "./groups.ts";
import { slidingOutput, windowAttributes } from "./window.ts";

/** The attributes of a convolution. */
export interface ConvAttributes extends Window {
  readonly group: number;
}

/** Reads the attributes of a convolution. */
export function convAttributes(raw: AttributeReader): ConvAttributes {
  return { ...windowAttributes(raw), group: raw.int("group", 1) };
}

/** Fixes the positions of X [N, C, ...], W [O, C/group, ...k] and Y [N, O, ...]. */
export function fixPositions<A>(t: Ties<A>, x: TiedTensor, w: TiedTensor, y: TiedTensor): void {
  for (let axis = 2; axis < x.shape.length; axis++) {
    t.fix(t.ids(x, axis), "a spatial position under a convolution");
    t.fix(t.ids(w, axis), "a kernel position");
    t.fix(t.ids(y, axis), "a spatial position of a convolution");
  }
}

/**
 * The new number of groups: fewer where whole groups went with their filters, the same where every group lost the
 * same indices.
 *
 * @param x The tensor whose channels the groups divide: X of a convolution, Y of a transposed one.
 */
export function shrinkGroups<A extends { readonly group: number }>(
  context: ShrinkContext<A>,
  x: TiedTensor | undefined,
  w: TiedTensor | undefined,
): Shrunk {
  if (context.attrs.group === 1 || !x || !w) return {};
  const value = context.shapeOf(x)[1] / context.shapeOf(w)[1];
  return { attributes: new Map([["group", { kind: "int", value }]]) };
}

/** A convolution is a linear layer whose weight is a matrix [O/group, C/group] for each tap and group. */
function roleOfConv({ group, ...window }: ConvAttributes): LinearRole {
  return linearRole({ group, window });
}

export const conv = defineOp<ConvAttributes>({
  opType: "Conv",
  summary: "X [N, C, ...], W [O, C/group, ...k], B [O] → Y [N, O, ...]",
  attributes: convAttributes,

  infer(context) {
    const { dtype } = context.required(0).type;
    return [{ dtype, shape: convolved(context, { x: 0, w: 1, bias: 2 }) }];
  },

  fold: notFolded,

  // Y's channels are W's filters; X's channels are what W's axis 1 contracts.
  ties(t) {
    const [x, w, y] = [t.input(0), t.input(1), t.output()];
    const bias = t.inputs[2];
    t.define(y, 0, t.ids(x, 0));
    const filters = t.ids(w, 0);
    tieGroups(t, {
      group: t.attrs.group,
      outer: filters,
      inner: t.ids(w, 1),
      channels: t.ids(x, 1),
    });
    t.define(y, 1, filters);
    if (bias) t.unite(t.ids(bias, 0), filters);
    t.reads(x, 1);
    if (x.isParameter) t.reads(w, 1);
    t.produces(w, 0);
    fixPositions(t, x, w, y);
  },

  shrink: (context) => shrinkGroups(context, context.inputs[0], context.inputs[1]),

  moments(context) {
    const w = context.inputs[1];
    const weights = context.numbers(1);
    if (!w || !weights) return [undefined];
    const [filters, perGroup, ...kernel] = w.shape;
    const taps = sizeOf(kernel);
    return [
      linearMoments(context.moments(0), context.numbers(2), filters, (o, add) => {
        const first = Math.floor((o * context.attrs.group) / filters) * perGroup;
        for (let c = 0; c < perGroup; c++) {
          let sum = 0;
          let squares = 0;
          for (let k = (o * perGroup + c) * taps, end = k + taps; k < end; k++) {
            sum += weights[k];
            squares += weights[k] * weights[k];
          }
          add(first + c, sum, squares);
        }
      }),
    ];
  },

  // Every output element is a dot product over [C/group, ...k].
  macs({ inputs: [, w], outputs: [y] }) {
    return w === undefined ? 0 : sizeOf(y) * sizeOf(w.slice(1));
  },

  gradient: { rule: convGradient },
  role: roleOfConv,
  training: trains(1, 2),
  constantChannels: behindLayer(roleOfConv),
  hidesDifferences: false,
});

/** The inputs in which a convolution has its data, its weight and its bias. */
interface ConvInputs {
  readonly x: number;
  readonly w: number;
  readonly bias: number;
}

/** The shape of a convolution's output; `undefined` where a rank is not known. */
export function convolved(
  context: InferContext<ConvAttributes>,
  at: ConvInputs,
): Shape | undefined {
  const { group } = context.attrs;
  const x = context.required(at.x).type.shape;
  const w = context.required(at.w).type.shape;
  const bias = context.inputs[at.bias]?.type.shape;
  if (x === undefined || w === undefined) return undefined;
  const rank = x.length;
  if (rank < 3) context.fail(`X has rank ${rank}, expected [N, C, ...spatial]`);
  if (w.length !== rank) context.fail(`W has rank ${w.length}, X has rank ${rank}`);
  const [batch, channels, ...spatial] = x;
  const [filters, perGroup, ...kernel] = w;
  if (group < 1) context.fail(`group is ${group}`);
  if (typeof channels === "number" && typeof perGroup === "number" && channels !== perGroup * group)
    context.fail(
      `X has ${channels} channels, W [${w.join(", ")}] with group ${group} expects ${perGroup * group}`,
    );
  if (typeof filters === "number" && filters % group !== 0)
    context.fail(`${filters} filters do not divide into ${group} groups`);
  if (bias && (bias.length !== 1 || (typeof bias[0] === "number" && bias[0] !== filters)))
    context.fail(`B has shape [${bias.join(", ")}], expected [${filters}]`);
  return [batch, filters, ...slidingOutput(context, spatial, context.attrs, kernel)];
}
