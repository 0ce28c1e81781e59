/** @file Random inputs for a network, made from what it declares. */
import { EspalierError } from "../../errors.ts";
import type { Dim, Graph, Shape, TensorType } from "../../ir/graph.ts";
import { usualSides } from "../../structure/analysis/bound-sizes.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { allocate, type HostTensor, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";
import { requireFeedable } from "./run-size.ts";

/** What free sizes are to be, and from which seed the values come. */
export interface FeedOptions {
  /** Size of a symbolic first axis; default 1. A network whose batch is fixed must have this one. */
  readonly batch?: number | undefined;
  /** Sizes of other symbolic axes, by name; a spatial one that is not named here is 224, or 64 in a volume. */
  readonly dims?: ReadonlyMap<string, number> | undefined;
  /** Default 0. */
  readonly seed?: RandomKey | undefined;
}

/** The inputs of a network with their types. Fails with `MODEL_UNSUPPORTED` for one that declares none. */
export function declaredInputs(graph: Graph): readonly (TensorType & { readonly name: string })[] {
  return graph.inputs.map((name) => {
    const type = graph.types.get(name);
    if (type === undefined)
      throw new EspalierError("MODEL_UNSUPPORTED", `input "${name}" declares no type`);
    return { name, ...type };
  });
}

/**
 * Standard normal values for float inputs, and whole ones from 0 to 255 for images of bytes; zeros (empty
 * text) for all others, which are indices or flags more often than not. The values depend on seed, input name and shape alone.
 * @throws EspalierError `DATA_MISMATCH` where a size cannot be known, `MODEL_TOO_LARGE` for too many elements.
 */
export function randomFeeds(
  inputs: readonly (TensorType & { readonly name: string })[],
  options: FeedOptions = {},
): ReadonlyMap<string, HostTensor> {
  return new Map(
    boundInputs(inputs, options).map((input) => [input.name, randomTensor(input, options.seed)]),
  );
}

/** An input whose size is known. */
export interface BoundInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** The inputs with their sizes. Fails as {@link randomFeeds} does. */
export function boundInputs(
  inputs: readonly (TensorType & { readonly name: string })[],
  options: FeedOptions = {},
): readonly BoundInput[] {
  return inputs.map(({ name, dtype, shape }) => ({
    name,
    dtype,
    shape: bindShape(name, shape, options),
  }));
}

/** What {@link randomFeeds} gives for one input. */
export function randomTensor({ name, dtype, shape }: BoundInput, seed: RandomKey = 0): HostTensor {
  const size = sizeOf(shape);
  const random = () => randomOf(seed, "feeds", name);
  if (isFloat(dtype)) {
    const values = random().normals(size);
    return dtype === "float32" ? { dtype, shape, data: values } : tensorOf(dtype, shape, values);
  }
  if (dtype === "uint8" && shape.length >= 3) {
    const bytes = random();
    return { dtype, shape, data: Uint8Array.from({ length: size }, () => bytes.integer(256)) };
  }
  const data = dtype === "string" ? new Array<string>(size).fill("") : allocate(dtype, size);
  return { dtype, shape, data };
}

function bindShape(
  name: string,
  shape: Shape | undefined,
  options: FeedOptions,
): readonly number[] {
  if (shape === undefined)
    throw new EspalierError("DATA_MISMATCH", `Input "${name}" declares no shape.`, {
      hint: "Export the network with the shapes of its inputs.",
      data: { input: name },
    });
  const bound = shape.map((dim, axis) => bindDim(name, shape, dim, axis, options));
  requireFeedable(name, bound, shape);
  return bound;
}

function bindDim(name: string, shape: Shape, dim: Dim, axis: number, options: FeedOptions): number {
  const { batch, dims } = options;
  if (typeof dim === "number") {
    if (axis === 0 && batch !== undefined && batch !== dim && shape.length > 1)
      throw new EspalierError(
        "DATA_MISMATCH",
        `Input "${name}" fixes the batch to ${dim}, but ${batch} was asked for.`,
        { data: { input: name, fixed: dim, asked: batch } },
      );
    return dim;
  }
  const named = dims?.get(dim);
  if (named !== undefined) return named;
  if (axis === 0) return batch ?? 1;
  // [N, C, ...spatial] or [N, ...spatial, C]: what is symbolic there is an image's side.
  if (shape.length >= 3) return usualSides(shape)[0];
  throw new EspalierError("DATA_MISMATCH", `The size "${dim}" of input "${name}" is not fixed.`, {
    hint: `Say how large "${dim}" is to be.`,
    data: { input: name, axis, dim },
  });
}
