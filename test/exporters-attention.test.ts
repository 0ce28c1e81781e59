/** @file Normalisations, gates and attention as exporters write them, node by node. */
import { describe, expect, test } from "vitest";
import { structureOf } from "../src/structure/units/units.ts";
import { checkReplica, float, Net, type Replica } from "./exporters.ts";

const fixedSize = { others: [{ N: 3 }, { N: 2 }] };

/** A linear layer on the last axis: MatMul and Add. */
function dense(net: Net, x: string, inputs: number, outputs: number): string {
  const product = net.op("MatMul", [x, net.normal([inputs, outputs], 1 / Math.sqrt(inputs))]);
  return net.op("Add", [net.normal([outputs], 0.3), product]);
}

/** x · (1 + erf(x / √2)) / 2, as PyTorch writes GELU before opset 20. */
function gelu(net: Net, x: string): string {
  const erf = net.op("Erf", [net.op("Div", [x, net.scalar(Math.SQRT2)])]);
  const scaled = net.op("Mul", [x, net.op("Add", [erf, net.scalar(1)])]);
  return net.op("Mul", [scaled, net.scalar(0.5)]);
}

/** Layer normalization over the last axis. */
function layerNorm(net: Net, x: string, width: number, form: "whole" | "decomposed"): string {
  const [scale, shift] = [net.normal([width], 0.2, 1), net.normal([width], 0.2)];
  if (form === "whole") return net.op("LayerNormalization", [x, scale, shift], { axis: -1 });
  const centered = net.op("Sub", [x, net.reduce("ReduceMean", x, [-1])]);
  const squares = net.op("Pow", [centered, net.scalar(2)]);
  const variance = net.op("Add", [net.reduce("ReduceMean", squares, [-1]), net.scalar(1e-6)]);
  const normal = net.op("Div", [centered, net.op("Sqrt", [variance])]);
  return net.op("Add", [net.op("Mul", [normal, scale]), shift]);
}

/** A ConvNeXt block over 8 channels, 16 inside, with layer scale. */
function convNext(net: Net, x: string, form: "whole" | "decomposed"): string {
  const deep = net.transpose(net.conv(x, 8, 8, { k: 7, group: 8 }), 0, 2, 3, 1);
  const wide = gelu(net, dense(net, layerNorm(net, deep, 8, form), 8, 16));
  const thin = net.op("Mul", [dense(net, wide, 16, 8), net.normal([8], 0.5)]);
  return net.op("Add", [x, net.transpose(thin, 0, 3, 1, 2)]);
}

/** Group normalization as PyTorch writes it: the groups as channels of an instance normalization. */
function groupNorm(net: Net, x: string, channels: number, groups: number): string {
  const vector = (value: number) =>
    net.constant(
      [groups],
      Array.from({ length: groups }, () => value),
    );
  const grouped = net.op("Reshape", [x, net.ints(0, groups, -1)]);
  const normal = net.op("InstanceNormalization", [grouped, vector(1), vector(0)], {
    epsilon: 1e-5,
  });
  const back = net.op("Reshape", [normal, net.op("Shape", [x])]);
  const scaled = net.op("Mul", [back, net.normal([channels, 1, 1], 0.2, 1)]);
  return net.op("Add", [scaled, net.normal([channels, 1, 1], 0.2)]);
}

