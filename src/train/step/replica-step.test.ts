/** @file Replicas take the step of one session: sums of gradients, statistics, noise, and what is made of them. */
import { describe, expect, it } from "vitest";
import { denseGraph, quadrantNetwork, runSteps } from "../../../test/support/training.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import type { Feeds } from "../../runtime/values.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { openStep } from "../loop/open-step.ts";
import { frozen } from "../network/parameters.ts";
import { withCodebooks } from "./codebook-form.ts";
import { labels, type Objective, sumOf, teacher } from "./objectives.ts";
import { adam, sgd } from "./optimizers.ts";
import { sharesOf } from "./replica-step.ts";
import { buildStep, type TrainingStep } from "./step.ts";
import type { StepOptions } from "./step-options.ts";

const samples = 10;
const numbers = (shape: readonly number[], key: string) =>
  tensorOf("float32", shape, [...randomOf(key).normals(shape.reduce((a, b) => a * b, 1))]);
const x = numbers([samples, 3], "x");
const y = tensorOf("int32", [samples], [0, 1, 1, 0, 1, 0, 0, 1, 1, 1]);
const network = denseGraph([3, 8, 2]);
const options: StepOptions = {
  inputShapes: new Map([["x", [samples, 3]]]),
  target: { dtype: "int32", shape: [samples] },
  objective: labels(),
  optimizer: sgd({ momentum: 0.9 }),
};

/** The steps of the shares of so many replicas. */
function stepsOf(graph: Graph, of: StepOptions, replicas: number): readonly TrainingStep[] {
  return sharesOf(samples, replicas).map((share) => {
    const inputShapes = new Map(
      [...of.inputShapes].map(([name, shape]) => [name, shape.with(0, share)]),
    );
    const target = of.target && { ...of.target, shape: of.target.shape.with(0, share) };
    return buildStep(graph, { ...of, inputShapes, target, share: share / samples });
  });
}

interface After {
  readonly weights: ReadonlyMap<string, readonly number[]>;
  readonly state: Feeds;
  /** What the last step told: the loss, its terms, the accuracy. */
  readonly told: readonly number[];
}

/** What so many steps come to, with Dense's feeds unless others are given. */
async function taken(
  graph: Graph,
  of: StepOptions,
  replicas: number,
  { steps: count = 3, feeds = new Map([["x", x]]), labelled = y as HostTensor | undefined } = {},
): Promise<After> {
  const steps = stepsOf(graph, of, replicas);
  const [step] = steps;
  const trainer = await openStep(steps, {
    plan: { batchSize: samples, replicas, threads: replicas },
    block: undefined,
    state: step.initial,
    noiseSeed: "0",
  });
  const told = [step.loss, ...step.terms.values(), ...(step.accuracy ? [step.accuracy] : [])];
  try {
    let results: Feeds = new Map();
    for (let at = 0; at < count; at++) {
      const all = new Map([...feeds, ...step.scalars(at, 0.1)]);
      if (labelled && step.target !== undefined) all.set(step.target, labelled);
      const answer = await trainer.step(structuredClone(all), told);
      expect(answer.status).toBe("done");
      results = answer.results;
    }
    const state = await trainer.readState();
    const weights = new Map(
      [...step.weightsOf(state)].map(([name, tensor]) => [name, [...toNumbers(tensor)]]),
    );
    return { weights, state, told: told.map((name) => Number(results.get(name)?.data[0])) };
  } finally {
    await trainer.close();
  }
}

/** Expects the numbers of both to be the same up to the rounding of float32. */
function expectSame(a: After, b: After): void {
  expect([...a.weights.keys()]).toEqual([...b.weights.keys()]);
  for (const [name, values] of a.weights) {
    const scale = Math.max(...values.map(Math.abs));
    for (const [i, value] of values.entries())
      expect(Math.abs(value - (b.weights.get(name)?.[i] ?? Number.NaN)), name).toBeLessThan(
        5e-6 * scale,
      );
  }
  for (const [i, value] of a.told.entries()) expect(b.told[i]).toBeCloseTo(value, 5);
}

