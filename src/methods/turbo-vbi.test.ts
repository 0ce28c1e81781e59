/** @file The method `turbo-vbi`: planted clusters, what its scores mean, and that it is reproducible. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { idxFile } from "../../test/data-files.ts";
import {
  branched,
  comparable,
  contextOf,
  expectSameAfterInterruptions,
  learning,
} from "../../test/support/learning.ts";
import { openQuadrants } from "../../test/support/quadrants.ts";
import { scratchFolder } from "../../test/support/scratch.ts";
import { quadrantNetwork } from "../../test/support/training.ts";
import { type Dataset, openDataset } from "../data/dataset.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { withSeeds } from "../measure/evaluation/draws.ts";
import { quantile } from "../measure/statistics/statistics.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { withSession } from "../runtime/session.ts";
import { structureOf } from "../structure/units/units.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import type { LearningOptions } from "./method/learned-method.ts";
import { turboVbi } from "./turbo-vbi.ts";

const folder = scratchFolder("turbo");
let quadrants: Dataset;
let clusters: Dataset;
beforeAll(async () => {
  quadrants = await openQuadrants(join(folder, "quadrants"));
  writeClusters(join(folder, "clusters"));
  clusters = await openDataset(join(folder, "clusters"));
});

/** The pixels that class `c` of 4 depends on: 6 in a row. */
const clusterOf = (c: number) => Array.from({ length: 6 }, (_, i) => 16 * c + 5 + i);

/** Images of random pixels, whose class has the brightest cluster: 2500 of `fit`. */
function writeClusters(path: string): void {
  mkdirSync(path);
  for (const [role, count] of [
    ["train", 3000],
    ["test", 200],
  ] as const) {
    const random = randomOf("clusters", role);
    const pixels = Uint8Array.from({ length: 64 * count }, () => random.integer(256));
    const labels = Uint8Array.from({ length: count }, (_, n) => {
      const sums = [0, 1, 2, 3].map((c) =>
        clusterOf(c).reduce((sum, i) => sum + pixels[64 * n + i], 0),
      );
      return sums.indexOf(Math.max(...sums));
    });
    writeFileSync(join(path, `${role}-images-idx3-ubyte`), idxFile([count, 8, 8], pixels));
    writeFileSync(join(path, `${role}-labels-idx1-ubyte`), idxFile([count], labels));
  }
}

