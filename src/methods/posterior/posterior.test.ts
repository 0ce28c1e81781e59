/** @file Posteriors in closed form: against integrals, draws, regression, and norms. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import { deadKl, type ScoredAxis, scoreUnits, snrScores } from "../variational/snr-scores.ts";
import {
  bestPrior,
  evidenceForZero,
  filterSums,
  klOf,
  productRatio,
  type WeightPosterior,
  withScales,
} from "./posterior.ts";

const density = (x: number, mean: number, deviation: number) =>
  Math.exp(-((x - mean) ** 2) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI));

const cases = [
  { mean: 0.3, deviation: 0.1, prior: 1, priorMean: 0 },
  { mean: -1.2, deviation: 0.7, prior: 0.4, priorMean: 0 },
  { mean: 0.02, deviation: 0.9, prior: 1, priorMean: 0.5 },
];

describe("what is known of a weight", () => {
  it.each(cases)("is the integral of q ln(q/p): %o", ({ mean, deviation, prior, priorMean }) => {
    const step = deviation / 1000;
    let integral = 0;
    for (let x = mean - 10 * deviation; x < mean + 10 * deviation; x += step) {
      const q = density(x, mean, deviation);
      // ln p by hand: the density itself underflows.
      const logP =
        -((x - priorMean) ** 2) / (2 * prior ** 2) - Math.log(prior * 2.5066282746310002);
      integral += q * (Math.log(q) - logP) * step;
    }
    expect(klOf(mean, deviation, prior, priorMean)).toBeCloseTo(integral, 8);
  });

  it.each(cases)("is what draws of q say on average: %o", (own) => {
    const { mean, deviation, prior, priorMean } = own;
    const draws = [...randomOf("kl").normals(40_000)].map((z) => {
      const w = mean + deviation * z;
      const log = (x: number, m: number, s: number) => -((x - m) ** 2) / (2 * s ** 2) - Math.log(s);
      return log(w, mean, deviation) - log(w, priorMean, prior);
    });
    const average = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const spread = Math.sqrt(
      draws.reduce((sum, x) => sum + (x - average) ** 2, 0) / draws.length ** 2,
    );
    expect(Math.abs(average - klOf(mean, deviation, prior, priorMean))).toBeLessThan(4 * spread);
  });

  it("is nothing where q is the prior, and so is the evidence", () => {
    expect(klOf(0, 0.3, 0.3)).toBe(0);
    expect(evidenceForZero(0, 0.3, 0.3)).toBe(0);
  });

  it("as evidence is the ratio of densities at 0", () => {
    for (const { mean, deviation, prior } of cases)
      expect(evidenceForZero(mean, deviation, prior)).toBeCloseTo(
        Math.log(density(0, mean, deviation) / density(0, 0, prior)),
        10,
      );
  });

  it("is least under the prior that is learnt", () => {
    const means = [0.3, -0.7, 0.01];
    const deviations = [0.1, 0.2, 0.3];
    const total = (prior: number) =>
      means.reduce((sum, mean, i) => sum + klOf(mean, deviations[i], prior), 0);
    const best = bestPrior(means, deviations);
    for (const factor of [0.9, 0.99, 1.01, 1.1])
      expect(total(best)).toBeLessThan(total(factor * best));
  });
});

/** Filters of the given means and deviations as one axis of units 0, 1, ... */
function axisOf(
  means: readonly (readonly number[])[],
  deviationOf: (filter: number, i: number) => number,
  prior = 1,
): ScoredAxis {
  const width = means[0].length;
  const posterior: WeightPosterior = {
    weight: "w",
    shape: [means.length, width],
    filterAxis: 0,
    prior,
    means: Float64Array.from(means.flat()),
    deviations: Float64Array.from(means.flatMap((row, o) => row.map((_, i) => deviationOf(o, i)))),
  };
  return { units: means.map((_, i) => i), filters: filterSums(posterior) };
}

const structureOf = (count: number) => ({
  units: Array.from({ length: count }, (_, index) => ({
    index,
    group: 0,
    reason: undefined,
    filters: [],
    needs: [],
  })),
});

function order(scores: Float64Array): number[] {
  return [...scores.keys()].sort((a, b) => scores[a] - scores[b]);
}

it("does not count weights that are 0 for good", () => {
  const posterior: WeightPosterior = {
    weight: "w",
    shape: [2, 3],
    filterAxis: 0,
    prior: 1,
    means: Float64Array.of(0.5, 0, 0, 0, 0, 0),
    deviations: Float64Array.of(0.1, 1, 1, 1, 1, 1),
    zeros: Uint8Array.of(0, 1, 1, 1, 1, 1),
  };
  const [first, second] = filterSums(posterior);
  expect(first).toMatchObject({ weights: 1, kl: klOf(0.5, 0.1, 1) });
  expect(second).toMatchObject({ weights: 0, kl: 0 });
  const axes = [{ units: [0, 1], filters: [first, second] }];
  for (const score of snrScores) {
    const [own, empty] = scoreUnits(structureOf(2), axes, score);
    expect(Number.isFinite(own)).toBe(true);
    expect(empty).toBe(Number.POSITIVE_INFINITY);
  }
});

