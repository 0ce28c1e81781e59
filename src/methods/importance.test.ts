/** @file The method `importance`: what it learns, what its scores mean, and that it is reproducible. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { normals } from "../../test/support/bn-network.ts";
import {
  branched,
  comparable,
  contextOf as contextOn,
  expectExactRemoval,
  expectSameAfterInterruptions,
  learning,
} from "../../test/support/learning.ts";
import { openQuadrants } from "../../test/support/quadrants.ts";
import { scratchFolder } from "../../test/support/scratch.ts";
import { quadrantNetwork } from "../../test/support/training.ts";
import type { Dataset } from "../data/dataset.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { constantOf, type Graph } from "../ir/graph.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { withSession } from "../runtime/session.ts";
import { costModel } from "../structure/cost/cost.ts";
import { structureOf } from "../structure/units/units.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { feedingOf } from "../train/step/feeding.ts";
import { foldGates, insertGates, scaleFilters } from "./gates/filter-gates.ts";
import { type Gate, gatesOf } from "./gates/filter-gates-sites.ts";
import { taylorScores } from "./gates/gate-taylor.ts";
import { absoluteFactors, magnitudes } from "./importance/importance-scores.ts";
import { type StartName, startOf } from "./importance/importance-start.ts";
import { importance } from "./importance.ts";
import { allMethods, anyMethodNamed, learnedMethods } from "./learned-registry.ts";
import type { LearningContext, LearningOptions } from "./method/learned-method.ts";
import { textOf } from "./method/options.ts";
import { methodNamed } from "./registry.ts";

const folder = scratchFolder("importance");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const contextOf = (
  graph: Graph,
  options: Readonly<Record<string, string>> = {},
  more: Partial<LearningContext> = {},
) => contextOn(graph, dataset, options, more);

function replaced(
  graph: Graph,
  name: string,
  change: (values: Float64Array) => Float64Array,
): Graph {
  const old = graph.constants.get(name);
  if (old === undefined) throw new Error(`no constant ${name}`);
  const tensor = tensorOf(old.dtype, old.shape, change(toNumbers(old.read())));
  return { ...graph, constants: new Map(graph.constants).set(name, constantOf(name, tensor)) };
}

const cases: readonly (readonly [string, Graph])[] = [
  ["sequential", quadrantNetwork()],
  ["residual", branched("Add")],
  ["skip", branched("Concat")],
];

describe.each(cases)("importance on a %s network", (_, graph) => {
  const fast = { epochs: "2", rate: "0.02" };

  it("learns, and gives back the network that it was given, with other weights", async () => {
    const context = contextOf(graph, fast);
    const proposal = await importance.learn(context);
    const { history, notes } = proposal;
    expect(history[1].loss).toBeLessThan(history[0].loss);
    expect(history[1].select?.value).toBeGreaterThan(0.4);
    expect(notes).toEqual([]);
    expect(proposal.graph.nodes).toEqual(context.model.graph.nodes);
    expect([...proposal.graph.constants.keys()]).toEqual([...context.model.graph.constants.keys()]);
    const cost = costModel(structureOf(proposal.graph));
    const nothing = new Uint8Array(context.structure.units.length);
    expect(cost(nothing)).toEqual(costModel(context.structure)(nothing));
  });

  it("proposes a removal that computes what the masked network computes", async () => {
    const context = contextOf(graph, { epochs: "1" });
    const { removed, own } = await expectExactRemoval(context, await importance.learn(context));
    expect(own.length).toBeGreaterThan(0);
    const plain = await importance.learn(contextOf(graph, { epochs: "0", compensate: "off" }));
    expect(plain.edits(removed)).toEqual([]);
  });

  it.each<Readonly<Record<string, string>>>([
    { score: "taylor" },
    { score: "magnitude" },
    { score: "absolute" },
    { score: "absolute", weights: "frozen", penalty: "0.01" },
    { init: "uniform", statistics: "batch" },
    { init: "normal" },
    { init: "l1" },
    { init: "l2", score: "magnitude" },
    { init: "entropy" },
    { init: "std", score: "absolute" },
    { epochs: "0" },
  ])("scores every unit that may go, with %o", async (options) => {
    const context = contextOf(graph, { epochs: "1", ...options });
    const { scores } = await importance.learn(context);
    expect(scores.some(Number.isNaN)).toBe(false);
    for (const { index, reason } of context.structure.units)
      expect(Number.isFinite(scores[index])).toBe(reason === undefined);
  });
});

describe("importance", () => {
  it("is the same each time, and after interruptions", async () => {
    const graph = branched("Add");
    const resultOf = async (training: LearningOptions) => {
      const context = contextOf(graph, {}, { training });
      return comparable(context, await importance.learn(context));
    };
    await expectSameAfterInterruptions(resultOf, (name) => join(folder, name), [7, 13]);
  });

  it("leaves weights alone when told so, and moves factors by their penalty", async () => {
    const graph = branched("Add");
    const still = { weights: "frozen", rate: "0.1" };
    const [free, pressed] = await Promise.all(
      ["0", "0.05"].map((penalty) => importance.learn(contextOf(graph, { ...still, penalty }))),
    );
    const read = (of: Graph, name: string) => toNumbers(of.constants.get(name)?.read() ?? none);
    expect(read(free.graph, "a.w")).toEqual(read(graph, "a.w"));
    const size = (of: Graph) => read(of, "b.0").reduce((sum, value) => sum + Math.abs(value), 0);
    expect(size(pressed.graph)).toBeLessThan(size(free.graph) - 0.5);
  });

  it("follows a teacher", async () => {
    const teacher = quadrantNetwork();
    const context = contextOf(branched("Add"), {}, { training: { ...learning, teacher } });
    const { history } = await importance.learn(context);
    expect(history[1].loss).toBeLessThan(history[0].loss);
  });

  it.each(["epochs=1.5", "epochs=-1", "rate=0", "rate=fast", "penalty=-1", "images=0", "images="])(
    "refuses %s",
    async (option) => {
      const [name, value] = option.split("=");
      const learning = importance.learn(contextOf(branched("Add"), { [name]: value }));
      await expect(learning).rejects.toMatchObject({ code: "USAGE", data: { option: name } });
    },
  );

  it("refuses a network in which nothing can go", async () => {
    const b = new GraphBuilder("dense");
    b.input("input", "float32", ["N", 1, 8, 8]);
    const weight = b.constant("w", normals([64, 4], "w"));
    const flat = b.node("Flatten", ["input"], { axis: 1 });
    b.output(b.node("MatMul", [...flat, weight])[0], { dtype: "float32", shape: ["N", 4] });
    const learning = importance.learn(contextOf(b.build()));
    await expect(learning).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });
});

const none = tensorOf("float32", [0], []);

describe("the scores", () => {
  /** Channels 1 and 4 of the first block, and 2 of the second, are read with weights of 0. */
  const planted = replaced(
    replaced(branched("Concat"), "head.w", (values) =>
      // Four features for each of 12 channels, the second block's first; four classes.
      values.map((value, i) => ([2, 7, 10].includes(Math.floor(i / 16)) ? 0 : value)),
    ),
    "b.w",
    (values) => values.map((value, i) => ([1, 4].includes(Math.floor(i / 9) % 6) ? 0 : value)),
  );

  it.each<Readonly<Record<string, string>>>([
    { epochs: "0" },
    { epochs: "2", weights: "frozen" },
    { epochs: "1", rate: "0.001" },
  ])("are lowest for channels that nobody looks at, with %o", async (options) => {
    const context = contextOf(planted, options);
    const { scores } = await importance.learn(context);
    const { units, filterAxes } = context.structure;
    const dead = [...[1, 4].map((channel) => filterAxes[0].units[channel]), filterAxes[1].units[2]];
    const order = units
      .filter(({ reason }) => reason === undefined)
      .map(({ index }) => index)
      .sort((a, b) => scores[a] - scores[b]);
    expect(order.slice(0, 3).sort()).toEqual(dead.sort());
  });

  it("by Taylor are the finite differences of each example's loss", async () => {
    const graph = branched("Add");
    const gates = gatesOf(structureOf(graph));
    const images = 32;
    const scores = await taylorScores(graph, gates, dataset, {
      training: learning,
      images,
      seed: 5,
    });
    const order = { batchSize: images, shuffle: { seed: 5, epoch: 0 } };
    const batch = await dataset.batches("fit", order)[Symbol.asyncIterator]().next();
    const step = 1 / 64;
    for (const gate of gates)
      for (const [i, score] of (scores.get(gate) ?? []).entries()) {
        const lossesAt = async (factor: number) => {
          const gated = insertGates(graph, gates, (own) =>
            Array.from(own.units, (_, k) => (own === gate && k === i ? factor : 1)),
          );
          const feeds = feedingOf(graph, dataset, images).feeds(batch.value, undefined);
          const results = await withSession(
            encodeGraph(gated.graph).chunks,
            { threads: 1 },
            (session) => session.run(feeds),
          );
          const logits = toNumbers([...results.values()][0]);
          return Array.from({ length: images }, (_, n) => {
            const row = logits.slice(4 * n, 4 * n + 4);
            const total = row.reduce((sum, z) => sum + Math.exp(z), 0);
            return Math.log(total) - row[batch.value.labels[n]];
          });
        };
        const [up, down] = [await lossesAt(1 + step), await lossesAt(1 - step)];
        const slopes = up.map((loss, n) => (loss - down[n]) / (2 * step));
        const expected = slopes.reduce((sum, slope) => sum + slope ** 2 / images, 0);
        expect(Math.abs(score - expected)).toBeLessThan(0.02 * expected + 1e-9);
      }
  }, 60_000);

  it("do not change when filters are scaled and factors undo it", () => {
    for (const graph of [quadrantNetwork(), branched("Add")]) {
      const gates = gatesOf(structureOf(graph));
      const draw = (key: string) => (gate: Gate) =>
        randomOf(key, gate.group)
          .uniforms(gate.units.length)
          .map((u) => 0.25 + u);
      const [factors, scale] = [draw("factors"), draw("scale")];
      const scoresFor = (start: Graph, own: (gate: Gate) => Float32Array) => {
        const { graph: trained, names } = insertGates(start, gates, own);
        const folded = foldGates(start, trained, gates, names);
        return gates.map((gate) => [...magnitudes(folded, gate)]);
      };
      const plain = scoresFor(graph, factors);
      const scaled = scoresFor(scaleFilters(graph, gates, scale), (gate) =>
        factors(gate).map((factor, i) => factor / scale(gate)[i]),
      );
      for (const [g, values] of plain.entries())
        for (const [i, value] of values.entries()) expect(scaled[g][i]).toBeCloseTo(value, 5);
    }
  });

  it("by the factors alone are the factors, whatever became of the filters", () => {
    const graph = branched("Add");
    const gates = gatesOf(structureOf(graph));
    const factors = (gate: Gate) => gate.units.map((_, i) => i - 2);
    const { graph: gated, names } = insertGates(graph, gates, factors);
    const folded = foldGates(graph, gated, gates, names);
    for (const gate of gates)
      for (const [i, value] of absoluteFactors(folded, graph, gate).entries())
        expect(value).toBeCloseTo(Math.abs(i - 2), 6);
  });
});