/** One layer, 64 → 4: the clusters, and noise everywhere. */
function noisyClusters(): Graph {
  const random = randomOf(3, "noisy clusters");
  const values = Float64Array.from({ length: 256 }, (_, i) => {
    const isPlanted = clusterOf(i % 4).includes(Math.floor(i / 4));
    return (isPlanted ? 2 : 0) + 0.5 * random.normal();
  });
  const b = new GraphBuilder("clusters");
  b.input("input", "float32", ["N", 1, 8, 8]);
  const [flat] = b.node("Flatten", ["input"], { axis: 1 });
  b.node(
    "MatMul",
    [flat, b.constant("w", tensorOf("float32", [64, 4], values))],
    {},
    {
      outputs: ["logits"],
    },
  );
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

/** E[x² p (1 - p)] for each weight of one layer 64 → 4, over the images of `train` and draws of the weights. */
function curvatureOf(means: Float64Array, deviations: Float64Array): Float64Array {
  const random = randomOf("clusters", "train");
  const noise = randomOf(0, "draws");
  const images = 3000;
  const curvature = new Float64Array(256);
  for (let n = 0; n < images; n++) {
    const pixels = Float64Array.from({ length: 64 }, () => random.integer(256) / 255);
    const drawn = means.map((mean, i) => mean + deviations[i] * noise.normal());
    const powers = [0, 1, 2, 3].map((c) =>
      Math.exp(pixels.reduce((sum, x, i) => sum + x * drawn[4 * i + c], 0)),
    );
    const total = powers.reduce((sum, power) => sum + power, 0);
    for (const [c, power] of powers.entries())
      for (const [i, x] of pixels.entries())
        curvature[4 * i + c] += (x ** 2 * (power / total) * (1 - power / total)) / images;
  }
  return curvature;
}

describe("planted clusters", () => {
  const supportOf = async (options: Readonly<Record<string, string>>) => {
    const given = { rounds: "8", rate: "0.02", density: "0.2", ...options };
    const learnt = await turboVbi.learn(contextOf(noisyClusters(), clusters, given));
    const scores = learnt.weightScores.get("w") ?? new Float64Array();
    const found = [0, 1, 2, 3].map((c) =>
      Array.from({ length: 64 }, (_, i) => i).filter((i) => scores[4 * i + c] > 0),
    );
    return { ...learnt, found };
  };

  it("are found exactly by training with a chain", async () => {
    const { found, facts, notes, history } = await supportOf({});
    expect(found).toEqual([0, 1, 2, 3].map(clusterOf));
    expect(facts).toEqual([
      { weight: "w", weights: 256, active: 24, clusters: 4, neurons: 4, empty: 0 },
    ]);
    expect(notes[1]).toContain("9.4 % active, in 4 clusters of 6.0 on average, 1.0 a neuron");
    expect(history.at(-1)?.select?.value).toBeGreaterThan(0.9);
  });

  it("are found by independent bits, too, but not without training", async () => {
    const { found } = await supportOf({ structure: "iid" });
    expect(found).toEqual([0, 1, 2, 3].map(clusterOf));
    const { facts, history } = await supportOf({ epochs: "0" });
    expect(history).toEqual([]);
    expect(facts[0].active).toBeGreaterThan(24);
  });
});

it("leaves weights that are 0 as they are, and learns the others", async () => {
  const dense = noisyClusters();
  const old = dense.constants.get("w");
  if (old === undefined) throw new Error("no weight");
  const values = toNumbers(old.read()).map((value, i) => (i % 3 === 0 ? 0 : value));
  const weight = { ...old, read: () => tensorOf("float32", old.shape, values) };
  const graph = { ...dense, constants: new Map(dense.constants).set("w", weight) };
  const learnt = await turboVbi.learn(contextOf(graph, clusters, { rounds: "2", rate: "0.02" }));
  const own = toNumbers(learnt.graph.constants.get("w")?.read() ?? old.read());
  for (const [i, value] of own.entries())
    if (i % 3 === 0) expect(value).toBe(0);
    else expect(value).not.toBe(Math.fround(values[i]));
  expect(learnt.history.every(({ loss }) => Number.isFinite(loss))).toBe(true);
});

const networks: readonly (readonly [string, Graph])[] = [
  ["sequential", quadrantNetwork()],
  ["residual", branched("Add")],
  ["skip", branched("Concat")],
];
const short = { rounds: "2", alone: "1", rate: "0.01" };

describe.each(networks)("turbo-vbi on a %s network", (_, graph) => {
  it("learns, and gives back the network that it was given, with other weights", async () => {
    const context = contextOf(graph, quadrants, { rounds: "3", rate: "0.01" });
    const proposal = await turboVbi.learn(context);
    const { history, notes } = proposal;
    expect(history.map(({ epoch }) => epoch)).toEqual([0, 1, 2]);
    expect(history[2].select?.loss).toBeLessThan(history[0].select?.loss ?? 0);
    expect(notes[0]).toMatch(/^\d+ of \d+ weights are active/);
    expect(proposal.graph.nodes).toEqual(context.model.graph.nodes);
    expect([...proposal.graph.constants.keys()]).toEqual([...context.model.graph.constants.keys()]);
  });

  it.each<Readonly<Record<string, string>>>([
    { structure: "rows-columns", transitions: "em" },
    { structure: "grid", transitions: "length" },
    { structure: "kernel", noise: "weight" },
    { structure: "neuron", transitions: "em" },
    { structure: "iid", dof: "1" },
    { form: "joint", transitions: "fixed" },
    { form: "factorised", turns: "3", transitions: "em" },
    { form: "factorised", structure: "neuron" },
    { epochs: "0" },
  ])("scores every weight, and every unit that may go, with %o", async (options) => {
    const context = contextOf(graph, quadrants, { ...short, ...options });
    const { scores, weightScores } = await turboVbi.learn(context);
    expect(scores.some(Number.isNaN)).toBe(false);
    for (const { index, reason } of context.structure.units)
      if (reason === undefined) expect(Number.isFinite(scores[index])).toBe(true);
    for (const [name, own] of weightScores) {
      const size = graph.constants.get(name)?.shape.reduce((product, dim) => product * dim, 1);
      expect(own).toHaveLength(size ?? 0);
      expect(own.every(Number.isFinite)).toBe(true);
    }
  });
});

describe("turbo-vbi", () => {
  it.each(["joint", "factorised"])(
    "is the same each time, and after interruptions, %s",
    async (form) => {
      const path = (name: string) => join(folder, form, `${name}.safetensors`);
      mkdirSync(join(folder, form));
      const options = { form, rounds: "3", alone: "1", transitions: "em" };
      const resultOf = async (training: LearningOptions, more = {}) => {
        const given = { ...options, ...more };
        const context = contextOf(branched("Add"), quadrants, given, { training });
        return comparable(context, await turboVbi.learn(context));
      };
      await expectSameAfterInterruptions(resultOf, path, [7, 17, 29]);
      // A run that is over keeps one file.
      const files = readdirSync(join(folder, form)).filter((name) => name.startsWith("parts"));
      expect(files).toEqual(["parts.turbo.safetensors"]);
      const training = { ...learning, checkpoint: { path: path("parts"), everySteps: 5 } };
      await expect(resultOf(training, { density: "0.3" })).rejects.toMatchObject({
        code: "CHECKPOINT_INVALID",
      });
    },
  );

  it.each([0.1, 1, 4])(
    "remembers what the data tell, and draws that, with λ = %f",
    async (lambda) => {
      const options = { rounds: "8", rate: "0.005", density: "0.2", lambda: `${lambda}` };
      const { graph, memory } = await turboVbi.learn(contextOf(noisyClusters(), clusters, options));
      const valuesOf = ({ constants }: Pick<Graph, "constants"> = graph) =>
        toNumbers(constants.get("w")?.read() ?? tensorOf("float32", [0], []));
      const [means, deviations] = [valuesOf(), valuesOf(memory)];
      expect(deviations.every((deviation) => deviation > 0)).toBe(true);
      // The prior says next to nothing of an active weight: the precision of its best normal is N/λ times the
      // curvature of the mean loss.
      const curvature = curvatureOf(means, deviations);
      const planted = [0, 1, 2, 3].flatMap((c) => clusterOf(c).map((i) => 4 * i + c));
      const ratios = planted.map((i) => deviations[i] * Math.sqrt((2500 / lambda) * curvature[i]));
      expect(Math.min(...ratios)).toBeGreaterThan(0.6);
      expect(Math.max(...ratios)).toBeLessThan(1.7);
      expect(quantile(ratios, 0.5)).toBeGreaterThan(0.8);
      expect(quantile(ratios, 0.5)).toBeLessThan(1.25);

      // An input that is 1 at one pixel reads the weights of that pixel.
      const random = turboVbi.posterior?.(structureOf(graph), memory ?? graph) ?? graph;
      const pixel = clusterOf(0)[2];
      const x = tensorOf(
        "float32",
        [1, 1, 8, 8],
        Float64Array.from({ length: 64 }, (_, i) => (i === pixel ? 1 : 0)),
      );
      const logits = await withSession(
        encodeGraph(withSeeds(random, 1)).chunks,
        { threads: 1 },
        async (session) => {
          const draws: number[][] = [];
          for (let i = 0; i < 2000; i++) {
            const [tensor] = (await session.run(new Map([["input", x]]))).values();
            draws.push([...toNumbers(tensor)]);
          }
          return draws;
        },
      );
      for (let c = 0; c < 4; c++) {
        const drawn = logits.map((row) => row[c]);
        const mean = drawn.reduce((sum, v) => sum + v, 0) / drawn.length;
        const variance = drawn.reduce((sum, v) => sum + (v - mean) ** 2, 0) / drawn.length;
        const [expected, deviation] = [means[4 * pixel + c], deviations[4 * pixel + c]];
        expect(Math.abs(mean - expected) / deviation).toBeLessThan(0.1);
        expect(Math.sqrt(variance) / deviation).toBeCloseTo(1, 1);
      }
    },
  );

  it.each([
    "rounds=0",
    "epochs=1.5",
    "rate=0",
    "lambda=-1",
    "density=0",
    "density=1",
    "contrast=0",
    "contrast=1e-170",
    "contrast=1",
    "length=1.05",
    "turns=0",
  ])("refuses %s", async (option) => {
    const [name, value] = option.split("=");
    const learnt = turboVbi.learn(contextOf(branched("Add"), quadrants, { [name]: value }));
    await expect(learnt).rejects.toMatchObject({ code: "USAGE", data: { option: name } });
  });

  it("refuses a prior under which the largest weights are inactive", async () => {
    const context = contextOf(branched("Add"), quadrants, { density: "0.02", structure: "iid" });
    await expect(turboVbi.learn(context)).rejects.toMatchObject({
      code: "USAGE",
      hint: expect.stringContaining("0.048"),
    });
  });

  it("refuses a network without weights", async () => {
    const b = new GraphBuilder("empty");
    b.input("input", "float32", ["N", 1, 8, 8]);
    b.output(b.node("Flatten", ["input"], { axis: 1 })[0], { dtype: "float32", shape: ["N", 64] });
    const learnt = turboVbi.learn(contextOf(b.build(), quadrants));
    await expect(learnt).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
  });
});