describe("a random scale behind a filter", () => {
  it("makes signal over noise that of the product", () => {
    const random = randomOf("product");
    for (const [a, b] of [
      [2, 3],
      [0.7, 1.5],
      [4, 0.5],
    ]) {
      const draws = Array.from(
        { length: 200_000 },
        () => (a + random.normal()) * (b + random.normal()),
      );
      const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
      const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
      expect(productRatio(a, b) / (mean / Math.sqrt(variance))).toBeCloseTo(1, 1);
    }
    expect(productRatio(1.7, Number.POSITIVE_INFINITY)).toBeCloseTo(1.7, 12);
    expect(productRatio(0, 2)).toBe(0);
  });

  it("adds what is known of it", () => {
    const { filters } = axisOf(
      [
        [1, 2],
        [3, 4],
      ],
      () => 0.1,
    );
    const scale = {
      weight: "g",
      shape: [2],
      filterAxis: 0,
      prior: 2,
      means: Float64Array.of(0, 3),
      deviations: Float64Array.of(2, 0.5),
    };
    const [dead, alive] = withScales(filters, scale);
    expect(dead.kl).toBe(filters[0].kl);
    expect(alive.kl - filters[1].kl).toBeCloseTo(klOf(3, 0.5, 2), 12);
    const axis = { units: [0, 1], filters: [dead, alive] };
    const [first, second] = scoreUnits(structureOf(2), [axis], "snr-l2");
    expect(first).toBe(0);
    expect(second).toBeCloseTo(productRatio(5 / Math.sqrt(0.02), 6), 12);
  });
});

describe("scores of units", () => {
  const random = randomOf("filters");
  const means = Array.from({ length: 8 }, (_, o) => [...random.normals(9)].map((x) => x * (o + 1)));
  const structure = structureOf(8);

  it("with one deviation in a layer go by the norms of filters", () => {
    const axis = axisOf(means, () => 0.2);
    const by = (norm: (row: readonly number[]) => number) => order(Float64Array.from(means, norm));
    const l2 = by((row) => Math.hypot(...row));
    const l1 = by((row) => row.reduce((sum, x) => sum + Math.abs(x), 0));
    for (const score of ["snr-l2", "kl", "input-weighted", "importance-snr", "loss"] as const)
      expect(order(scoreUnits(structure, [axis], score))).toEqual(l2);
    for (const score of ["snr-l1", "snr-mean"] as const)
      expect(order(scoreUnits(structure, [axis], score))).toEqual(l1);
  });

  it("are what the loss of a linear model rises by, where its inputs are independent", () => {
    // loss = (N/2) Σ E[x²] (w - μ)², whose posterior under a wide prior has σ² = λ/(N E[x²]).
    const [lambda, samples, power] = [0.1, 50, [0.5, 2, 8]];
    const rows = [
      [0.3, -1, 0.2],
      [2, 0.1, -0.4],
    ];
    const posterior = {
      weight: "w",
      shape: [2, 3],
      filterAxis: 0,
      prior: 100,
      means: Float64Array.from(rows.flat()),
      deviations: Float64Array.from([...power, ...power], (p) => Math.sqrt(lambda / (samples * p))),
    };
    const filters = filterSums(posterior, (place) => power[place % 3]);
    const losses = scoreUnits(structureOf(2), [{ units: [0, 1], filters }], "loss");
    for (const [o, row] of rows.entries()) {
      const rise = row.reduce((sum, mu, i) => sum + (samples / 2) * power[i] * mu * mu, 0);
      expect(lambda * losses[o]).toBeCloseTo(rise, 10);
    }
  });

  it("of one weight are |μ| / σ", () => {
    const axis = axisOf([[0.5], [-0.2], [3]], (o) => [0.1, 0.2, 2][o]);
    for (const score of ["snr-l2", "snr-l1", "snr-mean", "input-weighted"] as const)
      for (const [i, value] of scoreUnits(structureOf(3), [axis], score).entries())
        expect(value).toBeCloseTo([5, 1, 1.5][i], 12);
  });

  it("are 0 for a filter of which nothing is known", () => {
    const axis = axisOf(
      [
        [0, 0, 0],
        [1, 2, 3],
      ],
      (o) => (o === 0 ? 1 : 0.1),
    );
    for (const score of snrScores) {
      const [dead, alive] = scoreUnits(structureOf(2), [axis], score);
      expect(dead).toBeCloseTo(0, 12);
      expect(alive).toBeGreaterThan(1e-3);
    }
    expect(deadKl).toBeGreaterThan(0);
  });

  it("add up over tied filters where they are information, and not where they are ratios", () => {
    const [first, second] = [axisOf(means, () => 0.2), axisOf(means, () => 0.2)];
    for (const score of snrScores) {
      const one = scoreUnits(structure, [first], score);
      const two = scoreUnits(structure, [first, second], score);
      const factor = ["kl", "evidence", "loss"].includes(score) ? 2 : 1;
      for (const [i, value] of two.entries()) expect(value).toBeCloseTo(factor * one[i], 8);
    }
  });

  it("are infinite for units without random weights", () => {
    const scores = scoreUnits(structureOf(9), [axisOf(means, () => 0.2)], "kl");
    expect(scores[8]).toBe(Number.POSITIVE_INFINITY);
  });
});
