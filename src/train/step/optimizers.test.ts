/** @file Optimizers step by step against their published formulas, computed here in float64. */
import { describe, expect, it } from "vitest";
import { denseGraph, runSteps } from "../../../test/support/training.ts";
import { l2Penalty } from "../../grad/losses.ts";
import type { Objective } from "./objectives.ts";
import { adam, adamW, type Optimizer, sgd } from "./optimizers.ts";
import { buildStep } from "./step.ts";
import type { StepOptions } from "./step-options.ts";

/** ½ Σ p² over all parameters: the gradient of each is its own value. */
const bowl: Objective = ({ emit, parameters }) =>
  [...parameters.values()].map((p) => l2Penalty(emit, p)).reduce((a, b) => emit.add(a, b));

const graph = denseGraph([2, 3, 2]);
const options = {
  inputShapes: new Map([["x", [4, 2]]]),
  target: undefined,
  objective: bowl,
} as const;

const names = ["w0", "b0", "w1", "b1"];

function valuesOf(name: string): number[] {
  return Array.from(graph.constants.get(name)?.read().data ?? [], Number);
}

/** The parameters after each step, in order; learning rates as given. */
async function trained(
  optimizer: Optimizer,
  rates: readonly number[],
  more: Partial<StepOptions> = {},
): Promise<number[][]> {
  const step = buildStep(graph, { ...options, optimizer, ...more });
  return (await runSteps(step, rates)).map((weights) =>
    names.flatMap((name) => weights.get(name) ?? valuesOf(name)),
  );
}

/** One element: p, and what the optimizer keeps for it. */
type Element = { p: number; m: number; v: number };
type Rule = (e: Element, g: number, rate: number, t: number) => Element;

const start = names.flatMap(valuesOf);

function expected(rule: Rule, rates: readonly number[], scale = 1): number[][] {
  let elements: Element[] = start.map((p) => ({ p, m: 0, v: 0 }));
  return rates.map((rate, i) => {
    elements = elements.map((e) => rule(e, scale * e.p, rate, i + 1));
    return elements.map(({ p }) => p);
  });
}

function expectClose(got: readonly number[][], wanted: readonly number[][]): void {
  expect(got.length).toBe(wanted.length);
  for (const [i, values] of wanted.entries())
    for (const [k, value] of values.entries())
      expect(Math.abs(got[i][k] - value)).toBeLessThan(1e-6 * Math.max(1, Math.abs(value)));
}

const rates = [0.1, 0.05, 0.2, 0.1, 0.01];

const sgdRule =
  (momentum: number, decay: number, nesterov: boolean): Rule =>
  ({ p, m, v }, gradient, rate) => {
    const g = gradient + decay * p;
    const buffer = momentum * m + g;
    return { p: p - rate * (nesterov ? g + momentum * buffer : buffer), m: buffer, v };
  };

const adamRule =
  (decay: number, isDecoupled: boolean, [b1, b2] = [0.9, 0.999], epsilon = 1e-8): Rule =>
  ({ p, m, v }, gradient, rate, t) => {
    const g = isDecoupled ? gradient : gradient + decay * p;
    const [mean, square] = [b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g];
    const step = mean / (1 - b1 ** t) / (Math.sqrt(square / (1 - b2 ** t)) + epsilon);
    const kept = isDecoupled ? p - rate * decay * p : p;
    return { p: kept - rate * step, m: mean, v: square };
  };

describe("optimizers take the steps of their formulas", () => {
  it.each<readonly [string, Optimizer, Rule]>([
    ["SGD", sgd({ momentum: 0 }), sgdRule(0, 0, false)],
    ["SGD with momentum", sgd(), sgdRule(0.9, 0, false)],
    ["SGD with decay", sgd({ momentum: 0.5, decay: 0.1 }), sgdRule(0.5, 0.1, false)],
    ["Nesterov", sgd({ nesterov: true, decay: 0.01 }), sgdRule(0.9, 0.01, true)],
    ["Adam", adam(), adamRule(0, false)],
    ["Adam with decay", adam({ decay: 0.1 }), adamRule(0.1, false)],
    ["AdamW", adamW(), adamRule(0.01, true)],
    [
      "AdamW with other betas",
      adamW({ betas: [0.5, 0.9], epsilon: 1e-3, decay: 0.2 }),
      adamRule(0.2, true, [0.5, 0.9], 1e-3),
    ],
  ])("%s", async (_, optimizer, rule) => {
    expectClose(await trained(optimizer, rates), expected(rule, rates));
  });

  it("scales gradients down to the norm asked for", async () => {
    const norm = Math.hypot(...start);
    const clipNorm = norm / 4;
    const [got] = await trained(sgd({ momentum: 0 }), [0.1], { clipNorm });
    const scale = clipNorm / (norm + 1e-6);
    expectClose([got], expected(sgdRule(0, 0, false), [0.1], scale));
    const [loose] = await trained(sgd({ momentum: 0 }), [0.1], { clipNorm: 2 * norm });
    expectClose([loose], expected(sgdRule(0, 0, false), [0.1]));
  });

  it("follows groups: decay, rate and frozen parameters, the first match first", async () => {
    const groups = [
      { match: "w0", isFrozen: true },
      { match: "b*", decay: 0 },
      { match: "*", rateFactor: 0.5 },
    ];
    const [got] = await trained(sgd({ momentum: 0, decay: 0.5 }), [0.1], { groups });
    const step = (p: number, i: number) => {
      if (i < 6) return p; // w0
      if (i < 9 || i >= 15) return p - 0.1 * p; // biases
      return p - 0.05 * (p + 0.5 * p);
    };
    expectClose([got], [start.map(step)]);
  });

  it("refuses a group that names nothing, and rates that are none", async () => {
    const groups = [{ match: "conv*" }];
    expect(() => buildStep(graph, { ...options, optimizer: sgd(), groups })).toThrow(/conv\*/);
    for (const momentum of [-0.1, 1, Number.NaN])
      expect(() => sgd({ momentum })).toThrow(/momentum/);
  });
});
