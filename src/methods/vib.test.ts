/** @file The methods `vib` and `rbp`: what they learn, what they propose, and that they are reproducible. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { normals } from "../../test/support/bn-network.ts";
import {
  comparable,
  contextOf as contextOn,
  expectExactRemoval,
  expectSameAfterInterruptions,
  filled,
  learning,
  normalizedConv,
} from "../../test/support/learning.ts";
import { openQuadrants } from "../../test/support/quadrants.ts";
import { scratchFolder } from "../../test/support/scratch.ts";
import { quadrantNetwork } from "../../test/support/training.ts";
import type { Dataset } from "../data/dataset.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { withSession } from "../runtime/session.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import { structureOf } from "../structure/units/units.ts";
import { type HostTensor, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import type { LearnedMethod, LearningContext } from "./method/learned-method.ts";
import { rbp } from "./rbp.ts";
import { vib } from "./vib.ts";

const folder = scratchFolder("gates");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const contextOf = (
  graph: Graph,
  options: Readonly<Record<string, string>> = {},
  more: Partial<LearningContext> = {},
) => contextOn(graph, dataset, options, more);

/** Two blocks of convolution, normalization and ReLU, a third whose result is added to the second. */
function residual(): Graph {
  const b = new GraphBuilder("residual");
  const x = b.input("input", "float32", ["N", 1, 8, 8]);
  const [first] = b.node("Relu", [normalizedConv(b, x, "a", 1)]);
  const [second] = b.node("Relu", [normalizedConv(b, first, "b", 6)]);
  const [both] = b.node("Add", [first, normalizedConv(b, second, "c", 6)]);
  const [active] = b.node("Relu", [both]);
  const pool = { kernel_shape: [4, 4], strides: [4, 4] };
  const [flat] = b.node("Flatten", b.node("AveragePool", [active], pool), { axis: 1 });
  const head = b.constant("head.w", normals([24, 4], "head", 0.2));
  b.node("Gemm", [flat, head, filled(b, "head.b", [4], 0)], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

/** A Flatten and dense layers of these weights [inputs, outputs] without bias. */
function dense(
  weights: readonly (readonly [string, readonly number[], ArrayLike<number>])[],
): Graph {
  const b = new GraphBuilder("dense");
  b.input("input", "float32", ["N", 1, 8, 8]);
  let [x] = b.node("Flatten", ["input"], { axis: 1 });
  for (const [name, shape, values] of weights)
    [x] = b.node(
      "MatMul",
      [x, b.constant(`${name}.w`, tensorOf("float32", shape, values))],
      {},
      { name },
    );
  b.output(x, { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

const fast = { epochs: "2", rate: "0.02", "gate-rate": "0.1" };
const methods = [vib, rbp];
const cases = methods.flatMap((method) =>
  (
    [
      ["sequential", quadrantNetwork()],
      ["residual", residual()],
    ] as const
  ).map(([kind, graph]) => [method.name, kind, method, graph] as const),
);

describe.each(cases)("%s on a %s network", (_, kind, method, graph) => {
  it("learns, and gives back the network that it was given, with other weights", async () => {
    const context = contextOf(graph, fast);
    const proposal = await method.learn(context);
    const { history, notes, scores } = proposal;
    expect(history.map(({ epoch }) => epoch)).toEqual([0, 1]);
    expect(history[1].select?.value).toBeGreaterThan(0.4);
    expect(history[1].select?.facts?.kl).toBeGreaterThan(0);
    expect(notes[0]).toMatch(/^λ is 5\.991 \(ln N\)/);
    expect(proposal.graph.nodes).toEqual(context.model.graph.nodes);
    expect([...proposal.graph.constants.keys()]).toEqual([...context.model.graph.constants.keys()]);
    expect(scores.some(Number.isNaN)).toBe(false);
    const { groups, units } = context.structure;
    for (const { index, reason, group } of units)
      expect(Number.isFinite(scores[index])).toBe(reason === undefined && !groups[group].isStream);
    expect(notes.some((note) => note.includes("stay because"))).toBe(kind === "residual");
  });

  it("proposes a removal that computes what the masked network computes", async () => {
    const context = contextOf(graph, { ...fast, epochs: "1", stream: "on" });
    await expectExactRemoval(context, await method.learn(context));
  });

  it.each<Readonly<Record<string, string>>>([
    { form: "alpha", stream: "on" },
    { weight: "flops", stream: "on" },
    { statistics: "batch", stream: "on" },
    { lambda: "3", warmup: "0", compensate: "off", stream: "on" },
  ])("scores every unit that may go, with %o", async (options) => {
    const context = contextOf(graph, { epochs: "1", ...options });
    const { scores } = await method.learn(context);
    for (const { index, reason } of context.structure.units)
      expect(Number.isFinite(scores[index])).toBe(reason === undefined);
  });
});

async function outputOf(graph: Graph, x: HostTensor): Promise<Float64Array> {
  const results = await withSession(encodeGraph(graph).chunks, { threads: 1 }, (session) =>
    session.run(new Map([["input", x]])),
  );
  return toNumbers([...results.values()][0]);
}

async function resultOf(method: LearnedMethod, context: LearningContext) {
  return comparable(context, await method.learn(context));
}

describe.each(methods.map((method) => [method.name, method] as const))("%s", (name, method) => {
  it("is the same each time, and after interruptions", async () => {
    await expectSameAfterInterruptions(
      (training) =>
        resultOf(method, contextOf(residual(), { ...fast, stream: "on" }, { training })),
      (place) => join(folder, `${name} ${place}.safetensors`),
      method === rbp ? [7, 13, 31] : [7, 13],
    );
  }, 60_000);

  it.each([
    "epochs=0",
    "epochs=1.5",
    "rate=0",
    "gate-rate=none",
    "lambda=-1",
    "lambda=much",
    "warmup=1.5",
    "threshold=-1",
    "images=0",
  ])("refuses %s", async (option) => {
    const [key, value] = option.split("=");
    const learning = method.learn(contextOf(residual(), { [key]: value }));
    await expect(learning).rejects.toMatchObject({ code: "USAGE", data: { option: key } });
  });

  it("refuses a network in which nothing can go, and one of streams alone unless told", async () => {
    const one = dense([["only", [64, 4], toNumbers(normals([64, 4], "w"))]]);
    await expect(method.learn(contextOf(one))).rejects.toMatchObject({ code: "MODEL_UNSUPPORTED" });
    const only = { rules: { only: ["a"] } };
    const streams = method.learn(contextOf(residual(), {}, only));
    await expect(streams).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      hint: expect.stringContaining("stream=on"),
    });
  });

  it("leaves groups alone that are not to be pruned", async () => {
    const rules = { except: ["first"] };
    const weights = (key: string, shape: readonly number[]) =>
      [key, shape, toNumbers(normals(shape, key, 0.2))] as const;
    const graph = dense([
      weights("first", [64, 6]),
      weights("second", [6, 5]),
      weights("head", [5, 4]),
    ]);
    const context = contextOf(graph, { epochs: "1" }, { rules });
    const { scores } = await method.learn(context);
    const { groups, units } = context.structure;
    for (const { index, group, reason } of units)
      expect(Number.isFinite(scores[index])).toBe(
        reason === undefined && groups[group].id === "second",
      );
  });

  it("finds planted units that compute nothing, and what is fed by them alone", async () => {
    // Three units are left, of which two are needed to tell four classes apart.
    const dead = [1, 4, 5];
    const isDead = (i: number) => dead.includes(i);
    const random = (key: string, shape: readonly number[], scale: number) =>
      toNumbers(normals(shape, key, scale));
    // [inputs, outputs]: the dead columns of the first are 0, and read by those of the second alone.
    const first = random("first", [64, 6], 0.3).map((v, i) => (isDead(i % 6) ? 0 : v));
    const second = random("second", [6, 6], 0.6).map((v, i) =>
      isDead(i % 6) === isDead(Math.floor(i / 6)) ? v : 0,
    );
    const head = random("head", [6, 4], 0.6).map((v, i) => (isDead(Math.floor(i / 4)) ? 0 : v));
    const graph = dense([
      ["first", [64, 6], first],
      ["second", [6, 6], second],
      ["head", [6, 4], head],
    ]);
    const options = { epochs: "4", "gate-rate": "0.1", lambda: "0.1" };
    const context = contextOf(graph, options);
    const { scores, history } = await method.learn(context);
    expect(history).toHaveLength(method === rbp ? 8 : 4);
    const { filterAxes } = context.structure;
    for (const { units } of filterAxes.slice(0, 2)) {
      const [closed, open] = [true, false].map((wanted) =>
        [...units].filter((_, i) => isDead(i) === wanted).map((unit) => scores[unit]),
      );
      expect(Math.max(...closed)).toBeLessThan(0.1);
      expect(Math.min(...open)).toBeGreaterThan(Math.max(...closed));
      expect(open.filter((score) => score > 1).length).toBeGreaterThan(1);
    }
  });

  it("tells when all gates of a layer close", async () => {
    const strong = { "gate-rate": "0.2", lambda: "100000", warmup: "0" };
    const options = { epochs: "4", collapse: "go-on", ...strong };
    const context = contextOf(quadrantNetwork(), options);
    const { notes, graph, scores } = await method.learn(context);
    expect(notes.some((note) => note.includes("closed"))).toBe(true);
    if (method === vib) return;
    // The stage is taken back.
    expect([...scores]).toEqual([...scores].fill(Number.POSITIVE_INFINITY));
    const read = (of: Graph) =>
      toNumbers(of.constants.get("conv.weight")?.read() ?? tensorOf("float32", [0], []));
    expect(read(graph)).toEqual(read(context.model.graph));
  });
});

describe("rbp", () => {
  it("is vib where there is one layer", async () => {
    const options = { ...fast, lambda: "0.01" };
    const recursive = await resultOf(rbp, contextOf(quadrantNetwork(), options));
    const seed = randomOf(0, "stage", 0).integer(2 ** 31);
    const joint = await resultOf(vib, contextOf(quadrantNetwork(), options, { seed }));
    expect(recursive).toEqual(joint);
  });

  it("gives back a network without what died, to which removing it changes nothing", async () => {
    const options = { ...fast, epochs: "4", lambda: "5", stream: "on" };
    const context = contextOf(residual(), options);
    const { scores, edits, graph } = await rbp.learn(context);
    const dead = Uint8Array.from(scores, (score) => (score <= 1 ? 1 : 0));
    expect(dead).toContain(1);
    expect(dead).toContain(0);
    expect(edits(dead)).toEqual([]);
    const small = removeUnits(structureOf(graph), dead);
    const x = normals([8, 1, 8, 8], "x");
    const [whole, less] = await Promise.all([graph, small].map((own) => outputOf(own, x)));
    for (const [i, value] of less.entries()) expect(value).toBeCloseTo(whole[i], 5);
    const others = dead.map((flag, i) => (flag === 1 || scores[i] === Math.max(...scores) ? 1 : 0));
    for (const { tensor } of edits(others))
      expect(toNumbers(tensor).every(Number.isFinite)).toBe(true);
  });

  it("gives each stage the same share of the time", async () => {
    const timed = { ...learning, timeBudgetSeconds: 0 };
    const context = contextOf(residual(), { stream: "on" }, { training: timed });
    const { history, scores, graph } = await rbp.learn(context);
    expect(history).toEqual([]);
    // Gates that had no time are as they began, and open.
    for (const { index, reason } of context.structure.units)
      if (reason === undefined) expect(scores[index]).toBeCloseTo(Math.exp(9), 0);
    expect(graph.nodes).toEqual(context.model.graph.nodes);
  });

  it("presses harder on filters that little reaches, when told so", async () => {
    const options = { ...fast, stream: "on" };
    const [plain, coupled] = await Promise.all(
      ["off", "on"].map((coupling) => rbp.learn(contextOf(residual(), { ...options, coupling }))),
    );
    expect(coupled.scores).not.toEqual(plain.scores);
    expect(coupled.notes).toHaveLength(plain.notes.length);
  });
});
