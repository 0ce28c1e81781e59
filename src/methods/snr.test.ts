/** @file The method `snr`: what it learns, what its scores mean, and that it is reproducible. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { distance, normals, runGraph } from "../../test/support/bn-network.ts";
import {
  branched,
  comparable,
  contextOf,
  expectExactRemoval,
  expectSameAfterInterruptions,
  learning,
} from "../../test/support/learning.ts";
import { openQuadrants } from "../../test/support/quadrants.ts";
import { scratchFolder } from "../../test/support/scratch.ts";
import { quadrantNetwork } from "../../test/support/training.ts";
import type { Dataset } from "../data/dataset.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import { costModel } from "../structure/cost/cost.ts";
import { structureOf } from "../structure/units/units.ts";
import { applyEdits } from "../structure/weights/edits.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { recalibrate } from "../train/loop/recalibrate.ts";
import { measureMoments } from "./compensation/measured-moments.ts";
import type { LearningOptions } from "./method/learned-method.ts";
import { bestPrior, evidenceForZero } from "./posterior/posterior.ts";
import { snr } from "./snr.ts";
import { factNotes } from "./variational/posterior-facts.ts";

const folder = scratchFolder("snr");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const cases: readonly (readonly [string, Graph])[] = [
  ["sequential", quadrantNetwork()],
  ["residual", branched("Add")],
  ["skip", branched("Concat")],
];

function valuesOf(graph: Graph, name: string): Float64Array {
  const constant = graph.constants.get(name);
  if (constant === undefined) throw new Error(`no constant ${name}`);
  return toNumbers(constant.read());
}

describe.each(cases)("snr on a %s network", (_, graph) => {
  it("learns, and gives back the network that it was given, with other weights", async () => {
    const context = contextOf(graph, dataset, { epochs: "3", rate: "0.01" });
    const proposal = await snr.learn(context);
    const { history, notes } = proposal;
    expect(history[2].select?.loss).toBeLessThan(history[0].select?.loss ?? 0);
    expect(history[2].select?.value).toBeGreaterThan(0.4);
    expect(notes.length).toBeGreaterThan(0);
    expect(proposal.graph.nodes).toEqual(context.model.graph.nodes);
    expect([...proposal.graph.constants.keys()]).toEqual([...context.model.graph.constants.keys()]);
    const cost = costModel(structureOf(proposal.graph));
    const nothing = new Uint8Array(context.structure.units.length);
    expect(cost(nothing)).toEqual(costModel(context.structure)(nothing));
  });

  it("proposes a removal that computes what the masked network computes", async () => {
    const context = contextOf(graph, dataset, { epochs: "1" });
    const { own } = await expectExactRemoval(context, await snr.learn(context));
    expect(own.length).toBeGreaterThan(0);
  });

  it.each<Readonly<Record<string, string>>>([
    { score: "kl", noise: "local" },
    { score: "snr-l2", noise: "weight" },
    { score: "snr-l1", noise: "flipout" },
    { score: "snr-mean", sigma: "filter" },
    { score: "input-weighted", noise: "local", sigma: "filter" },
    { score: "importance-snr", prior: "learnt" },
    { score: "loss", normalization: "gamma" },
    { score: "evidence", prior: "learnt", sigma: "filter" },
    { normalization: "gamma" },
    { normalization: "gamma", score: "snr-l2", prior: "learnt" },
    { epochs: "0", compensate: "off" },
  ])("scores every unit that may go, with %o", async (options) => {
    const context = contextOf(graph, dataset, { epochs: "1", ...options });
    const { scores } = await snr.learn(context);
    expect(scores.some(Number.isNaN)).toBe(false);
    for (const { index, reason } of context.structure.units)
      if (reason === undefined) expect(Number.isFinite(scores[index])).toBe(true);
  });
});

describe("snr", () => {
  it("is the same each time, and after interruptions", async () => {
    const graph = branched("Add");
    const resultOf = async (training: LearningOptions) => {
      const context = contextOf(graph, dataset, { epochs: "2" }, { training });
      return comparable(context, await snr.learn(context));
    };
    await expectSameAfterInterruptions(resultOf, (name) => join(folder, name), [7, 13]);
  });

  it("draws other noise with another seed", async () => {
    const of = async (seed: number) => {
      const context = { ...contextOf(quadrantNetwork(), dataset, { epochs: "1" }), seed };
      return (await snr.learn(context)).posteriors[0].means;
    };
    expect(await of(1)).not.toEqual(await of(2));
  });

  it("makes up for a filter whose result is the same for all samples, without normalization", async () => {
    const b = new GraphBuilder("dense");
    b.input("input", "float32", ["N", 1, 8, 8]);
    const [flat] = b.node("Flatten", ["input"], { axis: 1 });
    const weight = normals([64, 5], "w", 0.2);
    const values = toNumbers(weight).map((value, i) => (i % 5 === 2 ? 0 : value));
    const bias = tensorOf("float32", [5], [0.1, 0.2, 0.7, -0.1, 0.3]);
    const dense = [
      flat,
      b.constant("w", tensorOf("float32", [64, 5], values)),
      b.constant("b", bias),
    ];
    const [h] = b.node("Relu", b.node("Gemm", dense));
    const head = [h, b.constant("v", normals([5, 4], "v")), b.constant("c", normals([4], "c"))];
    b.node("Gemm", head, {}, { outputs: ["logits"] });
    b.output("logits", { dtype: "float32", shape: ["N", 4] });
    const graph = b.build();
    const context = contextOf(graph, dataset, { epochs: "0", score: "snr-l2" });
    const { scores, edits } = await snr.learn(context);
    const unit = context.structure.filterAxes[0].units[2];
    expect(Math.min(...scores)).toBe(scores[unit]);
    const removed = new Uint8Array(scores.length);
    removed[unit] = 1;
    const own = edits(removed);
    expect(own).toHaveLength(1);
    const small = removeUnits(structureOf(applyEdits(graph, own)), removed);
    const x = normals([3, 1, 8, 8], "x");
    const [before, after] = [await runGraph(graph, x), await runGraph(small, x)];
    expect(distance(before, after)).toBeLessThan(1e-5);
  });

  it("scores single weights by the ratio of signal to noise", async () => {
    const context = contextOf(quadrantNetwork(), dataset, { epochs: "2", level: "weights" });
    const { posteriors, weightScores } = await snr.learn(context);
    expect(weightScores?.size).toBe(2);
    for (const { weight, means, deviations } of posteriors) {
      const scores = weightScores?.get(weight);
      expect(scores).toHaveLength(means.length);
      for (const [i, mean] of means.entries())
        expect(scores?.[i]).toBeCloseTo(Math.abs(mean) / deviations[i], 9);
    }
    const filters = contextOf(quadrantNetwork(), dataset, { epochs: "0" });
    expect((await snr.learn(filters)).weightScores).toBeUndefined();
  });

  it("follows a teacher", async () => {
    const training = { ...learning, teacher: quadrantNetwork() };
    const options = { epochs: "3", rate: "0.01" };
    const { history } = await snr.learn(contextOf(branched("Add"), dataset, options, { training }));
    expect(history[2].select?.loss).toBeLessThan(history[0].select?.loss ?? 0);
  });

  it.each(["epochs=1.5", "epochs=-1", "rate=0", "rate=fast", "lambda=-1", "images=0"])(
    "refuses %s",
    async (option) => {
      const [name, value] = option.split("=");
      const learnt = snr.learn(contextOf(branched("Add"), dataset, { [name]: value }));
      await expect(learnt).rejects.toMatchObject({ code: "USAGE", data: { option: name } });
    },
  );

  it("refuses evidence where normalization makes it meaningless", async () => {
    const options = { normalization: "gamma", score: "evidence" };
    const learnt = snr.learn(contextOf(branched("Add"), dataset, options));
    await expect(learnt).rejects.toMatchObject({ code: "USAGE" });
  });

  it("measures statistics without noise where training took those of batches", async () => {
    const options = { epochs: "1", normalization: "gamma" };
    const { graph, posteriors } = await snr.learn(contextOf(branched("Concat"), dataset, options));
    expect(posteriors.map(({ weight }) => weight)).toEqual(["a.w", "b.w", "head.w", "a.0", "b.0"]);
    const again = await recalibrate(graph, dataset, { limit: 2000, threads: 1 });
    for (const name of ["a.2", "a.3", "b.2", "b.3"])
      expect(valuesOf(graph, name)).toEqual(valuesOf(again.graph, name));
  });

  it("refuses a network without weights", async () => {
    const b = new GraphBuilder("empty");
    b.input("input", "float32", ["N", 1, 8, 8]);
    b.output(b.node("Flatten", ["input"], { axis: 1 })[0], { dtype: "float32", shape: ["N", 64] });
    const learnt = snr.learn(contextOf(b.build(), dataset));
    await expect(learnt).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });
});

describe("the posterior", () => {
  it("begins with σ a tenth, and a prior three times, the root mean square of the layer", async () => {
    const graph = quadrantNetwork();
    const { posteriors } = await snr.learn(contextOf(graph, dataset, { epochs: "0" }));
    expect(posteriors.map(({ weight }) => weight)).toEqual(["conv.weight", "dense.weight"]);
    for (const { weight, means, deviations, prior } of posteriors) {
      const values = valuesOf(graph, weight);
      const rms = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
      expect(means).toEqual(values);
      for (const deviation of deviations) expect(deviation / (rms / 10)).toBeCloseTo(1, 5);
      expect(prior / Math.max(0.1, 3 * rms)).toBeCloseTo(1, 5);
    }
  });

  it("without training goes by the norms of filters, for a layer of them", async () => {
    const graph = quadrantNetwork();
    const context = contextOf(graph, dataset, { epochs: "0", score: "snr-l2" });
    const { scores } = await snr.learn(context);
    const filters = valuesOf(graph, "conv.weight");
    const norms = [0, 1, 2, 3].map((o) => Math.hypot(...filters.slice(9 * o, 9 * o + 9)));
    const units = [...context.structure.filterAxes[0].units];
    const by = (values: (o: number) => number) =>
      [0, 1, 2, 3].sort((a, b) => values(a) - values(b));
    expect(by((o) => scores[units[o]])).toEqual(by((o) => norms[o]));
  });

  it("goes back to the prior where nothing depends on a filter, whose score is then near 0", async () => {
    const dead = new Set([1, 4]);
    const b = new GraphBuilder("planted");
    const x = b.input("input", "float32", ["N", 1, 8, 8]);
    const conv = b.node("Conv", [x, b.constant("w", normals([6, 1, 3, 3], "w", 0.5))]);
    const [h] = b.node("Relu", conv);
    const channels = [0, 1, 2, 3, 4, 5].map((c) => (dead.has(c) ? 0 : 1));
    const isRead = b.constant("is read", tensorOf("bool", [1, 6, 1, 1], channels));
    const zero = b.constant("zero", tensorOf("float32", [], [0]));
    const [seen] = b.node("Where", [isRead, h, zero]);
    const [flat] = b.node("Flatten", [seen], { axis: 1 });
    const head = b.constant("head", normals([216, 4], "head", 0.1));
    b.node("MatMul", [flat, head], {}, { outputs: ["logits"] });
    b.output("logits", { dtype: "float32", shape: ["N", 4] });
    const context = contextOf(b.build(), dataset, { epochs: "12", rate: "0.02", lambda: "1" });
    const { posteriors, facts, scores } = await snr.learn(context);
    const [{ means, deviations, prior }] = posteriors;
    for (const c of dead)
      for (let i = 9 * c; i < 9 * c + 9; i++) {
        expect(Math.abs(means[i])).toBeLessThan(0.1 * prior);
        expect(deviations[i] / prior).toBeGreaterThan(0.9);
      }
    expect(facts.map(({ units, dead }) => [units, dead])).toEqual([[6, 2]]);
    const { units } = context.structure.filterAxes[0];
    for (const [c, unit] of units.entries())
      if (dead.has(c)) expect(scores[unit]).toBeLessThan(0.01);
      else expect(scores[unit]).toBeGreaterThan(1);
  });

  it("says so when it had no time to go back to the prior", async () => {
    const warningsOf = async (rate: string) =>
      (await snr.learn(contextOf(quadrantNetwork(), dataset, { epochs: "1", rate }))).warnings;
    // 12 steps of 10 times the rate, over ln 30 at least.
    expect(await warningsOf("0.001")).toEqual([
      expect.stringMatching(/^12 steps are too few .* needs 3\d\d .*snr-l2 suffers less/),
    ]);
    expect(await warningsOf("0.05")).toEqual([]);
  });

  it("under a learnt prior is measured against the one that fits it best", async () => {
    const context = contextOf(quadrantNetwork(), dataset, { epochs: "1", prior: "learnt" });
    for (const { means, deviations, prior } of (await snr.learn(context)).posteriors)
      expect(prior).toBeCloseTo(bestPrior(means, deviations), 12);
  });

  it("is kept for the next round as its prior, pruned as the network is", async () => {
    const options = { epochs: "2", rate: "0.01", posterior: "keep" };
    const context = contextOf(branched("Add"), dataset, options);
    const first = await snr.learn(context);
    const { memory, graph, posteriors } = first;
    if (memory === undefined) throw new Error("nothing is remembered");
    const removed = new Uint8Array(context.structure.units.length);
    removed[context.structure.filterAxes[0].units[1]] = 1;
    const small = removeUnits(structureOf(graph), removed);
    const smallMemory = removeUnits(structureOf(memory), removed);
    // The filter's row and the readers' columns are gone from deviations as from weights.
    expect(valuesOf(smallMemory, "b.w")).toHaveLength(5 * 5 * 9);
    const [own] = posteriors;
    expect(valuesOf(smallMemory, "a.w")).toHaveLength(5 * 9);
    expect(valuesOf(smallMemory, "a.w")[9]).toBeCloseTo(own.deviations[18], 6);

    const next = { ...contextOf(small, dataset, { ...options, epochs: "0" }), memory: smallMemory };
    const unchanged = await snr.learn(next);
    for (const { weight, deviations } of unchanged.posteriors)
      for (const [i, deviation] of valuesOf(smallMemory, weight).entries())
        expect(deviations[i] / deviation).toBeCloseTo(1, 4);
    // A strong prior holds the weights where they are, to about the deviations that are known.
    const held = {
      ...contextOf(small, dataset, { ...options, lambda: "1000" }),
      memory: smallMemory,
    };
    const { posteriors: after } = await snr.learn(held);
    for (const { weight, means } of after) {
      const [before, deviations] = [valuesOf(small, weight), valuesOf(smallMemory, weight)];
      const moved = means.map((mean, i) => Math.abs(mean - before[i]) / deviations[i]);
      expect(Math.max(...moved)).toBeLessThan(1);
    }
    // Without that option every layer begins anew, with one deviation.
    const anew = { ...contextOf(small, dataset, { epochs: "0" }), memory: smallMemory };
    for (const { deviations } of (await snr.learn(anew)).posteriors)
      expect(new Set(deviations).size).toBe(1);
  });

  it("by the evidence is told for two priors", async () => {
    const context = contextOf(quadrantNetwork(), dataset, { epochs: "2", score: "evidence" });
    const { notes, posteriors, scores } = await snr.learn(context);
    const { units } = context.structure.filterAxes[0];
    const [{ means, deviations, prior }] = posteriors;
    const against = (width: number) =>
      [...units.keys()].filter((o) => {
        const own = [...means.keys()].slice(9 * o, 9 * o + 9);
        const evidence = (i: number) => evidenceForZero(means[i], deviations[i], width * prior);
        return own.reduce((sum, i) => sum + evidence(i), 0) > 0;
      }).length;
    expect(notes).toContain(
      `the evidence speaks against ${against(1)} units; with a prior 3 times as wide, against ${against(3)}`,
    );
    expect([...units].filter((unit) => scores[unit] < 0)).toHaveLength(against(1));
  });

  it("is told group by group, and for the worst groups where there are many", () => {
    const fact = (index: number) => ({
      group: `g${index}`,
      units: 10,
      members: [],
      dead: index,
      kl: [1, 2, 300],
      snr: [0.1, 0.2, 3],
    });
    expect(factNotes([fact(3)])).toEqual([
      "g3: the data say nothing about 3 of 10 units (KL from 1 over 2 to 300 nats)",
    ]);
    const many = factNotes([1, 2, 3, 4, 5, 6, 7, 8].map(fact));
    expect(many).toHaveLength(7);
    expect(many[0]).toContain("g3");
    expect(many[6]).toContain("2 more groups");
  });
});

describe("the moments of inputs", () => {
  it("are means over what a layer is given, by channel", async () => {
    const graph = quadrantNetwork();
    const values = [
      { value: "input", axis: 1 },
      { value: "flat", axis: -1 },
    ];
    const moments = await measureMoments(graph, values, {
      dataset,
      training: learning,
      images: 64,
      seed: 3,
    });
    const order = { batchSize: 64, shuffle: { seed: 3, epoch: 0 } };
    const batch = await dataset.batches("fit", order)[Symbol.asyncIterator]().next();
    expect(moments.get("flat")?.mean).toHaveLength(64);
    const pixels = toNumbers(batch.value.input);
    const expected = pixels.reduce((sum, value) => sum + value ** 2, 0) / pixels.length;
    expect(moments.get("input")?.power[0]).toBeCloseTo(expected, 5);
    const mean = pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
    expect(moments.get("input")?.mean[0]).toBeCloseTo(mean, 5);
  });
});
