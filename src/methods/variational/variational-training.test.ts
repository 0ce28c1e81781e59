/** @file Random weights in training: the loss and its gradients, and the optimum that they lead to. */

import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { runSteps } from "../../../test/support/training.ts";
import { GraphEmitter } from "../../grad/emitter.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { withSession } from "../../runtime/session.ts";
import { openTrainer } from "../../runtime/trainer.ts";
import { structureOf } from "../../structure/units/units.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { inverse, product } from "../../tensor/linear-algebra.ts";
import { randomOf } from "../../tensor/random.ts";
import { emptyGraph } from "../../train/network/embed.ts";
import { frozen } from "../../train/network/parameters.ts";
import type { Objective } from "../../train/step/objectives.ts";
import { adam, sgd } from "../../train/step/optimizers.ts";
import { buildStep } from "../../train/step/step.ts";
import { bestPrior, filterSums, klOf } from "../posterior/posterior.ts";
import { scoreUnits } from "./snr-scores.ts";
import { insertNoise, momentsOfWeight } from "./variational.ts";
import { type NoiseForm, variationalWeights } from "./variational-layers.ts";
import { emitKl, emitTotalKl, type Prior } from "./variational-loss.ts";
import type { SigmaForm } from "./variational-noise.ts";

describe("the KL as a graph", () => {
  const means = normals([3, 4], "means");
  const numbers = toNumbers(means);
  const logsOf = (shape: readonly number[]) => normals(shape, "logs", 0.5);
  const klIn = async (logs: HostTensor, prior: Prior) => {
    const empty = emptyGraph("kl");
    const emit = new GraphEmitter(empty, inferTypes(empty));
    const [mean, log] = [means, logs].map(({ shape }) => emit.input("in", "float32", shape));
    const kl = emitKl(emit, mean, log, prior);
    const feeds = new Map([
      [mean.name, means],
      [log.name, logs],
    ]);
    const results = await withSession(
      encodeGraph(emit.build([kl.name])).chunks,
      { threads: 1 },
      (session) => session.run(structuredClone(feeds)),
    );
    return toNumbers(results.get(kl.name) ?? means)[0];
  };

  it.each([
    ["each weight", [3, 4]],
    ["each filter", [3, 1]],
  ])("is the sum of its closed form, with σ for %s", async (_, shape) => {
    const logs = logsOf(shape);
    const deviations = numbers.map((_, i) => {
      const own = toNumbers(logs);
      return Math.exp(own[own.length === 12 ? i : Math.floor(i / 4)]);
    });
    const sum = (priorOf: (i: number) => readonly [number, number]) =>
      numbers.reduce((total, mean, i) => {
        const [prior, priorMean] = priorOf(i);
        return total + klOf(mean, deviations[i], prior, priorMean);
      }, 0);
    const best = bestPrior(numbers, deviations);
    expect(await klIn(logs, { kind: "fixed", deviation: 0.7 })).toBeCloseTo(
      sum(() => [0.7, 0]),
      4,
    );
    expect(await klIn(logs, { kind: "learnt" })).toBeCloseTo(
      sum(() => [best, 0]),
      4,
    );
    const given = {
      means: normals([3, 4], "m"),
      deviations: tensorOf(
        "float32",
        shape,
        toNumbers(logsOf(shape)).map((x) => 1 + Math.abs(x)),
      ),
    };
    const [m, s] = [given.means, given.deviations].map(toNumbers);
    const expected = sum((i) => [s[s.length === 12 ? i : Math.floor(i / 4)], m[i]]);
    expect(await klIn(logs, { kind: "given", ...given })).toBeCloseTo(expected, 4);
    const centred = { ...given, means: tensorOf("float32", [3, 4], new Float64Array(12)) };
    const around0 = sum((i) => [s[s.length === 12 ? i : Math.floor(i / 4)], 0]);
    expect(await klIn(logs, { kind: "given", ...centred })).toBeCloseTo(around0, 4);
  });
});

