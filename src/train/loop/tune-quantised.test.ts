/** @file Training under quantisation: the update by hand, what the step computes with, and the pack that comes of it. */
import { describe, expect, it } from "vitest";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { denseGraph, quadrantNetwork, runSteps } from "../../../test/support/training.ts";
import { GraphEmitter } from "../../grad/emitter.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { measureOutcomes, metricOf } from "../../measure/outcomes/outcomes.ts";
import type { Model } from "../../onnx/model.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { codesOf, pack, quantised } from "../../pack/pack.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import { quantise } from "../../pack/quantising/quantise.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { withSession } from "../../runtime/session.ts";
import { openTrainer } from "../../runtime/trainer.ts";
import { weightConstants } from "../../structure/weights/layer-weights.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { emptyGraph } from "../network/embed.ts";
import { frozen, withWeights } from "../network/parameters.ts";
import { emitStep } from "../network/provider-form.ts";
import { withCodebooks } from "../step/codebook-form.ts";
import type { Objective } from "../step/objectives.ts";
import { adam, sgd } from "../step/optimizers.ts";
import { buildStep } from "../step/step.ts";
import { emitRounded } from "../step/straight-through.ts";
import { tuneQuantised } from "./tune-quantised.ts";

const folder = scratchFolder("quantised");
const floats = (shape: readonly number[], values: ArrayLike<number>) =>
  tensorOf("float32", shape, values);
const elementsOf = (graph: Graph, name: string): readonly number[] =>
  Array.from(toNumbers(graph.constants.get(name)?.read() ?? floats([0], [])));

/** y = x w, for w [3, 2] in one linear layer without bias. */
const w = [0.9, -0.35, 0, 0.14, -1.3, 0.52];
function linear(): Graph {
  const b = new GraphBuilder("linear");
  const x = b.input("x", "float32", ["N", 3]);
  b.node("MatMul", [x, b.constant("w", floats([3, 2], w))], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 2] });
  return b.build();
}
/** ½ Σ y², whose gradient with respect to w is xᵀ x w for one sample x. */
const half: Objective = ({ emit, prediction }) =>
  emit.mul(emit.op("ReduceSumSquare", [prediction], { keepdims: 0 }), emit.scalar(0.5));
const x = [1, 2, -1];
const gradientAt = (read: readonly number[]): readonly number[] => {
  const y = [0, 1].map((o) => x.reduce((sum, xi, i) => sum + xi * read[2 * i + o], 0));
  return read.map((_, k) => x[k >> 1] * y[k & 1]);
};
const fed = () => new Map([["x", floats([1, 3], x)]]);
const options = {
  inputShapes: new Map([["x", [1, 3]]]),
  target: undefined,
  objective: half,
  optimizer: sgd({ momentum: 0 }),
  keepsZeros: true,
};

