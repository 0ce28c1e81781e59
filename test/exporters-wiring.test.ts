/** @file How weights and sizes come about: computed weights, shapes, bodies, several inputs, 1-D and 3-D. */
import { describe, test } from "vitest";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { checkReplica, float, Net, type Replica } from "./exporters.ts";

const fixedSize = { others: [{ N: 3 }, { N: 2 }] };

/** A whole number as a scalar constant. */
const whole = (net: Net, value: number) => net.constant([], [value], "int64");

/** A convolution with a weight that the graph computes. */
function convBy(net: Net, x: string, weight: string, bias: string): string {
  return net.op("Conv", [x, weight, bias], { pads: [1, 1, 1, 1] });
}

/** v · g / ‖v‖ over all axes but the first: weight normalization that no exporter folded. */
function normalizedWeight(net: Net, inputs: number, filters: number): string {
  const v = net.normal([filters, inputs, 3, 3], 0.3);
  const norm = net.reduce("ReduceL2", v, [1, 2, 3]);
  return net.op("Mul", [v, net.op("Div", [net.normal([filters, 1, 1, 1], 0.2, 1), norm])]);
}

/** int8 weights by channel and an int32 bias, as quantisers write a convolution. */
function quantised(net: Net, x: string, inputs: number, filters: number): string {
  const int8 = (shape: readonly number[], size: number) =>
    net.constant(
      shape,
      Array.from({ length: size }, () => net.random.integer(200) - 100),
      "int8",
    );
  const scales = () =>
    net.constant(
      [filters],
      Array.from({ length: filters }, () => 0.002 * (1 + net.random.uniform())),
    );
  const weight = net.op(
    "DequantizeLinear",
    [
      int8([filters, inputs, 3, 3], filters * inputs * 9),
      scales(),
      net.constant([filters], new Array(filters).fill(0), "int8"),
    ],
    { axis: 0 },
  );
  const bias = net.op(
    "DequantizeLinear",
    [
      net.constant(
        [filters],
        Array.from({ length: filters }, () => net.random.integer(100)),
        "int32",
      ),
      scales(),
    ],
    { axis: 0 },
  );
  const [scale, zero] = [net.scalar(0.05), net.constant([], [128], "uint8")];
  const q = net.op("QuantizeLinear", [x, scale, zero]);
  return convBy(net, net.op("DequantizeLinear", [q, scale, zero]), weight, bias);
}

/** The part of [N, T, C, H, W] that `from` and `to` bound along `axis`. */
function part(net: Net, x: string, axis: number, from: number, to: number): string {
  return net.op("Slice", [x, net.ints(from), net.ints(to), net.ints(axis)]);
}

