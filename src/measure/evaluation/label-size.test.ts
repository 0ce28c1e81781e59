/** @file Networks whose maps are smaller than the labels, against the same networks with a Resize of onnxruntime at their end. */
import { describe, expect, it } from "vitest";
import { folderOf, idxFile } from "../../../test/data-files.ts";
import { modelOf } from "../../../test/tiny-models.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withSession } from "../../runtime/session.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { train } from "../../train/loop/train.ts";
import { withLabelsFrom } from "../unlabelled/pseudo-labels.ts";
import { evaluateMaps } from "./evaluate.ts";
import { differsFromLabels, labelSizeNote, type MapSize, newResizer } from "./label-size.ts";

const linear = { mode: "linear", coordinate_transformation_mode: "half_pixel" } as const;

const sizes: readonly (readonly [own: MapSize, labels: MapSize])[] = [
  [
    [3, 5],
    [6, 10],
  ],
  [
    [33, 17],
    [65, 33],
  ],
  [
    [8, 10],
    [60, 80],
  ],
  [
    [13, 17],
    [97, 131],
  ],
  [
    [9, 12],
    [6, 8],
  ],
  [
    [1, 4],
    [2, 8],
  ],
];

describe("scores at the size of labels", () => {
  it.each(sizes)("are those of onnxruntime's Resize, bit by bit: %j to %j", async (own, labels) => {
    const channels = 3;
    const scores = Float32Array.from(
      randomOf(own.join(), "scores").normals(channels * own[0] * own[1]),
    );
    const pieces = modelOf((b) => {
      b.input("x", "float32", [1, channels, ...own]);
      b.constant("sizes", int64Vector([1, channels, ...labels]));
      b.node("Resize", ["x", "", "", "sizes"], linear, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: [1, channels, ...labels] });
    });
    const x = { dtype: "float32", shape: [1, channels, ...own], data: scores } as const;
    await withSession(pieces, {}, async ({ run }) => {
      const y = (await run(new Map([["x", x]]))).get("y");
      expect(newResizer(channels, own, labels)(scores)).toEqual(y?.data);
    });
  });

  it.each<readonly [MapSize, MapSize, boolean]>([
    [[120, 160], [120, 160], false],
    [[30, 40], [120, 160], true],
    [[33, 33], [65, 65], true],
    [[33, 25], [65, 50], true],
    [[32, 24], [65, 50], true],
    [[240, 320], [120, 160], true],
  ])("of maps %j for labels %j: whether they are resized is %s", (own, labels, isResized) => {
    expect(differsFromLabels("y", own, labels)).toBe(isResized);
  });

  it.each<readonly [MapSize, MapSize, RegExp]>([
    [[30, 30], [120, 160], /is 30 x 30 pixels, the label maps are 160 x 120: their sides/],
    [[160, 120], [120, 160], /not in the same ratio/],
    [[60, 160], [120, 160], /not in the same ratio/],
    [[1, 1], [120, 160], /one place is no map/],
  ])("are refused where maps are %j and labels %j", (own, labels, message) => {
    expect(() => differsFromLabels("y", own, labels)).toThrow(message);
  });
});

type End = "logits" | "Softmax" | "Sigmoid";

/** Two strided convolutions from [N, 3, h, w]; with `resized`, its output is brought to that size by a node. */
function network(end: End, [height, width]: MapSize, resized = false): Graph {
  const random = randomOf(3, "network");
  const classes = end === "Sigmoid" ? 1 : 3;
  const b = new GraphBuilder("strided");
  b.input("x", "float32", ["N", 3, height, width]);
  const weight = (name: string, dims: readonly number[]) =>
    b.constant(
      name,
      tensorOf(
        "float32",
        dims,
        random.normals(dims.reduce((a, d) => a * d, 1)).map((v) => v / 3),
      ),
    );
  const [conv] = b.node("Conv", ["x", weight("w", [6, 3, 3, 3])], {
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  });
  const [relu] = b.node("Relu", [conv]);
  let [last] = b.node("Conv", [relu, weight("v", [classes, 6, 1, 1])]);
  if (end !== "logits") [last] = b.node(end, [last], end === "Softmax" ? { axis: 1 } : {});
  const factors = b.constant("factors", tensorOf("float32", [4], [1, 1, 2, 2]));
  if (resized) [last] = b.node("Resize", [last, "", factors], linear);
  b.node("Identity", [last], {}, { outputs: ["y"] });
  const own = resized ? [height, width] : [height / 2, width / 2];
  b.output("y", { dtype: "float32", shape: ["N", classes, ...own] });
  return b.build();
}

const picture: MapSize = [12, 16];