describe("straight through", () => {
  it("moves the weight by the gradient with respect to the rounded one, and leaves zeros", async () => {
    const step = 0.25;
    const rate = 0.03;
    const built = buildStep(linear(), { ...options, weightSteps: new Map([["w", step]]) });
    const after = await runSteps(built, [rate, rate, rate], fed);
    let latent: readonly number[] = w;
    for (const weights of after) {
      const read = latent.map((value) => step * Math.round(value / step));
      const gradient = gradientAt(read);
      latent = latent.map((value, k) => (w[k] === 0 ? 0 : value - rate * gradient[k]));
      const got = weights.get("w") ?? [];
      for (const [k, value] of latent.entries()) expect(got[k]).toBeCloseTo(value, 6);
      expect(got[2]).toBe(0);
    }
    // Without rounding the network would have read other weights.
    const [plain] = await runSteps(buildStep(linear(), options), [rate], fed);
    expect(plain.get("w")?.[0]).not.toBeCloseTo(after[0].get("w")?.[0] ?? 0, 3);
  });

  it("rounds weights that are frozen, too", async () => {
    const groups = [{ match: "w0", isFrozen: true }];
    const graph = denseGraph([3, 2]);
    const step = 0.5;
    const steps = new Map([["w0", step]]);
    const dense = { ...options, groups, weightSteps: steps };
    const [weights] = await runSteps(buildStep(graph, dense), [1], fed);
    const [b0, w0] = ["b0", "w0"].map((name) => elementsOf(graph, name));
    for (const o of [0, 1]) {
      const y = x.reduce((sum, xi, i) => sum + xi * step * Math.round(w0[2 * i + o] / step), b0[o]);
      expect(weights.get("b0")?.[o]).toBeCloseTo(b0[o] - y, 5);
    }
    expect(weights.has("w0")).toBe(false);
  });

  it("is the same where convolutions are in blocked layout", async () => {
    const b = new GraphBuilder("blocked");
    const random = randomOf("blocked");
    const weight = (name: string, shape: readonly number[]) =>
      b.constant(name, floats(shape, random.normals(sizeOf(shape))));
    b.input("x", "float32", ["N", 16, 8, 8]);
    const same = { pads: [1, 1, 1, 1] };
    const first = b.node("Conv", ["x", weight("a", [32, 16, 3, 3])], same);
    const second = b.node("Conv", [...b.node("Relu", first), weight("b", [16, 32, 3, 3])], same);
    const pooled = b.node("GlobalAveragePool", second);
    b.node("Flatten", pooled, { axis: 1 }, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", 16] });
    const graph = b.build();
    const step = buildStep(graph, {
      ...options,
      inputShapes: new Map([["x", [4, 16, 8, 8]]]),
      weightSteps: new Map(["a", "b"].map((name) => [name, 0.5])),
    });
    const feeds = () =>
      new Map([["x", floats([4, 16, 8, 8], randomOf("x").normals(4 * 16 * 64))], ...rates()]);
    const rates = () => step.scalars(0, 1e-4);
    const after = async (block: Parameters<typeof emitStep>[2]) => {
      const { state, initial, guard } = step;
      const chunks = emitStep(step.graph, {}, block);
      const trainer = await openTrainer(chunks, { state, initial, guard, threads: 1 });
      expect((await trainer.step(feeds(), [step.loss])).status).toBe("done");
      const weights = step.weightsOf(await trainer.readState());
      await trainer.close();
      return weights;
    };
    const [plain, blocked] = [await after(undefined), await after(await findBlockSize())];
    for (const name of ["a", "b"]) {
      const start = elementsOf(graph, name);
      const [one, other] = [plain, blocked].map((weights) =>
        Array.from(toNumbers(weights.get(name) ?? floats([0], [])), (v, i) => v - start[i]),
      );
      const scale = Math.max(...one.map(Math.abs));
      expect(scale).toBeGreaterThan(1e-4);
      for (const [i, moved] of one.entries())
        expect(Math.abs(other[i] - moved)).toBeLessThan(1e-3 * scale);
    }
  });

  it.each([0.0625, 0.0537109375, 0.1 / 3, 1.17e-6])(
    "reads with step %f what a pack gives back, ties included",
    async (wanted) => {
      const step = Math.fround(wanted);
      const random = randomOf("rounding", wanted);
      const values = Float32Array.from(random.normals(20_000), (v, i) =>
        i % 4 === 0 ? (Math.round(v * 40) + 0.5) * step : i % 97 === 0 ? 0 : v * 30 * step,
      );
      const emit = new GraphEmitter(emptyGraph("round"), inferTypes(emptyGraph("round")));
      const read = emitRounded(emit, emit.input("x", "float32", [values.length]), step);
      const feeds = new Map([["x", floats([values.length], values)]]);
      const computed = await withSession(
        encodeGraph(emit.build([read.name])).chunks,
        {},
        async (session) => (await session.run(feeds, [read.name])).get(read.name),
      );
      const codes = quantise(values, values.length, () => step, 0);
      const packed = Float32Array.from(codes, (code) => code * step);
      const got = computed?.data;
      let different = 0;
      for (const [i, value] of packed.entries()) if (got?.[i] !== value) different++;
      expect(different).toBe(0);
    },
  );
});

describe("a codebook", () => {
  const table = Float32Array.of(-1, -0.25, 0, 0.5, 1);
  const places = Int16Array.of(4, 1, 2, 3, 0, 3);
  const members = Array.from(places);
  const valuesOf = (entries: ArrayLike<number>) => members.map((place) => entries[place]);
  const countOf = (place: number) => members.filter((own) => own === place).length;
  /** The places of the entries that are trained. */
  const trained = [0, 1, 3, 4];
  const entriesOf = (parameters: ArrayLike<number>) =>
    trained.map((place, i) => parameters[i] / Math.sqrt(countOf(place)));

  it("moves each entry by the mean step of its members, and zero not at all", async () => {
    const { graph, undo, fixed } = withCodebooks(linear(), new Map([["w", { table, places }]]));
    const step = buildStep(graph, { ...options, groups: frozen(fixed) });
    const rate = 0.01;
    const after = await runSteps(step, [rate, rate], fed);
    let entries = [...table];
    for (const weights of after) {
      const gradient = gradientAt(valuesOf(entries));
      entries = entries.map((entry, place) =>
        members.reduce(
          (moved, own, k) =>
            own === place && place !== 2 ? moved - (rate * gradient[k]) / countOf(place) : moved,
          entry,
        ),
      );
      for (const [i, value] of entriesOf(weights.get("w") ?? []).entries())
        expect(value).toBeCloseTo(entries[trained[i]], 6);
    }
    const back = undo(withWeights(graph, new Map([["w", floats([4], after[1].get("w") ?? [])]])));
    expect(back.nodes).toEqual(linear().nodes);
    expect([...back.constants.keys()]).toEqual(["w"]);
    for (const [k, value] of valuesOf(entries).entries())
      expect(elementsOf(back, "w")[k]).toBeCloseTo(value, 6);
  });

  it("has the gradient that finite differences on an entry give", async () => {
    const { graph, fixed } = withCodebooks(linear(), new Map([["w", { table, places }]]));
    const step = buildStep(graph, { ...options, groups: frozen(fixed) });
    const [moved] = await runSteps(step, [1], fed);
    const lossAt = (entries: readonly number[]): number => {
      const read = valuesOf(entries);
      const y = [0, 1].map((o) => x.reduce((sum, xi, i) => sum + xi * read[2 * i + o], 0));
      return y.reduce((sum, value) => sum + value ** 2, 0) / 2;
    };
    const h = 1e-4;
    const entries = entriesOf(moved.get("w") ?? []);
    for (const [i, place] of trained.entries()) {
      const [up, down] = [h, -h].map((by) => lossAt([...table].with(place, table[place] + by)));
      const gradient = (table[place] - entries[i]) * countOf(place);
      expect(gradient).toBeCloseTo((up - down) / (2 * h), 4);
    }
  });

  it("leaves weights alone that are zero everywhere", () => {
    const zero = { table: Float32Array.of(0), places: new Int16Array(6) };
    expect(withCodebooks(linear(), new Map([["w", zero]])).graph.nodes).toEqual(linear().nodes);
  });
});

/** Which places became which values. */
function pairsOf(before: Int16Array, after: ArrayLike<number>): ReadonlySet<string> {
  return new Set(Array.from(before, (place, i) => `${place} ${after[i]}`));
}

/** The quadrant network with every third weight at 0. */
function sparseModel(): Model {
  const graph = quadrantNetwork();
  const thinned = [...weightConstants(graph)].map(([name, constant]) => {
    const values = toNumbers(constant.read()).map((value, i) => (i % 3 === 0 ? 0 : value));
    return [name, floats(constant.shape, values)] as const;
  });
  return readModel(concatBytes(encodeGraph(withWeights(graph, new Map(thinned)))));
}

describe.each<readonly [string, PackOptions]>([
  ["2 bits", { bits: 2 }],
  ["bits by name", { bits: new Map([["conv.weight", 3]]) }],
  ["a codebook of 4", { codebook: 4 }],
])("tuning under %s", (_, packing) => {
  const training = {
    epochs: 3,
    batchSize: 40,
    learningRate: 0.01,
    threads: 1,
    optimizer: adam(),
    checksMemorisation: false,
  };

  it("packs what was trained and scored, keeps zeros, and is deterministic", async () => {
    const dataset = await openQuadrants(folder);
    const model = sparseModel();
    const tuned = await tuneQuantised(model, dataset, packing, training);
    const packed = pack(tuned.model, tuned.options);

    // The steps are those that were found before training; who shared an entry still does, whether the pack holds
    // entries and their numbers or, where that takes no more bytes, the weights.
    const rounded = readModel(packed.unpacked).graph;
    const [before, after] = [codesOf(model, packing), codesOf(tuned.model, tuned.options)];
    expect(before.size).toBe(2);
    for (const [name, codes] of before)
      if (codes.kind === "steps")
        expect(after.get(name)).toMatchObject({ kind: "steps", step: codes.step });
      else {
        const moves = pairsOf(codes.places, elementsOf(rounded, name));
        expect(moves.size).toBe(new Set(codes.places).size);
      }

    // What unpacking gives is what the best epoch was scored as.
    const outcomes = await measureOutcomes(packed.unpacked, dataset, {
      split: "select",
      threads: 1,
    });
    const best = Math.max(...tuned.training.history.map(({ select }) => select?.value ?? 0));
    expect(metricOf(outcomes).value).toBe(best);
    expect(quantised(tuned.model, tuned.options)).toEqual(packed.unpacked);
    const plain = quantised(model, packing);
    const untuned = metricOf(
      await measureOutcomes(plain, dataset, { split: "select", threads: 1 }),
    );
    expect(best).toBeGreaterThan(untuned.value);

    for (const name of weightConstants(model.graph).keys()) {
      const [start, end] = [elementsOf(model.graph, name), elementsOf(rounded, name)];
      expect(end).not.toEqual(start);
      expect(start.every((value, i) => value !== 0 || Object.is(end[i], 0))).toBe(true);
    }

    const again = await tuneQuantised(model, dataset, packing, training);
    expect(pack(again.model, again.options).bytes).toEqual(packed.bytes);
  }, 60_000);
});

it("packs a network as it was where tuning only makes it worse, and says so", async () => {
  const dataset = await openQuadrants(folder);
  const model = sparseModel();
  const learning = { batchSize: 40, threads: 1, checksMemorisation: false };
  const good = await tuneQuantised(model, dataset, { bits: 4 }, { ...learning, epochs: 3 });
  const packing = { codebook: 16 };
  const warnings: string[] = [];
  const training = { ...learning, epochs: 1, learningRate: 1, optimizer: adam() };
  const bad = await tuneQuantised(good.model, dataset, packing, {
    ...training,
    onWarning: (warning) => warnings.push(warning),
  });
  expect(bad.training.warnings.join()).toMatch(/worse/);
  expect(warnings).toEqual(bad.training.warnings);
  const of = async (file: Uint8Array) =>
    metricOf(await measureOutcomes(file, dataset, { split: "select", threads: 1 })).value;
  const untuned = await of(quantised(good.model, packing));
  expect(bad.training.history[0].select?.value).toBeLessThan(untuned);
  expect(await of(quantised(bad.model, bad.options))).toBe(untuned);
});

it.each<readonly [PackOptions, RegExp]>([
  [{ isLossless: true }, /lossless/],
  [{ bits: 4, lambda: 0.1 }, /nearest codes/],
  [{ hasRowSteps: true }, /nearest codes/],
])("refuses to tune under %o", async (packing, message) => {
  const dataset = await openQuadrants(folder);
  const tuned = tuneQuantised(sparseModel(), dataset, packing, { epochs: 1 });
  await expect(tuned).rejects.toThrow(message);
});