/** Convolution, Softplus, global mean, dense: [N, 2, 5, 5] → [N, 3]. */
function smallNetwork(): Graph {
  const b = new GraphBuilder("small");
  const x = b.input("x", "float32", ["N", 2, 5, 5]);
  const conv = [
    x,
    b.constant("w", normals([4, 2, 3, 3], "w", 0.3)),
    b.constant("b", normals([4], "b", 0.1)),
  ];
  const [h] = b.node("Softplus", b.node("Conv", conv, { pads: [1, 1, 1, 1] }));
  const [flat] = b.node("Flatten", b.node("GlobalAveragePool", [h]), { axis: 1 });
  b.node("Gemm", [flat, b.constant("v", normals([4, 3], "v", 0.5))], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 3] });
  return b.build();
}

const half: Objective = ({ emit, prediction }) =>
  emit.mul(
    emit.op("ReduceMean", [emit.mul(prediction, emit.mul(prediction, prediction))], {
      keepdims: 0,
    }),
    emit.scalar(0.5),
  );

describe("the loss of random weights", () => {
  const shapes = new Map([["x", [4, 2, 5, 5]]]);
  const x = normals([4, 2, 5, 5], "data");
  const graph = smallNetwork();
  const structure = structureOf(graph);

  it.each<[NoiseForm | "auto", SigmaForm]>([
    ["local", "weight"],
    ["local", "filter"],
    ["flipout", "weight"],
    ["flipout", "filter"],
    ["weight", "filter"],
    ["auto", "weight"],
  ])(
    "has the gradients of its finite differences while noise is held: %s, σ per %s",
    async (noise, sigma) => {
      const weights = variationalWeights(structure, noise);
      const noisy = insertNoise(graph, weights, sigma, () => ({ deviation: 0.2, limit: 1 }));
      const objective: Objective = (context) => {
        const kl = emitTotalKl(context, weights, noisy, () => ({ kind: "fixed", deviation: 0.8 }));
        return context.emit.add(half(context), context.emit.mul(kl, context.emit.scalar(0.01)));
      };
      const groups = frozen(noisy.fixed);
      const at = (changed: Graph) =>
        buildStep(changed, {
          inputShapes: shapes,
          target: undefined,
          objective,
          groups,
          noiseSeed: 3,
          optimizer: sgd({ momentum: 0 }),
        });
      const step = at(noisy.graph);
      const names = ["w", "b", "v", ...noisy.logDeviations.values()];
      expect([...step.parameters].sort()).toEqual([...names].sort());
      const [after] = await runSteps(step, [1], () => new Map([["x", x]]));
      const lossAt = async (name: string, direction: ArrayLike<number>, size: number) => {
        const old = noisy.graph.constants.get(name);
        if (old === undefined) throw new Error(`no constant ${name}`);
        const values = toNumbers(old.read()).map((value, i) => value + size * direction[i]);
        const own = constantOf(name, tensorOf("float32", old.shape, values));
        const constants = new Map(noisy.graph.constants).set(name, own);
        const {
          state,
          initial,
          guard,
          graph: changed,
          loss,
          scalars,
        } = at({ ...noisy.graph, constants });
        const options = { state, initial, guard, threads: 1 };
        const trainer = await openTrainer(encodeGraph(changed).chunks, options);
        const feeds = new Map([["x", structuredClone(x)], ...scalars(0, 0)]);
        const { results } = await trainer.step(feeds, [loss]);
        await trainer.close();
        return toNumbers(results.get(loss) ?? x)[0];
      };
      for (const name of names) {
        const before = toNumbers(noisy.graph.constants.get(name)?.read() ?? x);
        const gradient = before.map((value, i) => value - (after.get(name)?.[i] ?? 0));
        const norm = Math.hypot(...gradient);
        const direction = randomOf(name).normals(before.length);
        const slope = gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
        const h = 2 ** -7;
        const [up, down] = [await lossAt(name, direction, h), await lossAt(name, direction, -h)];
        expect(norm).toBeGreaterThan(1e-3);
        expect(Math.abs((up - down) / (2 * h) - slope)).toBeLessThan(0.01 * norm + 2e-4);
      }
    },
  );
});

