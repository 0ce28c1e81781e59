/** @file Weights that begin as 0 and stay so, bit by bit, while all others learn as without them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { normals } from "../../../test/support/gradient.ts";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { denseGraph, quadrantNetwork, runSteps } from "../../../test/support/training.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { loadTensors } from "../../files/tensor-file.ts";
import { l2Penalty } from "../../grad/losses.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { openTrainer } from "../../runtime/trainer.ts";
import { weightConstants } from "../../structure/weights/layer-weights.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { train } from "../loop/train.ts";
import { withWeights } from "../network/parameters.ts";
import { emitStep } from "../network/provider-form.ts";
import { labels, type Objective } from "./objectives.ts";
import { adam, adamW, type Optimizer, sgd } from "./optimizers.ts";
import { buildStep } from "./step.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-zeros-"));
let dataset: Dataset;
beforeAll(async () => {
  const data = join(folder, "data");
  await writeQuadrants(data);
  dataset = await openDataset(data);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The graph with some elements of the weights at 0, by name. */
function thinned(graph: Graph, share: number, names?: readonly string[]): Graph {
  const random = randomOf(7, "thinned");
  const weights = [...weightConstants(graph)].filter(([name]) => names?.includes(name) ?? true);
  return withWeights(
    graph,
    new Map(
      weights.map(([name, constant]) => {
        const values = toNumbers(constant.read()).map((v) => (random.uniform() < share ? 0 : v));
        return [name, tensorOf("float32", constant.shape, values)];
      }),
    ),
  );
}

function elementsOf(graph: Graph, name: string): number[] {
  return [...toNumbers(graph.constants.get(name)?.read() ?? tensorOf("float32", [], [0]))];
}

/** +0 and nothing else. */
const isZero = (value: number) => Object.is(value, 0);

describe.each<readonly [string, Optimizer]>([
  ["SGD", sgd({ momentum: 0 })],
  ["SGD with momentum and decay", sgd({ decay: 0.1 })],
  ["Nesterov with decay", sgd({ nesterov: true, decay: 0.01 })],
  ["Adam with decay", adam({ decay: 0.1 })],
  ["AdamW", adamW({ decay: 0.2 })],
])("%s", (_, optimizer) => {
  // Σ (p - 1)² / 2 pulls every element, those at 0 too, and none depends on another.
  const pull: Objective = ({ emit, parameters }) =>
    [...parameters.values()]
      .map((p) => l2Penalty(emit, emit.sub(p, emit.filled(1, p.shape))))
      .reduce((a, b) => emit.add(a, b));
  const graph = thinned(denseGraph([3, 5, 2]), 0.5, ["w0"]);
  const stepOf = (keepsZeros: boolean) =>
    buildStep(graph, {
      inputShapes: new Map([["x", [4, 3]]]),
      target: undefined,
      objective: pull,
      optimizer,
      keepsZeros,
    });
  const rates = [0.1, 0.05, 0.2, 0.1];

  it("leaves zeros at +0 and takes all else where it would go without", async () => {
    const [kept, free] = [
      await runSteps(stepOf(true), rates),
      await runSteps(stepOf(false), rates),
    ];
    const start = elementsOf(graph, "w0");
    const zeros = start.flatMap((value, i) => (value === 0 ? [i] : []));
    expect(zeros.length).toBeGreaterThan(3);
    expect(zeros.length).toBeLessThan(start.length);
    for (const [at, weights] of kept.entries()) {
      const own = weights.get("w0") ?? [];
      expect(zeros.every((i) => isZero(own[i]))).toBe(true);
      expect(zeros.some((i) => free[at].get("w0")?.[i] !== 0)).toBe(true);
      const others = start.flatMap((value, i) => (value === 0 ? [] : [i]));
      expect(others.map((i) => own[i])).toEqual(others.map((i) => free[at].get("w0")?.[i]));
      for (const name of ["w1", "b0", "b1"])
        expect(weights.get(name), name).toEqual(free[at].get(name));
    }
  });
});

