/** @file Detection, segmentation and super-resolution networks as PyTorch and others write them. */
import { describe, test } from "vitest";
import type { AttributeValue } from "../src/ir/builder.ts";
import { checkReplica, float, floats, Net, type Replica } from "./exporters.ts";

/** A convolution with swish, as YOLO's. */
function cbs(net: Net, x: string, inputs: number, outputs: number, k = 3, stride = 1): string {
  return net.swish(net.conv(x, inputs, outputs, { k, stride }));
}

/** Cross-stage partial block: two halves, one through a bottleneck with a sum. */
function csp(net: Net, x: string, inputs: number, hidden: number, outputs: number): string {
  const left = cbs(net, x, inputs, hidden, 1);
  const inner = cbs(net, cbs(net, left, hidden, hidden, 1), hidden, hidden);
  const right = cbs(net, x, inputs, hidden, 1);
  const both = net.concat([net.op("Add", [left, inner]), right]);
  return cbs(net, both, 2 * hidden, outputs, 1);
}

/** YOLOv8's C2f: halves of a Split, each bottleneck's result appended. */
function c2f(net: Net, x: string, inputs: number, hidden: number, outputs: number): string {
  const wide = cbs(net, x, inputs, 2 * hidden, 1);
  const [a, b] = net.ops("Split", [wide, net.ints(hidden, hidden)], { axis: 1 }, 2);
  const inner = cbs(net, cbs(net, b, hidden, hidden), hidden, hidden);
  return cbs(net, net.concat([a, b, net.op("Add", [b, inner])]), 3 * hidden, outputs, 1);
}

/** Fast spatial pyramid pooling: three poolings in a row beside their source. */
function sppf(net: Net, x: string, inputs: number, hidden: number, outputs: number): string {
  const attributes = { kernel_shape: [5, 5], pads: [2, 2, 2, 2], strides: [1, 1] };
  const parts = [cbs(net, x, inputs, hidden, 1)];
  for (let i = 0; i < 3; i++) parts.push(net.op("MaxPool", [parts[i]], attributes));
  return cbs(net, net.concat(parts), 4 * hidden, outputs, 1);
}

/** The first two sizes of `x` with the last two of `like`: Shape, Slice, Concat. */
function sizesLike(net: Net, x: string, like: string): string {
  const part = (of: string, from: number, to: number) =>
    net.op("Slice", [net.op("Shape", [of]), net.ints(from), net.ints(to), net.ints(0)]);
  const last = net.op("Cast", [net.sizes(net.size(like, 2), net.size(like, 3))], { to: 7 });
  return net.concat([part(x, 0, 2), last], 0);
}

