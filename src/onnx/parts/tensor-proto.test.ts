/** @file Every encoding of a tensor, against what onnxruntime reads from the same bytes. */
import { describe, expect, it } from "vitest";
import * as pb from "../../../test/support/protobuf.ts";
import { withSession } from "../../runtime/session.ts";
import { readModel } from "../reading/read.ts";

/** w → Identity → y, where w is an initialiser. */
function constantModel(tensor: Uint8Array, elemType: number, dims: readonly number[]): Uint8Array {
  return pb.model(
    pb.graph({
      nodes: [pb.node("Identity", ["w"], ["y"])],
      initializers: [tensor],
      outputs: [pb.valueInfo("y", dims, elemType)],
    }),
    21,
    [],
    10,
  );
}

const floats = Float32Array.of(1.5, -2, 3.25e-3, Number.POSITIVE_INFINITY, -0, 1e30);
const doubles = Float64Array.of(Math.PI, -1e300, 5e-324, 0, 1, -7);
const longs = BigInt64Array.of(1n, -1n, 2n ** 62n, -(2n ** 63n), 127n, 128n);
const ulongs = BigUint64Array.of(0n, 2n ** 64n - 1n, 2n ** 63n, 300n, 7n, 1n);

const cases = [
  { name: "float32, raw", type: 1, parts: [pb.len(9, pb.raw(floats))], want: floats },
  { name: "float32, packed", type: 1, parts: [pb.len(4, pb.raw(floats))], want: floats },
  {
    name: "float32, unpacked",
    type: 1,
    parts: [...floats].map((x) => pb.float(4, x)),
    want: floats,
  },
  {
    name: "float32, in two packed chunks and one element alone",
    type: 1,
    parts: [
      pb.len(4, pb.raw(floats.subarray(0, 2))),
      pb.float(4, floats[2]),
      pb.len(4, pb.raw(floats.subarray(3))),
    ],
    want: floats,
  },
  { name: "float64, raw", type: 11, parts: [pb.len(9, pb.raw(doubles))], want: doubles },
  { name: "float64, packed", type: 11, parts: [pb.len(10, pb.raw(doubles))], want: doubles },
  { name: "int64, raw", type: 7, parts: [pb.len(9, pb.raw(longs))], want: longs },
  { name: "int64, packed", type: 7, parts: [pb.packed(7, longs)], want: longs },
  { name: "int64, unpacked", type: 7, parts: [...longs].map((x) => pb.int(7, x)), want: longs },
  {
    name: "int64, in chunks",
    type: 7,
    parts: [pb.packed(7, longs.subarray(0, 1)), pb.packed(7, longs.subarray(1))],
    want: longs,
  },
  { name: "uint64, raw", type: 13, parts: [pb.len(9, pb.raw(ulongs))], want: ulongs },
  { name: "uint64, packed", type: 13, parts: [pb.packed(11, ulongs)], want: ulongs },
  {
    name: "uint32, packed",
    type: 12,
    parts: [pb.packed(11, [0, 2 ** 32 - 1, 5, 6, 7, 300])],
    want: Uint32Array.of(0, 2 ** 32 - 1, 5, 6, 7, 300),
  },
  ...[
    { name: "int32", type: 6, want: Int32Array.of(1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 300) },
    { name: "int16", type: 5, want: Int16Array.of(1, -1, 32767, -32768, 0, 300) },
    { name: "int8", type: 3, want: Int8Array.of(1, -1, 127, -128, 0, 30) },
    { name: "uint16", type: 4, want: Uint16Array.of(1, 65535, 127, 128, 0, 300) },
    { name: "uint8", type: 2, want: Uint8Array.of(1, 255, 127, 128, 0, 30) },
    { name: "bool", type: 9, want: Uint8Array.of(1, 0, 1, 1, 0, 0) },
    {
      name: "float16",
      type: 10,
      want: Uint16Array.of(0x3c00, 0xc000, 0x7c00, 1, 0x8000, 0x7bff),
    },
  ].flatMap(({ name, type, want }) => [
    { name: `${name}, raw`, type, parts: [pb.len(9, pb.raw(want))], want },
    { name: `${name}, int32_data`, type, parts: [pb.packed(5, want)], want },
  ]),
];

