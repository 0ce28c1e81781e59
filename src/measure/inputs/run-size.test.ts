/** @file What is too large to be run is refused before anything is allocated for it. */
import { expect, it } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Shape } from "../../ir/graph.ts";
import { int64Vector } from "../../tensor/host-tensor.ts";
import { randomFeeds } from "./feeds.ts";
import { requireRunnable } from "./run-size.ts";

const tooLarge = (words: RegExp, hint: RegExp) =>
  expect.objectContaining({
    code: "MODEL_TOO_LARGE",
    message: expect.stringMatching(words),
    hint: expect.stringMatching(hint),
  });

it.each<[string, Shape, Readonly<Record<string, number>>, RegExp]>([
  ["a fixed image", [1, 3, 30_000, 30_000], {}, /^Export the network for smaller inputs/],
  ["a fixed vector", [2 ** 28], {}, /^Export the network for smaller inputs/],
  ["an image of open sides", ["N", 3, "H", "W"], { H: 20_000, W: 20_000 }, /N, H, W with `dims`/],
  ["rows without end", ["rows", 1000], { rows: 10 ** 6 }, /rows with `dims`/],
])("an input is refused by name: %s", (_, shape, dims, hint) => {
  const before = process.memoryUsage().arrayBuffers;
  const attempt = () =>
    randomFeeds([{ name: "photo", dtype: "float32", shape }], {
      dims: new Map(Object.entries(dims)),
    });
  expect(attempt).toThrow(tooLarge(/^Input "photo" takes \[/, hint));
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
});

/** One node that makes a large tensor of an input [1, 3, 8, 8]. */
function making(opType: string, sizes: readonly number[], shape: Shape = [1, 3, 8, 8]) {
  const b = new GraphBuilder("large");
  const x = b.input("x", "float32", shape);
  const [y] = b.node(opType, [x, b.constant(undefined, int64Vector(sizes))], {}, { name: "grow" });
  const [mean] = b.node("GlobalAveragePool", [y]);
  b.output(mean);
  return b.build();
}

it.each([
  ["Tile", [1, 1, 4000, 4000]],
  ["Expand", [10 ** 7, 1, 1, 1]],
  ["Pad", [0, 0, 20_000, 0, 0, 0, 0, 20_000]],
])("a network is refused by the node that computes too much: %s", (opType, sizes) => {
  expect(() => requireRunnable(making(opType, sizes), new Map())).toThrow(
    tooLarge(new RegExp(`^${opType} node "grow" computes \\[`), /`dims`/),
  );
});

it("sizes that are given count, and those that fit pass", () => {
  const graph = making("Tile", [1, 1, 10, 10], ["N", 3, "H", "W"]);
  expect(() => requireRunnable(graph, new Map([["H", 64]]))).not.toThrow();
  expect(() => requireRunnable(graph, new Map([["H", 200_000]]))).toThrow(/grow/);
});
