/** @file Sizes that a file leaves open without a name have one name, which every command takes. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../src/ir/builder.ts";
import type { Shape } from "../src/ir/graph.ts";
import { nameOpenSizes } from "../src/ir/names.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { withSession } from "../src/runtime/session.ts";
import { int64Vector, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { npyFile, zipFile } from "./data-files.ts";

/** Weights of this shape. */
function weights(shape: readonly number[], seed: number) {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return tensorOf("float32", shape, randomOf(seed).normals(size));
}

/** A classifier of images of any size: conv, relu, mean over all positions, dense. */
function images(shape: Shape = ["?", 3, "?", "?"]): Uint8Array {
  const b = new GraphBuilder("images");
  const x = b.input("x", "float32", shape);
  const w = b.constant("w", weights([8, 3, 3, 3], 1));
  const [conv] = b.node("Conv", [x, w], { pads: [1, 1, 1, 1] }, { name: "conv" });
  const [mean] = b.node("GlobalAveragePool", b.node("Relu", [conv]));
  const dense = [...b.node("Flatten", [mean]), b.constant("v", weights([8, 4], 2))];
  const [y] = b.node("Gemm", dense, {}, { name: "dense", outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: ["?", 4] });
  return concatBytes(encodeGraph(b.build()));
}

/** A matrix of frames beside a state of another open size, as detectors of speech have them. */
function frames(): Uint8Array {
  const b = new GraphBuilder("frames");
  const x = b.input("input", "float32", ["?", "?"]);
  const state = b.input("state", "float32", [2, "?", 6]);
  const axis = b.constant("one", axisOf(1));
  const [wide] = b.node("Unsqueeze", [x, axis]);
  const w = b.constant("w", weights([6, 1, 3], 3));
  const [conv] = b.node("Conv", [wide, w], { pads: [1, 1] }, { name: "conv" });
  const [mean] = b.node("ReduceMean", [conv, b.constant("two", axisOf(2))], { keepdims: 0 });
  const v = b.constant("v", weights([6, 6], 4));
  const [next] = b.node("MatMul", [mean, v], {}, { name: "dense" });
  const [y] = b.node("Add", [next, state], {}, { outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: [2, "?", 6] });
  return concatBytes(encodeGraph(b.build()));
}

const axisOf = (axis: number) => int64Vector([axis]);

describe("an open size", () => {
  it.each([
    { what: "images", bytes: images(), names: ["x_0", "x_2", "x_3"] },
    { what: "frames and a state", bytes: frames(), names: ["input_0", "input_1", "state_1"] },
    { what: "some with names", bytes: images(["N", 3, "?", "x_2"]), names: ["N", "x_2'", "x_2"] },
  ])("has the same name in the file and in a session: $what", async ({ bytes, names }) => {
    const { graph } = readModel(bytes);
    const shapes = graph.inputs.map((name) => graph.types.get(name)?.shape);
    expect(shapes.flat().filter((dim) => typeof dim === "string")).toEqual(names);
    await withSession(bytes, {}, async ({ inputs }) => {
      expect(inputs.map(({ shape }) => shape)).toEqual(shapes);
    });
  });

  it("gets no name that an output's size has already", () => {
    const inputs = [{ name: "x", shape: ["?1", 3] }];
    expect(nameOpenSizes(inputs, ["x_0"])).toEqual([["x_0'", 3]]);
  });

  it("is taken by every command under the name that inspect shows", async () => {
    const folder = await emptyFolder();
    const [net, small] = ["net.onnx", "small.onnx"].map((name) => join(folder, name));
    await writeFile(net, images());
    const { out } = await espalier(["inspect", net, "--json"]);
    const { dims } = JSON.parse(out);
    expect(dims).toEqual({ x_0: 1, x_2: 224, x_3: 224 });
    expect((await espalier(["inspect", net])).out).toContain("x float32 [x_0, 3, x_2, x_3]");
    const sizes = ["--dims", "x_0=2", "--dims", "x_2=6", "--dims", "x_3=7"];
    const ran = async (...argv: string[]) => {
      const { exitCode, out, err } = await espalier([...argv, ...sizes, "--json"]);
      expect(err).not.toContain("error");
      expect(exitCode).toBe(0);
      return JSON.parse(out);
    };
    const timed = await ran("bench", net, "--runs", "1");
    expect(timed.models[0].inputs).toEqual({ x: [2, 3, 6, 7] });
    const pruned = await ran("prune", net, "-o", small, "--macs", "0.7", "--method", "magnitude");
    expect(pruned.before.macs).toBe(2 * (6 * 7 * 9 * 3 * 8 + 8 * 4));
    expect((await ran("verify", net, small)).passed).toBe(true);
  });

  it("that a data set contradicts is refused by evaluate, and one that it has is taken", async () => {
    const folder = await emptyFolder();
    const [net, data] = ["net.onnx", "data.npz"].map((name) => join(folder, name));
    await writeFile(net, images());
    const x = new Float32Array(20 * 3 * 64);
    const y = Int32Array.from({ length: 20 }, (_, i) => i % 4);
    const parts = [
      { name: "x.npy", content: npyFile("<f4", [20, 3, 8, 8], x) },
      { name: "y.npy", content: npyFile("<i4", [20], y) },
    ];
    await writeFile(data, zipFile(parts));
    const argv = ["evaluate", net, "--data", data, "--json"];
    expect((await espalier([...argv, "--dims", "x_2=8"])).exitCode).toBe(0);
    const other = await espalier([...argv, "--dims", "x_2=9"]);
    expect(other.exitCode).toBe(2);
    expect(other.err).toContain("[x_0, 3, 9, x_3]");
  });
});
