/** @file Classification networks as PyTorch, tf2onnx and Keras write them. */
import { describe, test } from "vitest";
import { checkReplica, float, Net, type Replica } from "./exporters.ts";

/** Clip to [0, 6], with limits as attributes or inputs. */
function relu6(net: Net, x: string): string {
  if (net.opset < 11) return net.op("Clip", [x], { min: float(0), max: float(6) });
  return net.op("Clip", [x, net.scalar(0), net.scalar(6)]);
}

/** Two inverted residual blocks over a stream of 6 channels, expanded to 12, then to 8. */
function mobileNetV2(net: Net): string {
  const block = (x: string, inputs: number, wide: number, outputs: number) => {
    const up = relu6(net, net.conv(x, inputs, wide, { k: 1 }));
    const deep = relu6(net, net.conv(up, wide, wide, { group: wide }));
    return net.conv(deep, wide, outputs, { k: 1 });
  };
  const stem = relu6(net, net.conv(net.input(), 3, 8, { stride: 2 }));
  const thin = net.conv(relu6(net, net.conv(stem, 8, 8, { group: 8 })), 8, 6, { k: 1 });
  const sum = net.op("Add", [thin, block(thin, 6, 12, 6)]);
  return relu6(net, net.conv(block(sum, 6, 12, 8), 8, 10, { k: 1 }));
}
const mobileNetV2Units = 8 + 6 + 12 + 12 + 8 + 10;

/** x · clip(x + 3, 0, 6) / 6, as PyTorch wrote it before HardSwish and HardSigmoid. */
function hardSwish(net: Net, x: string, form: "clip" | "sigmoid" | "whole"): string {
  if (form === "whole") return net.op("HardSwish", [x]);
  if (form === "sigmoid")
    return net.op("Mul", [x, net.op("HardSigmoid", [x], { alpha: 1 / 6, beta: 0.5 })]);
  const shifted = relu6(net, net.op("Add", [x, net.scalar(3)]));
  return net.op("Div", [net.op("Mul", [x, shifted]), net.scalar(6)]);
}

/** Squeeze and excite with fully connected layers: pool, flatten by a computed shape, gate, view. */
function seLinear(net: Net, x: string, channels: number, hidden: number): string {
  const pooled = net.op("GlobalAveragePool", [x]);
  const flat = net.reshape(pooled, net.size(x, 0), net.size(x, 1));
  const gate = net.op("HardSigmoid", [
    net.linear(net.relu(net.linear(flat, channels, hidden)), hidden, channels),
  ]);
  return net.op("Mul", [x, net.reshape(gate, net.size(x, 0), net.size(x, 1), 1, 1)]);
}

/** Squeeze and excite as 1x1 convolutions over a mean. */
function seConv(net: Net, x: string, channels: number, hidden: number): string {
  const pooled = net.reduce("ReduceMean", x, [2, 3]);
  const inner = net.swish(net.conv(pooled, channels, hidden, { k: 1 }));
  const gate = net.op("Sigmoid", [net.conv(inner, hidden, channels, { k: 1 })]);
  return net.op("Mul", [gate, x]);
}

/** [N, 2, C/2, H, W] transposed and back; sizes fixed, copied, or computed. */
function shuffle(net: Net, x: string, channels: number, form: "fixed" | "computed"): string {
  const of = (axis: number) => net.size(x, axis);
  const [n, h, w] = form === "fixed" ? [0, 16, 24] : [of(0), of(2), of(3)];
  const half =
    form === "fixed" ? channels / 2 : net.op("Div", [of(1), net.b.constant(undefined, two())]);
  const split = net.reshape(x, n, 2, half, h, w);
  return net.reshape(net.transpose(split, 0, 2, 1, 3, 4), n, -1, h, w);
}

const two = () => ({ dtype: "int64", shape: [], data: BigInt64Array.of(2n) }) as const;

/** The halves of the channels as chunk() is written: bounds of Slices computed from the width. */
function chunk(net: Net, x: string): readonly [string, string] {
  const width = net.size(x, 1);
  const step = net.op("Div", [net.op("Add", [width, net.ints(1)]), net.ints(2)]);
  const [one, whole] = [1, 2].map((k) => net.op("Mul", [step, net.ints(k)]));
  return [
    net.op("Slice", [x, net.ints(0), one, net.ints(1)]),
    net.op("Slice", [x, one, whole, net.ints(1)]),
  ];
}

