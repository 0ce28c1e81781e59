/** @file A network that passes every check of ours and crashes ONNX Runtime 1.30. */
import { GraphBuilder } from "../../src/ir/builder.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

/**
 * Two convolutions, and beside them an Attention whose product of queries and keys is an output, in a mode that
 * is none: ONNX Runtime takes -1, and every number that is -1 in 32 bits, for "no such output", and writes it
 * through a null pointer.
 */
export function crashingNetwork(mode = -1): Uint8Array {
  const b = new GraphBuilder("crash");
  const random = randomOf(1, "crash");
  const weight = (name: string, shape: readonly [number, number, number, number]) =>
    b.constant(name, tensorOf("float32", shape, random.normals(shape[0] * shape[1] * 9)));
  const x = b.input("x", "float32", [1, 3, 8, 8]);
  const [h] = b.node("Conv", [x, weight("w1", [8, 3, 3, 3])], {}, { name: "conv1" });
  const [r] = b.node("Relu", [h]);
  b.node("Conv", [r, weight("w2", [4, 8, 3, 3])], {}, { name: "conv2", outputs: ["z"] });
  b.output("z", { dtype: "float32", shape: [1, 4, 4, 4] });
  const inputs = [
    b.input("q", "float32", [2, 3, 4, 8]),
    b.input("k", "float32", [2, 3, 6, 8]),
    b.input("v", "float32", [2, 3, 6, 8]),
    b.input("mask", "float32", [4, 18]),
    b.input("past_key", "float32", [2, 3, 12, 8]),
    b.input("past_value", "float32", [2, 3, 12, 8]),
  ];
  const outputs = ["y", "present_key", "present_value", "product"];
  b.node("Attention", inputs, { qk_matmul_output_mode: mode }, { outputs });
  b.output("y", { dtype: "float32", shape: [2, 3, 4, 8] });
  b.output("product", { dtype: "float32", shape: [2, 3, 4, 18] });
  return concatBytes(encodeGraph(b.build(), { opset: 23 }));
}
