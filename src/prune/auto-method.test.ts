/** @file Which method one-shot pruning takes where nobody names one. */

import { expect, it } from "vitest";
import { type Layer, op, plainNetwork, silu } from "../../test/support/partly-normalized.ts";
import { prune } from "./prune.ts";
import { partsOf } from "./pruned.ts";

const relu = op("Relu");
const last: Layer = { filters: 4, kernel: 1 };
const layer = (isNormalized: boolean, activation = relu, filters = 8): Layer => {
  return { filters, isNormalized, activation };
};

it.each<{ name: string; layers: readonly Layer[]; method: string; reason: RegExp }>([
  {
    name: "kept in all layers",
    layers: [layer(true), layer(true), last],
    method: "bn",
    reason: /tells of 100 %/,
  },
  {
    name: "behind activations of two nodes",
    layers: [layer(true, silu), layer(true, silu), last],
    method: "bn",
    reason: /tells of 100 %/,
  },
  {
    name: "nowhere",
    layers: [layer(false), layer(false), last],
    method: "magnitude",
    reason: /tells of nothing/,
  },
  {
    name: "kept in a narrow layer of three",
    layers: [layer(false, relu, 32), layer(false, relu, 32), layer(true, relu, 4), last],
    method: "magnitude",
    reason: /tells of no more than \d+ %/,
  },
])("batch normalization $name: $method", ({ layers, method, reason }) => {
  const model = plainNetwork(layers);
  for (const named of [{}, { method: "auto" }]) {
    const pruned = prune(model, { targets: { macs: 0.8 }, ...named });
    expect(pruned).toMatchObject({ method, isReached: true });
    expect(pruned.plan.method).toBe(method);
    expect(pruned.methodReason).toMatch(reason);
  }
  const same = prune(model, { method, targets: { macs: 0.8 } });
  expect(same.methodReason).toBeUndefined();
  expect(partsOf(same).removed).toEqual(partsOf(prune(model, { targets: { macs: 0.8 } })).removed);
});

it("patterns that name nothing fail before anything is scored", () => {
  const own = {
    name: "own",
    summary: "",
    source: "",
    options: {},
    needs: { batchNorm: false, data: false },
    propose: () => {
      throw new Error("scored");
    },
  };
  const rules = { only: ["nowhere"] };
  expect(() =>
    prune(plainNetwork([layer(true), last]), { method: own, targets: { macs: 0.8 }, rules }),
  ).toThrow(expect.objectContaining({ code: "PATTERN_UNMATCHED" }));
});