/** y = X w + noise, with filters of `taps` weights of which the first `active` are not 0. */
function regression(samples: number, widths: readonly number[], active: number, seed: number) {
  const [filters, taps] = widths;
  const size = filters * taps;
  const random = randomOf(seed, "regression");
  const x = Float64Array.from(random.normals(samples * size));
  const w = Float64Array.from(random.normals(size), (value, i) =>
    i < active * taps ? 0.3 * value : 0,
  );
  const y = product(x, w, samples, 1, size).map((value) => value + random.normal());
  return { x, w, y, size };
}

/** The mean-field optimum of Bayesian linear regression with noise of variance 1 and prior N(0, s²). */
function optimum(x: Float64Array, y: Float64Array, size: number, prior: number) {
  const samples = y.length;
  const precision = new Float64Array(size * size);
  const moment = new Float64Array(size);
  for (let n = 0; n < samples; n++)
    for (let i = 0; i < size; i++) {
      moment[i] += x[n * size + i] * y[n];
      for (let j = 0; j < size; j++) precision[i * size + j] += x[n * size + i] * x[n * size + j];
    }
  for (let i = 0; i < size; i++) precision[i * size + i] += 1 / prior ** 2;
  const means = product(inverse(precision, size), moment, size, 1, size);
  return { means, deviations: means.map((_, i) => 1 / Math.sqrt(precision[i * size + i])) };
}

/** The evidence score of each filter, which is above 0 where the filter should stay. */
function evidenceOf(
  posterior: { readonly means: Float64Array; readonly deviations: Float64Array },
  [filters, taps]: readonly number[],
): Float64Array {
  const own = { weight: "w", shape: [filters, taps], filterAxis: 0, prior: 1, ...posterior };
  const units = Array.from({ length: filters }, (_, index) => ({
    index,
    group: 0,
    reason: undefined,
    filters: [],
    needs: [],
  }));
  const axis = { units: units.map(({ index }) => index), filters: filterSums(own) };
  return scoreUnits({ units }, [axis], "evidence");
}

