/** @file The guard holds what it promises, in every scenario of `npm run bench:guard`, 500 runs each. */
import { describe, expect, it } from "vitest";
import { mostViolations, scenarios, simulate } from "../../test/support/guard-simulation.ts";

describe("the search and the guard together", () => {
  it.each(scenarios)(
    "certify too much in 34 of 500 runs at most: $curve, $samples images, discordance $discordance, tolerance $maxDrop, churn $churn",
    async (scenario) => {
      const { runs, violations } = await simulate(scenario, 500);
      expect(mostViolations(runs)).toBe(34);
      expect(violations).toBeLessThanOrEqual(34);
    },
  );
});