/** Images of random brightness by blocks, labelled by it; a few pixels do not count. */
async function blocks(classes: number): Promise<Dataset> {
  const [count, [height, width]] = [60, picture];
  const random = randomOf(5, "blocks");
  const maps = new Uint8Array(count * height * width);
  const images = new Uint8Array(maps.length * 3);
  for (let i = 0; i < count; i++) {
    const cells = Array.from({ length: 12 }, () => random.integer(classes));
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const at = (i * height + y) * width + x;
        const label = cells[Math.floor(y / 5) * 4 + Math.floor(x / 4)];
        maps[at] = random.integer(40) === 0 ? 255 : label;
        for (let c = 0; c < 3; c++) images[at * 3 + c] = 60 * label + 20 * c + random.integer(80);
      }
  }
  const folder = await folderOf({
    "train-images-idx4-ubyte": idxFile([count, height, width, 3], images),
    "train-labels-idx3-ubyte": idxFile([count, height, width], maps),
  });
  return openDataset(folder, { classes, ignoreLabel: 255 });
}

describe.each<End>(["logits", "Softmax", "Sigmoid"])("a network with half-size %s", (end) => {
  it("is measured as if it ended in a Resize", async () => {
    const dataset = await blocks(end === "Sigmoid" ? 2 : 3);
    const measure = (graph: Graph) =>
      evaluateMaps(encodeGraph(graph).chunks, dataset, { split: "fit", threads: 1 });
    const half = await measure(network(end, picture));
    const whole = await measure(network(end, picture, true));
    expect(half.outputKind).toBe(end === "logits" ? "logits" : "probabilities");
    expect(half.outputKind).toBe(whole.outputKind);
    expect(half.predictions.confusions).toEqual(whole.predictions.confusions);
    expect(half.value).toBe(whole.value);
    // Behind a convolution onnxruntime resizes in a blocked layout, which rounds otherwise.
    expect(half.loss).toBeCloseTo(whole.loss, 7);
    expect(half.brier.value).toBeCloseTo(whole.brier.value, 7);
  });

  it("is trained as if it ended in a Resize, and to the loss that is measured", async () => {
    const dataset = await blocks(end === "Sigmoid" ? 2 : 3);
    const learn = (graph: Graph) =>
      train(graph, dataset, { epochs: 2, batchSize: 8, learningRate: 0.1, threads: 1, seed: 1 });
    const [half, whole] = [
      await learn(network(end, picture)),
      await learn(network(end, picture, true)),
    ];
    for (const name of ["w", "v"]) {
      const before = network(end, picture).constants.get(name)?.read();
      const after = half.best.graph.constants.get(name)?.read();
      expect(after).not.toEqual(before);
      expect(after).toEqual(whole.best.graph.constants.get(name)?.read());
    }
    for (const [epoch, { loss, accuracy, select }] of half.history.entries()) {
      expect(whole.history[epoch]).toMatchObject({
        loss,
        accuracy,
        select: { value: select?.value },
      });
      expect(whole.history[epoch].select?.loss).toBeCloseTo(select?.loss ?? 0, 7);
    }
    // At so small a rate nothing moves: training's loss is that of an evaluation of the same samples.
    const still = await train(network(end, picture), dataset, {
      epochs: 1,
      batchSize: dataset.size("fit"),
      learningRate: 1e-12,
      threads: 1,
    });
    const chunks = encodeGraph(network(end, picture)).chunks;
    const { predictions } = await evaluateMaps(chunks, dataset, { split: "fit" });
    const counts = pixelsOf(predictions.confusions, predictions.losses.length);
    const sum = predictions.losses.reduce((total, loss, i) => total + loss * counts[i], 0);
    const mean = sum / counts.reduce((a, b) => a + b, 0);
    expect(still.history[0].loss).toBeCloseTo(mean, 5);
  });
});

/** Pixels of each image that count. */
function pixelsOf(confusions: Float64Array, images: number): readonly number[] {
  const cells = confusions.length / images;
  return Array.from({ length: images }, (_, i) =>
    confusions.subarray(i * cells, (i + 1) * cells).reduce((a, b) => a + b, 0),
  );
}

it("a note tells both sizes, and nothing where they are the same", async () => {
  const dataset = await blocks(3);
  expect(labelSizeNote(network("logits", picture), dataset, undefined)).toBe(
    "The network's maps are 8 x 6, the labels 16 x 12: scores are resized to the labels, linear.",
  );
  expect(labelSizeNote(network("logits", picture, true), dataset, "y")).toBeUndefined();
});

it("agreement with an original is counted at the size of its own maps", async () => {
  const dataset = await blocks(3);
  const chunks = encodeGraph(network("logits", picture)).chunks;
  const labelled = await withLabelsFrom(dataset, chunks);
  const { value, predictions } = await evaluateMaps(chunks, labelled, { split: "fit" });
  expect(value).toBe(1);
  const pixels = predictions.confusions.reduce((a, b) => a + b, 0);
  expect(pixels).toBe(dataset.size("fit") * 6 * 8);
  const { history } = await train(network("logits", picture), labelled, {
    epochs: 1,
    batchSize: 8,
    learningRate: 0.01,
    threads: 1,
  });
  expect(history[0].accuracy).toBeGreaterThan(0.9);
});
