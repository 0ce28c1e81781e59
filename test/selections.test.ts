/**
 * @file Layers that select what they read: pixels of an input, positions of a flattened map. Removing
 * such features, beside channels, must equal zeroing what the layers read of them.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { composeRemovals, mismatchAfter } from "../src/compress/rounds/compose.ts";
import type { Graph } from "../src/ir/graph.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import { buildNetwork } from "../src/models/registry.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { withSession } from "../src/runtime/session.ts";
import { maskReads } from "../src/structure/change/masks.ts";
import { removeUnits } from "../src/structure/change/surgery.ts";
import { removalsInOrder } from "../src/structure/choice/select.ts";
import type { SelectionRules } from "../src/structure/choice/selection-rules.ts";
import { costModel, costOf } from "../src/structure/cost/cost.ts";
import { paperFlops } from "../src/structure/cost/paper-flops.ts";
import { planOf, removalOf } from "../src/structure/plan.ts";
import { type Removed, removeNothing, withDependants } from "../src/structure/units/removal.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import { type HostTensor, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { differenceOf } from "./support/difference.ts";
import { selectingNetwork, variants } from "./support/selecting-network.ts";

const how = { selectsInputs: true };

/** Removes what random scores say, in the share of all units. */
function randomRemoval(structure: Structure, seed: number, rules: SelectionRules = {}): Removed {
  const random = randomOf(seed, "scores");
  const scores = Float64Array.from(structure.units, () => random.uniform());
  const { count, choose } = removalsInOrder(structure, scores, rules);
  return choose(Math.round((0.1 + 0.85 * random.uniform()) * count));
}

function run(graph: Graph, feeds: ReadonlyMap<string, HostTensor>) {
  return withSession(encodeGraph(graph).chunks, { threads: 1 }, (session) => session.run(feeds));
}

/** The largest difference of what two networks compute, over max |output|. */
async function differenceBetween(expected: Graph, actual: Graph, seed = 0): Promise<number> {
  const [input] = expected.inputs;
  const type = expected.types.get(input);
  const [samples, ...shape] = type?.shape ?? [];
  const feeds = randomFeeds([{ name: input, dtype: "float32", shape: [samples, ...shape] }], {
    batch: samples === 1 ? 1 : 3,
    seed,
  });
  const [wanted, got] = [await run(expected, feeds), await run(actual, feeds)];
  const errors = [...wanted].map(([name, tensor]) => {
    const { largest } = differenceOf([tensor], [got.get(name)]);
    return largest === 0 ? 0 : largest / Math.max(...toNumbers(tensor).map(Math.abs));
  });
  return Math.max(...errors);
}

const reread = (graph: Graph): Graph => readModel(concatBytes(encodeGraph(graph))).graph;

