/** @file Operators that pass elements on: Identity, Dropout, Cast, CastLike, Clip, PRelu, Where. */
import { EspalierError } from "../../errors.ts";
import type { TensorType } from "../../ir/graph.ts";
import { type DType, dtypeOfCode, isInteger } from "../../tensor/dtype.ts";
import { piecewiseLinearMoments } from "../../tensor/gaussian.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { algebraOf } from "../operator/algebra.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { notFollowed, placeByPlace, sameChannels } from "../operator/constant-channels.ts";
import {
  foldElementwise,
  isPlain,
  maxWhole,
  minWhole,
  tensorFrom,
  wholesOf,
} from "../operator/fold.ts";
import { type GradientRule, unbroadcast, type Value } from "../operator/gradient.ts";
import { knownNumbers, numericShape } from "../operator/known.ts";
import { constantMoments, constantScalar, perChannel } from "../operator/moments.ts";
import {
  defineOp,
  type Fold,
  followsInputs,
  leavesZero,
  noMacs,
  noMoments,
  notFolded,
  type Operator,
  staysZero,
} from "../operator/operator.ts";
import { inOrder, noRole } from "../operator/role.ts";
import { broadcastShapes, mayEqual } from "../operator/shapes.ts";
import { sameElements } from "../operator/statistics.ts";
import { noStatistics, noWeights, type Training, trains } from "../operator/training.ts";
import { applied } from "./applied.ts";
import { defineElementwise } from "./elementwise.ts";
import { clipped } from "./unary.ts";

const noAttributes = () => null;

const identity = defineElementwise({
  opType: "Identity",
  summary: "y = x",
  attributes: noAttributes,
  inputs: 1,
  atZero: () => staysZero,
  fold: ([x]) => x && [x],
  moments: sameElements,
  gradient: { rule: ({ dy }) => dy },
  role: inOrder,
  training: noWeights,
  constantChannels: sameChannels,
  hidesDifferences: false,
});

/** In training the kept elements grow by 1 / (1 - ratio); the mask says which they are. */
const dropoutGradient: GradientRule<null> = ({ emit, node, inputs, outputs, gradient }) => {
  const [, ratio, training] = inputs;
  const mask = outputs[1];
  const dy = gradient();
  const isTraining = training && knownNumbers({ value: emit.known(training) })?.[0];
  if (training === undefined || isTraining === 0) return [dy];
  if (isTraining === undefined || mask === undefined) {
    const why = mask ? "whether it drops anything is computed" : "it does not name its mask";
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      `Dropout node "${node.name}" has no gradient, because ${why}`,
      { data: { node: node.name } },
    );
  }
  const { sub, mul, div, cast } = algebraOf(emit, dy);
  return [div(mul(dy, cast(mask)), ratio ? sub(1, cast(ratio)) : 0.5)];
};

const dropoutTraining: Training<unknown> = {
  weights: [],
  affine: [],
  statistics: noStatistics,
  form(node, context) {
    const [x, ratio = ""] = node.inputs;
    const [y, mask = ""] = node.outputs;
    const isTraining = context.constant(tensorOf("bool", [], [1]));
    return {
      ...node,
      inputs: [x, ratio, isTraining],
      outputs: [y, mask || context.fresh(`${y}:mask`)],
      attributes: new Map(node.attributes).set("seed", { kind: "int", value: context.seed() }),
    };
  },
  seeded: { none: "it draws in training alone, where its form has a seed" },
};

/** The inputs beyond the data are scalars, so no index is tied to them. */
const dropout = defineOp({
  opType: "Dropout",
  summary: "y = x at inference, mask = all true",
  attributes: noAttributes,
  infer(context) {
    const { type } = context.required(0);
    return [type, { dtype: "bool", shape: type.shape }];
  },
  fold: notFolded,
  ties: (t) => t.elementwise(t.outputs, [t.input(0)], staysZero),
  shrink: followsInputs,
  moments: sameElements,
  macs: noMacs,
  gradient: { rule: dropoutGradient },
  role: noRole,
  training: dropoutTraining,
  constantChannels: sameChannels,
  hidesDifferences: false,
});

