/** @file Rounds composed into one removal, against the rounds done one by one. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/read.ts";
import { concatBytes, writeModel } from "../onnx/write.ts";
import { planOf } from "../structure/plan.ts";
import { removalsInOrder } from "../structure/select.ts";
import { removeUnits } from "../structure/surgery.ts";
import { structureOf } from "../structure/units.ts";
import { randomOf } from "../tensor/random.ts";
import { composeRemovals, mismatchAfter } from "./compose.ts";

const model = readModel(residualNetwork());
const original = structureOf(model.graph);

/** Removes some units at random, over and over. */
function rounds(seed: number, shares: readonly number[]) {
  let current = model;
  const plans = shares.map((share, round) => {
    const structure = structureOf(current.graph);
    const random = randomOf(seed, `round ${round}`);
    const scores = Float64Array.from(structure.units, () => random.uniform());
    const { count, choose } = removalsInOrder(structure, scores);
    const removed = choose(Math.round(share * count));
    const plan = planOf(structure, removed, "random", []);
    current = readModel(concatBytes(writeModel(current, removeUnits(structure, removed))));
    return plan;
  });
  return { plans, small: current.graph };
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