describe("removing what layers select", () => {
  it("equals zeroing what they read, on random networks, and costs what is counted", async () => {
    let selected = 0;
    await fc.assert(
      fc.asyncProperty(variants, async (variant) => {
        const graph = selectingNetwork(variant);
        const structure = structureOf(graph, how);
        const removed = randomRemoval(structure, variant.seed);
        const small = removeUnits(structure, removed);
        const masked = maskReads(structure, removed);
        expect(await differenceBetween(masked, small, variant.seed)).toBeLessThan(1e-5);
        const { macs, params } = costOf(small, structure.analysis.dims);
        expect({ macs, params }).toEqual({
          macs: costModel(structure)(removed).macs,
          params: costModel(structure)(removed).params,
        });
        const plan = planOf(structure, removed, "random", []);
        expect(removalOf(structure, plan)).toEqual(removed);
        selected += small.nodes.filter(({ name }) => name.endsWith("/inputs")).length;
      }),
      { numRuns: 150, seed: 1 },
    );
    expect(selected).toBeGreaterThan(100);
  }, 120_000);

  it("adds up over rounds to one removal", async () => {
    await fc.assert(
      fc.asyncProperty(variants, fc.integer({ min: 2, max: 3 }), async (variant, rounds) => {
        const original = structureOf(selectingNetwork(variant), how);
        let graph = original.analysis.graph;
        const plans = Array.from({ length: rounds }, (_, round) => {
          const structure = structureOf(graph, how);
          const removed = randomRemoval(structure, variant.seed + round);
          graph = reread(removeUnits(structure, removed));
          return planOf(structure, removed, "random", []);
        });
        const removed = composeRemovals(original, plans);
        expect(mismatchAfter(original, removed, graph)).toBeUndefined();
        const masked = maskReads(original, removed);
        expect(await differenceBetween(masked, graph, variant.seed)).toBeLessThan(1e-5);
      }),
      { numRuns: 100, seed: 2 },
    );
  }, 120_000);

  it("finds the pixels of LeNet-300-100, and the features of LeNet-5 beside its filters", () => {
    const groups = (name: string) =>
      structureOf(buildNetwork(name, { seed: 0 }), how).groups.map(({ id, units }) => [
        id,
        units.length,
      ]);
    expect(groups("lenet-300-100")).toEqual([
      ...[
        ["fc1/inputs", 784],
        ["fc1", 300],
      ],
      ...[
        ["fc2", 100],
        ["fc3", 10],
      ],
    ]);
    expect(groups("lenet5-caffe")).toEqual([
      ...[
        ["conv1", 20],
        ["conv2", 50],
        ["fc1/inputs", 800],
      ],
      ...[
        ["fc1", 500],
        ["fc2", 10],
      ],
    ]);
  });

  it("selects nothing unless asked to", () => {
    const structure = structureOf(buildNetwork("lenet5-caffe", { seed: 0 }));
    expect(structure.groups.map(({ id }) => id)).toEqual(["conv1", "conv2", "fc1", "fc2"]);
    expect(structure.dependants.size).toBe(0);
  });

  it("takes the features of a filter with it, and a filter with its last feature", async () => {
    const structure = structureOf(buildNetwork("lenet5-caffe", { seed: 0 }), how);
    const [conv2, inputs] = ["conv2", "fc1/inputs"].map((id) => unitsOf(structure, id));
    const scores = new Float64Array(structure.units.length).fill(2);
    scores[conv2[7]] = 0;
    for (const unit of inputs.slice(16 * 9, 16 * 10)) scores[unit] = 1;
    scores[inputs[0]] = 1;
    const removed = removalsInOrder(structure, scores).choose(1 + 17);
    expect(conv2.flatMap((unit, c) => (removed[unit] === 1 ? [c] : []))).toEqual([7, 9]);
    expect(inputs.filter((unit) => removed[unit] === 1)).toHaveLength(33);
    const small = removeUnits(structure, removed);
    const gather = small.nodes.find(({ name }) => name === "fc1/inputs");
    expect(small.constants.get(gather?.inputs[1] ?? "")?.shape).toEqual([800 - 33]);
    expect(small.constants.get("conv2.weight")?.shape).toEqual([48, 20, 5, 5]);
    expect(await differenceBetween(maskReads(structure, removed), small)).toBeLessThan(1e-5);
  });

  it("keeps features with a filter that must stay", () => {
    const structure = structureOf(buildNetwork("lenet5-caffe", { seed: 0 }), how);
    const scores = Float64Array.from(structure.units, ({ group }) =>
      structure.groups[group].id === "fc1/inputs" ? 0 : 1,
    );
    const { choose } = removalsInOrder(structure, scores, { except: ["conv*"] });
    const small = removeUnits(structure, choose(790));
    expect(small.constants.get("conv2.weight")?.shape).toEqual([50, 20, 5, 5]);
    expect(small.constants.get("fc1.weight")?.shape).toEqual([500, 10]);
  });

  it("counts the FLOPs of LeNet-300-100 at 97-71-33 as papers do", async () => {
    const structure = structureOf(buildNetwork("lenet-300-100", { seed: 0 }), how);
    const removed = removeNothing(structure);
    const widths = { "fc1/inputs": 97, fc1: 71, fc2: 33 };
    for (const [id, width] of Object.entries(widths))
      for (const unit of unitsOf(structure, id).slice(width)) removed[unit] = 1;
    const small = removeUnits(structure, removed);
    const cost = costOf(small, new Map([["N", 1]]));
    expect(cost.macs).toBe(97 * 71 + 71 * 33 + 33 * 10);
    expect(cost.params).toBe(97 * 71 + 71 * 33 + 33 * 10 + 71 + 33 + 10);
    expect(paperFlops(cost)).toBe(97 * 71 + 71 * 33 + 33 * 10 + 71 + 33 + 10);
    expect(await differenceBetween(maskReads(structure, removed), small)).toBeLessThan(1e-5);
  });

  it("refuses a plan that keeps a feature and drops its filter", () => {
    const structure = structureOf(buildNetwork("lenet5-caffe", { seed: 0 }), how);
    const removed = removeNothing(structure);
    removed[unitsOf(structure, "conv2")[0]] = 1;
    const plan = planOf(structure, withDependants(structure, removed), "hand", []);
    const [filters, features] = plan.groups;
    expect(removalOf(structure, { ...plan, groups: [filters] })).toEqual(
      withDependants(structure, removed),
    );
    const [axis] = features.axes;
    const whole = { ...features, axes: [{ ...axis, kept: [0, ...axis.kept] }] };
    expect(() => removalOf(structure, { ...plan, groups: [filters, whole] })).toThrow(
      '"fc1.weight" axis 1 of "fc1" keeps index 0, whose channel is dropped',
    );
  });
});

function unitsOf(structure: Structure, id: string): readonly number[] {
  return structure.groups.find((group) => group.id === id)?.units ?? [];
}
