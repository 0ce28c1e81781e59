/** @file SparseTensorProto: read as the dense tensor that it stands for, kept sparse in the file. */
import { EspalierError } from "../../errors.ts";
import type { Constant, ConstantOrigin } from "../../ir/graph.ts";
import { bitsOf } from "../../tensor/dtype.ts";
import {
  allocate,
  bytesOf,
  type HostTensor,
  isStrings,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import { decode, sparseTensorProto } from "../protobuf/schema.ts";
import { checkedSize, readTensor, type StoredTensor, type TensorContext } from "./tensor-proto.ts";

/** A few bytes may claim a huge tensor; more elements than this are not made dense. */
const maxDenseElements = 2 ** 24;

/** The name of a sparse initialiser: that of its values. */
export function sparseName(bytes: Uint8Array, context: TensorContext): string {
  const { values } = decode(sparseTensorProto, bytes, context.budget);
  return values === undefined ? "" : readTensor(values, context, "").name;
}

/** A constant that is stored sparsely. Reading it gives the dense tensor. */
export function sparseConstant(
  name: string,
  bytes: Uint8Array,
  origin: ConstantOrigin,
  context: TensorContext,
): Constant {
  const { values, indices, dims } = decode(sparseTensorProto, bytes, context.budget);
  const fail = (problem: string): never => {
    throw new EspalierError("MODEL_BAD_TENSOR", `Sparse tensor "${name}" ${problem}.`, {
      data: { tensor: name },
    });
  };
  if (values === undefined || indices === undefined) return fail("has no values or no indices");
  const stored = readTensor(values, context, name);
  const places = readTensor(indices, context, `${name} (indices)`);
  const size = checkedSize(name, dims, context.limits);
  const [count, width] = places.shape;
  const isFlat = places.shape.length === 1;
  if (places.dtype !== "int64" || stored.shape.length !== 1 || count !== stored.shape[0])
    fail("has indices that do not belong to its values");
  if (!isFlat && (places.shape.length !== 2 || width !== dims.length))
    fail("has indices of the wrong rank");
  const { dtype } = stored;
  const read = (): HostTensor => {
    if (size > maxDenseElements || bitsOf[dtype] < 8)
      throw new EspalierError(
        "MODEL_UNSUPPORTED",
        `Sparse tensor "${name}" cannot be made dense.`,
        {
          hint: "Export the model with dense weights.",
          data: { tensor: name, shape: dims },
        },
      );
    return densify(stored, places, dims, size, fail);
  };
  return { name, dtype, shape: dims, read, origin };
}

/** Zeros, with the stored values at their places: linear indices, or one index per axis. */
function densify(
  stored: StoredTensor,
  places: StoredTensor,
  shape: readonly number[],
  size: number,
  fail: (problem: string) => never,
): HostTensor {
  const values = stored.read().data;
  const at = toNumbers(places.read());
  if (isStrings(values)) return fail("holds strings");
  const data = allocate(stored.dtype, size);
  const [target, source] = [bytesOf(data), bytesOf(values)];
  const width = bitsOf[stored.dtype] / 8;
  const rank = places.shape.length === 1 ? 1 : shape.length;
  for (let k = 0; k < stored.shape[0]; k++) {
    let index = 0;
    for (let axis = 0; axis < rank; axis++) {
      const i = at[k * rank + axis];
      const bound = places.shape.length === 1 ? size : shape[axis];
      if (i < 0 || i >= bound) return fail(`has the index ${i} outside its shape`);
      index = index * (axis === 0 ? 1 : shape[axis]) + i;
    }
    target.set(source.subarray(k * width, (k + 1) * width), index * width);
  }
  return { dtype: stored.dtype, shape, data };
}
