/** @file SparseTensorProto: kept in the file, never read. */
import { EspalierError } from "../errors.ts";
import type { Constant, ConstantOrigin } from "../ir/graph.ts";
import { decode, sparseTensorProto } from "./schema.ts";
import { checkedSize, readTensor, type TensorContext } from "./tensor-proto.ts";

/** The name of a sparse initialiser: that of its values. */
export function sparseName(bytes: Uint8Array, context: TensorContext): string {
  const { values } = decode(sparseTensorProto, bytes, context.budget);
  return values === undefined ? "" : readTensor(values, context, "").name;
}

/** A constant whose type is known and whose elements cannot be read. */
export function sparseConstant(
  name: string,
  bytes: Uint8Array,
  origin: ConstantOrigin,
  context: TensorContext,
): Constant {
  const { values, indices, dims } = decode(sparseTensorProto, bytes, context.budget);
  if (values === undefined)
    throw new EspalierError("MODEL_BAD_TENSOR", `Sparse tensor "${name}" has no values.`);
  const { dtype } = readTensor(values, context, name);
  if (indices !== undefined) readTensor(indices, context, `${name} (indices)`);
  checkedSize(name, dims, context.limits);
  const read = (): never => {
    throw new EspalierError("MODEL_UNSUPPORTED", `Tensor "${name}" is stored sparsely.`, {
      hint: "Export the model with dense weights.",
      data: { tensor: name },
    });
  };
  return { name, dtype, shape: dims, read, origin };
}
