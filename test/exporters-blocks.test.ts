/** @file Building blocks of further families of networks, as PyTorch writes them. */
import { describe, test } from "vitest";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { checkReplica, Net, type Replica } from "./exporters.ts";

const fixedSize = { others: [{ N: 3 }, { N: 2 }] };
const whole = (net: Net, value: number) => net.constant([], [value], "int64");

const replicas: readonly Replica[] = [
  {
    name: "Res2Net: four parts, each added to the result before it",
    // A result that is added to the next part is one with it: only the last one stands for itself.
    units: 8 + (2 + 2 + 2 + 2) + 2 + 5,
    build() {
      const net = new Net(13);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const wide = net.cbr(stem, 8, 8, { k: 1 });
      const parts = net.ops("Split", [wide, net.ints(2, 2, 2, 2)], { axis: 1 }, 4);
      const results = [net.cbr(parts[0], 2, 2)];
      for (const part of parts.slice(1, 3))
        results.push(net.cbr(net.op("Add", [results[results.length - 1], part]), 2, 2));
      const all = net.concat([...results, parts[3]]);
      const sum = net.op("Add", [net.conv(all, 8, 8, { k: 1 }), stem]);
      return net.model(net.head(net.cbr(sum, 8, 5), 5));
    },
  },
  {
    name: "BiFPN: maps weighted by normalised positive numbers",
    units: 8 + 6 + 5,
    build() {
      const net = new Net(11);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const [a, b] = [net.conv(stem, 8, 6), net.conv(stem, 8, 6, { k: 1 })];
      const positive = net.relu(net.constant([2], [0.7, 1.2]));
      const total = net.reduce("ReduceSum", positive, [0], 0);
      const shares = net.op("Div", [positive, net.op("Add", [total, net.scalar(1e-4)])]);
      const share = (i: number) => net.op("Gather", [shares, net.index(i)], { axis: 0 });
      const sum = net.op("Add", [net.op("Mul", [share(0), a]), net.op("Mul", [share(1), b])]);
      return net.model(net.head(net.cbr(net.swish(sum), 6, 5), 5));
    },
  },
  {
    name: "MixNet: depthwise kernels of several sizes over parts of the channels",
    units: 8 + 8 + 5,
    build() {
      const net = new Net(12);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const wide = net.cbr(stem, 8, 8, { k: 1 });
      const parts = net.ops("Split", [wide], { axis: 1, split: [3, 5] }, 2);
      const mixed = net.concat([
        net.conv(parts[0], 3, 3, { group: 3 }),
        net.conv(parts[1], 5, 5, { group: 5, k: 5 }),
      ]);
      return net.model(net.head(net.cbr(net.swish(net.batchNorm(mixed, 8)), 8, 5), 5));
    },
  },
  {
    name: "PyramidNet: a shortcut widened by zeros of a computed shape",
    // The first 6 of the wide stream are tied to the narrow one.
    units: 6 + 8 + (9 - 6) + 5,
    build() {
      const net = new Net(11);
      const stem = net.cbr(net.input(), 3, 6, { stride: 2 });
      const branch = net.batchNorm(net.conv(net.cbr(stem, 6, 8), 8, 9), 9);
      const sizes = [0, 2, 3].map((axis) => net.size(branch, axis));
      const gap = net.op("Sub", [net.size(branch, 1), net.size(stem, 1)]);
      const shape = net.sizes(sizes[0], gap, sizes[1], sizes[2]);
      const value = { kind: "tensor", value: tensorOf("float32", [1], [0]) } as const;
      const zeros = net.op("ConstantOfShape", [shape], { value });
      const sum = net.op("Add", [branch, net.concat([stem, zeros])]);
      return net.model(net.head(net.cbr(sum, 9, 5), 5));
    },
  },
  {
    name: "GCNet: a context vector by attention over positions",
    // The layer that gives one score per position counts with its only filter.
    units: 8 + 1 + 3 + 5,
    build() {
      const net = new Net(13);
      const x = net.cbr(net.input(), 3, 8, { stride: 2 });
      const n = net.size(x, 0);
      const map = net.unsqueeze(net.reshape(x, n, net.size(x, 1), -1), 1);
      const scores = net.reshape(net.conv(x, 8, 1, { k: 1 }), n, 1, -1);
      const shares = net.unsqueeze(net.op("Softmax", [scores], { axis: 2 }), 3);
      const context = net.reshape(net.op("MatMul", [map, shares]), n, net.size(x, 1), 1, 1);
      const gate = net.conv(net.relu(net.conv(context, 8, 3, { k: 1 })), 3, 8, { k: 1 });
      return net.model(net.head(net.cbr(net.op("Add", [x, gate]), 8, 5), 5));
    },
  },
  {
    name: "CondConv: weights mixed for each sample from a bank, batch as groups",
    // Experts, and filters of the mixed weight; not its inputs, which are merged with them.
    units: 4 + 6 + 5,
    dims: { N: 1 },
    others: [{}],
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input([1, 3, 8, 8]), 3, 8);
      const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [x])]);
      const routes = net.op("Sigmoid", [net.linear(pooled, 8, 4)]);
      const mixed = net.op("MatMul", [routes, net.normal([4, 6 * 8 * 9], 0.1)]);
      const weight = net.op("Reshape", [mixed, net.ints(6, 8, 3, 3)]);
      const y = net.op("Conv", [x, weight], { pads: [1, 1, 1, 1] });
      return net.model(net.head(net.cbr(y, 6, 5), 5));
    },
  },
  {
    name: "MobileViT: positions unfolded to patches by computed sizes, and back",
    // The 6 channels are folded into one axis with the batch, whose size only the run knows.
    units: 8 + 10 + 5,
    others: [
      { N: 3, H: 32, W: 16 },
      { N: 2, H: 8, W: 40 },
    ],
    build() {
      const net = new Net(12);
      const stem = net.cbr(net.input(), 3, 8);
      const x = net.conv(stem, 8, 6, { k: 1 });
      const [n, c, h, w] = [0, 1, 2, 3].map((axis) => net.size(x, axis));
      const rows = net.op("Div", [h, whole(net, 2)]);
      const columns = net.op("Div", [w, whole(net, 2)]);
      const cells = net.op("Mul", [rows, columns]);
      const lines = net.op("Mul", [net.op("Mul", [n, c]), rows]);
      const split = net.transpose(net.reshape(x, lines, 2, columns, 2), 0, 2, 1, 3);
      const patches = net.transpose(net.reshape(split, n, c, cells, 4), 0, 3, 2, 1);
      const tokens = net.reshape(patches, -1, cells, c);
      const dense = (y: string, inputs: number, outputs: number) => {
        const product = net.op("MatMul", [y, net.normal([inputs, outputs], 0.3)]);
        return net.op("Add", [net.normal([outputs], 0.2), product]);
      };
      const mixed = net.op("Add", [tokens, dense(net.swish(dense(tokens, 6, 10)), 10, 6)]);
      const apart = net.transpose(net.reshape(mixed, n, 4, cells, -1), 0, 3, 2, 1);
      const places = net.op("Mul", [net.op("Mul", [n, c]), rows]);
      const back = net.transpose(net.reshape(apart, places, columns, 2, 2), 0, 2, 1, 3);
      const map = net.reshape(back, n, c, h, w);
      return net.model(net.head(net.cbr(net.concat([stem, map]), 14, 5), 5));
    },
  },
  {
    name: "anti-aliased pooling: fixed depthwise kernels behind reflected borders",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8);
      const pooled = net.op("MaxPool", [x], { kernel_shape: [2, 2], strides: [1, 1] });
      const pads = net.ints(0, 0, 1, 1, 0, 0, 1, 1);
      const padded = net.op("Pad", [pooled, pads], { mode: "reflect" });
      const kernel = [1, 2, 1, 2, 4, 2, 1, 2, 1].map((value) => value / 16);
      const filter = net.constant([8, 1, 3, 3], new Array(8).fill(kernel).flat());
      const blurred = net.op("Conv", [padded, filter], { group: 8, strides: [2, 2] });
      return net.model(net.head(net.cbr(blurred, 8, 6), 6));
    },
  },
  {
    name: "spatial transformer: a grid from predicted parameters",
    // Three of the parameters' six places: the columns that meet x, y and 1 in the product.
    units: 8 + 6 + 3 + 5,
    ...fixedSize,
    build() {
      const net = new Net(16);
      const image = net.input(["N", 3, 8, 8]);
      const x = net.cbr(image, 3, 8);
      const y = net.relu(net.conv(image, 3, 6, { stride: 2 }));
      const flat = net.op("Flatten", [net.op("GlobalAveragePool", [y])]);
      const theta = net.reshape(net.linear(flat, 6, 6), -1, 2, 3);
      const base = Array.from({ length: 64 }, (_, i) => [(i % 8) / 4 - 1, (i >> 3) / 4 - 1, 1]);
      const places = net.op("MatMul", [
        net.constant([64, 3], base.flat()),
        net.transpose(theta, 0, 2, 1),
      ]);
      const grid = net.reshape(places, -1, 8, 8, 2);
      const sampled = net.op("GridSample", [x, grid], { align_corners: 1 });
      return net.model(net.head(net.cbr(sampled, 8, 5), 5));
    },
  },
];

describe("further blocks", () => {
  for (const replica of replicas) test(replica.name, () => checkReplica(replica));
});
