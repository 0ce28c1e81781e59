/** @file Rounds composed into one removal, against the rounds done one by one. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { residualNetwork } from "../../../test/residual-network.ts";
import type { Graph } from "../../ir/graph.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import { removalsInOrder } from "../../structure/choice/select.ts";
import { planOf } from "../../structure/plan.ts";
import type { Removed } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { weightConstants } from "../../structure/weights/layer-weights.ts";
import { countZeros, noZeros, withZeros, type Zeros } from "../../structure/weights/zeros.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { composeRemovals, composeZeros, mismatchAfter } from "./compose.ts";

const model = readModel(residualNetwork());
const original = structureOf(model.graph);

/** Makes some weights 0 at random, and removes some units, over and over. */
function rounds(seed: number, shares: readonly number[], density = 1) {
  let current = model;
  const plans = shares.map((share, round) => {
    const structure = structureOf(current.graph);
    const random = randomOf(seed, `round ${round}`);
    const scores = Float64Array.from(structure.units, () => random.uniform());
    const { count, choose } = removalsInOrder(structure, scores);
    const removed = choose(Math.round(share * count));
    const zeros = new Map(
      [...weightConstants(current.graph)].map(([name, { shape }]) => [
        name,
        Uint8Array.from({ length: sizeOf(shape) }, () => (random.uniform() < density ? 0 : 1)),
      ]),
    );
    const plan = planOf(structure, removed, "random", [], density < 1 ? zeros : noZeros);
    current = readModel(concatBytes(writeModel(current, cut(structure, removed, zeros))));
    return plan;
  });
  return { plans, small: current.graph };
}

function cut(structure: Structure, removed: Removed, zeros: Zeros): Graph {
  const { analysis } = structure;
  return removeUnits(structureOf(withZeros(analysis.graph, zeros), analysis), removed);
}

it("gives the network that the rounds gave, in one step", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e6 }),
      fc.array(fc.double({ min: 0, max: 0.6, noNaN: true }), { minLength: 1, maxLength: 4 }),
      (seed, shares) => {
        const { plans, small } = rounds(seed, shares);
        const removed = composeRemovals(original, plans);
        expect(mismatchAfter(original, removed, small)).toBeUndefined();
        // The weights too: nothing was trained in between.
        const bytes = (graph: typeof small) => concatBytes(writeModel(model, graph)).length;
        expect(bytes(removeUnits(original, removed))).toBe(bytes(small));
      },
    ),
    { numRuns: 30 },
  );
});

it("makes the same weights 0 as the rounds did", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e6 }),
      fc.array(fc.double({ min: 0, max: 0.6, noNaN: true }), { minLength: 1, maxLength: 4 }),
      (seed, shares) => {
        const { plans, small } = rounds(seed, shares, 0.8);
        const zeros = composeZeros(original, plans);
        const whole = cut(original, composeRemovals(original, plans), zeros);
        const bytes = (graph: Graph) => concatBytes(writeModel(model, graph));
        expect(Buffer.compare(bytes(whole), bytes(small))).toBe(0);
        expect(countZeros(zeros)).toBeGreaterThan(0);
      },
    ),
    { numRuns: 30 },
  );
});

it("notices zeros that belong to another round", () => {
  const { plans } = rounds(1, [0.4, 0.4], 0.8);
  const [first, { groups }] = plans;
  expect(() => composeZeros(original, [first, { ...first, groups }])).toThrow(
    expect.objectContaining({ code: "PLAN_INVALID" }),
  );
});

it("notices a plan that belongs to another round", () => {
  const { plans } = rounds(1, [0.4, 0.4]);
  expect(() => composeRemovals(original, [plans[1], plans[0]])).toThrow(
    expect.objectContaining({ code: "PLAN_INVALID" }),
  );
});

it("notices a network that is not what the plans leave", () => {
  const { plans } = rounds(1, [0.4, 0.4]);
  const { small } = rounds(2, [0.4, 0.4]);
  expect(mismatchAfter(original, composeRemovals(original, plans), small)).toContain("parameters");
});
