/** @file The divergence of a gate: against integrals, its slopes by formula, and both parametrisations. */
import { describe, expect, it } from "vitest";
import { GraphEmitter } from "../../grad/emitter.ts";
import { emitGradients } from "../../grad/reverse.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { withSession } from "../../runtime/session.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { emitGateKl, type GateForm, gateKl, posteriorOf, snrSquared } from "./gate-posterior.ts";

/** ∫ q ln(q / p) for q = N(μ, σ²), p = N(0, s²), by the trapezoidal rule over 12 deviations of q. */
function integratedKl(mean: number, deviation: number, prior: number): number {
  const density = (x: number, m: number, s: number) =>
    Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));
  const steps = 4000;
  const width = (24 * deviation) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const x = mean - 12 * deviation + i * width;
    const q = density(x, mean, deviation);
    const lnP = -0.5 * (x / prior) ** 2 - Math.log(prior * Math.sqrt(2 * Math.PI));
    sum += q > 0 ? q * (Math.log(q) - lnP) * width : 0;
  }
  return sum;
}

/** The least value of a convex function of ln s, by golden section. */
function least(f: (s: number) => number): number {
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [-12, 6];
  while (high - low > 1e-6) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
    if (f(Math.exp(a)) < f(Math.exp(b))) high = b;
    else low = a;
  }
  return f(Math.exp((low + high) / 2));
}

/** KL and its slopes by mean and spread, as onnxruntime computes them. */
async function emitted(form: GateForm, mean: readonly number[], spread: readonly number[]) {
  const empty = new GraphBuilder("kl").build();
  const emit = new GraphEmitter(empty, inferTypes(empty));
  const inputs = ["mean", "spread"].map((name) => emit.input(name, "float32", [mean.length]));
  const kl = emitGateKl(emit, form, inputs[0], inputs[1]);
  const total = emit.op("ReduceSum", [kl], { keepdims: 0 });
  const slopes = emitGradients(
    emit,
    total,
    inputs.map(({ name }) => name),
  );
  const filled = inputs.map((input) => slopes.get(input.name) ?? emit.op("Sub", [input, input]));
  const graph = emit.build([kl, ...filled].map(({ name }) => name));
  const feeds = new Map(
    [mean, spread].map((values, i) => [
      inputs[i].name,
      tensorOf("float32", [values.length], values),
    ]),
  );
  const results = await withSession(encodeGraph(graph).chunks, { threads: 1 }, (session) =>
    session.run(feeds),
  );
  return graph.outputs.map((name) => [
    ...toNumbers(results.get(name) ?? tensorOf("float32", [0], [])),
  ]);
}

const pairs = [
  [1, Math.exp(-4.5)],
  [1, 0.1],
  [0.5, 0.5],
  [0.1, 0.4],
  [-0.7, 0.3],
  [0, 0.2],
] as const;

describe("the divergence of a gate", () => {
  it.each(pairs)(
    "is the least over s of the integral, for μ = %f and σ = %f",
    (mean, deviation) => {
      const expected = least((s) => integratedKl(mean, deviation, s));
      expect(gateKl(mean, deviation ** 2)).toBeCloseTo(expected, 5);
    },
  );

  it("is emitted with the slopes of the formulas", async () => {
    const means = pairs.map(([mean]) => mean);
    const logs = pairs.map(([, deviation]) => 2 * Math.log(deviation));
    const [kl, byMean, bySpread] = await emitted("gaussian", means, logs);
    for (const [i, [mean, deviation]] of pairs.entries()) {
      const total = mean ** 2 + deviation ** 2;
      expect(kl[i]).toBeCloseTo(gateKl(mean, deviation ** 2), 5);
      expect(byMean[i]).toBeCloseTo(mean / total, 4);
      expect(bySpread[i]).toBeCloseTo(-(mean ** 2) / total / 2, 5);
    }
  });

  it("depends on α alone where noise is relative to the gate", async () => {
    const logs = [-9, -3, -0.5, 0, 2];
    const [kl, byMean, bySpread] = await emitted("alpha", [1, 2, -0.3, 0.01, 0.7], logs);
    for (const [i, log] of logs.entries()) {
      const alpha = Math.exp(log);
      expect(kl[i]).toBeCloseTo(Math.log(1 + 1 / alpha) / 2, 5);
      expect(byMean[i]).toBe(0);
      expect(bySpread[i]).toBeCloseTo(-0.5 / (1 + alpha), 5);
    }
  });

  it("has limits beyond which nothing pulls", async () => {
    const [, , bySpread] = await emitted("gaussian", [1, 1], [-21, 5]);
    expect(bySpread.map(Math.abs)).toEqual([0, 0]);
  });
});

describe("a posterior", () => {
  it("is the same in both forms, and so is its ratio of signal to noise", () => {
    const means = Float64Array.of(1, 0.5, -0.2);
    const variances = Float64Array.of(0.01, 0.25, 0.16);
    const logs = variances.map(Math.log);
    const relative = variances.map((variance, i) => Math.log(variance / means[i] ** 2));
    const expected = [100, 1, 0.25];
    for (const own of [posteriorOf("gaussian", means, logs), posteriorOf("alpha", means, relative)])
      for (const [i, ratio] of snrSquared(own).entries()) expect(ratio).toBeCloseTo(expected[i], 9);
  });

  it("keeps to its limits", () => {
    const { variances } = posteriorOf("gaussian", Float64Array.of(1, 1), Float64Array.of(-50, 50));
    expect([...variances]).toEqual([Math.exp(-20), Math.exp(4)]);
  });
});