describe("the factors at the start", () => {
  const graph = quadrantNetwork();
  const gates = gatesOf(structureOf(graph));
  const filters = toNumbers(graph.constants.get("conv.weight")?.read() ?? none);
  const rows = [0, 1, 2, 3].map((o) => [...filters.slice(9 * o, 9 * o + 9)]);
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const deviation = (row: readonly number[]) =>
    Math.sqrt(mean(row.map((value) => (value - mean(row)) ** 2)));

  it.each<[StartName, (row: readonly number[]) => number]>([
    ["l1", (row) => mean(row.map(Math.abs))],
    ["l2", (row) => Math.hypot(...row)],
    ["std", deviation],
  ])("%s are the filter's, relative to the layer's mean", (start, measure) => {
    const expected = rows.map(measure);
    const factors = [...startOf(graph, gates, start, 0).factors.values()][0];
    for (const [i, factor] of factors.entries())
      expect(factor).toBeCloseTo(expected[i] / mean(expected), 6);
  });

  it("entropy is that of the filter's histogram", () => {
    // Ten bins from 0 to 9: one filter in one bin, one in two, one in three, one in nine.
    const chosen = [
      [0, 0, 0, 0, 0, 0, 0, 0, 0],
      [0, 0, 0, 9, 9, 9, 9, 9, 9],
      [0, 0, 0, 5, 5, 5, 9, 9, 9],
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    ];
    const own = replaced(graph, "conv.weight", () => Float64Array.from(chosen.flat()));
    const factors = [...startOf(own, gates, "entropy", 0).factors.values()][0];
    const entropies = [0, Math.log(3) - (2 / 3) * Math.log(2), Math.log(3), Math.log(9)];
    for (const [i, entropy] of entropies.entries())
      expect(factors[i]).toBeCloseTo(Math.max(0.05, entropy / mean(entropies)), 6);
  });

  it.each<StartName>(["ones", "l1", "l2", "entropy", "std"])(
    "%s keep what the network computes",
    async (start) => {
      for (const network of [graph, branched("Add")]) {
        const own = gatesOf(structureOf(network));
        const started = startOf(network, own, start, 0);
        const gated = insertGates(started.graph, own, (gate) => started.factors.get(gate) ?? []);
        const feeds = new Map([["input", normals([3, 1, 8, 8], "x")]]);
        const run = async (of: Graph) => {
          const results = await withSession(encodeGraph(of).chunks, { threads: 1 }, (session) =>
            session.run(structuredClone(feeds)),
          );
          return toNumbers([...results.values()][0]);
        };
        const [expected, actual] = [await run(network), await run(gated.graph)];
        const largest = Math.max(...expected.map(Math.abs));
        for (const [i, value] of actual.entries())
          expect(Math.abs(value - expected[i]) / largest).toBeLessThan(2e-6);
      }
    },
  );

  it("are drawn by seed", () => {
    const drawn = (start: StartName, seed: number) => [
      ...startOf(graph, gates, start, seed).factors.values(),
    ];
    for (const start of ["uniform", "normal"] as const) {
      expect(drawn(start, 1)).toEqual(drawn(start, 1));
      expect(drawn(start, 2)).not.toEqual(drawn(start, 1));
    }
    expect(drawn("uniform", 1)[0].every((factor) => factor >= 0 && factor < 1)).toBe(true);
    expect(drawn("normal", 1)[0].every((factor) => Math.abs(factor - 1) < 0.6)).toBe(true);
  });
});

describe("the registry of all methods", () => {
  it("names each method once, with defaults that are allowed, also as they are written", () => {
    expect(new Set(allMethods.map(({ name }) => name)).size).toBe(allMethods.length);
    for (const { options } of allMethods)
      for (const option of Object.values(options)) {
        expect(option.read(option.default)).toBe(option.default);
        expect(option.read(textOf(option.default))).toBe(option.default);
      }
  });

  it.each(learnedMethods.map(({ name }) => name))(
    "sends those who prune with %s to compress",
    (name) => {
      expect(() => methodNamed(name)).toThrow(
        expect.objectContaining({
          code: "METHOD_NEEDS_DATA",
          hint: expect.stringMatching(
            new RegExp(`espalier compress .*--method ${name} .*compressRun`),
          ),
        }),
      );
    },
  );

  it("finds those that train and those that do not, and knows what it lacks", () => {
    expect(anyMethodNamed("importance")).toBe(importance);
    expect(anyMethodNamed("bn").needs.data).toBe(false);
    expect(() => anyMethodNamed("guess")).toThrow(
      expect.objectContaining({
        code: "METHOD_UNKNOWN",
        hint: expect.stringContaining("importance"),
      }),
    );
  });
});
