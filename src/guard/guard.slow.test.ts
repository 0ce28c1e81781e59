/** @file The guard holds what it promises, in every scenario of `npm run bench:guard`, 500 runs each. */
import { describe, expect, it } from "vitest";
import { mostViolations, scenarios, simulate } from "../../test/support/guard-simulation.ts";
import { mapScenarios, simulateMaps } from "../../test/support/guard-simulation-maps.ts";

describe("the search and the guard together", () => {
  it.each(scenarios)(
    "certify too much in 34 of 500 runs at most: $curve, $samples images, discordance $discordance, tolerance $maxDrop, churn $churn",
    async (scenario) => {
      const { runs, violations } = await simulate(scenario, 500);
      expect(mostViolations(runs)).toBe(34);
      expect(violations).toBeLessThanOrEqual(34);
    },
  );

  const maps = mapScenarios.filter(({ samples }) => samples === 100);
  it.each(maps)(
    "certify too much in 16 of 200 runs at most, by mean IoU: $curve, $harmed of the images harmed",
    async (scenario) => {
      expect(mostViolations(200)).toBe(16);
      expect((await simulateMaps(scenario, 200)).violations).toBeLessThanOrEqual(16);
    },
  );
});
