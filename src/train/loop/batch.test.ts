/** @file Networks that run with no other batch than that of their file are trained with it, and say so. */
import { describe, expect, it } from "vitest";
import { folderOf, npyFile, zipFile } from "../../../test/data-files.ts";
import { openDataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { batchFor, fittedPlan } from "./batch.ts";
import { train } from "./train.ts";

const samples = 12;

async function images() {
  const random = randomOf(5);
  const x = Float32Array.from(random.normals(samples * 16));
  const y = Int32Array.from({ length: samples }, (_, i) => i % 2);
  const parts = [
    { name: "x.npy", content: npyFile("<f4", [samples, 4, 2, 2], x) },
    { name: "y.npy", content: npyFile("<i4", [samples], y) },
  ];
  return openDataset(await folderOf({ "train.npz": zipFile(parts) }));
}

/** Two scores for x [batch, 4, 2, 2]; `body` leads to [batch, 16]. */
function network(batch: number | "N", body: (b: GraphBuilder, x: string) => string): Graph {
  const b = new GraphBuilder("net");
  const flat = body(b, b.input("x", "float32", [batch, 4, 2, 2]));
  const w = b.constant("w", tensorOf("float32", [16, 2], randomOf(3).normals(32)));
  const [y] = b.node("MatMul", [flat, w], {}, { outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: [batch, 2] });
  return b.build();
}

const reshape = (b: GraphBuilder, x: string, sizes: readonly number[]) =>
  b.node("Reshape", [x, b.constant(undefined, int64Vector(sizes))])[0];
const transpose = (b: GraphBuilder, x: string, perm: readonly number[]) =>
  b.node("Transpose", [x], { perm: [...perm] })[0];

const flattened = (b: GraphBuilder, x: string) => reshape(b, x, [1, 16]);
/** The batch lies within: no single size can be scaled. */
const folded = (b: GraphBuilder, x: string) =>
  reshape(b, reshape(b, transpose(b, x, [1, 0, 2, 3]), [2, 2, 4]), [1, 16]);
const swapped = (b: GraphBuilder, x: string) =>
  reshape(b, reshape(b, transpose(b, x, [1, 2, 0, 3]), [4, 4]), [1, 16]);
const summed = (b: GraphBuilder, x: string) =>
  reshape(
    b,
    b.node("ReduceSum", [x, b.constant("axes", int64Vector([0]))], { keepdims: 1 })[0],
    [1, 16],
  );

describe("the batch", () => {
  it.each([
    ["an open one", network("N", (b, x) => reshape(b, x, [0, 16])), 4],
    ["one that can be rewritten", network(1, flattened), 4],
    ["one inside of what is reshaped", network(1, folded), 1],
    ["one between axes that are merged", network(1, swapped), 1],
    ["one that is summed over", network(1, summed), 1],
  ])("of %s", async (_, graph, expected) => {
    const dataset = await images();
    expect(batchFor(graph, dataset, 4, undefined)).toBe(expected);
    const { plan, note } = fittedPlan(graph, dataset, { epochs: 1, batchSize: 4 });
    expect(plan.batchSize).toBe(expected);
    if (expected === 4) expect(note).toBeUndefined();
    else expect(note).toContain("fixes its batch at 1");
  });

  it("that the file fixes is trained with, as if it were asked for", async () => {
    const dataset = await images();
    const told: string[] = [];
    const common = { epochs: 2, threads: 1, learningRate: 0.05 };
    const graph = network(1, folded);
    const fallen = await train(graph, dataset, {
      ...common,
      batchSize: 4,
      onWarning: (warning) => told.push(warning),
    });
    const asked = await train(graph, dataset, { ...common, batchSize: 1 });
    expect(told).toEqual([expect.stringContaining("not with batches of 4")]);
    expect(fallen.warnings).toEqual(told);
    expect(fallen.steps).toBe(asked.steps);
    const bytes = [fallen, asked].map(({ final }) => concatBytes(final.bytes));
    expect(Buffer.compare(bytes[0], bytes[1])).toBe(0);
    expect(asked.warnings).toEqual([]);
  });
});