describe("variational inference", () => {
  const samples = 128;
  const prior = 1;
  const { x, y, size } = regression(samples, [6, 3], 2, 5);
  const exact = optimum(x, y, size, prior);

  /** Trains on all samples at once, with rates that fall, and gives means and deviations. */
  const trained = async (
    noise: NoiseForm,
    priorOf: Prior,
    data: Float64Array,
    target: Float64Array,
  ) => {
    const size = data.length / target.length;
    const b = new GraphBuilder("regression");
    b.input("x", "float32", ["N", size]);
    const w = b.constant("w", tensorOf("float32", [1, size], new Float64Array(size)));
    b.node("Gemm", ["x", w], { transB: 1 }, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 1] });
    const graph = b.build();
    const weights = variationalWeights(structureOf(graph), noise);
    const noisy = insertNoise(graph, weights, "weight", () => ({ deviation: 0.3, limit: 10 }));
    const count = target.length;
    // Half the mean square is -ln p(y | x) per sample, up to a constant.
    const objective: Objective = (context) => {
      const { emit, prediction, target: wanted } = context;
      if (wanted === undefined) throw new Error("no target");
      const away = emit.sub(prediction, wanted);
      const loss = emit.op("ReduceMean", [emit.mul(away, away)], { keepdims: 0 });
      const kl = emitTotalKl(context, weights, noisy, () => priorOf);
      return emit.add(emit.mul(loss, emit.scalar(0.5)), emit.mul(kl, emit.scalar(1 / count)));
    };
    const step = buildStep(noisy.graph, {
      inputShapes: new Map([["x", [count, size]]]),
      optimizer: adam(),
      objective,
      target: { dtype: "float32", shape: [count, 1] },
    });
    const steps = 3000;
    const rates = Array.from({ length: steps }, (_, t) => 0.03 * (1 - t / steps) ** 2);
    const feeds = new Map([
      ["x", tensorOf("float32", [count, size], data)],
      [step.target ?? "", tensorOf("float32", [count, 1], target)],
    ]);
    const { state, initial, guard, graph: own } = step;
    const trainer = await openTrainer(encodeGraph(own).chunks, {
      state,
      initial,
      guard,
      threads: 1,
    });
    for (const [at, rate] of rates.entries())
      await trainer.step(new Map([...structuredClone(feeds), ...step.scalars(at, rate)]), []);
    const after = step.weightsOf(await trainer.readState());
    await trainer.close();
    const constants = new Map(noisy.graph.constants);
    for (const [name, tensor] of after) constants.set(name, constantOf(name, tensor));
    return momentsOfWeight({ ...noisy.graph, constants }, noisy, weights[0], 10);
  };

  const expectClose = (
    found: { readonly means: Float64Array; readonly deviations: Float64Array },
    wanted: { readonly means: Float64Array; readonly deviations: Float64Array },
  ) => {
    for (let i = 0; i < size; i++) {
      // In units of the posterior's own deviation.
      expect(Math.abs(found.means[i] - wanted.means[i])).toBeLessThan(0.15 * wanted.deviations[i]);
      expect(Math.abs(found.deviations[i] / wanted.deviations[i] - 1)).toBeLessThan(0.1);
    }
  };

  it.each<NoiseForm>(["local", "flipout", "weight"])(
    "reaches the exact optimum of Bayesian linear regression, with noise %s",
    async (noise) =>
      expectClose(await trained(noise, { kind: "fixed", deviation: prior }, x, y), exact),
  );

  it("of one part after another is that of all data, where the first posterior is the next prior", async () => {
    // Inputs without correlation, so that the posterior is of the mean-field form.
    const data = Float64Array.from({ length: samples * size }, (_, i) => {
      const [n, k] = [Math.floor(i / size), i % size];
      return n % size === k ? 2 : 0;
    });
    const whole = optimum(data, y, size, prior);
    const cut = (samples / 2) * size;
    const first = await trained(
      "local",
      { kind: "fixed", deviation: prior },
      data.slice(0, cut),
      y.slice(0, samples / 2),
    );
    const kept: Prior = {
      kind: "given",
      means: tensorOf("float32", [1, size], first.means),
      deviations: tensorOf("float32", [1, size], first.deviations),
    };
    expectClose(await trained("local", kept, data.slice(cut), y.slice(samples / 2)), whole);
  });

  it("tells planted filters from empty ones by the evidence, in closed form and as trained", async () => {
    const [widths, active] = [[16, 9], 5];
    const isRight = (scores: Float64Array) => scores.every((score, i) => score > 0 === i < active);
    let exact = 0;
    for (let seed = 0; seed < 30; seed++) {
      const planted = regression(400, widths, active, seed);
      const inClosedForm = evidenceOf(optimum(planted.x, planted.y, 144, prior), widths);
      if (isRight(inClosedForm)) exact++;
      if (seed > 0) continue;
      const belief: Prior = { kind: "fixed", deviation: prior };
      const found = evidenceOf(await trained("local", belief, planted.x, planted.y), widths);
      expect(isRight(found)).toBe(isRight(inClosedForm));
      for (const [i, score] of found.entries())
        expect(Math.abs(score - inClosedForm[i])).toBeLessThan(1 + 0.1 * Math.abs(inClosedForm[i]));
    }
    expect(exact).toBeGreaterThanOrEqual(27);
  });
});
