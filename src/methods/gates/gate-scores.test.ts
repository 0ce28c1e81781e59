/** @file What closing a gate costs, against the quadratic loss that it is derived from. */
import { expect, it } from "vitest";
import { quadrantNetwork } from "../../../test/support/training.ts";
import { structureOf } from "../../structure/units/units.ts";
import { gatesOf } from "./filter-gates-sites.ts";
import { gateLosses } from "./gate-scores.ts";

it("closing a gate costs what the data term rises by, and infinity where there is none", () => {
  const structure = structureOf(quadrantNetwork());
  const gates = gatesOf(structure);
  // N F of each gate's units, all of which live at λ A = 2.
  const weight = 2;
  const precisions = gates.map(({ units }) => Float64Array.from(units, (_, i) => 3 + 2 * i));
  const posteriors = new Map(
    gates.map((gate, g) => {
      const ks = precisions[g].map((precision) => precision / weight);
      const means = ks.map((k) => 1 - 1 / k);
      return [gate, { means, variances: means.map((mean, i) => mean / ks[i]) }] as const;
    }),
  );
  const losses = gateLosses(structure, posteriors, ({ units }) =>
    new Float64Array(units.length).fill(weight),
  );
  const gated = new Set<number>();
  for (const [g, gate] of gates.entries()) {
    const posterior = posteriors.get(gate);
    for (const [i, unit] of gate.units.entries()) {
      gated.add(unit);
      const [mean, variance] = [posterior?.means[i] ?? 0, posterior?.variances[i] ?? 0];
      // E[N F (1 - θ)²/2]: at θ = 0 against θ ~ N(μ, σ²).
      const [open, closed] = [(1 - mean) ** 2 + variance, 1];
      expect(losses[unit]).toBeCloseTo((precisions[g][i] / 2) * (closed - open), 10);
    }
  }
  expect(gated.size).toBeGreaterThan(0);
  for (const { index } of structure.units)
    if (!gated.has(index)) expect(losses[index]).toBe(Number.POSITIVE_INFINITY);
});
