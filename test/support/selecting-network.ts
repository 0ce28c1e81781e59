/** @file Random small networks whose dense layers read inputs, or flattened maps. */
import fc from "fast-check";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { int64Vector } from "../../src/tensor/host-tensor.ts";
import { normals } from "./bn-network.ts";

/** What random networks differ in. */
export interface Variant {
  readonly seed: number;
  readonly isBatchSymbolic: boolean;
  /** Convolutions before the flattening, the last without pooling. */
  readonly convs: number;
  readonly flattening: "Flatten" | "Reshape";
  /** What stands between flattening and the dense layer. */
  readonly between: "nothing" | "Relu" | "affine";
  readonly dense: "Gemm" | "Gemm transB" | "MatMul";
  /** Dense layers that read the flattened map. */
  readonly readers: 1 | 2;
  /** Whether a sum over positions reads the last map, too. */
  readonly isReadElsewhere: boolean;
}

/** All of them. */
export const variants: fc.Arbitrary<Variant> = fc.record({
  seed: fc.integer({ min: 0, max: 1e6 }),
  isBatchSymbolic: fc.boolean(),
  convs: fc.integer({ min: 0, max: 2 }),
  flattening: fc.constantFrom("Flatten", "Reshape"),
  between: fc.constantFrom("nothing", "Relu", "affine"),
  dense: fc.constantFrom("Gemm", "Gemm transB", "MatMul"),
  readers: fc.constantFrom(1, 2),
  isReadElsewhere: fc.boolean(),
});

/** A network of that form: [N, 2, 7, 7] → [N, 3]. */
export function selectingNetwork(variant: Variant): Graph {
  const { seed, convs, between, dense, readers } = variant;
  const b = new GraphBuilder("selections");
  let x = b.input("x", "float32", [variant.isBatchSymbolic ? "N" : 1, 2, 7, 7]);
  let [channels, size] = [2, 7];
  const weight = (name: string, shape: readonly number[]) =>
    b.constant(`${name}.w`, normals(shape, `${seed}/${name}`, 0.5));
  for (let i = 0; i < convs; i++) {
    const parameters = [weight(`conv${i}`, [4, channels, 3, 3]), weight(`conv${i}.b`, [4])];
    [x] = b.node("Conv", [x, ...parameters], {}, { name: `conv${i}` });
    // Sigmoid: what is zeroed before it is not 0 behind it.
    [x] = b.node(i === 0 ? "Sigmoid" : "Relu", [x]);
    [channels, size] = [4, size - 2];
  }
  const map = x;
  const features = channels * size * size;
  const shape = b.constant(undefined, int64Vector(variant.isBatchSymbolic ? [0, -1] : [1, -1]));
  let [value] =
    variant.flattening === "Flatten"
      ? b.node("Flatten", [x], { axis: 1 })
      : b.node("Reshape", [x, shape]);
  if (between === "Relu") [value] = b.node("Relu", [value]);
  if (between === "affine") {
    [value] = b.node("Mul", [value, weight("scale", [features])]);
    [value] = b.node("Add", [value, weight("shift", [1, features])]);
  }
  const layer = (from: string, name: string, inputs: number, outputs: number) => {
    const isTurned = dense === "Gemm transB";
    const w = weight(name, isTurned ? [outputs, inputs] : [inputs, outputs]);
    const bias = weight(`${name}.b`, [outputs]);
    if (dense !== "MatMul")
      return b.node("Gemm", [from, w, bias], { transB: isTurned ? 1 : 0 }, { name })[0];
    return b.node("Add", [b.node("MatMul", [from, w], {}, { name })[0], bias])[0];
  };
  const hidden = Array.from(
    { length: readers },
    (_, i) => b.node("Tanh", [layer(value, `fc${i}`, features, 5)])[0],
  );
  const [both] = readers === 1 ? hidden : b.node("Concat", hidden, { axis: 1 });
  let out = layer(both, "head", 5 * readers, 3);
  if (variant.isReadElsewhere) {
    const [sum] = b.node("ReduceSum", [map, b.constant(undefined, int64Vector([1, 2, 3]))], {
      keepdims: 0,
    });
    const [column] = b.node("Unsqueeze", [sum, b.constant(undefined, int64Vector([1]))]);
    [out] = b.node("Add", [out, column]);
  }
  b.output(out);
  return b.build();
}
