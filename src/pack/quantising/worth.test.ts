/** @file No pack is larger than one that keeps every bit. */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { pack, quantised } from "../pack.ts";

/** Products with these weights, one after the other. */
function networkOf(
  matrices: readonly {
    readonly shape: readonly [number, number];
    readonly value: (i: number) => number;
  }[],
  dtype: DType = "float32",
) {
  const b = new GraphBuilder("products");
  let x = b.input("x", dtype, [1, matrices[0].shape[0]]);
  for (const { shape, value } of matrices) {
    const values = Array.from({ length: shape[0] * shape[1] }, (_, i) => value(i));
    [x] = b.node("MatMul", [x, b.constant(undefined, tensorOf(dtype, shape, values))]);
  }
  b.output(x, { dtype, shape: [1, matrices[matrices.length - 1].shape[1]] });
  return readModel(concatBytes(encodeGraph(b.build())));
}

const random = randomOf(5, "weights");
const normal = () => random.normal();
/** Cut to a mantissa of 3 bits. */
const coarse = () => {
  const x = random.normal();
  const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 3);
  return Math.round(x / step) * step;
};
const ternary = (i: number) => [-0.3, 0, 0.3][(i * 7 + (i % 5)) % 3];

const cases = [
  { what: "tiny matrices", net: networkOf([{ shape: [3, 3], value: normal }]) },
  { what: "constant weights", net: networkOf([{ shape: [40, 50], value: () => 0.37 }]) },
  { what: "three values", net: networkOf([{ shape: [60, 90], value: ternary }]) },
  { what: "short mantissas", net: networkOf([{ shape: [80, 80], value: coarse }]) },
  {
    what: "some of each",
    net: networkOf([
      { shape: [60, 60], value: ternary },
      { shape: [60, 4], value: normal },
      { shape: [4, 40], value: coarse },
    ]),
  },
  { what: "float16", net: networkOf([{ shape: [40, 50], value: normal }], "float16") },
  { what: "float16, tiny", net: networkOf([{ shape: [5, 4], value: normal }], "float16") },
];

describe("a pack of any bits", () => {
  it.each(cases)("takes at most what one without loss takes: $what", ({ net }) => {
    const whole = pack(net, { isLossless: true }).bytesAfter;
    for (const bits of [3, 8, 14])
      expect(pack(net, { bits }).bytesAfter).toBeLessThanOrEqual(whole);
    expect(pack(net, { codebook: 16 }).bytesAfter).toBeLessThanOrEqual(whole);
    expect(pack(net, { hasRowSteps: true }).bytesAfter).toBeLessThanOrEqual(whole);
  });

  it("keeps every bit of a weight where that takes no more bytes", () => {
    const net = cases[2].net;
    expect(pack(net, { bits: 14 }).unpacked).toEqual(net.file.bytes);
    expect(quantised(net, { bits: 14 })).toEqual(net.file.bytes);
  });

  it("quantises weights that a network computes by its norms, written out", () => {
    const b = new GraphBuilder("normalised");
    const x = b.input("x", "float32", [1, 40]);
    const v = b.constant("v", tensorOf("float32", [40, 60], random.normals(2400)));
    const [norm] = b.node("ReduceL2", [v, b.constant("axes", int64Vector([0]))]);
    const [w] = b.node("Div", [v, norm]);
    b.output(b.node("MatMul", [x, w])[0], { dtype: "float32", shape: [1, 60] });
    const bytes = concatBytes(encodeGraph(b.build()));
    const net = readModel(bytes);
    expect(pack(net, { isLossless: true }).unpacked).toEqual(bytes);
    const { bytesAfter, unpacked } = pack(net, { bits: 6 });
    expect(bytesAfter).toBeLessThan(bytes.length / 4);
    expect(readModel(unpacked).graph.nodes).toHaveLength(1);
  });

  it("rounds a weight of many values, which is smaller so", () => {
    const net = networkOf([{ shape: [60, 80], value: normal }]);
    const { bytesAfter, unpacked } = pack(net, { bits: 6 });
    expect(bytesAfter).toBeLessThan(pack(net, { isLossless: true }).bytesAfter / 3);
    expect(unpacked).toEqual(quantised(net, { bits: 6 }));
    expect([...net.graph.constants.values()].every(({ dtype }) => isFloat(dtype))).toBe(true);
  });
});
