/** @file The times of operators in two networks, as ONNX Runtime profiles them, matched by the nodes of the files. */
import { expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { compareProfiles, operatorTimes, type Profile, slowerOperators } from "./operators.ts";

/** A convolution with an activation, a pool, a depthwise convolution and another convolution. */
function network(width: number): Model {
  const b = new GraphBuilder("network");
  const random = randomOf(1, "operators");
  const weight = (name: string, shape: readonly [number, number, number, number]) =>
    b.constant(name, tensorOf("float32", shape, random.normals(shape.reduce((a, c) => a * c))));
  const pads = [1, 1, 1, 1];
  const x = b.input("x", "float32", [1, 3, 64, 64]);
  const [first] = b.node("Conv", [x, weight("w1", [width, 3, 3, 3])], { pads }, { name: "first" });
  const [relu] = b.node("Relu", [first], {}, { name: "relu" });
  const [pool] = b.node(
    "MaxPool",
    [relu],
    { kernel_shape: [2, 2], strides: [2, 2] },
    { name: "pool" },
  );
  const depthwise = weight("w2", [width, 1, 3, 3]);
  const [deep] = b.node("Conv", [pool, depthwise], { pads, group: width }, { name: "depthwise" });
  b.node("Conv", [deep, weight("w3", [16, width, 1, 1])], {}, { name: "last", outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: [1, 16, 32, 32] });
  return readModel(concatBytes(encodeGraph(b.build())));
}

const options = { threads: 1, seconds: 0.4 };
const timed = (model: Model) => ({ graph: model.graph, source: model, medianMs: 0.5 });

it("matches every operator by its node, and names those that take longer", async () => {
  const times = await operatorTimes(timed(network(8)), timed(network(128)), options);
  const convolutions = times.filter(({ opType }) => opType === "Conv");
  expect(convolutions.map(({ name }) => name).sort()).toEqual(["depthwise", "first", "last"]);
  for (const { beforeMs, afterMs, count } of convolutions) {
    expect(beforeMs).toBeGreaterThan(0);
    expect(afterMs).toBeGreaterThan(beforeMs);
    expect(count).toEqual({ before: 1, after: 1 });
  }
  const slower = slowerOperators(times);
  expect(slower.map(({ name }) => name)).toEqual(expect.arrayContaining(["depthwise", "last"]));
  const more = slower.map(({ beforeMs, afterMs }) => afterMs - beforeMs);
  expect(more).toEqual(more.toSorted((a, b) => b - a));
});

it("calls an operator slower only where every profile says so, by more than noise", () => {
  const profiles = (...series: readonly Readonly<Record<string, number>>[]): readonly Profile[] =>
    series.map(
      (times) =>
        new Map(
          Object.entries(times).map(([name, ms]) => [
            name,
            { opType: "Conv", isInserted: false, count: 1, ms },
          ]),
        ),
    );
  const before = profiles(
    { same: 10, mixed: 1, hardly: 1, tiny: 0.001, slower: 1, fused: 1 },
    { same: 12, mixed: 1.5, hardly: 1, tiny: 0.001, slower: 1.1, fused: 1 },
  );
  const after = profiles(
    { same: 11, mixed: 2, hardly: 1.09, tiny: 0.01, slower: 1.3, extra: 0.5 },
    { same: 10, mixed: 1.4, hardly: 1.09, tiny: 0.01, slower: 1.2, extra: 0.4 },
  );
  const times = compareProfiles(before, after);
  expect(slowerOperators(times).map(({ name }) => name)).toEqual(["extra", "slower"]);
  expect(times.find(({ name }) => name === "extra")).toEqual({
    name: "extra",
    opType: "Conv",
    isInserted: false,
    count: { before: 0, after: 1 },
    beforeMs: 0,
    afterMs: 0.4,
    isSlower: true,
  });
  expect(times.find(({ name }) => name === "fused")).toMatchObject({ beforeMs: 1, afterMs: 0 });
});

// ONNX Runtime has a blocked layout on these processors.
it.skipIf(process.arch !== "x64")(
  "counts what ONNX Runtime inserts: 28 channels leave the blocked layout (skipped beside x64)",
  async () => {
    const times = await operatorTimes(timed(network(32)), timed(network(28)), options);
    const names = times.map(({ name }) => name);
    expect(names.filter((name) => name.includes("_token_") || name.includes("nchwc"))).toEqual([]);
    const reorders = times.find(({ name }) => name === "ReorderOutput");
    expect(reorders?.count.after).toBeGreaterThan(reorders?.count.before ?? 0);
    expect(reorders?.isInserted).toBe(true);
  },
);
