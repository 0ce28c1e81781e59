/** @file Bets against a tolerance: fair games, and how rarely they win by luck. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import { betsAgainst, Wealth } from "./wealth.ts";

describe("bets", () => {
  it.each([0.005, 0.01, 0.1, 0.5])("against a drop of %d never lose everything", (tolerance) => {
    const bets = betsAgainst(tolerance);
    expect(bets).toHaveLength(24);
    expect(bets.at(-1)).toBeCloseTo(0.95, 12);
    for (const bet of bets) expect(1 + bet * (tolerance - 1)).toBeGreaterThan(0);
  });

  it("are fair where the drop is the tolerance: the mean wealth after an image is 1", () => {
    const [lost, won, tolerance] = [0.03, 0.01, 0.02];
    const after = (unit: { lost: number; won: number }) => {
      const wealth = new Wealth(tolerance);
      wealth.bet({ size: 1, ...unit });
      return Math.exp(wealth.log);
    };
    const mean =
      lost * after({ lost: 1, won: 0 }) +
      won * after({ lost: 0, won: 1 }) +
      (1 - lost - won) * after({ lost: 0, won: 0 });
    expect(mean).toBeCloseTo(1, 12);
  });

  it("on images that are alike may be made at once", () => {
    const [once, often] = [new Wealth(0.01), new Wealth(0.01)];
    once.bet({ size: 1, lost: 0, won: 0 }, 500);
    for (let i = 0; i < 500; i++) often.bet({ size: 1, lost: 0, won: 0 });
    expect(once.log).toBeCloseTo(often.log, 9);
  });

  it("ever win forty times their stake in at most 2.5 % of the games", () => {
    const [lost, won, tolerance] = [0.02, 0.01, 0.01];
    const random = randomOf("wealth");
    const games = 2000;
    let wins = 0;
    for (let game = 0; game < games; game++) {
      const wealth = new Wealth(tolerance);
      for (let left = 600, most = 0; left > 0; ) {
        const gap = Math.floor(Math.log(1 - random.uniform()) / Math.log1p(-(lost + won)));
        wealth.bet({ size: 1, lost: 0, won: 0 }, Math.min(gap, left));
        most = Math.max(most, wealth.log);
        left -= gap + 1;
        if (most >= Math.log(40) || left < 0) {
          if (most >= Math.log(40)) wins++;
          break;
        }
        const isLost = random.uniform() < lost / (lost + won);
        wealth.bet({ size: 1, lost: isLost ? 1 : 0, won: isLost ? 0 : 1 });
      }
    }
    expect(wins / games).toBeLessThan(0.025 + 2 * Math.sqrt((0.025 * 0.975) / games));
  });
});
