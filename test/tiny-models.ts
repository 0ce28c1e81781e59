/** @file Tiny networks for tests, as the pieces of an ONNX file. */
import { GraphBuilder } from "../src/ir/builder.ts";
import type { TensorType } from "../src/ir/graph.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import type { DType } from "../src/tensor/dtype.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

/** A model file in pieces. */
export type ModelPieces = readonly Uint8Array[];

/** The model file of what `define` builds. */
export function modelOf(define: (b: GraphBuilder) => void): ModelPieces {
  const builder = new GraphBuilder("tiny");
  define(builder);
  return encodeGraph(builder.build()).chunks;
}

/** Each output is one operator's result for the input x; all have the type of x. */
export function unaryModel(
  type: TensorType,
  outputs: Readonly<Record<string, string>>,
): ModelPieces {
  return modelOf((b) => {
    b.input("x", type.dtype, type.shape);
    for (const [output, opType] of Object.entries(outputs)) {
      b.node(opType, ["x"], {}, { outputs: [output] });
      b.output(output, type);
    }
  });
}

/** y = x of any element type and size. */
export function identityModel(dtype: DType): ModelPieces {
  return unaryModel({ dtype, shape: ["n"] }, { y: "Identity" });
}

/** y = relu(x w + b) with x [N, 2], w = [[1, -1], [2, 0.5]] and b = [0.5, -4]. */
export function denseModel(): ModelPieces {
  return modelOf((b) => {
    b.input("x", "float32", ["N", 2]);
    b.constant("w", tensorOf("float32", [2, 2], [1, -1, 2, 0.5]));
    b.constant("b", tensorOf("float32", [2], [0.5, -4]));
    const sum = b.node("Gemm", ["x", "w", "b"]);
    b.node("Relu", sum, {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 2] });
  });
}

/** `depth` convolutions 3x3 of `width` channels with Relu between; x and y are [N, width, side, side]. */
export function convModel(width: number, depth: number, side = 16): ModelPieces {
  const type: TensorType = { dtype: "float32", shape: ["N", width, side, side] };
  const random = randomOf(width, "conv");
  return modelOf((b) => {
    let x = b.input("x", type.dtype, type.shape);
    for (let i = 0; i < depth; i++) {
      // He's scale keeps the activations near 1.
      const data = random.normals(width * width * 9).map((v) => v * Math.sqrt(2 / (9 * width)));
      const w = b.constant(`w${i}`, { dtype: "float32", shape: [width, width, 3, 3], data });
      const conv = b.node("Conv", [x, w], { pads: [1, 1, 1, 1] });
      [x] = b.node("Relu", conv, {}, { outputs: [i === depth - 1 ? "y" : `r${i}`] });
    }
    b.output("y", type);
  });
}
