/** @file A network with the layers that most convolutional networks have, to fill a table for networks in general. */
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";

/** The sides of the images that layers see, and the channels that they have there. */
const stages = [
  { side: 56, channels: 64 },
  { side: 28, channels: 128 },
  { side: 14, channels: 256 },
  { side: 7, channels: 256 },
] as const;
const classes = 100;

/** The graph: stages of plain and depthwise convolutions, at strides 1 and 2, with what stands between them. */
export function generalNetwork(): Graph {
  const b = new GraphBuilder("general");
  const weight = (shape: readonly number[]): string =>
    b.constant(undefined, tensorOf("float32", shape, new Float32Array(sizeOf(shape)).fill(0.01)));
  const conv = (
    x: string,
    [inputs, filters, side]: readonly [number, number, number],
    { stride = 1, group = 1 } = {},
  ): string => {
    const padding = (side - 1) / 2;
    return b.node("Conv", [x, weight([filters, inputs / group, side, side])], {
      kernel_shape: [side, side],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
      group,
    })[0];
  };
  for (const [stage, { side, channels: c }] of stages.entries()) {
    const x = b.input(`x${stage}`, "float32", [1, 4, side, side]);
    const entry = conv(x, [4, c, 1]);
    const inner = b.node("Relu", [conv(entry, [c, c, 3])])[0];
    const [sum] = b.node("Add", [conv(inner, [c, c, 1]), entry]);
    const [pooled] = b.node("MaxPool", [sum], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    const [wide] = b.node("Concat", [conv(pooled, [c, c, 3], { group: c }), sum], { axis: 1 });
    const narrow = conv(wide, [2 * c, c, 1]);
    const [scaled] = b.node("Mul", [b.node("Sigmoid", [narrow])[0], narrow]);
    const half = conv(scaled, [c, c, 3], { stride: 2 });
    const thin = conv(conv(half, [c, c, 3], { stride: side > 7 ? 2 : 1, group: c }), [c, c, 1]);
    const [mean] = b.node("GlobalAveragePool", [thin]);
    const [flat] = b.node("Flatten", [mean], { axis: 1 });
    const [hidden] = b.node("Gemm", [flat, weight([c, 2 * c])]);
    b.output(b.node("Gemm", [hidden, weight([2 * c, classes])])[0], {
      dtype: "float32",
      shape: undefined,
    });
  }
  return b.build();
}
