/** @file Training steps: what is trained, what is not, and what steps compute, by hand. */
import { describe, expect, it } from "vitest";
import { denseGraph, quadrantNetwork, runSteps } from "../../../test/support/training.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { verifyGraph } from "../../ir/verify.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { openTrainer } from "../../runtime/trainer.ts";
import type { Feeds } from "../../runtime/values.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { labels, sumOf } from "./objectives.ts";
import { sgd } from "./optimizers.ts";
import { buildStep } from "./step.ts";
import type { StepOptions } from "./step-options.ts";

const plain = { optimizer: sgd({ momentum: 0 }), objective: labels() };
const dense: StepOptions = {
  ...plain,
  inputShapes: new Map([["x", [2, 3]]]),
  target: { dtype: "int32", shape: [2] },
};
const floats = (shape: readonly number[], values: readonly number[]) =>
  tensorOf("float32", shape, values);

/** A graph over x [N, 3, 4, 4] with the constants and nodes that `define` adds. */
function imageGraph(define: (b: GraphBuilder, x: string) => string): Graph {
  const b = new GraphBuilder("images");
  b.output(define(b, b.input("x", "float32", ["N", 3, 4, 4])));
  return b.build();
}
const images: StepOptions = {
  ...plain,
  inputShapes: new Map([["x", [2, 3, 4, 4]]]),
  target: undefined,
  objective: ({ emit, prediction }) => emit.op("ReduceMean", [prediction], { keepdims: 0 }),
};
const kernel = (b: GraphBuilder, name: string, out = 2, channels = 3) =>
  b.constant(name, floats([out, channels, 1, 1], new Array(out * channels).fill(0.5)));
const vector = (b: GraphBuilder, name: string, shape: readonly number[], value = 1) =>
  b.constant(name, floats(shape, new Array(shape.reduce((p, d) => p * d, 1)).fill(value)));