describe("a tensor's elements", () => {
  it.each(cases)("$name", async ({ type, parts, want }) => {
    const bytes = constantModel(pb.tensor("w", type, [2, 3], ...parts), type, [2, 3]);
    const constant = readModel(bytes).graph.constants.get("w");
    const got = constant?.read();
    expect(got?.shape).toEqual([2, 3]);
    expect(got?.data).toEqual(want);
    const [[, theirs]] = await withSession(bytes, { optimization: "disabled" }, (session) =>
      session.run(new Map()),
    );
    expect(got).toEqual(theirs);
  });

  it("of strings", () => {
    const bytes = constantModel(pb.tensor("w", 8, [2], pb.len(6, "a"), pb.len(6, "ü")), 8, [2]);
    expect(readModel(bytes).graph.constants.get("w")?.read().data).toEqual(["a", "ü"]);
  });

  it.each([
    { name: "int4, raw", type: 22, parts: [pb.len(9, [0x21, 0x0f])] },
    { name: "uint4, int32_data", type: 21, parts: [pb.packed(5, [0x21, 0x0f])] },
    { name: "float4e2m1, raw", type: 23, parts: [pb.len(9, [0x21, 0x0f])] },
  ])("below a byte stay packed: $name", ({ type, parts }) => {
    const bytes = constantModel(pb.tensor("w", type, [3], ...parts), type, [3]);
    expect(readModel(bytes).graph.constants.get("w")?.read().data).toEqual(
      Uint8Array.of(0x21, 0x0f),
    );
  });

  it.each([
    { name: "complex64, float_data", type: 14, parts: [pb.len(4, pb.raw(floats))], want: floats },
    { name: "complex128, raw", type: 15, parts: [pb.len(9, pb.raw(doubles))], want: doubles },
    {
      name: "bfloat16, int32_data",
      type: 16,
      parts: [pb.packed(5, [0x3f80, 0xffff, 0])],
      want: Uint16Array.of(0x3f80, 0xffff, 0),
    },
    {
      name: "float8e4m3fn, int32_data",
      type: 17,
      parts: [pb.packed(5, [1, 255, 128])],
      want: Uint8Array.of(1, 255, 128),
    },
  ])("that onnxruntime does not hand out: $name", ({ type, parts, want }) => {
    const bytes = constantModel(pb.tensor("w", type, [3], ...parts), type, [3]);
    expect(readModel(bytes).graph.constants.get("w")?.read().data).toEqual(want);
  });

  it("may be none, and a scalar has one", () => {
    const empty = constantModel(pb.tensor("w", 1, [0, 3]), 1, [0, 3]);
    expect(readModel(empty).graph.constants.get("w")?.read().data).toHaveLength(0);
    const scalar = constantModel(pb.tensor("w", 1, [], pb.float(4, 2)), 1, []);
    expect(readModel(scalar).graph.constants.get("w")?.read()).toEqual({
      dtype: "float32",
      shape: [],
      data: Float32Array.of(2),
    });
  });

  it("are copies: writing to them does not change the model", () => {
    const bytes = constantModel(pb.tensor("w", 1, [1], pb.len(9, [0, 0, 128, 63])), 1, [1]);
    const constant = readModel(bytes).graph.constants.get("w");
    const data = constant?.read().data;
    if (data instanceof Float32Array) data[0] = 7;
    expect(constant?.read().data).toEqual(Float32Array.of(1));
  });
});

describe("a damaged tensor", () => {
  const sixFloats = pb.len(9, new Uint8Array(24));
  it.each([
    { name: "too few bytes", tensor: pb.tensor("w", 1, [2, 3], pb.len(9, new Uint8Array(23))) },
    { name: "too many bytes", tensor: pb.tensor("w", 1, [2, 2], sixFloats) },
    { name: "no elements", tensor: pb.tensor("w", 1, [2, 3]) },
    { name: "a negative size", tensor: pb.tensor("w", 1, [-2, -3], sixFloats) },
    { name: "no element type", tensor: pb.tensor("w", 0, [2, 3], sixFloats) },
    { name: "an unknown element type", tensor: pb.tensor("w", 99, [2, 3], sixFloats) },
    {
      name: "elements twice",
      tensor: pb.tensor("w", 1, [1], pb.len(9, [0, 0, 0, 0]), pb.float(4, 1)),
    },
    { name: "the wrong typed field", tensor: pb.tensor("w", 1, [2], pb.packed(7, [1, 2])) },
    { name: "too few strings", tensor: pb.tensor("w", 8, [2], pb.len(6, "a")) },
    { name: "segments", tensor: pb.tensor("w", 1, [6], sixFloats, pb.len(3, pb.int(1, 0))) },
  ])("is refused: $name", ({ tensor }) => {
    expect(() => readModel(constantModel(tensor, 1, [2, 3]))).toThrow(
      expect.objectContaining({ code: "MODEL_BAD_TENSOR" }),
    );
  });

  it.each([
    { name: "2^62 x 4", dims: [2n ** 62n, 4n] },
    { name: "2^32 x 2^32", dims: [2n ** 32n, 2n ** 32n] },
    { name: "2^31 + 1", dims: [2n ** 31n + 1n] },
    { name: "0 x 2^62", dims: [0n, 2n ** 62n] },
    { name: "65 axes", dims: Array.from({ length: 65 }, () => 1n) },
  ])("that claims $name elements is refused before anything is allocated", ({ dims }) => {
    const tensor = pb.tensor("w", 1, dims, pb.len(9, [0, 0, 0, 0]));
    expect(() => readModel(constantModel(tensor, 1, [1]))).toThrow(
      expect.objectContaining({ code: "MODEL_TOO_LARGE" }),
    );
  });
});