const replicas: readonly Replica[] = [
  {
    name: "ConvNeXt with LayerNormalization: what is inside the blocks",
    units: 16 + 16,
    build() {
      const net = new Net(17);
      const stem = net.conv(net.input(), 3, 8, { k: 4, stride: 4, pad: 0 });
      const blocks = convNext(net, convNext(net, stem, "whole"), "whole");
      const pooled = net.reduce("ReduceMean", blocks, [-1, -2]);
      const flat = net.op("Flatten", [
        layerNorm(net, net.transpose(pooled, 0, 2, 3, 1), 8, "whole"),
      ]);
      return net.model(net.linear(flat, 8, 5));
    },
  },
  {
    name: "ConvNeXt with layer normalization written out: its stream stays, too",
    units: 16 + 16,
    build() {
      const net = new Net(13);
      const stem = net.conv(net.input(), 3, 8, { k: 4, stride: 4, pad: 0 });
      const blocks = convNext(net, convNext(net, stem, "decomposed"), "decomposed");
      const pooled = net.op("GlobalAveragePool", [blocks]);
      return net.model(net.linear(net.op("Flatten", [pooled]), 8, 5));
    },
  },
  ...[11, 18].map((opset) => ({
    name: `group normalization through InstanceNormalization, opset ${opset}`,
    units: 4 + 2 + 6,
    build() {
      const net = new Net(opset);
      const x = net.relu(groupNorm(net, net.conv(net.input(), 3, 8, { bias: false }), 8, 4));
      const y = net.relu(groupNorm(net, net.conv(x, 8, 6, { stride: 2 }), 6, 2));
      return net.model(net.head(net.cbr(y, 6, 6), 6));
    },
  })),
  {
    name: "style transfer: InstanceNormalization, reflected borders, residual blocks",
    units: 8 + 8 + 6,
    build() {
      const net = new Net(11);
      const pads = net.ints(0, 0, 1, 1, 0, 0, 1, 1);
      const layer = (x: string, inputs: number, outputs: number) => {
        const padded = net.op("Pad", [x, pads], { mode: "reflect" });
        const y = net.conv(padded, inputs, outputs, { pad: 0 });
        const vectors = [net.normal([outputs], 0.2, 1), net.normal([outputs], 0.2)];
        return net.op("InstanceNormalization", [y, ...vectors], { epsilon: 1e-5 });
      };
      const stem = net.relu(layer(net.input(), 3, 8));
      const sum = net.op("Add", [layer(net.relu(layer(stem, 8, 8)), 8, 8), stem]);
      const up = net.op("Resize", [sum, net.constant([0], []), net.constant([4], [1, 1, 2, 2])], {
        mode: "nearest",
        coordinate_transformation_mode: "asymmetric",
        nearest_mode: "floor",
      });
      return net.model(net.op("Tanh", [net.head(net.relu(layer(up, 8, 6)), 6)]));
    },
  },
  ...(["stacked", "reshaped"] as const).map((form) => ({
    name: `SKNet: softmax over branches, ${form}`,
    units: form === "stacked" ? 8 + 6 + 3 + 5 : 8 + 6 + 3 + 5,
    build() {
      const net = new Net(13);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const stack = (parts: readonly string[]) =>
        net.concat(
          parts.map((part) => net.unsqueeze(part, 1)),
          1,
        );
      const branches = stack([net.cbr(stem, 8, 6), net.cbr(stem, 8, 6, { k: 5 })]);
      const sum = net.reduce("ReduceSum", branches, [1], 0);
      const pooled = net.op("Flatten", [net.op("GlobalAveragePool", [sum])]);
      const hidden = net.relu(net.linear(pooled, 6, 3));
      const scores =
        form === "stacked"
          ? stack([net.linear(hidden, 3, 6), net.linear(hidden, 3, 6)])
          : net.reshape(net.linear(hidden, 3, 12), net.size(hidden, 0), 2, 6);
      const shares = net.unsqueeze(net.op("Softmax", [scores], { axis: 1 }), 3, 4);
      const mixed = net.reduce("ReduceSum", net.op("Mul", [branches, shares]), [1], 0);
      return net.model(net.head(net.cbr(mixed, 6, 5), 5));
    },
  })),
  {
    name: "ResNeSt: split attention with radix 2",
    // Two groups of four inputs lose the same place, and so do the halves that are added.
    units: 4 + 6 + 3 + 5,
    build() {
      const net = new Net(13);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const both = net.cbr(stem, 8, 12, { group: 2 });
      const [a, b] = net.ops("Split", [both, net.ints(6, 6)], { axis: 1 }, 2);
      const pooled = net.op("GlobalAveragePool", [net.op("Add", [a, b])]);
      const gate = net.conv(net.cbr(pooled, 6, 3, { k: 1 }), 3, 12, { k: 1 });
      const n = net.size(gate, 0);
      const apart = net.transpose(net.reshape(gate, n, 1, 2, -1), 0, 2, 1, 3);
      const shares = net.reshape(net.op("Softmax", [apart], { axis: 1 }), net.size(apart, 0), -1);
      const view = net.reshape(shares, net.size(shares, 0), -1, 1, 1);
      const [left, right] = net.ops("Split", [view, net.ints(6, 6)], { axis: 1 }, 2);
      const mixed = net.op("Add", [net.op("Mul", [left, a]), net.op("Mul", [right, b])]);
      return net.model(net.head(net.cbr(mixed, 6, 5), 5));
    },
  },
  {
    name: "ECA: a convolution along the channels fixes them",
    // The gate's only filter counts, though a layer never loses its last one.
    units: 8 + 1 + 5,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.cbr(net.input(), 3, 8, { stride: 2 }), 8, 6);
      const pooled = net.squeeze(net.op("GlobalAveragePool", [x]), -1);
      const row = net.transpose(pooled, 0, 2, 1);
      const mixed = net.transpose(net.conv(row, 1, 1, { rank: 1, bias: false }), 0, 2, 1);
      const gate = net.op("Sigmoid", [net.unsqueeze(mixed, 3)]);
      const wide = net.op("Expand", [gate, net.op("Shape", [x])]);
      return net.model(net.head(net.cbr(net.op("Mul", [x, wide]), 6, 5), 5));
    },
  },
  ...(["mean and max", "mean"] as const).map((form) => ({
    name: `CBAM: shared gate, then ${form} over channels`,
    // The largest of all channels fixes them; a mean does not.
    units: 8 + (form === "mean" ? 6 : 0) + 3 + 1 + 5,
    build() {
      const net = new Net(form === "mean" ? 18 : 11);
      const x = net.cbr(net.cbr(net.input(), 3, 8, { stride: 2 }), 8, 6);
      const weights = [net.normal([3, 6, 1, 1], 0.5), net.normal([6, 3, 1, 1], 0.5)];
      const squeeze = (y: string) =>
        net.op("Conv", [net.relu(net.op("Conv", [y, weights[0]])), weights[1]]);
      const [mean, max] = ["GlobalAveragePool", "GlobalMaxPool"].map((op) =>
        squeeze(net.op(op, [x])),
      );
      const y = net.op("Mul", [x, net.op("Sigmoid", [net.op("Add", [mean, max])])]);
      const maps = [net.reduce("ReduceMean", y, [1])];
      if (form !== "mean") maps.push(net.reduce("ReduceMax", y, [1]));
      const all = maps.length > 1 ? net.concat(maps) : maps[0];
      const gate = net.op("Sigmoid", [net.conv(all, maps.length, 1, { k: 7, bias: false })]);
      return net.model(net.head(net.cbr(net.op("Mul", [y, gate]), 6, 5), 5));
    },
  })),
  {
    name: "coordinate attention: pooled rows and columns, cut by computed sizes",
    units: 8 + 6 + 4 + 5,
    build() {
      const net = new Net(13);
      const x = net.cbr(net.cbr(net.input(), 3, 8, { stride: 2 }), 8, 6);
      const rows = net.reduce("ReduceMean", x, [3]);
      const columns = net.transpose(net.reduce("ReduceMean", x, [2]), 0, 1, 3, 2);
      const y = net.cbr(net.concat([rows, columns], 2), 6, 4, { k: 1 });
      const sizes = net.sizes(net.size(x, 2), net.size(x, 3));
      const [high, wide] = net.ops("Split", [y, sizes], { axis: 2 }, 2);
      const gates = [high, net.transpose(wide, 0, 1, 3, 2)].map((part) =>
        net.op("Sigmoid", [net.conv(part, 4, 6, { k: 1 })]),
      );
      const gated = net.op("Mul", [net.op("Mul", [x, gates[1]]), gates[0]]);
      return net.model(net.head(net.cbr(gated, 6, 5), 5));
    },
  },
  {
    name: "non-local block: attention over positions, views by computed sizes",
    // Queries and keys are contracted with each other: 4 pairs.
    units: 8 + 4 + 3 + 5,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8, { stride: 2 });
      const view = (channels: number) => {
        const y = net.conv(x, 8, channels, { k: 1 });
        return net.reshape(y, net.size(x, 0), channels, -1);
      };
      const [query, key, value] = [view(4), view(4), view(3)];
      const scores = net.op("MatMul", [net.transpose(query, 0, 2, 1), key]);
      const shares = net.op("Softmax", [scores], { axis: 2 });
      const mixed = net.op("MatMul", [shares, net.transpose(value, 0, 2, 1)]);
      const back = net.transpose(mixed, 0, 2, 1);
      const map = net.reshape(back, net.size(x, 0), 3, net.size(x, 2), net.size(x, 3));
      const sum = net.op("Add", [net.conv(map, 3, 8, { k: 1 }), x]);
      return net.model(net.head(net.cbr(sum, 8, 5), 5));
    },
  },
  {
    name: "self-attention with heads between convolutions, a hidden layer behind it",
    // Values and their projection go by the same place in each head; so do queries and keys.
    units: 8 + 4 + 4 + 10 + 5,
    build() {
      const net = new Net(14);
      const x = net.conv(net.input(), 3, 8, { stride: 2 });
      const flat = net.transpose(net.reshape(x, net.size(x, 0), net.size(x, 1), -1), 0, 2, 1);
      const heads = (y: string) => {
        const split = net.reshape(dense(net, y, 8, 8), net.size(y, 0), net.size(y, 1), 2, 4);
        return net.transpose(split, 0, 2, 1, 3);
      };
      const [query, key, value] = [heads(flat), heads(flat), heads(flat)];
      const scores = net.op("MatMul", [query, net.transpose(key, 0, 1, 3, 2)]);
      const scaled = net.op("Div", [scores, net.scalar(2)]);
      const mixed = net.op("MatMul", [net.op("Softmax", [scaled], { axis: -1 }), value]);
      const together = net.transpose(mixed, 0, 2, 1, 3);
      const merged = net.reshape(together, net.size(together, 0), net.size(together, 1), 8);
      const sum = net.op("Add", [flat, dense(net, merged, 8, 8)]);
      const out = net.op("Add", [sum, dense(net, gelu(net, dense(net, sum, 8, 10)), 10, 8)]);
      const map = net.reshape(
        net.transpose(out, 0, 2, 1),
        net.size(x, 0),
        net.size(x, 1),
        net.size(x, 2),
        net.size(x, 3),
      );
      return net.model(net.head(net.cbr(map, 8, 5), 5));
    },
  },
  {
    name: "L2 normalization over channels with Expand to the shape of the map",
    units: 8 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8, { stride: 2 });
      const norm = net.reduce("ReduceL2", x, [1]);
      const safe = net.op("Clip", [norm, net.scalar(1e-12)]);
      const unit = net.op("Div", [x, net.op("Expand", [safe, net.op("Shape", [x])])]);
      const scaled = net.op("Mul", [net.normal([1, 8, 1, 1], 3), unit]);
      return net.model(net.head(net.cbr(scaled, 8, 6), 6));
    },
  },
  {
    name: "gated and maxout units: halves of the channels go in pairs",
    units: 8 + 5 + 4 + 6,
    build() {
      const net = new Net(11);
      const x = net.cbr(net.input(), 3, 8, { stride: 2 });
      const [value, gate] = net.ops("Split", [net.conv(x, 8, 10)], { axis: 1, split: [5, 5] }, 2);
      const gated = net.op("Mul", [value, net.op("Sigmoid", [gate])]);
      const wide = net.conv(gated, 5, 8);
      const bounds = (from: number, to: number) => [net.ints(from), net.ints(to), net.ints(1)];
      const halves = [bounds(0, 4), bounds(4, 8)].map((cut) => net.op("Slice", [wide, ...cut]));
      return net.model(net.head(net.cbr(net.op("Max", halves), 4, 6), 6));
    },
  },
  {
    name: "MobileFaceNet: PRelu by channel, depthwise global kernel, normalized embedding",
    units: 8 + 12 + 10,
    ...fixedSize,
    build() {
      const net = new Net(9);
      const prelu = (x: string, channels: number) =>
        net.op("PRelu", [x, net.normal([channels, 1, 1], 0.1, 0.25)]);
      const stem = prelu(net.batchNorm(net.conv(net.input(["N", 3, 8, 8]), 3, 8), 8), 8);
      const wide = prelu(net.conv(stem, 8, 12, { k: 1 }), 12);
      const kernel = net.conv(wide, 12, 12, { k: 8, pad: 0, group: 12, bias: false });
      const flat = net.reshape(net.conv(kernel, 12, 10, { k: 1 }), net.size(kernel, 0), -1);
      const normal = net.batchNorm(flat, 10);
      return net.model(net.op("LpNormalization", [net.linear(normal, 10, 5)], { axis: 1, p: 2 }));
    },
  },
  {
    name: "Mish, Softplus and Elu between layers",
    units: 8 + 6 + 5,
    build() {
      const net = new Net(10);
      const x = net.conv(net.input(), 3, 8, { stride: 2 });
      const mish = net.op("Mul", [x, net.op("Tanh", [net.op("Softplus", [x])])]);
      const y = net.op("Elu", [net.conv(mish, 8, 6)], { alpha: float(1) });
      return net.model(net.head(net.op("Softsign", [net.conv(y, 6, 5)]), 5));
    },
  },
];

describe("normalisations and attention", () => {
  for (const replica of replicas) test(replica.name, () => checkReplica(replica));
});

test("an LSTM behind convolutions reads the last of them like a matrix", () => {
  const net = new Net(14);
  const x = net.cbr(net.cbr(net.input(["N", 1, 4, "W"]), 1, 8), 8, 6);
  const rows = net.op("MaxPool", [x], { kernel_shape: [4, 1], strides: [4, 1] });
  const sequence = net.transpose(net.squeeze(rows, 2), 2, 0, 1);
  const weights = [net.normal([1, 20, 6]), net.normal([1, 20, 5]), net.normal([1, 40])];
  const [y] = net.ops("LSTM", [sequence, ...weights], { hidden_size: 5 }, 3);
  const flat = net.squeeze(y, 1);
  const { units } = structureOf(net.model(dense(net, flat, 5, 4)).graph);
  expect(units.slice(0, 14).every(({ reason }) => reason === undefined)).toBe(true);
});