/** A basic unit of ShuffleNetV2 over `channels`. */
function shuffleUnit(
  net: Net,
  x: string,
  channels: number,
  cut: "split" | "chunk",
  form: "fixed" | "computed",
): string {
  const half = channels / 2;
  const [left, right] =
    cut === "chunk"
      ? chunk(net, x)
      : net.ops(
          "Split",
          [x, ...(net.opset < 13 ? [] : [net.ints(half, half)])],
          { axis: 1, ...(net.opset < 13 ? { split: [half, half] } : {}) },
          2,
        );
  const inner = net.cbr(right, half, half, { k: 1 });
  const deep = net.batchNorm(net.conv(inner, half, half, { group: half, bias: false }), half);
  const branch = net.cbr(deep, half, half, { k: 1 });
  return shuffle(net, net.concat([left, branch]), channels, form);
}

/** Global pool, flatten by a shape with the batch size computed, and a classifier. */
function classifier(net: Net, x: string, channels: number): string {
  const pooled = net.op("GlobalAveragePool", [x]);
  return net.linear(net.reshape(pooled, net.size(pooled, 0), -1), channels, 5);
}

const fixedSize = { others: [{ N: 3 }, { N: 2 }] };

const replicas: readonly Replica[] = [
  ...[9, 13].map((opset) => ({
    name: `MobileNetV2 of PyTorch, opset ${opset}`,
    units: mobileNetV2Units,
    build() {
      const net = new Net(opset);
      return net.model(classifier(net, mobileNetV2(net), 10));
    },
  })),
  ...(["clip", "sigmoid", "whole"] as const).map((form) => ({
    name: `MobileNetV3, HardSwish as ${form}`,
    // The stream of 8, the expanded 16 with their gate, the gate's 4, the last 10.
    units: 8 + 16 + 4 + 10,
    build() {
      const net = new Net(form === "clip" ? 9 : 14);
      const stem = hardSwish(net, net.cbr(net.input(), 3, 8, { stride: 2 }), form);
      const up = hardSwish(net, net.conv(stem, 8, 16, { k: 1 }), form);
      const deep = hardSwish(net, net.conv(up, 16, 16, { group: 16 }), form);
      const gated = form === "clip" ? seLinear(net, deep, 16, 4) : seConv(net, deep, 16, 4);
      const sum = net.op("Add", [net.conv(gated, 16, 8, { k: 1 }), stem]);
      return net.model(classifier(net, hardSwish(net, net.conv(sum, 8, 10, { k: 1 }), form), 10));
    },
  })),
  {
    name: "EfficientNet: swish, squeeze and excite, static padding as Pad nodes",
    units: 8 + 12 + 3 + 6,
    build() {
      const net = new Net(11);
      const padded = (x: string) =>
        net.op("Pad", [x, net.ints(0, 0, 0, 0, 0, 0, 1, 1), net.scalar(0)], { mode: "constant" });
      const stem = net.swish(net.conv(padded(net.input()), 3, 8, { stride: 2, pad: 0 }));
      const up = net.swish(net.conv(stem, 8, 12, { k: 1 }));
      const deep = net.conv(padded(up), 12, 12, { group: 12, stride: 2, pad: 0 });
      const gated = seConv(net, net.swish(deep), 12, 3);
      return net.model(classifier(net, net.conv(gated, 12, 6, { k: 1 }), 6));
    },
  },
  ...[4, 8].map((group) => ({
    name: `RegNet and ResNeXt, ${group} groups of 16 channels`,
    // Four groups of four lose an index each, on either side; eight of two go whole.
    units: 8 + (group === 4 ? 4 + 4 : 8) + 6,
    build() {
      const net = new Net(12);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const wide = net.cbr(net.cbr(stem, 8, 16, { k: 1 }), 16, 16, { group });
      const block = net.batchNorm(net.conv(wide, 16, 8, { k: 1, bias: false }), 8);
      const sum = net.relu(net.op("Add", [block, stem]));
      return net.model(classifier(net, net.cbr(sum, 8, 6), 6));
    },
  })),
  ...(["fixed", "computed"] as const).flatMap((form) =>
    (["split", "chunk"] as const).map((cut) => ({
      name: `ShuffleNetV2: ${cut}, shapes ${form}`,
      units: 8 + (4 + 4) + (4 + 4) + 6,
      ...(form === "fixed" ? fixedSize : {}),
      build() {
        const net = new Net(form === "fixed" ? 11 : 13);
        const shape = form === "fixed" ? ["N", 3, 16, 24] : ["N", 3, "H", "W"];
        const stem = net.cbr(net.input(shape), 3, 8);
        const first = shuffleUnit(net, stem, 8, cut, form);
        const second = shuffleUnit(net, first, 8, cut, form);
        return net.model(classifier(net, net.cbr(second, 8, 6, { k: 1 }), 6));
      },
    })),
  ),
  {
    name: "DenseNet: normalization after the concatenation",
    units: 8 + (8 + 4) + (8 + 4) + 8,
    build() {
      const net = new Net(9);
      let x = net.cbr(net.input(), 3, 8, { stride: 2 });
      for (const width of [8, 12]) {
        const bottleneck = net.cbr(net.relu(net.batchNorm(x, width)), width, 8, { k: 1 });
        x = net.concat([x, net.conv(bottleneck, 8, 4, { bias: false })]);
      }
      const transition = net.conv(net.relu(net.batchNorm(x, 16)), 16, 8, { k: 1 });
      const pooled = net.op("AveragePool", [transition], { kernel_shape: [2, 2], strides: [2, 2] });
      return net.model(classifier(net, net.relu(net.batchNorm(pooled, 8)), 8));
    },
  },
  {
    name: "Inception: branches with padded average pooling",
    units: 8 + 4 + (4 + 6) + 5 + 7,
    build() {
      const net = new Net(10);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const pooled = net.op("AveragePool", [stem], {
        kernel_shape: [3, 3],
        pads: [1, 1, 1, 1],
        strides: [1, 1],
        count_include_pad: 1,
      });
      const branches = [
        net.cbr(stem, 8, 4, { k: 1 }),
        net.cbr(net.cbr(stem, 8, 4, { k: 1 }), 4, 6, { k: 5 }),
        net.cbr(pooled, 8, 5, { k: 1 }),
      ];
      return net.model(classifier(net, net.cbr(net.concat(branches), 15, 7), 7));
    },
  },
  {
    name: "GhostNet: cheap maps beside their sources, cut by a Slice",
    units: 8 + 7 + 6,
    build() {
      const net = new Net(11);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const primary = net.cbr(stem, 8, 7, { k: 1 });
      const cheap = net.cbr(primary, 7, 7, { group: 7 });
      const both = net.concat([primary, cheap]);
      const bounds = [net.ints(0), net.ints(12), net.ints(1), net.ints(1)];
      const ghost = net.op("Slice", [both, ...bounds]);
      return net.model(classifier(net, net.cbr(ghost, 12, 6, { k: 1 }), 6));
    },
  },
  {
    name: "SqueezeNet: a last convolution as classifier",
    units: 8 + 4 + 6 + 6,
    build() {
      const net = new Net(10);
      const stem = net.relu(net.conv(net.input(), 3, 8, { stride: 2, pad: 0 }));
      const pooled = net.op("MaxPool", [stem], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        ceil_mode: 0,
      });
      const squeeze = net.relu(net.conv(pooled, 8, 4, { k: 1 }));
      const wide = [net.relu(net.conv(squeeze, 4, 6, { k: 1 })), net.relu(net.conv(squeeze, 4, 6))];
      const dropped = net.op("Dropout", [net.concat(wide)], { ratio: 0.5 });
      const scores = net.relu(net.conv(dropped, 12, 5, { k: 1 }));
      return net.model(net.op("Flatten", [net.op("GlobalAveragePool", [scores])], { axis: 1 }));
    },
    dims: { H: 32, W: 32 },
    others: [{ N: 2, H: 48, W: 40 }],
  },
  {
    name: "VGG: AdaptiveAvgPool, Flatten by a fixed shape, fully connected layers",
    units: 8 + 6 + 10,
    ...fixedSize,
    build() {
      const net = new Net(11);
      const x = net.relu(net.conv(net.relu(net.conv(net.input(["N", 3, 16, 24]), 3, 8)), 8, 6));
      const pooled = net.op("AveragePool", [x], { kernel_shape: [4, 6], strides: [4, 6] });
      const hidden = net.relu(net.linear(net.reshape(pooled, -1, 6 * 16), 96, 10));
      return net.model(net.linear(net.op("Dropout", [hidden]), 10, 5));
    },
  },
  {
    name: "CondenseNet: learned indices before grouped convolutions",
    // Two groups of four: either loses the same place, so that the stem's channels go in pairs.
    units: 4 + 2 + 6,
    build() {
      const net = new Net(11);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const index = net.ints(3, 1, 4, 0, 5, 7, 2, 6);
      const gathered = net.op("Gather", [stem, index], { axis: 1 });
      const grouped = net.conv(gathered, 8, 4, { k: 1, group: 2 });
      return net.model(classifier(net, net.cbr(grouped, 4, 6), 6));
    },
  },
  {
    name: "RepVGG in training form: three branches, one of them normalization alone",
    units: 8 + 8 + 6,
    build() {
      const net = new Net(13);
      const branch = (x: string, inputs: number, outputs: number, k: number) =>
        net.batchNorm(net.conv(x, inputs, outputs, { k, bias: false }), outputs);
      const block = (x: string, inputs: number, outputs: number) => {
        const parts = [3, 1].map((k) => branch(x, inputs, outputs, k));
        const sum = net.op("Add", [parts[0], parts[1]]);
        return net.relu(inputs === outputs ? net.op("Add", [sum, net.batchNorm(x, inputs)]) : sum);
      };
      const x = block(net.input(), 3, 8);
      return net.model(classifier(net, net.cbr(net.cbr(block(x, 8, 8), 8, 8), 8, 6), 6));
    },
  },
  {
    name: "MobileNetV2 of tf2onnx: transposes, Pad, a weight transposed by the graph",
    units: 8 + 12 + 12 + 8 + 6,
    others: [
      { N: 2, H: 32, W: 16 },
      { N: 1, H: 8, W: 40 },
    ],
    build() {
      const net = new Net(13);
      const x = net.input(["N", "H", "W", 3]);
      const first = net.transpose(x, 0, 3, 1, 2);
      const stem = relu6(
        net,
        net.conv(net.op("Pad", [first, net.ints(0, 0, 0, 0, 0, 0, 1, 1)]), 3, 8, {
          stride: 2,
          pad: 0,
        }),
      );
      // Depthwise kernels come as [h, w, C, 1].
      const depthwise = (y: string, channels: number) => {
        const stored = net.normal([3, 3, channels, 1], 0.3);
        const weight = net.reshape(net.transpose(stored, 3, 2, 0, 1), channels, 1, 3, 3);
        const attributes = { auto_pad: "SAME_UPPER", group: channels, kernel_shape: [3, 3] };
        const shift = net.normal([1, channels, 1, 1], 0.3);
        return relu6(net, net.op("Add", [net.op("Conv", [y, weight], attributes), shift]));
      };
      const block = (y: string, inputs: number, outputs: number) => {
        const wide = relu6(net, net.conv(y, inputs, 12, { k: 1 }));
        return net.conv(depthwise(wide, 12), 12, outputs, { k: 1 });
      };
      const thin = block(stem, 8, 8);
      const sum = net.op("Add", [block(thin, 8, 8), thin]);
      const last = net.transpose(relu6(net, net.conv(sum, 8, 6, { k: 1 })), 0, 2, 3, 1);
      const pooled = net.reduce("ReduceMean", last, [1, 2], 0);
      const scores = net.op("Add", [
        net.op("MatMul", [pooled, net.normal([6, 5])]),
        net.normal([5]),
      ]);
      return net.model(net.op("Softmax", [scores], { axis: -1 }));
    },
  },
  {
    name: "Keras: normalization as Mul and Add, channels last between the layers",
    units: 8 + 6 + 10,
    ...fixedSize,
    build() {
      const net = new Net(12);
      const layer = (x: string, inputs: number, outputs: number) => {
        const first = net.transpose(x, 0, 3, 1, 2);
        const y = net.transpose(net.conv(first, inputs, outputs), 0, 2, 3, 1);
        const scaled = net.op("Mul", [y, net.normal([outputs], 0.3, 1)]);
        return net.relu(net.op("Add", [scaled, net.normal([outputs], 0.3)]));
      };
      const x = layer(layer(net.input(["N", 8, 12, 3]), 3, 8), 8, 6);
      const flat = net.reshape(x, -1, 8 * 12 * 6);
      const dense = (y: string, inputs: number, outputs: number) =>
        net.op("Add", [
          net.op("MatMul", [y, net.normal([inputs, outputs], 0.1)]),
          net.normal([outputs]),
        ]);
      return net.model(dense(net.relu(dense(flat, 576, 10)), 10, 5));
    },
  },
];

describe("classification networks", () => {
  for (const replica of replicas) test(replica.name, () => checkReplica(replica));
});
