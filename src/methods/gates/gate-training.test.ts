/** @file Random gates in training: their draws, their loss, its gradients, and where they end by formula. */
import { describe, expect, it } from "vitest";
import { normals, runGraph } from "../../../test/support/bn-network.ts";
import { expectHeldGradients, lossesOf } from "../../../test/support/step-gradient.ts";
import { runSteps } from "../../../test/support/training.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withSession } from "../../runtime/session.ts";
import { structureOf } from "../../structure/units/units.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { labels, type Objective } from "../../train/step/objectives.ts";
import { adam, sgd, withScalar } from "../../train/step/optimizers.ts";
import { buildStep } from "../../train/step/step.ts";
import type { StepOptions } from "../../train/step/step-options.ts";
import { klWeight } from "../posterior/free-energy.ts";
import { foldGates, insertGates } from "./filter-gates.ts";
import { type Gate, gatesOf } from "./filter-gates-sites.ts";
import { type GateForm, gateForms, posteriorOf, snrSquared } from "./gate-posterior.ts";
import { freeEnergy } from "./gate-training.ts";
import { insertNoisyGates, type NoisyGraph, randomizable } from "./noisy-gates.ts";

/** Two smooth convolution blocks on x [N, 2, 4, 4], the second added to the first, and a dense head. */
function smoothNetwork(): Graph {
  const b = new GraphBuilder("smooth");
  const filled = (name: string, values: readonly number[]) =>
    b.constant(name, tensorOf("float32", [values.length], values));
  const block = (x: string, name: string, from: number): string => {
    const weight = b.constant(`${name}.w`, normals([3, from, 3, 3], `${name}.w`, 0.4));
    const [y] = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] }, { name });
    const inputs = [1.2, 0.1, 0.2, 0.9].map((value, i) =>
      filled(`${name}.${i}`, [value, value + 0.1, value + 0.2]),
    );
    return b.node("BatchNormalization", [y, ...inputs], {}, { name: `${name}.bn` })[0];
  };
  b.input("x", "float32", ["N", 2, 4, 4]);
  const first = block("x", "a", 2);
  const [active] = b.node("Softplus", [first]);
  const [sum] = b.node("Add", [first, block(active, "b", 3)], {}, { outputs: ["sum"] });
  const [smooth] = b.node("Softplus", [sum]);
  const [flat] = b.node("Flatten", [smooth], { axis: 1 });
  const head = b.constant("head", normals([48, 4], "head", 0.3));
  b.node("MatMul", [flat, head], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

const gatesIn = (graph: Graph) => {
  const structure = structureOf(graph);
  return randomizable(gatesOf(structure), structure);
};
const values = (shape: readonly number[], key: string) =>
  tensorOf("float32", shape, [...randomOf(key).normals(sizeOf(shape))]);
/** The graph with other values in one constant. */
function withValues(graph: Graph, name: string, own: ArrayLike<number>): Graph {
  const changed = constantOf(name, tensorOf("float32", [own.length], own));
  return { ...graph, constants: new Map(graph.constants).set(name, changed) };
}

/** Values of a graph, for as many examples of noise. */
async function valuesOf(graph: Graph, outputs: readonly string[], examples: number) {
  const types = new Map(graph.types);
  for (const name of outputs) types.set(name, { dtype: "float32", shape: undefined });
  const { chunks } = encodeGraph({ ...graph, types, outputs });
  const x = values([examples, 2, 4, 4], "input");
  const results = await withSession(chunks, { threads: 1 }, (session) =>
    session.run(new Map([["x", x]])),
  );
  return outputs.map((name) => toNumbers(results.get(name) ?? x));
}

describe("random gates", () => {
  it("multiply a unit of an example alike at all positions, in all layers that compute it", async () => {
    const graph = smoothNetwork();
    const gates = gatesIn(graph);
    expect(gates.map(({ sites }) => sites.length)).toEqual([2]);
    const noisy = insertNoisyGates(graph, gates, "gaussian");
    const loud = withValues(
      withValues(noisy.graph, noisy.spreads[0], [-1, -1, -1]),
      noisy.names[0],
      [1, 2, 3],
    );
    const products = loud.nodes.filter(({ outputs }) =>
      gates[0].sites.some(({ value }) => outputs.includes(value)),
    );
    const examples = 512;
    const watched = products.flatMap(({ inputs: [ungated], outputs: [gated] }) => [ungated, gated]);
    const [a, gatedA, b, gatedB] = await valuesOf(loud, watched, examples);
    const factors = a.map((value, i) => gatedA[i] / value);
    const first = factors.filter((_, i) => i % 16 === 0);
    for (const [i, factor] of factors.entries()) {
      const expected = first[Math.floor(i / 16)];
      expect(Math.abs(factor - expected)).toBeLessThan(
        1e-3 * Math.abs(expected) + 1e-4 / Math.abs(a[i]),
      );
      expect(gatedB[i]).toBeCloseTo(b[i] * expected, 4);
    }
    for (const [unit, mean] of [1, 2, 3].entries()) {
      const own = first.filter((_, i) => i % 3 === unit);
      expect(new Set(own).size).toBe(examples);
      const average = own.reduce((sum, factor) => sum + factor / examples, 0);
      const variance = own.reduce((sum, factor) => sum + (factor - mean) ** 2 / examples, 0);
      expect(Math.abs(average - mean)).toBeLessThan(4 * Math.sqrt(Math.exp(-1) / examples));
      expect(Math.abs(variance / Math.exp(-1) - 1)).toBeLessThan(4 * Math.sqrt(2 / examples));
    }
  });

  it.each(gateForms)("fold at their means to the same network, in the form %s", async (form) => {
    const graph = smoothNetwork();
    const gates = gatesIn(graph);
    const { graph: noisy, names } = insertNoisyGates(graph, gates, form);
    const means = [0.5, -1.5, 0];
    const folded = foldGates(graph, withValues(noisy, names[0], means), gates, names);
    expect(folded.nodes).toEqual(graph.nodes);
    expect([...folded.constants.keys()]).toEqual([...graph.constants.keys()]);
    const x = values([4, 2, 4, 4], "x");
    const expected = await runGraph(insertGates(graph, gates, () => means).graph, x);
    const got = await runGraph(folded, x);
    for (const [i, value] of got.entries()) expect(value).toBeCloseTo(expected[i], 4);
  });

  it("need an axis of examples", () => {
    const b = new GraphBuilder("turned");
    b.input("x", "float32", ["N", 4]);
    const [turned] = b.node("Transpose", ["x"], { perm: [1, 0] });
    const first = b.constant("first", normals([6, 4], "first"));
    // Channels lie along the first axis: [6, N].
    const [hidden] = b.node("MatMul", [first, turned]);
    const second = b.constant("second", normals([3, 6], "second"));
    b.output(b.node("MatMul", [second, hidden])[0]);
    expect(gatesIn(b.build())).toEqual([]);
  });
});

/** The free energy of a network with gates at a batch of 8, λ A = 0, 1, 2, ... for the units. */
function stepOf(
  noisy: NoisyGraph,
  gates: readonly Gate[],
  form: GateForm,
  more: Partial<StepOptions> & { readonly task?: Objective } = {},
) {
  const weights = ({ units }: Gate) => Float64Array.from(units, (_, i) => i);
  const { task = labels(), ...options } = more;
  return (graph: Graph) =>
    buildStep(graph, {
      inputShapes: new Map([["x", [8, 2, 4, 4]]]),
      target: { dtype: "int32", shape: [8] },
      optimizer: withScalar(sgd({ momentum: 0 }), klWeight, () => 1 / 40),
      objective: freeEnergy(task, noisy, { gates, weights }, form),
      statistics: "frozen",
      noiseSeed: 3,
      ...options,
    });
}

describe("the free energy", () => {
  it.each(gateForms)(
    "has the gradients of finite differences with noise held: %s",
    async (form) => {
      const graph = smoothNetwork();
      const gates = gatesIn(graph);
      const noisy = insertNoisyGates(graph, gates, form);
      const [mean, spread] = [noisy.names[0], noisy.spreads[0]];
      const means = withValues(noisy.graph, mean, [0.9, 0.5, -0.3]);
      const feeds = new Map([
        ["x", values([8, 2, 4, 4], "x")],
        ["target", tensorOf("int32", [8], [0, 1, 2, 3, 0, 1, 2, 3])],
      ]);
      const build = stepOf(noisy, gates, form);
      const loud = withValues(means, spread, [-1, 0.3, -2]);
      await expectHeldGradients(build, loud, feeds, [mean, spread, "a.w", "b.1", "head"], {
        step: 2 ** -9,
      });
    },
  );

  it("is the mean loss and λ A KL over samples and positions", async () => {
    const graph = smoothNetwork();
    const gates = gatesIn(graph);
    const noisy = insertNoisyGates(graph, gates, "gaussian");
    const feeds = new Map([["x", values([8, 2, 4, 4], "x")]]);
    const nothing: Objective = ({ emit }) => emit.scalar(0);
    const kl = Math.log(1 + Math.exp(9)) / 2;
    const build = stepOf(noisy, gates, "gaussian", { task: nothing, target: undefined });
    // λ A = 0, 1, 2 for three units; λ(t) / (λ N) is 1/40; one position.
    expect((await lossesOf(build(noisy.graph), feeds))[0]).toBeCloseTo((3 * kl) / 40, 5);
    // The same network, up to a map of 4 x 4 positions.
    const map = { ...noisy.graph, outputs: ["sum"], types: new Map(noisy.graph.types) };
    map.types.set("sum", { dtype: "float32", shape: ["N", 3, 4, 4] });
    const perPixel = build(map);
    expect((await lossesOf(perPixel, feeds))[0]).toBeCloseTo((3 * kl) / 40 / 16, 5);
  });
});

describe("the gate of one feature", () => {
  const strengths = [0.5, 1.5, 3, 10];
  const [samples, lambda, variance] = [512, 4, 0.5];

  /** y_c = a_c θ_c x_c with k = n a² / (λ v), where the second layer, which stays, holds a. */
  function features(): Graph {
    const b = new GraphBuilder("features");
    const count = strengths.length;
    const diagonal = (name: string, entries: readonly number[]) => {
      const matrix = new Float64Array(count * count);
      for (const [i, entry] of entries.entries()) matrix[i * (count + 1)] = entry;
      return b.constant(name, tensorOf("float32", [count, count], matrix));
    };
    b.input("x", "float32", ["N", count]);
    const first = diagonal(
      "first",
      strengths.map(() => 1),
    );
    const second = diagonal(
      "second",
      strengths.map((k) => Math.sqrt((k * lambda * variance) / samples)),
    );
    const [hidden] = b.node("MatMul", ["x", first]);
    b.node("MatMul", [hidden, second], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", count] });
    return b.build();
  }

  /** ½ Σ over features of (y - a x)² / v, the mean over examples: -ln N(a x | y, v) up to a constant. */
  const gaussian: Objective = ({ emit, prediction, values: all }) => {
    const [x, a] = [all.get("x"), all.get("second")];
    if (x === undefined || a === undefined) throw new Error("the network has x and second");
    const error = emit.sub(prediction, emit.matmul(x, a));
    const sum = emit.op("ReduceSum", [emit.mul(error, error)], { keepdims: 0 });
    return emit.mul(sum, emit.scalar(0.5 / (variance * samples)));
  };

  it.each(gateForms)("ends where the closed form says: %s", async (form) => {
    const graph = features();
    const gates = gatesIn(graph);
    const noisy = insertNoisyGates(graph, gates, form);
    const count = 2500;
    const weights = ({ units }: Gate) => new Float64Array(units.length).fill(lambda);
    const step = buildStep(noisy.graph, {
      inputShapes: new Map([["x", [samples, strengths.length]]]),
      target: undefined,
      // Without a warm-up gates of k < 4 fall to 0 before their noise has grown, and stay there.
      optimizer: withScalar(adam(), klWeight, (at) => Math.min(1, (2 * at) / count) / samples),
      objective: freeEnergy(gaussian, noisy, { gates, weights }, form),
      groups: [
        { match: "first", isFrozen: true },
        { match: "second", isFrozen: true },
      ],
    });
    // E x² = 1 exactly.
    const raw = randomOf("features").normals(samples * strengths.length);
    const squares = strengths.map((_, c) =>
      raw.reduce((sum, v, i) => sum + (i % strengths.length === c ? v * v : 0) / samples, 0),
    );
    const x = tensorOf(
      "float32",
      [samples, strengths.length],
      raw.map((v, i) => v / Math.sqrt(squares[i % strengths.length])),
    );
    const rates = Array.from({ length: count }, (_, at) => 0.02 * (1 - at / count));
    const after = (await runSteps(step, rates, () => new Map([["x", x]]))).at(-1);
    const read = (name: string) => Float64Array.from(after?.get(name) ?? []);
    const posterior = posteriorOf(form, read(noisy.names[0]), read(noisy.spreads[0]));
    const ratios = snrSquared(posterior);
    for (const [i, k] of strengths.entries()) {
      if (k <= 1) {
        expect(ratios[i]).toBeLessThan(0.5);
        continue;
      }
      expect(posterior.means[i]).toBeCloseTo(1 - 1 / k, 1);
      expect(Math.abs((posterior.variances[i] * k) / (1 - 1 / k) - 1)).toBeLessThan(0.15);
      expect(Math.abs(ratios[i] / (k - 1) - 1)).toBeLessThan(0.2);
    }
  });
});