describe("what is trained", () => {
  it("is weights and biases, not the preprocessing in front of them nor numbers that stand alone", () => {
    const graph = imageGraph((b, x) => {
      const centred = b.node("Sub", [x, vector(b, "mean", [1, 3, 1, 1])]);
      const scaled = b.node("Mul", [...centred, vector(b, "scale", [1, 3, 1, 1])]);
      const conv = b.node("Conv", [...scaled, kernel(b, "w")]);
      const shifted = b.node("Add", [...conv, vector(b, "bias", [1, 2, 1, 1])]);
      const factor = b.node("Mul", [...shifted, b.constant("half", floats([], [0.5]))]);
      const grid = b.node("Add", [...factor, vector(b, "grid", [1, 1, 4, 4])]);
      return b.node("Sigmoid", grid)[0];
    });
    expect(buildStep(graph, images).parameters).toEqual(["w", "bias"]);
  });

  it("is found behind nodes that only pass constants on", () => {
    const graph = imageGraph((b, x) => {
      const [w] = b.node("Identity", [kernel(b, "w")]);
      return b.node("Conv", [x, w])[0];
    });
    expect(buildStep(graph, images).parameters).toEqual(["w"]);
  });

  it("is one parameter where several nodes share it", async () => {
    const graph = imageGraph((b, x) => {
      const w = kernel(b, "w", 3);
      return b.node("Conv", [...b.node("Conv", [x, w]), w])[0];
    });
    const step = buildStep(graph, images);
    expect(step.parameters).toEqual(["w"]);
    const x: Feeds = new Map([["x", floats([2, 3, 4, 4], new Array(96).fill(1))]]);
    const [after] = await runSteps(step, [1], () => x);
    // Every output is Σ over 9 products of w: with all w = ½ and x = 1 the mean's slope is ½ + ½ per entry.
    expect(after.get("w")?.map((v) => Math.round(1e5 * v) / 1e5)).toEqual(
      new Array(9).fill(0.5 - 1),
    );
  });

  it("is nothing that the output does not depend on", () => {
    const graph = imageGraph((b, x) => {
      b.node("Conv", [x, kernel(b, "unused")]);
      return b.node("Conv", [x, kernel(b, "w")])[0];
    });
    const { parameters, graph: step } = buildStep(graph, images);
    expect(parameters).toEqual(["w"]);
    expect([...step.constants.keys()]).not.toContain("unused");
  });

  it("must be something", () => {
    const graph = imageGraph((b, x) => b.node("Relu", [x])[0]);
    expect(() => buildStep(graph, images)).toThrow(/no parameters/);
    const groups = [{ match: "*", isFrozen: true }];
    expect(() => buildStep(denseGraph([3, 2]), { ...dense, groups })).toThrow(/no parameters/);
  });

  it("keeps float32 copies of weights of other types", async () => {
    const b = new GraphBuilder("halves");
    b.input("x", "float16", ["N", 1]);
    b.constant("w", tensorOf("float16", [1, 1], [1]));
    b.node("MatMul", ["x", "w"], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float16", shape: ["N", 1] });
    const step = buildStep(b.build(), {
      ...images,
      inputShapes: new Map([["x", [1, 1]]]),
      objective: ({ emit, prediction }) =>
        emit.op("ReduceSum", [emit.op("Cast", [prediction], { to: 1 })], { keepdims: 0 }),
    });
    const x: Feeds = new Map([["x", tensorOf("float16", [1, 1], [1])]]);
    // Near 1 float16 has steps of 2^-11: each of these alone would be lost.
    const after = await runSteps(step, new Array(16).fill(2 ** -13), () => x);
    expect(after[15].get("w")).toEqual([1 - 2 ** -9]);
  });
});

describe("running statistics", () => {
  it("that nodes share, or that nodes compute, become their own", async () => {
    const graph = imageGraph((b, x) => {
      const [scale, bias] = [vector(b, "scale", [3]), vector(b, "bias", [3], 0)];
      const [mean] = b.node("Identity", [vector(b, "zero", [3], 0)], {}, { outputs: ["passed"] });
      const one = vector(b, "one", [3]);
      const [first] = b.node("BatchNormalization", [x, scale, bias, mean, one]);
      const [second] = b.node("Mul", [first, b.constant("three", floats([], [3]))]);
      return b.node("BatchNormalization", [second, scale, bias, mean, one])[0];
    });
    const step = buildStep(graph, images);
    verifyGraph(step.network);
    const x = floats([2, 3, 4, 4], [...randomOf(1).normals(96)]);
    const [after] = await runSteps(step, [0.1], () => new Map([["x", x]]));
    const [a, b] = step.network.nodes
      .filter(({ opType }) => opType === "BatchNormalization")
      .map(({ inputs }) => after.get(inputs[4]) ?? []);
    // 0.9 + 0.1 v: the second node sees 3 times a variance of 1 (times 32/31).
    expect(b[0]).toBeCloseTo(0.9 + (0.1 * 9 * 32) / 31, 3);
    expect(a[0]).not.toBeCloseTo(b[0], 3);
    expect(after.get("zero")).toBeUndefined();
  });
});

describe("a step", () => {
  it("computes loss, accuracy and update of softmax regression as one does by hand", async () => {
    const graph = denseGraph([3, 2]);
    const step = buildStep(graph, dense);
    const x = [1, 0, 2, -1, 1, 0.5];
    const target = tensorOf("int32", [2], [0, 1]);
    const feeds: Feeds = new Map([
      ["x", floats([2, 3], x)],
      ["target", target],
    ]);
    const data = (name: string) => Array.from(graph.constants.get(name)?.read().data ?? [], Number);
    const [w, b] = [data("w0"), data("b0")];
    const gradient = { w: new Array<number>(6).fill(0), b: [0, 0] };
    let loss = 0;
    let hits = 0;
    for (const [n, label] of [0, 1].entries()) {
      const row = x.slice(3 * n, 3 * n + 3);
      const z = [0, 1].map((k) => row.reduce((sum, v, i) => sum + v * w[2 * i + k], b[k]));
      const total = Math.log(Math.exp(z[0]) + Math.exp(z[1]));
      loss += (total - z[label]) / 2;
      hits += Number(z[label] > z[1 - label]) / 2;
      for (const k of [0, 1]) {
        const d = (Math.exp(z[k] - total) - Number(k === label)) / 2;
        gradient.b[k] += d;
        for (const [i, v] of row.entries()) gradient.w[2 * i + k] += d * v;
      }
    }
    const [after] = await runSteps(step, [0.5], () => feeds);
    for (const [i, value] of w.entries())
      expect(after.get("w0")?.[i]).toBeCloseTo(value - 0.5 * gradient.w[i], 5);
    for (const [i, value] of b.entries())
      expect(after.get("b0")?.[i]).toBeCloseTo(value - 0.5 * gradient.b[i], 5);
    const trainer = await openTrainer(encodeGraph(step.graph).chunks, step);
    const { results } = await trainer.step(
      new Map([...structuredClone(feeds), ...step.scalars(0, 0.5)]),
      [step.loss, step.accuracy ?? "", step.norm],
    );
    await trainer.close();
    const measured = [...results.values()].map((tensor) => Number(tensor.data[0]));
    const norm = Math.hypot(...gradient.w, ...gradient.b);
    for (const [i, value] of [loss, hits, norm].entries())
      expect(measured[i]).toBeCloseTo(value, 5);
  });

  it("sums objectives, and reads penalties off the parameters", async () => {
    const graph = denseGraph([3, 2]);
    const objective = sumOf(
      [1, labels()],
      [
        0.5,
        ({ emit, parameters }) =>
          emit.op("ReduceSum", [...parameters.values()].slice(0, 1), { keepdims: 0 }),
      ],
    );
    const zeros = (a: StepOptions) => runSteps(buildStep(graph, a), [1]);
    const [[without], [with_]] = [await zeros(dense), await zeros({ ...dense, objective })];
    for (const [i, value] of (without.get("w0") ?? []).entries())
      expect(with_.get("w0")?.[i]).toBeCloseTo(value - 0.5, 5);
    expect(with_.get("b0")).toEqual(without.get("b0"));
  });

  it("refuses what it can't do, by name", () => {
    expect(() => buildStep(denseGraph([3, 2]), { ...dense, output: "none" })).toThrow(/"none"/);
    expect(() =>
      buildStep(denseGraph([3, 2]), { ...dense, target: { dtype: "int32", shape: [5] } }),
    ).toThrow(/\[5\]/);
    expect(() =>
      buildStep(denseGraph([3, 2]), { ...dense, objective: ({ prediction }) => prediction }),
    ).toThrow(/rank 0/);
    const b = new GraphBuilder("custom");
    b.input("x", "float32", ["N", 3]);
    b.node("Magic", ["x"], {}, { outputs: ["y"], name: "m", domain: "other" });
    b.output("y");
    expect(() => buildStep(b.build(), dense)).toThrow(/other\.Magic "m"/);
    const fixed = imageGraph((g, x) => {
      const conv = g.node("Conv", [x, kernel(g, "w")]);
      return g.node("Reshape", [...conv, g.constant("shape", tensorOf("int64", [2], [1, -1]))])[0];
    });
    expect(() => buildStep(fixed, images)).toThrow(/batch/);
  });

  it("is small: parameters that are alike are updated together", () => {
    const step = buildStep(quadrantNetwork(), {
      ...plain,
      inputShapes: new Map([["input", [2, 1, 8, 8]]]),
      target: { dtype: "int32", shape: [2] },
    });
    expect([...step.state.keys()]).toEqual([
      "parameters",
      "statistics.mean",
      "statistics.variance",
    ]);
  });
});
