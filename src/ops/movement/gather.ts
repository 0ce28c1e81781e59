/** @file Picking and placing elements by index: Gather, GatherElements, GatherND, ScatterElements, ScatterND. */
import { takeAlong, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixEverything, knownNumbers, parameterNumbers } from "../operator/known.ts";
import {
  type ConstantChannels,
  type ConstantContext,
  defineOp,
  followsInputs,
  type GradientFacet,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
} from "../operator/operator.ts";
import { isMovable, reshaped } from "../operator/rearrange.ts";
import { noRole } from "../operator/role.ts";
import { normalizeAxis } from "../operator/shapes.ts";
import { pickMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";
import {
  type Addressing,
  gatherElementsGradient,
  gatherGradient,
  gatherNDGradient,
  scatterGradient,
} from "./gather-gradient.ts";

/** The channels that constant indices pick. */
function behindGather({
  attrs,
  inputs: [x],
  channels,
  constant,
}: ConstantContext<{ readonly axis: number }>): ConstantChannels | undefined {
  const own = channels(0);
  const indices = constant(1);
  if (x === undefined || own === undefined || indices?.shape.length !== 1) return undefined;
  const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
  if (axis !== 1) return undefined;
  return Float64Array.from(toNumbers(indices), (i) => own[i < 0 ? i + own.length : i]);
}

const gather = defineOp({
  opType: "Gather",
  summary: "data at `indices` along `axis`; the axes of indices take that axis's place",
  attributes: (raw) => ({ axis: raw.int("axis", 0) }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const indices = context.required(1);
    if (shape === undefined || indices.type.shape === undefined)
      return [{ dtype, shape: undefined }];
    const axis = normalizeAxis(context, context.attrs.axis, shape.length);
    const size = shape[axis];
    if (typeof size === "number") {
      const outside = knownNumbers(indices)?.find((index) => index < -size || index >= size);
      if (outside !== undefined) context.fail(`index ${outside} is outside an axis of ${size}`);
    }
    return [
      { dtype, shape: [...shape.slice(0, axis), ...indices.type.shape, ...shape.slice(axis + 1)] },
    ];
  },

  fold([data, indices], { axis }) {
    if (!data || !indices || !isMovable(data)) return undefined;
    const at = axis < 0 ? axis + data.shape.length : axis;
    const wanted = toNumbers(indices).map((k) => (k < 0 ? k + data.shape[at] : k));
    const shape = [...data.shape.slice(0, at), ...indices.shape, ...data.shape.slice(at + 1)];
    return [reshaped(takeAlong(data, at, wanted), shape)];
  },

  ties(t) {
    const [x, indices, y] = [t.input(0), t.input(1), t.output()];
    const axis = t.attrs.axis < 0 ? t.attrs.axis + x.shape.length : t.attrs.axis;
    const size = x.shape[axis];
    const wanted = parameterNumbers(indices)?.map((k) => (k < 0 ? k + size : k));
    if (wanted && indices.shape.length === 1) {
      t.select(y, x, axis, wanted);
      return;
    }
    if (wanted && indices.shape.length === 0) {
      t.pick(y, x, axis, wanted[0]);
      return;
    }
    const ids = t.ids(x, axis);
    if (wanted)
      for (const k of wanted) t.fix(ids.slice(k, k + 1), "picked by a Gather of another shape");
    else t.fix(ids, "picked by computed indices");
    for (let i = 0; i < axis; i++) t.define(y, i, t.ids(x, i));
    const shift = indices.shape.length - 1;
    for (let i = axis + 1; i < x.shape.length; i++) t.define(y, i + shift, t.ids(x, i));
    for (let i = axis; i < axis + indices.shape.length; i++)
      t.fix(t.ids(y, i), "places of a Gather");
  },

  shrink(context) {
    const [x, indices] = context.inputs;
    const wanted = parameterNumbers(indices);
    if (!x || !indices || !wanted) return {};
    const axis = context.attrs.axis < 0 ? context.attrs.axis + x.shape.length : context.attrs.axis;
    const kept = context.kept(x, axis);
    const [y] = context.outputs;
    if (kept.length === x.shape[axis]) return {};
    const placeOf = new Map(kept.map((index, place) => [index, place]));
    const left = indices.shape.length === 1 ? context.kept(y, axis).map((k) => wanted[k]) : wanted;
    const places = left.map((k) => placeOf.get(k < 0 ? k + x.shape[axis] : k) ?? 0);
    const shape = indices.shape.length === 1 ? [places.length] : indices.shape;
    return { inputs: new Map([[1, tensorOf(indices.dtype, shape, places)]]) };
  },

  moments(context) {
    const [x, indices] = context.inputs;
    const { axis } = context.attrs;
    if (!x || indices?.shape.length !== 1) return [undefined];
    if (axis !== 1 && axis !== 1 - x.shape.length) return [context.moments(0)];
    const wanted = knownNumbers(indices)?.map((k) => (k < 0 ? k + x.shape[1] : k));
    return [wanted && pickMoments(context.moments(0), wanted)];
  },

  macs: noMacs,
  gradient: gatherGradient,
  role: ({ axis }) => ({ kind: "gather", dataInput: 0, indicesInput: 1, axis }),
  training: noWeights,
  constantChannels: behindGather,
  hidesDifferences: false,
});

/** Operators that address single elements: their indices would have to be counted anew. */
function addressing(
  opType: string,
  summary: string,
  infer: Infer,
  gradient: GradientFacet<Addressing>,
): Operator {
  return defineOp<Addressing>({
    opType,
    summary,
    attributes: (raw) => ({
      axis: raw.int("axis", 0),
      batchDims: raw.int("batch_dims", 0),
      reduction: raw.string("reduction", "none"),
    }),
    infer,
    fold: notFolded,
    ties: (t) => fixEverything(t, `${opType} addresses single elements`),
    shrink: followsInputs,
    moments: noMoments,
    macs: noMacs,
    gradient,
    role: noRole,
    training: noWeights,
    constantChannels: notFollowed,
    hidesDifferences: false,
  });
}

type Infer = Operator<Addressing>["infer"];

const likeData: Infer = (context) => [context.required(0).type];

const gatherElements = addressing(
  "GatherElements",
  "data at the place of each index, but along `axis` at the index itself",
  (context) => [{ dtype: context.required(0).type.dtype, shape: context.required(1).type.shape }],
  gatherElementsGradient,
);

const gatherND = addressing(
  "GatherND",
  "the slices of data that the rows of `indices` name",
  (context) => {
    const { dtype, shape } = context.required(0).type;
    const indices = context.required(1).type.shape;
    const depth = indices?.[indices.length - 1];
    if (shape === undefined || indices === undefined || typeof depth !== "number")
      return [{ dtype, shape: undefined }];
    const sliced = context.attrs.batchDims + depth;
    if (sliced > shape.length)
      context.fail(`indices [${indices.join(", ")}] go deeper than data [${shape.join(", ")}]`);
    return [{ dtype, shape: [...indices.slice(0, -1), ...shape.slice(sliced)] }];
  },
  gatherNDGradient,
);

const scatterElements = addressing(
  "ScatterElements",
  "data with `updates` written along `axis` at `indices`",
  likeData,
  scatterGradient((emit, dy, indices, axis) => emit.op("GatherElements", [dy, indices], { axis })),
);

const scatterND = addressing(
  "ScatterND",
  "data with the slices that the rows of `indices` name replaced by `updates`",
  likeData,
  scatterGradient((emit, dy, indices) => emit.op("GatherND", [dy, indices])),
);

/** Operators that address elements by index. */
export const gatherOperators: readonly Operator[] = [
  gather,
  gatherElements,
  gatherND,
  scatterElements,
  scatterND,
];