/** The element type that an attribute names by its ONNX number. */
export function dtypeAttribute(raw: AttributeReader, name: string): DType {
  const code = raw.int(name);
  return dtypeOfCode(code) ?? raw.fail(`"${name}" is ${code}, which names no element type`);
}

function castTo(x: HostTensor | undefined, type: TensorType): readonly HostTensor[] | undefined {
  const shape = numericShape(type.shape);
  if (x === undefined || shape === undefined || !isPlain(x.dtype) || !isPlain(type.dtype))
    return undefined;
  const scalars = isInteger(x.dtype) ? wholesOf(x) : Array.from(toNumbers(x));
  return [tensorFrom(type.dtype, shape, scalars)];
}

const castGradient: GradientRule<unknown> = ({ emit, input, gradient }) => [
  algebraOf(emit, input(0)).cast(gradient()),
];

const cast = defineOp({
  opType: "Cast",
  summary: "y = x as element type `to`",
  attributes: (raw) => ({ to: dtypeAttribute(raw, "to") }),
  infer: (context) => [{ dtype: context.attrs.to, shape: context.required(0).type.shape }],
  fold: ([x], _, [y]) => castTo(x, y),
  ties: (t) => t.elementwise(t.outputs, [t.input(0)], staysZero),
  shrink: followsInputs,
  moments: sameElements,
  macs: noMacs,
  gradient: { rule: castGradient },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

const castLike = defineOp({
  opType: "CastLike",
  summary: "y = x as the element type of the second input",
  attributes: noAttributes,
  infer: (context) => [
    { dtype: context.required(1).type.dtype, shape: context.required(0).type.shape },
  ],
  fold: ([x], _, [y]) => castTo(x, y),
  ties: (t) => t.elementwise(t.outputs, [t.input(0)], staysZero),
  shrink: followsInputs,
  moments: sameElements,
  macs: noMacs,
  gradient: { rule: castGradient },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const foldClip: Fold<unknown> = ([x, low, high], _, [y], [, lowType, highType]) => {
  if ((lowType && !low) || (highType && !high)) return undefined;
  const raised = low
    ? foldElementwise([x, low], y, { float: Math.max, whole: maxWhole })
    : x && [x];
  if (!high) return raised;
  return foldElementwise([raised?.[0], high], y, { float: Math.min, whole: minWhole });
};

const clip = defineOp({
  opType: "Clip",
  summary: "y = min(max(x, min), max); both limits are optional scalars",
  attributes: noAttributes,
  infer: (context) => [context.required(0).type],
  fold: foldClip,
  ties(t) {
    const [low, high] = [t.inputs[1], t.inputs[2]].map((limit) => knownNumbers(limit)?.[0]);
    const holdsZero =
      (t.inputs[1] === undefined || (low !== undefined && low <= 0)) &&
      (t.inputs[2] === undefined || (high !== undefined && high >= 0));
    t.elementwise(t.outputs, [t.input(0)], holdsZero ? staysZero : leavesZero);
  },
  shrink: followsInputs,
  moments(context) {
    const x = context.elements(0);
    const low = context.inputs[1] ? constantScalar(context, 1) : -Infinity;
    const high = context.inputs[2] ? constantScalar(context, 2) : Infinity;
    if (x === undefined || low === undefined || high === undefined) return [undefined];
    const pieces = clipped(1, 0, low, high);
    return [
      applied(x, {
        f: (y) => Math.min(Math.max(y, low), high),
        kinks: pieces.slice(1).map(({ from }) => from),
        moments: (channel) => piecewiseLinearMoments(pieces, channel),
      }),
    ];
  },
  macs: noMacs,
  // The gradient of X is 0 at the limits, too, as it is for PyTorch's ReLU6.
  gradient: {
    rule({ emit, needs, input, inputs: [, low, high], output, gradient }) {
      const [y, dy] = [output(), gradient()];
      const { mul, above, below } = algebraOf(emit, y);
      const limitOf = (value: Value) => knownNumbers({ value: emit.known(value) })?.[0] ?? value;
      const total = (value: Value) => unbroadcast(emit, value, []);
      const x = input(0);
      const inside = () => {
        const raised = low ? mul(dy, above(y, limitOf(low))) : dy;
        return high ? mul(raised, below(y, limitOf(high))) : raised;
      };
      return [
        needs(0) ? inside() : undefined,
        needs(1) && low ? total(mul(dy, below(x, low))) : undefined,
        needs(2) && high ? total(mul(dy, above(x, high))) : undefined,
      ];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: placeByPlace(foldClip),
  hidesDifferences: true,
});

const prelu = defineOp({
  opType: "PRelu",
  summary: "y = x < 0 ? slope · x : x; slope broadcasts to the shape of x",
  attributes: noAttributes,
  infer(context) {
    const x = context.required(0).type;
    const slope = context.required(1).type.shape;
    if (x.shape === undefined || slope === undefined) return [x];
    if (slope.length > x.shape.length)
      context.fail(`slope has rank ${slope.length}, X has ${x.shape.length}`);
    const data = x.shape.slice(x.shape.length - slope.length);
    if (slope.some((dim, i) => dim !== 1 && !mayEqual(dim, data[i])))
      context.fail(`slope [${slope.join(", ")}] does not broadcast to [${x.shape.join(", ")}]`);
    return [x];
  },
  fold: notFolded,
  ties: (t) => t.elementwise(t.outputs, [t.input(0), t.input(1)], staysZero),
  shrink: followsInputs,
  moments(context) {
    const x = context.moments(0);
    const slope = constantMoments(context, 1);
    if (x === undefined || slope === undefined) return [undefined];
    return [
      perChannel(x, (channel, c) =>
        piecewiseLinearMoments(
          [
            { from: -Infinity, slope: slope.mean[c], intercept: 0 },
            { from: 0, slope: 1, intercept: 0 },
          ],
          channel,
        ),
      ),
    ];
  },
  macs: noMacs,
  gradient: {
    rule({ emit, needs, input, gradient }) {
      const dy = gradient();
      const [x, slope] = [input(0), input(1)];
      const { add, sub, mul, below } = algebraOf(emit, x);
      const below0 = mul(dy, below(x));
      return [
        needs(0) ? add(dy, mul(below0, sub(slope, 1))) : undefined,
        needs(1) ? unbroadcast(emit, mul(below0, x), slope.shape) : undefined,
      ];
    },
  },
  role: noRole,
  training: trains(1),
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const where = defineOp({
  opType: "Where",
  summary: "z = condition ? x : y, with broadcasting",
  attributes: noAttributes,
  infer(context) {
    const types = [0, 1, 2].map((i) => context.required(i).type);
    const shapes = types.map(({ shape }) => shape).filter((shape) => shape !== undefined);
    const known = shapes.length === types.length;
    return [{ dtype: types[1].dtype, shape: known ? broadcastShapes(context, shapes) : undefined }];
  },
  fold([condition, x, y], _, [z]) {
    if (condition === undefined) return undefined;
    const scalars = Array.from(toNumbers(condition));
    // The condition as whole numbers selects an int64 without rounding.
    const selector = tensorFrom("int64", condition.shape, scalars);
    return foldElementwise([selector, x, y], z, {
      whole: (c, a, b) => (c ? a : b),
      float: (c, a, b) => (c ? a : b),
    });
  },
  ties: (t) =>
    t.elementwise(
      t.outputs,
      [t.input(0), t.input(1), t.input(2)],
      ([, x, y]) => x === 0 && y === 0,
    ),
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: {
    rule({ emit, needs, input, gradient }) {
      const dy = gradient();
      const { sub, mul, cast } = algebraOf(emit, dy);
      const [condition, x, y] = [input(0), input(1), input(2)];
      const isX = cast(condition);
      return [
        undefined,
        needs(1) ? unbroadcast(emit, mul(dy, isX), x.shape) : undefined,
        needs(2) ? unbroadcast(emit, mul(dy, sub(1, isX)), y.shape) : undefined,
      ];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

/** All operators of this file. */
export const passingOperators: readonly Operator[] = [
  identity,
  dropout,
  cast,
  castLike,
  clip,
  prelu,
  where,
];