describe("a step with kept zeros", () => {
  const objective = labels();
  const target = { dtype: "int64", shape: [16] } as const;

  it("is the same step where no weight is 0, and masks no biases", () => {
    const options = {
      inputShapes: new Map([["input", [16, 1, 8, 8]]]),
      target,
      objective,
      optimizer: sgd(),
    };
    const network = quadrantNetwork(); // its biases are 0
    const [kept, free] = [true, false].map((keepsZeros) =>
      buildStep(network, { ...options, keepsZeros }),
    );
    expect(kept.graph.nodes).toEqual(free.graph.nodes);
    const sparse = buildStep(thinned(network, 0.5), { ...options, keepsZeros: true });
    const masks = sparse.graph.nodes.length - free.graph.nodes.length;
    expect(masks).toBeGreaterThan(0);
  });

  it("clips by the norm of what is trained", async () => {
    const pull: Objective = ({ emit, parameters }) =>
      [...parameters.values()]
        .map((p) => l2Penalty(emit, emit.sub(p, emit.filled(1, p.shape))))
        .reduce((a, b) => emit.add(a, b));
    const graph = thinned(denseGraph([3, 4]), 0.5);
    const step = buildStep(graph, {
      inputShapes: new Map([["x", [2, 3]]]),
      target: undefined,
      objective: pull,
      optimizer: sgd({ momentum: 0 }),
      clipNorm: 0.5,
      keepsZeros: true,
    });
    const [weights] = await runSteps(step, [1]);
    const moved = ["w0", "b0"].flatMap((name) =>
      elementsOf(graph, name).map((value, i) => (weights.get(name)?.[i] ?? 0) - value),
    );
    expect(Math.hypot(...moved)).toBeCloseTo(0.5, 5);
  });

  it("holds where convolutions are in blocked layout", async () => {
    const block = await findBlockSize();
    const b = new GraphBuilder("blocked");
    const weight = (name: string, shape: readonly number[]) =>
      b.constant(name, normals(shape, "float32", name));
    b.input("input", "float32", ["N", 16, 16, 16]);
    const same = { pads: [1, 1, 1, 1] };
    const [first] = b.node("Conv", ["input", weight("a", [32, 16, 3, 3])], same);
    const [second] = b.node("Conv", [b.node("Relu", [first])[0], weight("b", [4, 32, 3, 3])], same);
    const pooled = b.node("GlobalAveragePool", [second]);
    b.node("Flatten", pooled, { axis: 1 }, { outputs: ["logits"] });
    b.output("logits", { dtype: "float32", shape: ["N", 4] });
    const graph = thinned(b.build(), 0.6);
    const step = buildStep(graph, {
      inputShapes: new Map([["input", [8, 16, 16, 16]]]),
      target: { dtype: "int64", shape: [8] },
      objective,
      optimizer: adam(),
      keepsZeros: true,
    });
    const trainer = await openTrainer(emitStep(step.graph, {}, block), {
      state: step.state,
      initial: step.initial,
      guard: step.guard,
      threads: 1,
    });
    for (let at = 0; at < 3; at++) {
      const feeds = new Map([
        ["input", normals([8, 16, 16, 16], "float32", `x${at}`)],
        [step.target ?? "", tensorOf("int64", [8], [0, 1, 2, 3, 0, 1, 2, 3])],
        ...step.scalars(at, 0.01),
      ]);
      expect((await trainer.step(feeds, [step.loss])).status).toBe("done");
    }
    const weights = step.weightsOf(await trainer.readState());
    await trainer.close();
    for (const name of ["a", "b"]) {
      const [start, end] = [
        elementsOf(graph, name),
        [...toNumbers(weights.get(name) ?? tensorOf("float32", [], [1]))],
      ];
      expect(end.map((value) => value === 0)).toEqual(start.map((value) => value === 0));
    }
  });
});

it("survives interruptions to the same state, zeros included", async () => {
  const network = thinned(quadrantNetwork(), 0.5);
  const options = {
    epochs: 2,
    batchSize: 32,
    learningRate: 0.01,
    threads: 1,
    keepsZeros: true,
    optimizer: adamW(),
    checksMemorisation: false,
  };
  const place = (name: string) => join(folder, `${name}.safetensors`);
  const at = (path: string) => ({ path, everySteps: 5, resumes: true });
  const whole = await train(network, dataset, { ...options, checkpoint: at(place("whole")) });
  for (const stop of [3, 9, 14]) {
    const controller = new AbortController();
    const run = train(network, dataset, {
      ...options,
      checkpoint: at(place("cut")),
      signal: controller.signal,
      onProgress: ({ step }) => step >= stop && controller.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
  }
  const cut = await train(network, dataset, { ...options, checkpoint: at(place("cut")) });
  const [a, b] = [await loadTensors(place("whole")), await loadTensors(place("cut"))];
  expect([...(b?.tensors ?? [])]).toEqual([...(a?.tensors ?? [])]);
  for (const { graph } of [whole.best, whole.final, cut.final])
    for (const name of ["conv.weight", "dense.weight"]) {
      const [start, end] = [elementsOf(network, name), elementsOf(graph, name)];
      expect(start.filter(isZero).length).toBeGreaterThan(5);
      expect(end.map(isZero)).toEqual(start.map(isZero));
    }
  // It is another run than one that lets them go.
  const free = { ...options, keepsZeros: false, checkpoint: at(place("cut")) };
  await expect(train(network, dataset, free)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
});
