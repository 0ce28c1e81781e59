/** @file QuantizeLinear, DequantizeLinear (per tensor, per axis, in blocks) and DynamicQuantizeLinear. */
import { EspalierError } from "../../errors.ts";
import { bitsOf, type DType, dtypeOfCode } from "../../tensor/dtype.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import type { AttributeReader } from "../operator/attributes.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixAxes, fixEverything, range } from "../operator/known.ts";
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
import { sameMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

interface QuantizeAttributes {
  readonly axis: number;
  readonly outputDType: DType | undefined;
}

function quantizeAttributes(raw: AttributeReader): QuantizeAttributes {
  const code = raw.int("output_dtype", 0);
  const dtype = dtypeOfCode(code);
  if (code !== 0 && dtype === undefined) raw.fail(`output_dtype ${code} names no element type`);
  return { axis: raw.int("axis", 1), outputDType: dtype };
}

const quantizeLinear = defineOp<QuantizeAttributes>({
  opType: "QuantizeLinear",
  summary: "saturate(round(x / y_scale) + y_zero_point), scales per tensor, per axis or in blocks",
  attributes: quantizeAttributes,

  infer(context) {
    checkScales(context);
    const dtype = context.inputs[2]?.type.dtype ?? context.attrs.outputDType ?? "uint8";
    return [{ dtype, shape: context.required(0).type.shape }];
  },

  fold: notFolded,
  ties: tieScales,
  shrink: followsInputs,
  // Moments are those of the real numbers that the quantised ones represent; rounding is ignored.
  moments: sameMoments,
  macs: noMacs,
  gradient: { notDifferentiable: "rounds to whole numbers" },
  role: noRole,
  training: { none: "its scales are those of the quantisation, which training leaves alone" },
  constantChannels: notFollowed,
  hidesDifferences: true,
});

const dequantizeLinear = defineOp<QuantizeAttributes>({
  opType: "DequantizeLinear",
  summary: "(x - x_zero_point) * x_scale, scales per tensor, per axis or in blocks",
  attributes: quantizeAttributes,

  infer(context) {
    checkScales(context);
    const dtype = context.attrs.outputDType ?? context.required(1).type.dtype;
    return [{ dtype, shape: context.required(0).type.shape }];
  },

  fold: notFolded,
  ties: tieScales,
  shrink: followsInputs,
  moments: sameMoments,
  macs: noMacs,

  // Whole numbers have no gradient. That of a scale is Σ dY (x - zero point) over the elements that it scales.
  gradient: {
    rule({ emit, attrs, inputs, input, node, dy: [dy], needs }) {
      if (!dy || !needs(1)) return [];
      const [x, scale] = [input(0), input(1)];
      const size = sizeOf(scale.shape);
      const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
      if (scale.shape.length > 1 || (size > 1 && size !== x.shape[axis]))
        throw new EspalierError(
          "MODEL_UNSUPPORTED",
          `DequantizeLinear "${node.name}" with scales in blocks has no gradient rule`,
          { data: { node: node.name } },
        );
      const ones = emit.constant(
        tensorOf(scale.dtype, scale.shape, new Float64Array(size).fill(1)),
      );
      const steps = emit.op("DequantizeLinear", [x, ones, inputs[2]], { axis: attrs.axis });
      const others = range(x.shape.length).filter((i) => size === 1 || i !== axis);
      const sum = emit.sum(emit.mul(dy, steps), others);
      return [undefined, emit.reshape(sum, scale.shape)];
    },
  },
  role: noRole,
  training: { none: "its scales are those of the quantisation, which training leaves alone" },
  constantChannels: notFollowed,
  hidesDifferences: false,
});

const dynamicQuantizeLinear = defineOp({
  opType: "DynamicQuantizeLinear",
  summary: "x quantised to uint8 by its own range; also the scale and the zero point",
  attributes: () => ({}),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    return [
      { dtype: "uint8", shape },
      { dtype, shape: [] },
      { dtype: "uint8", shape: [] },
    ];
  },

  fold: notFolded,
  ties: (t) => fixEverything(t, "quantised by the range of the whole tensor"),
  shrink: followsInputs,
  moments: noMoments,
  macs: noMacs,
  gradient: { notDifferentiable: "rounds to whole numbers" },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: true,
});

/** Scales and zero points are scalars, vectors along an axis that X has, or blocks of X's rank. */
function checkScales(context: InferContext<QuantizeAttributes>): void {
  const rank = context.required(0).type.shape?.length;
  for (const i of [1, 2]) {
    const scales = context.inputs[i]?.type.shape?.length;
    if (rank === undefined || scales === undefined || scales === 0) continue;
    if (scales > 1 && scales !== rank) context.fail(`input ${i} has rank ${scales}, X has ${rank}`);
  }
}

/** Elementwise; a vector of scales lines up with its axis, blocks of scales with what they divide. */
function tieScales(t: Ties<QuantizeAttributes>): void {
  const [x, y] = [t.input(0), t.output()];
  // The real number 0 becomes the zero point, which counts as 0 among quantised numbers, and back.
  t.elementwise([y], [x], staysZero);
  for (const tensor of [x, y])
    if (bitsOf[tensor.dtype] < 8) fixAxes(t, tensor, `packed ${tensor.dtype} can't be cut`);
  const rank = x.shape.length;
  const axis = t.attrs.axis < 0 ? t.attrs.axis + rank : t.attrs.axis;
  for (const scales of t.inputs.slice(1, 3)) {
    if (scales === undefined || scales.shape.length === 0) continue;
    if (scales.shape.length === 1 && rank !== 1) {
      // A vector of one element stands for the whole tensor.
      if (scales.shape[0] === x.shape[axis]) t.unite(t.ids(scales, 0), t.ids(x, axis));
      continue;
    }
    for (let i = 0; i < rank; i++) {
      if (scales.shape[i] === x.shape[i]) t.unite(t.ids(scales, i), t.ids(x, i));
      else if (scales.shape[i] !== 1 || rank !== 1) {
        t.fix(t.ids(scales, i), "quantised in blocks");
        t.fix(t.ids(x, i), "quantised in blocks");
      }
    }
  }
}

/** Operators between real and whole numbers. */
export const quantizeOperators: readonly Operator[] = [
  dequantizeLinear,
  dynamicQuantizeLinear,
  quantizeLinear,
];
