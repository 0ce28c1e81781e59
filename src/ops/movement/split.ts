/** @file Split: cuts a tensor into runs along one axis. */
import type { Attribute, Dim } from "../../ir/graph.ts";
import { type HostTensor, int64Vector, takeAlong } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import type { Emitter, Value } from "../operator/gradient.ts";
import { knownNumbers, numericShape, range } from "../operator/known.ts";
import { defineOp, noMacs, type Shrunk } from "../operator/operator.ts";
import { isMovable } from "../operator/rearrange.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, normalizeAxis } from "../operator/shapes.ts";
import { pickMoments } from "../operator/statistics.ts";
import { noWeights } from "../operator/training.ts";

export const split = defineOp({
  opType: "Split",
  summary: "[.., C, ..] → [.., C₁, ..], [.., C₂, ..], ...; sizes given, or equal parts",
  attributes: (raw) => ({ axis: raw.int("axis", 0), parts: raw.int("num_outputs", 0) }),

  infer(context) {
    const { dtype, shape } = context.required(0).type;
    const count = context.outputCount;
    if (shape === undefined) return range(count).map(() => ({ dtype, shape }));
    const axis = normalizeAxis(context, context.attrs.axis, shape.length);
    const { parts } = context.attrs;
    if (parts !== 0 && parts !== count)
      context.fail(`num_outputs is ${parts}, the node has ${count} outputs`);
    const width = shape[axis];
    const given = context.inputs[1];
    const sizes = knownNumbers(given);
    if (sizes && sizes.length !== count)
      context.fail(`${sizes.length} split sizes for ${count} outputs`);
    if (sizes && typeof width === "number" && sizes.reduce((a, b) => a + b, 0) !== width)
      context.fail(`split sizes [${sizes.join(", ")}] do not add up to ${width}`);
    return range(count).map((i) => {
      const size: Dim = given
        ? (sizes?.[i] ?? context.unknownDim())
        : mapDims(context, [width], (whole) => equalParts(whole, count)[i]);
      return { dtype, shape: shape.map((dim, k) => (k === axis ? size : dim)) };
    });
  },

  fold([data], { axis }, outputs) {
    if (data === undefined || !isMovable(data)) return undefined;
    const at = axis < 0 ? axis + data.shape.length : axis;
    const folded: HostTensor[] = [];
    let from = 0;
    for (const { shape } of outputs) {
      const sizes = numericShape(shape);
      if (sizes === undefined) return undefined;
      folded.push(takeAlong(data, at, range(sizes[at], from)));
      from += sizes[at];
    }
    return folded;
  },

  // Each output is a run of the input. Sizes that are computed as the network runs can't follow.
  ties(t) {
    const x = t.input(0);
    const axis = t.attrs.axis < 0 ? t.attrs.axis + x.shape.length : t.attrs.axis;
    const sizes = t.inputs[1];
    if (sizes && !sizes.isParameter) t.fix(t.ids(x, axis), "split into computed sizes");
    let from = 0;
    for (const y of t.outputs) {
      t.select(y, x, axis, range(y.shape[axis], from));
      from += y.shape[axis];
    }
  },

  shrink(context): Shrunk {
    const [x, given] = context.inputs;
    if (!x) return {};
    const { axis, parts } = context.attrs;
    const at = axis < 0 ? axis + x.shape.length : axis;
    const sizes = context.outputs.map((y) => context.shapeOf(y)[at]);
    const isSame = context.outputs.every((y, i) => y.shape[at] === sizes[i]);
    const [width] = [context.shapeOf(x)[at]];
    const stillEqual = equalParts(width, sizes.length).every((size, i) => size === sizes[i]);
    if (isSame || (!given && stillEqual)) return {};
    const attributes = new Map<string, Attribute | undefined>();
    if (parts !== 0) attributes.set("num_outputs", undefined);
    return { attributes, inputs: new Map([[1, int64Vector(sizes)]]) };
  },

  moments(context) {
    const x = context.inputs[0];
    const axis = context.attrs.axis;
    if (!x || (axis !== 1 && axis !== 1 - x.shape.length))
      return context.outputs.map(() => context.moments(0));
    let from = 0;
    return context.outputs.map(({ shape }) => {
      from += shape[1];
      return pickMoments(context.moments(0), range(shape[1], from - shape[1]));
    });
  },

  macs: noMacs,

  // dX is the gradients of the parts laid end to end, with zeros for parts that the loss does not depend on.
  gradient: {
    rule({ emit, attrs, input, node, dy, needs }) {
      if (!needs(0)) return [];
      const x = input(0);
      const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
      const sizes = sizesOf(emit, node.inputs[1] ? input(1) : undefined, x.shape[axis], dy.length);
      const parts = dy.map((part, i) => {
        const shape = x.shape.map((size, k) => (k === axis ? sizes[i] : size));
        return part ?? emit.filled(0, shape, x.dtype);
      });
      return [parts.length === 1 ? parts[0] : emit.op("Concat", parts, { axis })];
    },
  },
  role: noRole,
  training: noWeights,
  constantChannels: notFollowed,
  hidesDifferences: false,
});

/** The sizes of the parts along the axis. */
function sizesOf(
  emit: Emitter,
  given: Value | undefined,
  width: number,
  count: number,
): readonly number[] {
  return knownNumbers({ value: given && emit.known(given) }) ?? equalParts(width, count);
}

/** `count` parts of equal size, the last one smaller where it does not come out even. */
function equalParts(width: number, count: number): number[] {
  const size = Math.ceil(width / count);
  return range(count).map((i) => Math.max(0, Math.min(size, width - i * size)));
}
