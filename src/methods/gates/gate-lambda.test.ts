/** @file How λ is chosen: Fisher information by closed form, targets, shares of the cost, coupling. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import type { Dataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { withSession } from "../../runtime/session.ts";
import { costModel } from "../../structure/cost/cost.ts";
import { structureOf } from "../../structure/units/units.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { feedingOf } from "../../train/step/feeding.ts";
import type { LearningContext } from "../method/learned-method.ts";
import { vib } from "../vib.ts";
import { gatesOf } from "./filter-gates-sites.ts";
import { incomingShares } from "./gate-coupling.ts";
import { chooseLambda, evidenceOf, unitShares } from "./gate-lambda.ts";

const folder = scratchFolder("lambda");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

/** Flatten, 64 → 8 hidden values → 4 classes, with scores of that scale. */
function hiddenNetwork(classes = 4, scale = 0.7): Graph {
  const b = new GraphBuilder("hidden");
  b.input("input", "float32", ["N", 1, 8, 8]);
  const [flat] = b.node("Flatten", ["input"], { axis: 1 });
  const first = b.constant("first.w", normals([64, 8], "first", 0.3));
  b.node("MatMul", [flat, first], {}, { outputs: ["hidden"] });
  const head = b.constant("head.w", normals([8, classes], "head", scale));
  b.node("MatMul", ["hidden", head], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", classes] });
  return b.build();
}

function contextOf(graph: Graph, more: Partial<LearningContext> = {}): LearningContext {
  const model = readModel(concatBytes(encodeGraph(graph)));
  return {
    structure: structureOf(model.graph),
    model,
    dataset,
    seed: 0,
    rules: {},
    options: {},
    training: { batchSize: 40, threads: 1, checkpoint: undefined },
    ...more,
  };
}

describe("the evidence for a gate", () => {
  it("is N times its Fisher information, which softmax regression has in closed form", async () => {
    const context = contextOf(hiddenNetwork());
    const gates = gatesOf(context.structure);
    const shares = unitShares(context, gates, "none");
    const evidence = await evidenceOf(context, gates, shares, 400);
    // All 400 samples of `fit` in one batch.
    const order = { batchSize: 400, shuffle: { seed: 0, epoch: 0 } };
    const batch = await dataset.batches("fit", order)[Symbol.asyncIterator]().next();
    const graph = hiddenNetwork();
    const types = new Map(graph.types).set("hidden", { dtype: "float32", shape: ["N", 8] });
    const { chunks } = encodeGraph({ ...graph, types, outputs: ["hidden", "logits"] });
    const feeds = feedingOf(graph, dataset, 400).feeds(batch.value, undefined);
    const results = await withSession(chunks, { threads: 1 }, (session) => session.run(feeds));
    const [hidden, logits] = ["hidden", "logits"].map((name) =>
      toNumbers(results.get(name) ?? tensorOf("float32", [0], [])),
    );
    const head = toNumbers(normals([8, 4], "head", 0.7));
    const [{ units }] = gates;
    for (const [c, unit] of units.entries()) {
      let fisher = 0;
      for (let n = 0; n < 400; n++) {
        const row = logits.slice(4 * n, 4 * n + 4).map(Math.exp);
        const total = row.reduce((a, b) => a + b, 0);
        // Var over labels of the slope h_c (W_yc - Σ p W).
        const [mean, square] = [1, 2].map((power) =>
          row.reduce((sum, p, k) => sum + (p / total) * head[4 * c + k] ** power, 0),
        );
        fisher += hidden[8 * n + c] ** 2 * (square - mean ** 2);
      }
      // Labels are drawn once for each sample.
      expect(Math.abs(evidence[unit] / fisher - 1)).toBeLessThan(0.4);
    }
  });

  it("is the same for the same seed, and draws one score's labels, too", async () => {
    const context = contextOf(hiddenNetwork());
    const gates = gatesOf(context.structure);
    const shares = unitShares(context, gates, "none");
    const first = await evidenceOf(context, gates, shares, 400);
    expect(await evidenceOf(context, gates, shares, 400)).toEqual(first);
    const binary = contextOf(hiddenNetwork(1));
    const own = gatesOf(binary.structure);
    const ones = unitShares(binary, own, "none");
    const evidence = await evidenceOf(binary, own, ones, 400);
    for (const unit of own[0].units) {
      expect(evidence[unit]).toBeGreaterThan(0);
      expect(Number.isFinite(evidence[unit])).toBe(true);
    }
  });
});

describe("λ", () => {
  it("is ln N without a target", async () => {
    const context = contextOf(quadrantNetwork());
    const gates = gatesOf(context.structure);
    const lambda = await chooseLambda(context, gates, unitShares(context, gates, "none"), 100);
    expect(lambda).toEqual({ value: Math.log(400), reason: "ln N" });
    const limited = { ...context, training: { ...context.training, limit: 100 } };
    const fewer = await chooseLambda(limited, gates, unitShares(limited, gates, "none"), 100);
    expect(fewer.value).toBe(Math.log(100));
  });

  it("with a target closes just the gates that have to close", async () => {
    const context = contextOf(hiddenNetwork());
    const { structure } = context;
    const cost = costModel(structure);
    const whole = cost(new Uint8Array(structure.units.length)).macs;
    const budgetsOf = (fraction: number) => [
      { name: "macs", fraction, remaining: (of: Uint8Array) => cost(of).macs / whole },
    ];
    const budgets = budgetsOf(0.8);
    const gates = gatesOf(structure);
    const shares = unitShares(context, gates, "none");
    const lambda = await chooseLambda({ ...context, budgets }, gates, shares, 400);
    const evidence = await evidenceOf(context, gates, shares, 400);
    // All units cost the same: of 8 at most 80 % stay, which are 6.
    expect([...gates[0].units].filter((unit) => evidence[unit] <= lambda.value)).toHaveLength(2);
    // The data hold on to more than half of them: no λ beyond ln N.
    const far = await chooseLambda({ ...context, budgets: budgetsOf(0.4) }, gates, shares, 400);
    expect(far).toEqual({ value: Math.log(400), reason: "ln N" });
    // No image tells anything of units that hardly count.
    const idle = contextOf(hiddenNetwork(4, 0.0007));
    const floor = await chooseLambda({ ...idle, budgets: budgetsOf(0.8) }, gates, shares, 400);
    expect(floor).toEqual({
      value: 1,
      reason: "Bayes' rule, because the target asks for a smaller one",
    });
    const { notes } = await vib.learn({ ...context, budgets, options: { epochs: 1 } });
    expect(notes[0]).toContain("the target");
  });
});

describe("shares", () => {
  it("of the cost are the MACs that go with a unit, 1 in the mean, and 0 for what stays", () => {
    const context = contextOf(quadrantNetwork(), { rules: {} });
    const gates = gatesOf(context.structure);
    for (const weight of ["none", "flops"] as const)
      expect([...unitShares(context, gates, weight).values()].map((own) => [...own])).toEqual([
        [1, 1, 1, 1],
      ]);
    const two = twoLayers();
    const other = contextOf(two);
    const all = gatesOf(other.structure);
    // A unit of the first layer takes 64 + 3 MACs with it, one of the second 6 + 4.
    const mean = (6 * 67 + 3 * 10) / 9;
    const shares = [...unitShares(other, all, "flops").values()];
    for (const share of shares[0]) expect(share).toBeCloseTo(67 / mean, 9);
    for (const share of shares[1]) expect(share).toBeCloseTo(10 / mean, 9);
    const kept = { ...other, rules: { except: ["first"] } };
    expect([...unitShares(kept, all, "none").values()].map((own) => [...own])).toEqual([
      [0, 0, 0, 0, 0, 0],
      [1, 1, 1],
    ]);
  });

  /** 64 → 6 → 3 → 4. */
  function twoLayers(): Graph {
    const b = new GraphBuilder("two");
    b.input("input", "float32", ["N", 1, 8, 8]);
    let [x] = b.node("Flatten", ["input"], { axis: 1 });
    const widths = [64, 6, 3, 4];
    for (const [i, name] of ["first", "second", "head"].entries()) {
      const weight = b.constant(`${name}.w`, normals([widths[i], widths[i + 1]], name));
      [x] = b.node("MatMul", [x, weight], {}, { name });
    }
    b.output(x, { dtype: "float32", shape: ["N", 4] });
    return b.build();
  }

  it("of incoming energy are those of the formula", () => {
    const { structure } = contextOf(twoLayers());
    const [first, second] = gatesOf(structure);
    const factors = new Float64Array(structure.units.length).fill(1);
    expect([...incomingShares(structure, first, factors)]).toEqual([1, 1, 1, 1, 1, 1]);
    const own = [0, 0.5, 1, 1, 0, 2];
    for (const [i, unit] of first.units.entries()) factors[unit] = own[i];
    const weight = toNumbers(normals([6, 3], "second"));
    const expected = [0, 1, 2].map((o) => {
      const [alive, all] = [own, own.map(() => 1)].map((each) =>
        each.reduce((sum, factor, i) => sum + (factor * weight[3 * i + o]) ** 2, 0),
      );
      return alive / all;
    });
    for (const [o, share] of incomingShares(structure, second, factors).entries())
      expect(share).toBeCloseTo(expected[o], 6);
  });
});
