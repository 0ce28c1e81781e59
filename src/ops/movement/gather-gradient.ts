/** @file The gradient rules of the operators that address elements by index. */
import { EspalierError } from "../../errors.ts";
import { int64Vector, sizeOf } from "../../tensor/host-tensor.ts";
import { addAlong, placeAlong, throughFirst } from "../operator/cutting.ts";
import type { Emitter, GradientContext, Value } from "../operator/gradient.ts";
import { knownNumbers, range } from "../operator/known.ts";
import type { GradientFacet } from "../operator/operator.ts";

/** The attributes of operators that address elements by index. */
export interface Addressing {
  readonly axis: number;
  readonly batchDims: number;
  readonly reduction: string;
}

/** dX gets the slices of dY at the places that they were picked from; those picked twice add up. */
export const gatherGradient: GradientFacet<{ readonly axis: number }> = throughFirst(
  (dy, { emit, attrs, input }) => {
    const [x, indices] = [input(0), input(1)];
    const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
    const size = x.shape[axis];
    const count = sizeOf(indices.shape);
    const slices = emit.reshape(
      dy,
      x.shape.map((n, i) => (i === axis ? count : n)),
    );
    const known = knownNumbers({ value: emit.known(indices) });
    if (known === undefined)
      return addAlong(emit, slices, axis, emit.reshape(indices, [count]), size);
    const positions = known.map((k) => (k < 0 ? k + size : k));
    return placeAlong(emit, slices, axis, positions, size);
  },
);

/** Zeros, to which the elements of dY are added where they were picked from. */
export const gatherElementsGradient: GradientFacet<Addressing> = throughFirst(
  (dy, { emit, attrs: { axis }, input }) => {
    const zeros = emit.filled(0, input(0).shape, dy.dtype);
    return emit.op("ScatterElements", [zeros, input(1), dy], { axis, reduction: "add" });
  },
);

/** The gradient of GatherND: the slices of dY are added at indices that are counted along one axis ({@link addAlong}). */
export const gatherNDGradient: GradientFacet<Addressing> = throughFirst(
  (dy, { emit, attrs: { batchDims }, input }) => {
    const [x, indices] = [input(0), input(1)];
    const depth = indices.shape[indices.shape.length - 1];
    const sizes = x.shape.slice(batchDims, batchDims + depth);
    const batches = sizeOf(x.shape.slice(0, batchDims));
    const rows = sizeOf(indices.shape.slice(0, -1)) / batches;
    const strides = sizes.map((_, k) => sizeOf(sizes.slice(k + 1)));
    const fromFront = emit.op("Mod", [indices, emit.ints(sizes)]);
    const flat = emit.sum(emit.mul(fromFront, emit.ints(strides)), [indices.shape.length - 1]);
    const perBatch = emit.reshape(flat, [batches, rows]);
    const offsets = int64Vector(range(batches).map((batch) => batch * sizeOf(sizes)));
    const shifted =
      batches === 1
        ? perBatch
        : emit.add(perBatch, emit.constant({ ...offsets, shape: [batches, 1] }));
    const slices = emit.reshape(dy, [batches * rows, sizeOf(x.shape.slice(batchDims + depth))]);
    const places = emit.reshape(shifted, [batches * rows]);
    return emit.reshape(addAlong(emit, slices, 0, places, batches * sizeOf(sizes)), x.shape);
  },
);

/**
 * The gradients of ScatterElements and ScatterND: for the data dY without the elements that were replaced, for the
 * updates dY at the indices.
 */
export function scatterGradient(
  pick: (emit: Emitter, dy: Value, indices: Value, axis: number) => Value,
): GradientFacet<Addressing> {
  return {
    rule(context) {
      const {
        emit,
        attrs,
        node,
        dy: [dy],
      } = context;
      if (!dy) return [];
      if (attrs.reduction !== "none" && attrs.reduction !== "add") return refuse(context);
      const [indices, updates] = [context.input(1), context.input(2)];
      const isReplacing = attrs.reduction === "none";
      const axis: Readonly<Record<string, number>> = node.attributes.has("axis")
        ? { axis: attrs.axis }
        : {};
      const kept = () =>
        isReplacing
          ? emit.op(node.opType, [dy, indices, emit.filled(0, updates.shape, dy.dtype)], axis)
          : dy;
      return [
        context.needs(0) ? kept() : undefined,
        undefined,
        context.needs(2) ? pick(emit, dy, indices, attrs.axis) : undefined,
      ];
    },
  };
}

function refuse({ node, attrs }: GradientContext<Addressing>): never {
  throw new EspalierError(
    "MODEL_UNSUPPORTED",
    `${node.opType} "${node.name}" with reduction "${attrs.reduction}" has no gradient rule`,
    { data: { node: node.name, opType: node.opType } },
  );
}
