/** @file Element types: the names that ONNX uses, their width, and their host representation. */

/** Element types that occur in ONNX models, by their ONNX names in lower case. */
export type DType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool"
  | "string"
  | "complex64"
  | "complex128"
  | "float8e4m3fn"
  | "float8e4m3fnuz"
  | "float8e5m2"
  | "float8e5m2fnuz"
  | "float8e8m0"
  | "int4"
  | "uint4"
  | "int2"
  | "uint2"
  | "float4e2m1";

/** Bits of one element; 0 for strings, whose length varies. */
export const bitsOf: Readonly<Record<DType, number>> = {
  float32: 32,
  float64: 64,
  float16: 16,
  bfloat16: 16,
  int8: 8,
  int16: 16,
  int32: 32,
  int64: 64,
  uint8: 8,
  uint16: 16,
  uint32: 32,
  uint64: 64,
  bool: 8,
  string: 0,
  complex64: 64,
  complex128: 128,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  float8e8m0: 8,
  int4: 4,
  uint4: 4,
  int2: 2,
  uint2: 2,
  float4e2m1: 4,
};

/** True for the real floating-point types that carry activations and weights. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float16" || dtype === "float64" || dtype === "bfloat16";
}

/** True for the types that weights are stored in: floats, and the whole numbers of quantised ones. */
export function isWeightType(dtype: DType): boolean {
  return isFloat(dtype) || dtype === "int8" || dtype === "uint8" || bitsOf[dtype] < 8;
}

/** True for signed and unsigned whole numbers (bool excluded). */
export function isInteger(dtype: DType): boolean {
  return /^u?int/.test(dtype);
}

/** The number by which ONNX files and `dtype` attributes name each element type. */
export const codeOf: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  complex64: 14,
  complex128: 15,
  bfloat16: 16,
  float8e4m3fn: 17,
  float8e4m3fnuz: 18,
  float8e5m2: 19,
  float8e5m2fnuz: 20,
  uint4: 21,
  int4: 22,
  float4e2m1: 23,
  float8e8m0: 24,
  uint2: 25,
  int2: 26,
};

const byCode: ReadonlyMap<number, DType> = new Map(
  allDTypes().map((dtype) => [codeOf[dtype], dtype]),
);

/** The element type that ONNX numbers `code`, or `undefined` for a number it does not give. */
export function dtypeOfCode(code: number): DType | undefined {
  return byCode.get(code);
}

function isDType(name: string): name is DType {
  return Object.hasOwn(bitsOf, name);
}

function allDTypes(): readonly DType[] {
  return Object.keys(bitsOf).filter(isDType);
}