const replicas: readonly Replica[] = [
  {
    name: "weight normalization in the graph, which is written out on reading",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.relu(convBy(net, net.input(), normalizedWeight(net, 3, 8), net.normal([8])));
      const y = net.relu(convBy(net, x, normalizedWeight(net, 8, 6), net.normal([6])));
      return net.model(net.head(y, 6));
    },
  },
  {
    name: "weights through Identity, Transpose, Unsqueeze and Cast",
    units: 8 + 8 + 6,
    build() {
      const net = new Net(13);
      const shared = net.normal([8], 0.2);
      const biases = [shared, net.op("Identity", [shared])];
      const stored = net.op("Identity", [net.normal([8, 8, 3, 3], 0.1)]);
      const half = net.constant(
        [6, 8],
        Array.from({ length: 48 }, () => net.random.normal()),
        "float16",
      );
      const thin = net.unsqueeze(net.op("Cast", [half], { to: 1 }), 2, 3);
      const x = convBy(net, net.input(), net.normal([8, 3, 3, 3], 0.3), biases[0]);
      const y = convBy(
        net,
        net.relu(x),
        net.op("Transpose", [stored], { perm: [1, 0, 2, 3] }),
        biases[1],
      );
      return net.model(net.head(net.relu(net.op("Conv", [net.relu(y), thin])), 6));
    },
  },
  {
    name: "a weight shared by two branches through Identity: both lose the same",
    units: 8 + 6 + 5,
    build() {
      const net = new Net(14);
      const x = net.cbr(net.input(), 3, 8);
      const weight = net.normal([6, 8, 3, 3], 0.2);
      const copies = [weight, net.op("Identity", [weight])];
      const branches = copies.map((w, i) =>
        net.relu(
          net.op("Conv", [x, w], { pads: [1 + i, 1 + i, 1 + i, 1 + i], dilations: [1 + i, 1 + i] }),
        ),
      );
      return net.model(net.head(net.cbr(net.op("Add", branches), 6, 5), 5));
    },
  },
  {
    name: "Siamese: two inputs through shared weights, compared by distance",
    units: 8 + 6 + 10,
    ...fixedSize,
    build() {
      const net = new Net(11);
      const weights = [
        net.normal([8, 3, 3, 3], 0.2),
        net.normal([6, 8, 3, 3], 0.2),
        net.normal([10, 6], 0.3),
      ];
      const biases = [8, 6, 10].map((width) => net.normal([width], 0.2));
      const twins = ["left", "right"].map((name) => {
        const x = net.relu(convBy(net, net.input(["N", 3, 8, 8], name), weights[0], biases[0]));
        const y = net.relu(convBy(net, x, weights[1], biases[1]));
        const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [y])]);
        return net.op("Gemm", [pooled, weights[2], biases[2]], { transB: 1 });
      });
      const distance = net.op("Abs", [net.op("Sub", twins)]);
      return net.model(net.op("Sigmoid", [net.linear(distance, 10, 1)]));
    },
  },
  {
    name: "two-stream tracker: depthwise correlation with features as kernels",
    // Template and search features are the same units, by the grouped convolution.
    units: 8 + 6 + 5,
    dims: { N: 1 },
    others: [{}],
    build() {
      const net = new Net(11);
      const weights = [net.normal([8, 3, 3, 3], 0.2), net.normal([6, 8, 3, 3], 0.2)];
      const features = (x: string) =>
        net.op("Conv", [net.relu(net.op("Conv", [x, weights[0]])), weights[1]]);
      const template = features(net.input([1, 3, 8, 8], "template"));
      const search = features(net.input([1, 3, 16, 16], "search"));
      const kernel = net.op("Reshape", [template, net.ints(6, 1, 4, 4)]);
      const map = net.op("Conv", [search, kernel], { group: 6 });
      return net.model(net.head(net.cbr(map, 6, 5, { k: 1 }), 5));
    },
  },
  {
    name: "1-D convolutions: causal padding by Slice, dilations, gates",
    units: 8 + 8 + 6 + 5,
    others: [
      { N: 3, W: 17 },
      { N: 2, W: 40 },
    ],
    build() {
      const net = new Net(11);
      const x = net.relu(net.conv(net.input(["N", 2, "W"]), 2, 8, { rank: 1 }));
      const causal = (filters: number) => {
        const y = net.op("Conv", [x, net.normal([filters, 8, 2], 0.3)], {
          dilations: [2],
          pads: [2, 2],
        });
        return net.op("Slice", [y, net.ints(0), net.ints(-2), net.ints(2)]);
      };
      const gated = net.op("Mul", [net.op("Tanh", [causal(6)]), net.op("Sigmoid", [causal(6)])]);
      const sum = net.op("Add", [net.conv(gated, 6, 8, { k: 1, rank: 1 }), x]);
      const skip = net.relu(
        net.conv(
          net.relu(
            net.op("BatchNormalization", [
              sum,
              ...[1, 0, 0, 1].map((m) => net.constant([8], new Array(8).fill(m))),
            ]),
          ),
          8,
          8,
          { k: 1, rank: 1 },
        ),
      );
      return net.model(
        net.conv(net.relu(net.conv(skip, 8, 5, { k: 1, rank: 1 })), 5, 2, { rank: 1 }),
      );
    },
  },
  {
    name: "3-D convolutions: factored kernels, pooling over time, mean at the end",
    units: 8 + 6 + 5,
    dims: { T: 4, H: 8, W: 8 },
    others: [
      { N: 2, T: 6, H: 12, W: 8 },
      { N: 1, T: 8, H: 8, W: 16 },
    ],
    build() {
      const net = new Net(11);
      const x = net.conv(net.input(["N", 3, "T", "H", "W"]), 3, 8, { rank: 3 });
      const spatial = net.op("Conv", [net.relu(x), net.normal([6, 8, 1, 3, 3], 0.2)], {
        pads: [0, 1, 1, 0, 1, 1],
      });
      const temporal = net.op(
        "Conv",
        [net.relu(net.batchNorm(spatial, 6)), net.normal([5, 6, 3, 1, 1], 0.2)],
        { pads: [1, 0, 0, 1, 0, 0] },
      );
      const pooled = net.op("MaxPool", [net.relu(temporal)], {
        kernel_shape: [2, 2, 2],
        strides: [2, 2, 2],
      });
      const mean = net.reduce("ReduceMean", pooled, [2, 3, 4], 0);
      return net.model(net.linear(mean, 5, 4));
    },
  },
  {
    name: "temporal shift: channels cut, moved along time, laid together again",
    units: 8 + 6 + 5,
    dims: { N: 8 },
    others: [
      { N: 4, H: 8, W: 16 },
      { N: 12, H: 16, W: 8 },
    ],
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const [c, h, w] = [1, 2, 3].map((axis) => net.size(x, axis));
      const frames = net.reshape(x, -1, 4, c, h, w);
      const [left, right, rest] = [
        [0, 2],
        [2, 4],
        [4, 8],
      ].map(([a, b]) => part(net, frames, 2, a, b));
      const empty = (y: string) => net.op("Mul", [y, net.scalar(0)]);
      const earlier = net.concat([part(net, left, 1, 1, 4), empty(part(net, left, 1, 0, 1))], 1);
      const later = net.concat([empty(part(net, right, 1, 3, 4)), part(net, right, 1, 0, 3)], 1);
      const shifted = net.concat([earlier, later, rest], 2);
      const back = net.reshape(shifted, net.size(x, 0), c, h, w);
      return net.model(net.head(net.cbr(net.cbr(back, 8, 6), 6, 5), 5));
    },
  },
  {
    name: "zeros_like, full_like and masks: tensors made by Shape",
    units: 8 + 6,
    build() {
      const net = new Net(13);
      const x = net.cbr(net.input(), 3, 8);
      const value = { kind: "tensor", value: tensorOf("float32", [1], [0.25]) } as const;
      const like = net.op("ConstantOfShape", [net.op("Shape", [x])], { value });
      const masked = net.op("Where", [net.op("Greater", [x, like]), x, like]);
      const ones = net.op("Expand", [net.constant([1, 1, 1, 1], [1.5]), net.op("Shape", [masked])]);
      return net.model(net.head(net.cbr(net.op("Mul", [masked, ones]), 8, 6), 6));
    },
  },
  {
    name: "a learned map tiled and expanded to the batch",
    units: 8 + 6,
    ...fixedSize,
    build() {
      const net = new Net(11);
      const x = net.conv(net.input(["N", 3, 6, 6]), 3, 8);
      const shape = net.sizes(net.size(x, 0), -1, -1, -1);
      const isMinus = net.op("Equal", [shape, net.ints(-1, -1, -1, -1)]);
      const sizes = net.op("Where", [isMinus, net.ints(1, 1, 1, 1), shape]);
      const learned = net.op("Expand", [net.normal([1, 8, 6, 6], 0.5), sizes]);
      const row = net.op("Tile", [net.normal([1, 8, 1, 6], 0.5), net.ints(1, 1, 6, 1)]);
      const sum = net.op("Add", [net.op("Add", [x, learned]), row]);
      return net.model(net.head(net.cbr(sum, 8, 6), 6));
    },
  },
  {
    name: "view(N, C·H·W) with the product computed by the network",
    units: 8 + 10,
    ...fixedSize,
    build() {
      const net = new Net(9);
      const x = net.cbr(net.input(["N", 3, 4, 4]), 3, 8);
      const [n, c, h, w] = [0, 1, 2, 3].map((axis) => net.size(x, axis));
      const product = net.op("Mul", [net.op("Mul", [c, h]), w]);
      const hidden = net.relu(net.linear(net.reshape(x, n, product), 128, 10));
      return net.model(net.linear(hidden, 10, 4));
    },
  },
  {
    name: "view_as another map, whose channels may go on their own",
    units: 8 + 8 + 5,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const y = net.conv(net.reshape(x, 0, 0, -1), 8, 8, { rank: 1 });
      const map = net.op("Reshape", [y, net.op("Shape", [x])]);
      return net.model(net.head(net.cbr(net.relu(map), 8, 5), 5), net.head(x, 8));
    },
  },
  {
    name: "scale by the square root of the width, and by a count of elements",
    units: 8 + 6,
    ...fixedSize,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(["N", 3, 8, 8]), 3, 8);
      const width = net.op("Cast", [net.size(x, 1)], { to: 1 });
      const scaled = net.op("Div", [x, net.op("Sqrt", [width])]);
      const sum = net.op("ReduceSum", [scaled], { axes: [2, 3], keepdims: 1 });
      const count = net.op("Mul", [net.size(x, 2), net.size(x, 3)]);
      const mean = net.op("Div", [sum, net.op("Cast", [count], { to: 1 })]);
      return net.model(net.head(net.cbr(net.op("Sub", [scaled, mean]), 8, 6), 6));
    },
  },
  {
    name: "a mean over channels and positions by counts that depend on both",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const sum = net.op("ReduceSum", [x], { axes: [1, 2, 3], keepdims: 1 });
      const [c, h, w] = [1, 2, 3].map((axis) => net.size(x, axis));
      const product = net.op("Mul", [net.op("Mul", [c, h]), w]);
      const all = net.op("Div", [net.op("Size", [x]), net.size(x, 0)]);
      const count = net.op("Div", [net.op("Add", [product, all]), whole(net, 2)]);
      const mean = net.op("Div", [sum, net.op("Cast", [count], { to: 1 })]);
      return net.model(net.head(net.cbr(net.op("Sub", [x, mean]), 8, 6), 6));
    },
  },
  {
    name: "sizes by counting elements: what is left of a product with a fixed width",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const y = net.cbr(x, 8, 6);
      // Positions of a map as elements over samples and 8 channels, as code with constants has it.
      const samples = net.op("Mul", [net.size(x, 0), whole(net, 8)]);
      const positions = net.op("Div", [net.op("Size", [x]), samples]);
      const flat = net.reshape(y, net.size(x, 0), 6, positions);
      const back = net.reshape(flat, net.size(x, 0), 6, net.size(x, 2), net.size(x, 3));
      return net.model(net.head(back, 6));
    },
  },
  {
    name: "a shape as an output: the widths that it tells stay",
    units: 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const told = net.op("Cast", [net.op("Shape", [x])], { to: 1 });
      return net.model(told, net.head(net.cbr(x, 8, 6), 6));
    },
  },
  {
    name: "reorganised pixels: every channel four times",
    units: 8 + 6,
    others: [
      { N: 3, H: 32, W: 16 },
      { N: 2, H: 8, W: 40 },
    ],
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const [n, h, w] = [0, 2, 3].map((axis) => net.size(x, axis));
      const halved = (size: string) => net.op("Div", [size, whole(net, 2)]);
      const split = net.reshape(x, n, 8, halved(h), 2, halved(w), 2);
      const moved = net.transpose(split, 0, 3, 5, 1, 2, 4);
      const deep = net.reshape(moved, n, 32, halved(h), halved(w));
      return net.model(net.head(net.cbr(deep, 32, 6), 6));
    },
  },
  {
    name: "focus: pixels of every second row and column beside each other",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const every = (y: string, axis: number, from: number) =>
        net.op("Slice", [y, net.ints(from), net.ints(2 ** 40), net.ints(axis), net.ints(2)]);
      const parts = [0, 1].flatMap((column) =>
        [0, 1].map((row) => every(every(x, 2, row), 3, column)),
      );
      return net.model(net.head(net.cbr(net.concat(parts), 32, 6), 6));
    },
  },
  {
    name: "from a vector to a map: fully connected, Reshape, transposed convolutions",
    // Each of the 4 channels of the map is 6 outputs of the linear layer.
    units: 10 + 4 + 6,
    ...fixedSize,
    build() {
      const net = new Net(11);
      const z = net.relu(net.linear(net.input(["N", 5]), 5, 10));
      const map = net.op("Reshape", [net.relu(net.linear(z, 10, 24)), net.ints(-1, 4, 2, 3)]);
      const weight = net.normal([4, 6, 4, 4], 0.2);
      const attributes = { kernel_shape: [4, 4], strides: [2, 2], pads: [1, 1, 1, 1] };
      const up = net.op("ConvTranspose", [net.relu(net.batchNorm(map, 4)), weight], attributes);
      return net.model(net.op("Tanh", [net.head(net.relu(net.batchNorm(up, 6)), 6)]));
    },
  },
  {
    name: "quantised weights with scales by channel and whole biases",
    units: 8 + 6,
    build() {
      const net = new Net(13);
      const x = net.relu(quantised(net, net.input(), 3, 8));
      return net.model(net.head(net.relu(quantised(net, x, 8, 6)), 6));
    },
  },
  {
    name: "half precision inside, casts at the borders",
    units: 8 + 6,
    build() {
      const net = new Net(13);
      const half = (shape: readonly number[]) => {
        const size = shape.reduce((a, b) => a * b, 1);
        return net.constant(
          shape,
          Array.from({ length: size }, () => 0.2 * net.random.normal()),
          "float16",
        );
      };
      const conv = (x: string, inputs: number, filters: number) =>
        convBy(net, x, half([filters, inputs, 3, 3]), half([filters]));
      const x = net.op("Cast", [net.input()], { to: 10 });
      const y = conv(net.relu(conv(net.relu(conv(x, 3, 8)), 8, 6)), 6, 2);
      return net.model(net.op("Cast", [y], { to: 1 }));
    },
  },
  {
    name: "features as further outputs stay; what lies between them goes",
    units: 6 + 5,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const y = net.cbr(net.cbr(x, 8, 6), 6, 7);
      return net.model(x, y, net.head(net.cbr(y, 7, 5), 5));
    },
  },
  {
    name: "scores averaged over crops and reduced by ArgMax",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.cbr(net.input(), 3, 8), 8, 6);
      const scores = net.linear(net.op("Flatten", [net.op("GlobalMaxPool", [x])]), 6, 5);
      const best = net.op("Cast", [net.op("ArgMax", [scores], { axis: 1, keepdims: 0 })], {
        to: 1,
      });
      const [values] = net.ops("TopK", [scores, net.ints(2)], { axis: 1 }, 2);
      return net.model(net.op("Elu", [scores], { alpha: float(1) }), best, values);
    },
  },
];

describe("weights, sizes and wiring", () => {
  for (const replica of replicas) test(replica.name, () => checkReplica(replica));
});
