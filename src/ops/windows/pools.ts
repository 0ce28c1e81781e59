/** @file Pools: windows over positions (MaxPool, AveragePool, LpPool, MaxUnpool) and global ones. */
import type { Dim, Shape } from "../../ir/graph.ts";
import { maxOfGaussians } from "../../tensor/gaussian.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { notFollowed, sameChannels } from "../operator/constant-channels.ts";
import { fixAxes, fixEverything, knownNumbers, tieWindowed } from "../operator/known.ts";
import { perChannel } from "../operator/moments.ts";
import {
  defineOp,
  followsInputs,
  type GradientFacet,
  type InferContext,
  type MomentContext,
  type Moments,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
} from "../operator/operator.ts";
import { noRole, type Window } from "../operator/role.ts";
import { mapDims } from "../operator/shapes.ts";
import { averagedMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";
import {
  averagePoolGradient,
  globalAverageGradient,
  globalLpGradient,
  globalMaxGradient,
  lpPoolGradient,
  maxPoolGradient,
  maxUnpoolGradient,
  type PoolAttributes,
} from "./pool-gradient.ts";
import { checkWindow, slidingOutput, windowAttributes } from "./window.ts";

type PoolMoments = (context: MomentContext<PoolAttributes>) => Moments | undefined;

function pool(
  opType: string,
  summary: string,
  moments: PoolMoments,
  gradient: GradientFacet<PoolAttributes>,
  constantChannels: Operator<PoolAttributes>["constantChannels"],
): Operator {
  return defineOp<PoolAttributes>({
    opType,
    summary,
    attributes(raw) {
      const window = windowAttributes(raw);
      const kernel = window.kernel ?? raw.fail(`attribute "kernel_shape" is missing`);
      return {
        ...window,
        kernel,
        ceilMode: raw.int("ceil_mode", 0) !== 0,
        countsPadding: raw.int("count_include_pad", 0) !== 0,
        p: raw.int("p", 2),
      };
    },

    infer(context) {
      const x = context.required(0).type;
      const { kernel, ceilMode } = context.attrs;
      const shape = x.shape && [
        ...channelAxes(context, x.shape),
        ...slidingOutput(context, x.shape.slice(2), context.attrs, kernel, ceilMode),
      ];
      const y = { dtype: x.dtype, shape };
      return context.outputCount > 1 ? [y, { dtype: "int64", shape }] : [y];
    },

    fold: notFolded,

    ties(t) {
      tieWindowed(t, t.input(0), t.output(), "a pooling window");
      const indices = t.outputs[1];
      if (indices === undefined) return;
      fixAxes(t, t.input(0), "MaxPool's Indices count over all channels");
      fixAxes(t, indices, "MaxPool's Indices count over all channels");
    },

    shrink: followsInputs,
    moments: (context) => [moments(context)],
    macs: noMacs,
    gradient,
    role: noRole,
    training: noWeights,
    constantChannels,
    hidesDifferences: false,
  });
}

const maxPool = pool(
  "MaxPool",
  "the largest element of each window",
  // The positions of a window are taken to be independent.
  (context) => {
    const moments = context.moments(0);
    return moments && perChannel(moments, maxOfGaussians(sizeOf(context.attrs.kernel)));
  },
  maxPoolGradient,
  sameChannels,
);

const averagePool = pool(
  "AveragePool",
  "the mean of each window",
  // The positions of a window are taken to be independent; padding is ignored.
  (context) => averagedMoments(context.moments(0), sizeOf(context.attrs.kernel)),
  averagePoolGradient,
  // Where padding counts in the average, only channels of zeros stay constant.
  ({ attrs, channels }) =>
    averagesInside(attrs)
      ? channels(0)
      : channels(0)?.map((value) => (value === 0 ? 0 : Number.NaN)),
);

/** Whether an average never counts padding. */
function averagesInside({ countsPadding, ceilMode, autoPad, pads }: PoolAttributes): boolean {
  if (!countsPadding) return true;
  const isPlain = autoPad === "NOTSET" || autoPad === "VALID";
  return isPlain && !ceilMode && (pads ?? []).every((pad) => pad === 0);
}

const lpPool = pool(
  "LpPool",
  "the p-norm of each window",
  () => undefined,
  lpPoolGradient,
  notFollowed,
);

function globalPool(
  opType: string,
  summary: string,
  moments: (context: MomentContext<unknown>) => Moments | undefined,
  gradient: GradientFacet<{ readonly p: number }>,
  constantChannels: Operator["constantChannels"],
): Operator {
  return defineOp<{ readonly p: number }>({
    opType,
    summary,
    attributes: (raw) => ({ p: raw.int("p", 2) }),

    infer(context) {
      const { dtype, shape } = context.required(0).type;
      if (shape === undefined) return [{ dtype, shape }];
      return [{ dtype, shape: [...channelAxes(context, shape), ...shape.slice(2).map(() => 1)] }];
    },

    fold: notFolded,
    ties: (t) => tieWindowed(t, t.input(0), t.output(), "a global pool"),
    shrink: followsInputs,
    moments: (context) => [moments(context)],
    macs: noMacs,
    gradient,
    role: noRole,
    training: noWeights,
    constantChannels,
    hidesDifferences: false,
  });
}

const globalAveragePool = globalPool(
  "GlobalAveragePool",
  "the mean over all positions",
  // Positions are taken to be independent. They are not, because images differ from one another, and the true
  // variance is larger. The mean, which compensation uses, does not depend on it.
  (context) => {
    const x = context.inputs[0]?.shape;
    return x && averagedMoments(context.moments(0), sizeOf(x.slice(2)));
  },
  globalAverageGradient,
  sameChannels,
);

const globalMaxPool = globalPool(
  "GlobalMaxPool",
  "the largest element over all positions",
  () => undefined,
  globalMaxGradient,
  sameChannels,
);

const globalLpPool = globalPool(
  "GlobalLpPool",
  "the p-norm over all positions",
  () => undefined,
  globalLpGradient,
  notFollowed,
);

const maxUnpool = defineOp<Window>({
  opType: "MaxUnpool",
  summary: "X's elements at the places I of a zero tensor; the inverse of MaxPool",
  attributes: windowAttributes,

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const { kernel, strides, pads } = context.attrs;
    if (shape === undefined) return [{ dtype, shape }];
    const n = shape.length - 2;
    if (kernel === undefined) return context.fail(`attribute "kernel_shape" is missing`);
    checkWindow(context, n, context.attrs, kernel);
    const given = context.inputs[2];
    if (given) {
      const sizes = knownNumbers(given);
      if (sizes && sizes.length !== shape.length)
        context.fail(`output_shape has ${sizes.length} entries, X has rank ${shape.length}`);
      return [{ dtype, shape: sizes ?? shape.map(() => context.unknownDim()) }];
    }
    const out = shape.slice(2).map((dim, i) =>
      mapDims(context, [dim], (size) => {
        const padding = (pads?.[i] ?? 0) + (pads?.[i + n] ?? 0);
        return (size - 1) * (strides?.[i] ?? 1) + kernel[i] - padding;
      }),
    );
    return [{ dtype, shape: [...channelAxes(context, shape), ...out] }];
  },

  fold: notFolded,
  ties: (t) => fixEverything(t, "MaxUnpool's indices count over all channels"),
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: maxUnpoolGradient,
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** [N, C] of [N, C, ...spatial]. */
function channelAxes(context: InferContext<unknown>, shape: Shape): readonly Dim[] {
  if (shape.length < 3) context.fail(`X has rank ${shape.length}, expected [N, C, ...spatial]`);
  return shape.slice(0, 2);
}

/** Pools over windows and over all positions. */
export const poolOperators: readonly Operator[] = [
  averagePool,
  globalAveragePool,
  globalLpPool,
  globalMaxPool,
  lpPool,
  maxPool,
  maxUnpool,
];