/** interpolate(x, size of `like`), as opset 11 and up have it. */
function resizeTo(net: Net, x: string, like: string, mode = "linear"): string {
  const attributes: Record<string, AttributeValue> =
    mode === "linear"
      ? { mode, coordinate_transformation_mode: "pytorch_half_pixel", cubic_coeff_a: -0.75 }
      : { mode, coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" };
  const none = () => (net.opset < 13 ? net.constant([0], []) : "");
  return net.op("Resize", [x, none(), none(), sizesLike(net, x, like)], attributes);
}

/** interpolate(x, scale 2) through sizes in floating point, as PyTorch 1.2 wrote it for opset 10. */
function doubled(net: Net, x: string): string {
  const scales = [2, 3].map((axis) => {
    const size = net.op("Cast", [net.size(x, axis)], { to: 1 });
    const target = net.op("Floor", [net.op("Mul", [size, net.scalar(2)])]);
    const whole = net.op("Cast", [net.op("Cast", [target], { to: 7 })], { to: 1 });
    return net.unsqueeze(net.op("Div", [whole, size]), 0);
  });
  const factors = net.concat([net.constant([2], [1, 1]), ...scales], 0);
  return net.op("Resize", [x, factors], { mode: "nearest" });
}

/** Resize by constant scales, as exporters write nn.Upsample. */
function upsample(net: Net, x: string): string {
  const none = net.opset < 13 ? net.constant([0], []) : "";
  return net.op("Resize", [x, none, net.constant([4], [1, 1, 2, 2])], {
    coordinate_transformation_mode: "asymmetric",
    mode: "nearest",
    nearest_mode: "floor",
  });
}

/** [N, A·F, H, W] to [N, A, H, W, F], by sizes that the network computes. */
function anchors(net: Net, x: string, count: number, fields: number): string {
  const [n, h, w] = [0, 2, 3].map((axis) => net.size(x, axis));
  return net.transpose(net.reshape(x, n, count, fields, h, w), 0, 1, 3, 4, 2);
}

const fixedSize = { others: [{ N: 3 }, { N: 2 }] };

const replicas: readonly Replica[] = [
  {
    name: "YOLOv3: residuals, upsampling in floating point, route by concatenation",
    units: 8 + 4 + 12 + 6 + 10,
    build() {
      const net = new Net(10);
      const leaky = (x: string) => net.op("LeakyRelu", [x], { alpha: 0.1 });
      const layer = (x: string, inputs: number, outputs: number, k = 3, stride = 1) =>
        leaky(net.batchNorm(net.conv(x, inputs, outputs, { k, stride, bias: false }), outputs));
      const stem = layer(net.input(), 3, 8, 3, 2);
      const sum = net.op("Add", [stem, layer(layer(stem, 8, 4, 1), 4, 8)]);
      const deep = layer(sum, 8, 12, 3, 2);
      const route = net.concat([doubled(net, layer(deep, 12, 6, 1)), sum]);
      const last = layer(route, 14, 10);
      const boxes = net.op("Sigmoid", [anchors(net, net.conv(last, 10, 14, { k: 1 }), 2, 7)]);
      return net.model(net.reshape(boxes, net.size(boxes, 0), -1, 7));
    },
  },
  {
    name: "YOLOv5: CSP blocks, SPPF, anchor head with Split",
    units: 8 + (6 + 6 + 6 + 10) + (4 + 8) + (5 + 5 + 5 + 9),
    build() {
      const net = new Net(13);
      const stem = net.swish(net.conv(net.input(), 3, 8, { k: 6, stride: 2, pad: 2 }));
      const c3 = csp(
        net,
        net.op("MaxPool", [stem], { kernel_shape: [2, 2], strides: [2, 2] }),
        8,
        6,
        10,
      );
      const pyramid = sppf(net, c3, 10, 4, 8);
      const neck = net.concat([upsample(net, pyramid), stem]);
      const last = csp(net, neck, 16, 5, 9);
      const raw = net.op("Sigmoid", [anchors(net, net.conv(last, 9, 21, { k: 1 }), 3, 7)]);
      const [xy, wh, rest] = net.ops("Split", [raw, net.ints(2, 2, 3)], { axis: 4 }, 3);
      const place = net.op("Mul", [net.op("Add", [xy, xy]), net.constant([1], [8])]);
      const area = net.op("Mul", [net.op("Pow", [wh, net.scalar(2)]), net.normal([1, 3, 1, 1, 2])]);
      const boxes = net.concat([place, area, rest], 4);
      const n = net.size(boxes, 0);
      return net.model(net.reshape(boxes, n, -1, 7));
    },
    others: [
      { N: 3, H: 32, W: 16 },
      { N: 2, H: 8, W: 40 },
    ],
  },
  {
    name: "YOLOv8: C2f, decoupled head, distribution over distances",
    // The last one is the only filter of the convolution over bins.
    units: 8 + (2 * 4 + 4 + 9) + 6 + 5 + 1,
    build() {
      const net = new Net(17);
      const stem = cbs(net, net.input(), 3, 8, 3, 2);
      // The second half of the Split meets the bottleneck's sum: 4 of the 8 are one stream with it.
      const x = c2f(net, stem, 8, 4, 9);
      const box = net.conv(cbs(net, x, 9, 6), 6, 16, { k: 1 });
      const score = net.conv(cbs(net, x, 9, 5), 5, 3, { k: 1 });
      const both = net.concat([box, score]);
      const flat = net.reshape(both, net.size(both, 0), 19, -1);
      const [distance, classes] = net.ops("Split", [flat, net.ints(16, 3)], { axis: 1 }, 2);
      const split = net.reshape(distance, net.size(distance, 0), 4, 4, -1);
      const soft = net.op("Softmax", [net.transpose(split, 0, 3, 1, 2)], { axis: 3 });
      const bins = net.constant([1, 4, 1, 1], [0, 1, 2, 3]);
      const mean = net.op("Conv", [net.transpose(soft, 0, 3, 2, 1), bins]);
      const boxes = net.reshape(mean, net.size(mean, 0), 4, -1);
      return net.model(net.concat([boxes, net.op("Sigmoid", [classes])], 1));
    },
  },
  ...(["computed", "fixed"] as const).map((form) => ({
    name: `SSD heads: Transpose, Reshape, Concat over two maps, sizes ${form}`,
    units: 8 + 10 + 12,
    build() {
      const net = new Net(11);
      const first = net.cbr(net.cbr(net.input(), 3, 8, { stride: 2 }), 8, 10);
      const second = net.cbr(first, 10, 12, { stride: 2 });
      const heads = [
        [first, 10],
        [second, 12],
      ] as const;
      const flat = (x: string, channels: number, outputs: number, last: number) => {
        const scores = net.transpose(net.conv(x, channels, outputs), 0, 2, 3, 1);
        const n = form === "computed" ? net.size(scores, 0) : 0;
        return net.reshape(scores, n, -1, last);
      };
      const boxes = net.concat(heads.map(([x, width]) => flat(x, width, 8, 4)));
      const scores = net.concat(heads.map(([x, width]) => flat(x, width, 6, 3)));
      return net.model(boxes, net.op("Softmax", [scores], { axis: 2 }));
    },
  })),
  {
    name: "FPN: lateral sums with Resize to the size of another map",
    units: 8 + 10 + 6 + 7,
    build() {
      const net = new Net(11);
      const c2 = net.cbr(net.input(), 3, 8);
      const c3 = net.cbr(c2, 8, 10, { stride: 2 });
      const p3 = net.conv(c3, 10, 6, { k: 1 });
      const p2 = net.op("Add", [net.conv(c2, 8, 6, { k: 1 }), resizeTo(net, p3, c2, "nearest")]);
      return net.model(net.head(net.cbr(p2, 6, 7), 7), net.head(p3, 6));
    },
  },
  {
    name: "U-Net: transposed convolutions, center crop by computed bounds",
    units: 8 + 10 + 6 + 9,
    build() {
      const net = new Net(11);
      const skip = net.cbr(net.input(), 3, 8, { pad: 1 });
      const down = net.op("MaxPool", [skip], { kernel_shape: [2, 2], strides: [2, 2] });
      const deep = net.cbr(down, 8, 10, { pad: 0 });
      const weight = net.normal([10, 6, 2, 2], 0.3);
      const up = net.op("ConvTranspose", [deep, weight, net.normal([6])], {
        kernel_shape: [2, 2],
        strides: [2, 2],
      });
      // skip[:, :, dh:dh + h, dw:dw + w], one Slice for each axis, as tracing writes it.
      const crop = [2, 3].reduce((x, axis) => {
        const [size, target] = [net.size(x, axis), net.size(up, axis)];
        const from = net.op("Div", [net.op("Sub", [size, target]), net.constant([], [2], "int64")]);
        const to = net.unsqueeze(net.op("Add", [from, target]), 0);
        return net.op("Slice", [x, net.unsqueeze(from, 0), to, net.ints(axis), net.ints(1)]);
      }, skip);
      const cat = net.concat([crop, up]);
      return net.model(net.head(net.cbr(cat, 14, 9), 9));
    },
  },
  {
    name: "U-Net: padded to the skip connection by computed amounts",
    units: 8 + 10 + 6 + 9,
    build() {
      const net = new Net(11);
      const skip = net.cbr(net.input(), 3, 8);
      const deep = net.cbr(
        net.op("MaxPool", [skip], { kernel_shape: [2, 2], strides: [2, 2] }),
        8,
        10,
      );
      const up = upsample(net, net.conv(deep, 10, 6, { k: 1, pad: 0 }));
      const difference = [3, 2].flatMap((axis) => {
        const gap = net.op("Sub", [net.size(skip, axis), net.size(up, axis)]);
        const before = net.op("Div", [gap, net.constant([], [2], "int64")]);
        return [before, net.op("Sub", [gap, before])];
      });
      // PyTorch's list counts from the last axis; ONNX wants all starts, then all ends.
      const given = net.sizes(...difference);
      const zeros = net.op("ConstantOfShape", [net.ints(4)], {
        value: {
          kind: "tensor",
          value: { dtype: "int64", shape: [1], data: BigInt64Array.of(0n) },
        },
      });
      const rows = net.reshape(net.concat([given, zeros], 0), -1, 2);
      const reversed = net.op("Slice", [
        rows,
        net.ints(-1),
        net.ints(-(2 ** 40)),
        net.ints(0),
        net.ints(-1),
      ]);
      const pads = net.op("Cast", [net.reshape(net.transpose(reversed, 1, 0), -1)], { to: 7 });
      const padded = net.op("Pad", [up, pads, net.scalar(0)], { mode: "constant" });
      return net.model(net.head(net.cbr(net.concat([skip, padded]), 14, 9), 9));
    },
    others: [
      { N: 3, H: 17, W: 21 },
      { N: 2, H: 9, W: 30 },
    ],
  },
  {
    name: "DeepLab: dilated branches, image pooling resized back by Shape",
    units: 8 + (4 + 5 + 3) + 7,
    build() {
      const net = new Net(12);
      const image = net.input();
      const stem = net.cbr(image, 3, 8, { stride: 2 });
      const dilated = net.op("Conv", [stem, net.normal([5, 8, 3, 3], 0.1)], {
        dilations: [2, 2],
        pads: [2, 2, 2, 2],
        kernel_shape: [3, 3],
      });
      const pooled = net.cbr(net.op("GlobalAveragePool", [stem]), 8, 3, { k: 1 });
      const branches = [
        net.cbr(stem, 8, 4, { k: 1 }),
        net.relu(net.batchNorm(dilated, 5)),
        resizeTo(net, pooled, stem),
      ];
      const scores = net.head(net.cbr(net.concat(branches), 12, 7, { k: 1 }), 7);
      return net.model(resizeTo(net, scores, image));
    },
  },
  {
    name: "FCN: scores of two depths, a Deconvolution with fixed bilinear weights, crop",
    units: 8 + 10,
    ...fixedSize,
    build() {
      const net = new Net(9);
      const c1 = net.cbr(net.input(["N", 3, 16, 24]), 3, 8, { stride: 2 });
      const c2 = net.cbr(c1, 8, 10, { stride: 2 });
      const up = net.op("ConvTranspose", [net.head(c2, 10), net.normal([2, 1, 4, 4])], {
        kernel_shape: [4, 4],
        strides: [2, 2],
        group: 2,
      });
      const cropped = net.op("Slice", [up], { axes: [2, 3], starts: [1, 1], ends: [9, 13] });
      return net.model(net.op("Add", [cropped, net.head(c1, 8)]));
    },
  },
  {
    name: "HRNet: sums across resolutions",
    units: 8 + 6 + 10 + 7,
    build() {
      const net = new Net(11);
      const stem = net.cbr(net.input(), 3, 8, { stride: 2 });
      const [high, low] = [net.cbr(stem, 8, 6), net.cbr(stem, 8, 10, { stride: 2 })];
      const lifted = net.batchNorm(net.conv(low, 10, 6, { k: 1, bias: false }), 6);
      const lowered = net.batchNorm(net.conv(high, 6, 10, { stride: 2, bias: false }), 10);
      const fusedHigh = net.relu(net.op("Add", [high, resizeTo(net, lifted, high)]));
      const fusedLow = net.relu(net.op("Add", [lowered, low]));
      const all = net.concat([fusedHigh, resizeTo(net, fusedLow, fusedHigh)]);
      return net.model(net.head(net.cbr(all, 16, 7, { k: 1 }), 7));
    },
  },
  ...(["DepthToSpace", "Reshape", "computed"] as const).map((form) => ({
    name: `Super-resolution: pixel shuffle as ${form}`,
    units: 8 + 6 + 5,
    build() {
      const net = new Net(form === "DepthToSpace" ? 11 : 10);
      const x = net.input(form === "Reshape" ? ["N", 3, 16, 24] : undefined);
      const deep = net.op("PRelu", [net.conv(x, 3, 8), net.constant([1, 1, 1], [0.25])]);
      const wide = net.conv(deep, 8, 24);
      const of = (axis: number) => net.size(wide, axis);
      const [n, h, w] = form === "Reshape" ? [-1, 16, 24] : [of(0), of(2), of(3)];
      const twice = (size: number | string) =>
        typeof size === "number" ? 2 * size : net.op("Mul", [size, net.constant([], [2], "int64")]);
      const shuffled =
        form === "DepthToSpace"
          ? net.op("DepthToSpace", [wide], { blocksize: 2, mode: "CRD" })
          : net.reshape(
              net.transpose(net.reshape(wide, n, 6, 2, 2, h, w), 0, 1, 4, 2, 5, 3),
              n,
              6,
              twice(h),
              twice(w),
            );
      return net.model(net.conv(net.relu(net.conv(net.relu(shuffled), 6, 5)), 5, 3));
    },
    ...(form === "Reshape" ? fixedSize : {}),
  })),
  {
    name: "Upsample with scales as attribute, and reflect padding",
    units: 8 + 6,
    build() {
      const net = new Net(8);
      const pads = [0, 0, 1, 1, 0, 0, 1, 1];
      const x = net.relu(net.conv(net.input(), 3, 8));
      const padded = net.op("Pad", [x], { mode: "reflect", pads });
      const y = net.relu(net.conv(padded, 8, 6, { pad: 0 }));
      const up = net.op("Upsample", [y], { mode: "nearest", scales: floats(1, 1, 2, 2) });
      return net.model(net.op("Elu", [net.head(up, 6)], { alpha: float(1) }));
    },
  },
];

describe("dense prediction", () => {
  for (const replica of replicas) test(replica.name, () => checkReplica(replica));
});
