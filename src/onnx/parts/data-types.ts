/** @file ONNX's numbers for element types, and ours. */
import type { DType } from "../../tensor/dtype.ts";

/** Element types by the value of `TensorProto.DataType`; index 0 is UNDEFINED. */
const byNumber: readonly (DType | undefined)[] = [
  undefined,
  "float32",
  "uint8",
  "int8",
  "uint16",
  "int16",
  "int32",
  "int64",
  "string",
  "bool",
  "float16",
  "float64",
  "uint32",
  "uint64",
  "complex64",
  "complex128",
  "bfloat16",
  "float8e4m3fn",
  "float8e4m3fnuz",
  "float8e5m2",
  "float8e5m2fnuz",
  "uint4",
  "int4",
  "float4e2m1",
  "float8e8m0",
  "uint2",
  "int2",
];

/** The element type with this number, or `undefined` when ONNX has none (that we know). */
export function dtypeOf(dataType: number): DType | undefined {
  return byNumber[dataType];
}

/** The number that ONNX gives to an element type. */
export function dataTypeOf(dtype: DType): number {
  return byNumber.indexOf(dtype);
}
