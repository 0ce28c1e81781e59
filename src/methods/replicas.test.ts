/** @file Methods that train, with replicas: they learn, and are repeated and resumed to the same. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import {
  comparable,
  contextOf,
  expectSameAfterInterruptions,
} from "../../test/support/learning.ts";
import { openQuadrants } from "../../test/support/quadrants.ts";
import { scratchFolder } from "../../test/support/scratch.ts";
import { quadrantNetwork } from "../../test/support/training.ts";
import type { Dataset } from "../data/dataset.ts";
import { learnedMethods } from "./learned-registry.ts";
import type { GivenOptions } from "./method/options.ts";

const folder = scratchFolder("methods-with-replicas");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const cases: readonly (readonly [string, GivenOptions])[] = [
  ["importance", { epochs: "1" }],
  ["rbp", { epochs: "1" }],
  ["vib", { epochs: "1" }],
  ["snr", { epochs: "1" }],
  ["turbo-vbi", { epochs: "1" }],
];

it("covers every method that trains", () => {
  expect(new Set(cases.map(([name]) => name))).toEqual(
    new Set(learnedMethods.map(({ name }) => name)),
  );
});

it.each(cases)(
  "%s is the same each time with two replicas, also when interrupted",
  async (name, options) => {
    const method = learnedMethods.find((one) => one.name === name);
    if (method === undefined) throw new Error(`no method ${name}`);
    mkdirSync(join(folder, name));
    await expectSameAfterInterruptions(
      async (training) => {
        const context = contextOf(quadrantNetwork(), dataset, options, {
          training: { ...training, replicas: 2 },
        });
        const proposal = await method.learn(context);
        expect(proposal.history.length).toBeGreaterThan(0);
        expect(proposal.scores.every(Number.isNaN)).toBe(false);
        return comparable(context, proposal);
      },
      (file) => join(folder, name, file),
      [7],
    );
  },
  // Its sessions and their threads begin anew at each of many checkpoints.
  120_000,
);
