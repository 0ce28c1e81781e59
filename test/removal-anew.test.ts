/** @file The order in which `bn` removes channels against its definition, which solves everything anew at each step. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Graph } from "../src/ir/graph.ts";
import { sourcesOf } from "../src/methods/compensation/channel-model.ts";
import { correlationsOf } from "../src/methods/compensation/correlations.ts";
import { type Account, Ledger } from "../src/methods/compensation/ledger.ts";
import { outputShares } from "../src/methods/compensation/output-shares.ts";
import { otherReadsOf, readersOf } from "../src/methods/compensation/readers.ts";
import {
  accountsOf,
  damageModel,
  removalOrder,
} from "../src/methods/compensation/removal-order.ts";
import { momentsOf } from "../src/methods/compensation/statistics.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { candidateUnits } from "../src/structure/choice/select.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { cholesky, gramMatrix } from "../src/tensor/linear-algebra.ts";
import { randomOf } from "../src/tensor/random.ts";
import { mobilenet, plain, residual } from "./support/normalized-networks.ts";
import { lossesAnew, orderAnew } from "./support/removal-anew.ts";

/** Both orders of all candidates of a network, and the width of its widest source. */
function ordersOf(graph: Graph, widest = Number.POSITIVE_INFINITY) {
  const structure = structureOf(graph);
  const count = structure.units.length;
  const readers = readersOf(structure);
  const others = otherReadsOf(structure, readers);
  const moments = momentsOf(structure.analysis);
  const sources = sourcesOf(readers, moments, correlationsOf(structure, readers, moments));
  if (sources.some(({ units }) => units.length > widest)) return undefined;
  const shares = outputShares(structure, readers, moments);
  const candidates = candidateUnits(structure, {});
  return {
    candidates,
    order: removalOrder(damageModel(count, sources, others, shares), count, candidates),
    anew: orderAnew(count, sources, accountsOf(count, sources, others, shares), candidates),
  };
}

describe("the order of removals is that of solving anew", () => {
  it.each([
    ["plain layers", plain(40, 3)],
    ["dead channels", plain(33, 3, { deadEvery: 5 })],
    ["pointwise layers", plain(64, 4, { size: 1 })],
    ["a residual stream", residual(36, 3)],
    ["depthwise layers", mobilenet(1 / 16, 32)],
  ])("in %s", (_, graph) => {
    const orders = ordersOf(graph);
    expect(orders?.candidates.length).toBeGreaterThan(60);
    expect(orders?.order).toEqual(orders?.anew);
  });

  const models = join(process.env.ESPALIER_DATA ?? "", "models");
  const names = process.env.ESPALIER_DATA && existsSync(models) ? readdirSync(models) : [];
  it.skipIf(names.length === 0)(
    "in real networks of up to 64 channels (skipped without ESPALIER_DATA, a folder with models/)",
    () => {
      let compared = 0;
      for (const name of names.filter((each) => each.endsWith(".onnx"))) {
        const graph = readModel(new Uint8Array(readFileSync(join(models, name)))).graph;
        const orders = ordersOf(graph, 64);
        if (orders === undefined) continue;
        expect(orders.order, name).toEqual(orders.anew);
        if (orders.candidates.length > 0) compared++;
      }
      expect(compared).toBeGreaterThan(0);
    },
    300_000,
  );
});

describe("the ledger of one value", () => {
  it("is exact after many removals, between and after the products that make their changes", () => {
    const width = 150;
    const random = (key: string, count: number) =>
      Float64Array.from(randomOf(3, key).normals(count));
    const covariance = gramMatrix(random("channels", width * 200), width, 200);
    const deviation = (c: number) => Math.sqrt(covariance[c * width + c]);
    const correlations = covariance.map(
      (x, i) => x / (deviation(Math.floor(i / width)) * deviation(i % width)),
    );
    const account: Account = {
      alone: new Float64Array(width),
      gram: gramMatrix(random("weights", width * 170), width, 170),
      correlated: { correlations, factor: cholesky(correlations, width) },
    };
    const units = Int32Array.from({ length: width }, (_, c) => c);
    const ledger = new Ledger(account);
    const total = account.gram.reduce((sum, x, i) => sum + x * correlations[i], 0);
    let lost = 0;
    const gone = new Set<number>();
    for (const channel of randomOf(4)
      .permutation(width)
      .subarray(0, width - 1)) {
      const losses = lossesAnew(account, units, gone);
      const left = Math.max(0.01, 1 - lost / total) ** 2;
      for (const c of units)
        if (!gone.has(c)) expect(ledger.damageOf(c) / (losses[c] / left)).toBeCloseTo(1, 9);
      lost += losses[channel];
      ledger.remove(channel);
      gone.add(channel);
    }
  });
});