describe("replicas", () => {
  it("divide a batch as evenly as they can", () => {
    expect(sharesOf(10, 4)).toEqual([3, 3, 2, 2]);
    expect(sharesOf(64, 2)).toEqual([32, 32]);
    expect(sharesOf(3, 3)).toEqual([1, 1, 1]);
  });

  const penalty: Objective = ({ emit, parameters, tell }) => {
    const part = emit.op("ReduceSumSquare", [...parameters.values()].slice(0, 1), { keepdims: 0 });
    tell?.("penalty", part);
    return part;
  };
  const zeroed = constantOf(
    "w0",
    tensorOf(
      "float32",
      [3, 8],
      Float32Array.from({ length: 24 }, (_, i) => i % 3),
    ),
  );
  const sparse = { ...network, constants: new Map(network.constants).set("w0", zeroed) };
  const forms: readonly (readonly [string, Graph, Partial<StepOptions>])[] = [
    ["momentum", network, {}],
    ["Adam", network, { optimizer: adam() }],
    ["decay", network, { optimizer: sgd({ decay: 0.1, nesterov: true }) }],
    ["clipping", network, { clipNorm: 0.05 }],
    ["a penalty that is told", network, { objective: sumOf([1, labels()], [0.01, penalty]) }],
    ["a teacher", network, { teacher: denseGraph([3, 5, 2], 7), objective: teacher() }],
    ["weights that are 0 and stay so", sparse, { keepsZeros: true }],
    [
      "rounded weights",
      network,
      {
        weightSteps: new Map([
          ["w0", 0.25],
          ["w1", 0.5],
        ]),
      },
    ],
    ["groups", network, { groups: [{ match: "w0", rateFactor: 3 }, ...frozen(["b1"])] }],
  ];
  it.each(forms)("take the step of one session with %s", async (_, graph, of) => {
    const all = { ...options, ...of };
    const one = await taken(graph, all, 1);
    for (const replicas of [2, 3]) expectSame(one, await taken(graph, all, replicas));
  });

  it("train the entries of a codebook as one session does", async () => {
    const places = Int16Array.from({ length: 24 }, (_, i) => i % 3);
    const table = Float32Array.of(-0.5, 0, 0.7);
    const form = withCodebooks(network, new Map([["w0", { table, places }]]));
    const all = { ...options, groups: frozen(form.fixed) };
    expectSame(await taken(form.graph, all, 1), await taken(form.graph, all, 2));
  });

  it("begin and go on with bytes that depend on nothing but their number", async () => {
    const [a, b] = [await taken(network, options, 2), await taken(network, options, 2)];
    expect(a).toEqual(b);
  });

  it("keep the mean of the statistics that their shares have", async () => {
    const images = numbers([samples, 1, 8, 8], "images");
    const of: StepOptions = {
      ...options,
      inputShapes: new Map([["input", images.shape]]),
      // Weights stay, so that statistics of the first convolution depend on the images alone.
      groups: [{ match: "dense.bias" }, { match: "*", isFrozen: true }],
    };
    const graph = quadrantNetwork();
    const feeds = new Map([["input", images]]);
    const replicas = await taken(graph, of, 3, { steps: 1, feeds });
    // Each share alone, as one session that has no more than it.
    let from = 0;
    const expected = new Array<number>(4).fill(0);
    for (const share of sharesOf(samples, 3)) {
      const own = tensorOf(
        "float32",
        [share, 1, 8, 8],
        toNumbers(images).slice(64 * from, 64 * (from + share)),
      );
      const step = buildStep(graph, {
        ...of,
        inputShapes: new Map([["input", own.shape]]),
        target: { dtype: "int32", shape: [share] },
      });
      const labelled: Feeds = new Map([
        ["input", own],
        ["target", tensorOf("int32", [share], toNumbers(y).slice(from, from + share))],
      ]);
      const [after] = await runSteps(step, [0.1], () => labelled);
      for (const [i, value] of (after.get("bn.variance") ?? []).entries())
        expected[i] += (share / samples) * value;
      from += share;
    }
    const variance = replicas.weights.get("bn.variance") ?? [];
    expect(expected[0]).not.toBe(0);
    for (const [i, value] of expected.entries()) expect(variance[i]).toBeCloseTo(value, 5);
  });
});

describe("noise in replicas", () => {
  /** y = x (w + ε) + δ for one draw ε of the weight and a δ for each sample. */
  function noisyGraph(): Graph {
    const b = new GraphBuilder("noisy");
    b.input("x", "float32", ["N", 3]);
    const w = b.constant("w", numbers([3, 2], "w"));
    b.node("RandomNormalLike", [w], {}, { outputs: ["weight noise"] });
    b.node("Add", [w, "weight noise"], {}, { outputs: ["drawn"] });
    b.node("MatMul", ["x", "drawn"], {}, { outputs: ["product"] });
    b.node("RandomNormalLike", ["product"], {}, { outputs: ["sample noise"] });
    b.node("Add", ["product", "sample noise"], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 2] });
    return b.build();
  }
  const firstOf =
    (name: string): Objective =>
    ({ emit, values, tell }) => {
      const value = values.get(name);
      if (value === undefined) throw new Error(`no value ${name}`);
      const bounds = [0, 1].map((at) => emit.ints(value.shape.map(() => at)));
      const [start, end] = bounds;
      const first = emit.reshape(emit.op("Slice", [value, start, end]), []);
      tell?.(name, first);
      return first;
    };

  it("is one draw for weights, and other draws for other samples", async () => {
    const told = async (name: string, replicas: number) => {
      const objective = sumOf([1, labels()], [0, firstOf(name)]);
      const after = await taken(noisyGraph(), { ...options, objective }, replicas, { steps: 2 });
      return after.told[1];
    };
    // Means over the shares of the first element: of one and the same draw it is that draw itself.
    const draw = await told("weight noise", 1);
    expect(draw).not.toBe(0);
    expect(await told("weight noise", 2)).toBeCloseTo(draw, 6);
    const first = await told("sample noise", 1);
    expect(Math.abs((await told("sample noise", 2)) - first)).toBeGreaterThan(1e-3);
  });
});
