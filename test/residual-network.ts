/** @file A small residual network with batch normalization, the same bytes every time. */
import { GraphBuilder } from "../src/ir/builder.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

/** Sizes of the network; all have defaults. */
export interface ResidualSizes {
  readonly width?: number;
  readonly blocks?: number;
  readonly side?: number;
  readonly classes?: number;
  /** Put before every name of a node, to see what names from a file can do. */
  readonly prefix?: string;
}

/**
 * Input x [N, 3, side, side]; a stem, `blocks` residual blocks of two 3x3 convolutions, global
 * average pooling, a dense layer; output logits [N, classes]. Weights are random.
 */
export function residualNetwork(sizes: ResidualSizes = {}): Uint8Array<ArrayBuffer> {
  const { width = 8, blocks = 2, side = 8, classes = 5, prefix = "" } = sizes;
  const b = new GraphBuilder("residual");
  const random = randomOf(7, "residual");

  const normals = (shape: readonly number[], scale: number, shift = 0) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return tensorOf(
      "float32",
      shape,
      random.normals(count).map((value) => shift + scale * value),
    );
  };
  const convolution = (input: string, name: string, from: number, to: number): string => {
    const weight = b.constant(
      `${name}.weight`,
      normals([to, from, 3, 3], Math.sqrt(2 / (9 * from))),
    );
    const [conv] = b.node(
      "Conv",
      [input, weight],
      { pads: [1, 1, 1, 1], kernel_shape: [3, 3] },
      { name: `${prefix}${name}` },
    );
    const vector = (part: string, scale: number, shift: number) =>
      b.constant(`${name}.bn.${part}`, normals([to], scale, shift));
    const variance = b.constant(
      `${name}.bn.variance`,
      tensorOf(
        "float32",
        [to],
        random.normals(to).map((value) => 0.5 + Math.abs(value)),
      ),
    );
    const [normal] = b.node(
      "BatchNormalization",
      [conv, vector("scale", 0.4, 1), vector("shift", 0.3, 0.1), vector("mean", 0.2, 0), variance],
      {},
      { name: `${prefix}${name}.bn` },
    );
    return normal;
  };
  const relu = (input: string, name: string): string =>
    b.node("Relu", [input], {}, { name: `${prefix}${name}` })[0];

  let x = relu(
    convolution(b.input("x", "float32", ["N", 3, side, side]), "stem", 3, width),
    "relu",
  );
  for (let i = 0; i < blocks; i++) {
    const inner = relu(convolution(x, `block${i}.a`, width, width), `block${i}.relu`);
    const branch = convolution(inner, `block${i}.b`, width, width);
    const [sum] = b.node("Add", [branch, x], {}, { name: `${prefix}block${i}.add` });
    x = relu(sum, `block${i}.out`);
  }
  const [pooled] = b.node("GlobalAveragePool", [x], {}, { name: `${prefix}pool` });
  const [flat] = b.node("Flatten", [pooled], { axis: 1 }, { name: `${prefix}flatten` });
  const weight = b.constant("dense.weight", normals([classes, width], 0.5));
  const bias = b.constant("dense.bias", normals([classes], 0.1));
  b.node(
    "Gemm",
    [flat, weight, bias],
    { transB: 1 },
    { name: `${prefix}dense`, outputs: ["logits"] },
  );
  b.output("logits", { dtype: "float32", shape: ["N", classes] });
  return concatBytes(encodeGraph(b.build(), { opset: 17 }));
}
