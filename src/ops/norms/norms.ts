/** @file Normalisations by statistics of the sample itself: over positions, groups, layers, neighbours. */
import { dtypeOfCode } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixAxes, range } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
  staysZero,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mayEqual, normalizeAxis } from "../operator/shapes.ts";
import { normalizedMoments, sameMoments } from "../operator/statistics.ts";
import { noWeights, type TrainingFacet, trains } from "../operator/training.ts";
import { type LrnAttributes, lrnGradient, normalizationGradient } from "./norm-gradient.ts";

const instanceNormalization = defineOp({
  opType: "InstanceNormalization",
  summary: "(X - mean) / sqrt(var + epsilon) * scale + B, statistics per sample and channel",
  attributes: (raw) => ({ epsilon: raw.float("epsilon", 1e-5) }),

  infer(context) {
    checkChannelVectors(context);
    return [context.required(0).type];
  },

  fold: notFolded,

  ties(t) {
    tieChannelVectors(t);
    const [x, y] = [t.input(0), t.output()];
    fixAxes(t, x, "statistics are taken over it", range(x.shape.length - 2, 2));
    fixAxes(t, y, "statistics are taken over it", range(x.shape.length - 2, 2));
  },

  shrink: followsInputs,

  // The normalisation itself gives each channel mean B and variance scale².
  moments: normalizedMoments,

  macs: noMacs,

  gradient: {
    rule: normalizationGradient(({ attrs: { epsilon }, input }) => {
      const { shape } = input(0);
      const positions = range(shape.length - 2, 2);
      const vector = () => shape.map((size, axis) => (axis === 1 ? size : 1));
      return { shape, axes: positions, vector, affineShape: shape, epsilon, isCentered: true };
    }),
  },
  role: { kind: "sample-norm" },
  training: trains(1, 2),
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const groupNormalization = defineOp({
  opType: "GroupNormalization",
  summary:
    "(X - mean) / sqrt(var + epsilon) * scale + bias, statistics per sample and group of channels",
  attributes: (raw) => ({ groups: raw.int("num_groups"), epsilon: raw.float("epsilon", 1e-5) }),

  infer(context) {
    const { groups } = context.attrs;
    const { type } = context.required(0);
    const channels = type.shape?.[1];
    if (groups < 1 || (typeof channels === "number" && channels % groups !== 0))
      context.fail(`${channels} channels do not divide into ${groups} groups`);
    checkChannelVectors(context);
    return [type];
  },

  fold: notFolded,

  // A group's statistics run over all its channels, so it goes whole or not at all.
  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    const channels = t.ids(x, 1);
    const perGroup = channels.length / t.attrs.groups;
    for (let g = 0; g < t.attrs.groups; g++)
      t.uniteAll(channels.slice(g * perGroup, (g + 1) * perGroup));
    tieChannelVectors(t);
    fixAxes(t, x, "statistics are taken over it", range(x.shape.length - 2, 2));
    fixAxes(t, y, "statistics are taken over it", range(x.shape.length - 2, 2));
  },

  shrink(context) {
    const [y] = context.outputs;
    const value = (context.attrs.groups * context.shapeOf(y)[1]) / y.shape[1];
    return { attributes: new Map([["num_groups", { kind: "int", value }]]) };
  },

  moments: noMoments,
  macs: noMacs,

  // A group of channels and all its positions share statistics.
  gradient: {
    rule: normalizationGradient(({ attrs: { epsilon, groups }, input }) => {
      const [batch, channels, ...spatial] = input(0).shape;
      const shape = [batch, groups, (channels / groups) * sizeOf(spatial)];
      const affineShape = [batch, channels, sizeOf(spatial)];
      return {
        shape,
        axes: [2],
        vector: () => [1, channels, 1],
        affineShape,
        epsilon,
        isCentered: true,
      };
    }),
  },
  role: noRole,
  training: trains(1, 2),
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** LayerNormalization and RMSNormalization: statistics over `axis` and everything behind it. */
function layerNorm(
  opType: string,
  summary: string,
  hasStatistics: boolean,
  training: TrainingFacet<unknown>,
): Operator {
  return defineOp({
    opType,
    summary,
    attributes: (raw) => ({
      axis: raw.int("axis", -1),
      epsilon: raw.float("epsilon", 1e-5),
      stash: raw.int("stash_type", 1),
    }),

    infer(context) {
      const { type } = context.required(0);
      const { shape } = type;
      const axis = shape && normalizeAxis(context, context.attrs.axis, shape.length);
      const reduced = shape?.map((dim, i) => (i < (axis ?? 0) ? dim : 1));
      const dtype = dtypeOfCode(context.attrs.stash) ?? context.fail("stash_type is no type");
      const statistics = { dtype, shape: reduced };
      const outputs = hasStatistics ? [type, statistics, statistics] : [type];
      return outputs.slice(0, Math.max(1, context.outputCount));
    },

    fold: notFolded,

    ties: (t) => tieAround(t, t.attrs.axis),
    shrink: followsInputs,
    moments: noMoments,
    macs: noMacs,

    gradient: {
      rule: normalizationGradient(({ attrs: { axis, epsilon }, input }) => {
        const { shape } = input(0);
        const from = axis < 0 ? axis + shape.length : axis;
        const axes = range(shape.length - from, from);
        const vector = (given: readonly number[]) => [
          ...shape.slice(given.length).map(() => 1),
          ...given,
        ];
        return { shape, axes, vector, affineShape: shape, epsilon, isCentered: hasStatistics };
      }),
    },
    role: noRole,
    training,
    constantChannels: notFollowed,
    hidesDifferences: false,
  });
}

/** Axes before `firstAxis` line up; it and all axes behind it, over which statistics are taken, are fixed. */
function tieAround<A>(t: Ties<A>, firstAxis: number): void {
  const x = t.input(0);
  const rank = x.shape.length;
  const axis = firstAxis < 0 ? firstAxis + rank : firstAxis;
  const reason = `${t.node.opType} takes its statistics over it`;
  fixAxes(t, x, reason, range(rank - axis, axis));
  for (const vector of t.inputs.slice(1)) fixAxes(t, vector, reason);
  for (const y of t.outputs) {
    for (let i = 0; i < axis; i++) t.define(y, i, t.ids(x, i));
    fixAxes(t, y, reason, range(rank - axis, axis));
  }
}

const layerNormalization = layerNorm(
  "LayerNormalization",
  "(X - mean) / sqrt(var + epsilon) * scale + B, statistics over `axis` and all axes behind it",
  true,
  trains(1, 2),
);

const rmsNormalization = layerNorm(
  "RMSNormalization",
  "X / sqrt(mean(X²) + epsilon) * scale, the mean over `axis` and all axes behind it",
  false,
  trains(1),
);

const lrn = defineOp<LrnAttributes>({
  opType: "LRN",
  summary: "X / (bias + alpha / size * Σ X² over `size` neighbouring channels) ^ beta",
  attributes: (raw) => ({
    alpha: raw.float("alpha", 1e-4),
    beta: raw.float("beta", 0.75),
    bias: raw.float("bias", 1),
    size: raw.int("size"),
  }),
  infer(context) {
    const { type } = context.required(0);
    if (type.shape && type.shape.length < 2)
      context.fail(`X has rank ${type.shape.length}, expected [N, C, ...]`);
    return [type];
  },
  fold: notFolded,

  ties(t) {
    const [x, y] = [t.input(0), t.output()];
    t.elementwise([y], [x], staysZero);
    t.fix(t.ids(x, 1), "LRN divides by a sum over neighbouring channels");
  },

  shrink: followsInputs,
  // LRN scales by a factor close to bias^-beta = 1 for all channels alike.
  moments: sameMoments,
  macs: noMacs,
  gradient: { rule: lrnGradient },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** Fails where an input behind X is no vector over X's channels. */
function checkChannelVectors(context: InferContext<unknown>): void {
  const { shape: data } = context.required(0).type;
  if (data && data.length < 2) context.fail(`X has rank ${data.length}, expected [N, C, ...]`);
  const channels = data?.[1];
  for (const i of [1, 2]) {
    const { shape } = context.required(i).type;
    if (shape === undefined || channels === undefined) continue;
    if (shape.length !== 1 || !mayEqual(shape[0], channels))
      context.fail(
        `input ${i} has shape [${shape.join(", ")}], expected one entry for each of ${channels} channels`,
      );
  }
}

/** Y's batch and channels are X's, and every vector behind X lines up with the channels. */
function tieChannelVectors<A>(t: Ties<A>): void {
  const [x, y] = [t.input(0), t.output()];
  const channels = t.ids(x, 1);
  t.define(y, 0, t.ids(x, 0));
  t.define(y, 1, channels);
  for (const vector of t.inputs.slice(1, 3)) if (vector) t.unite(t.ids(vector, 0), channels);
}

/** Normalisations by the sample itself. */
export const normOperators: readonly Operator[] = [
  groupNormalization,
  instanceNormalization,
  layerNormalization,
  lrn,
  rmsNormalization,
];
