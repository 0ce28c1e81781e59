/** @file Beliefs about precisions: closed forms, fixed points and limits, and clusters planted in a linear model. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import { digamma, lnGamma } from "./turbo-gamma.ts";
import { logit, sigmoid, type Transitions } from "./turbo-messages.ts";
import {
  type BeliefForm,
  type Beliefs,
  factorisedBeliefs,
  firstBeliefs,
  type Gamma,
  jointBeliefs,
  jointEvidence,
  type PrecisionPrior,
} from "./turbo-precision.ts";
import { independent, supportMessages } from "./turbo-support.ts";

const prior = (rate = 0.01, dof = 0.5): PrecisionPrior => ({
  active: { shape: 1, rate: 1 },
  inactive: { shape: 1, rate },
  dof,
});

/** Beliefs that begin at one probability for all bits, as the authors' demonstration begins. */
function neutralBeliefs(
  { active, inactive }: PrecisionPrior,
  weights: number,
  bits: number,
  probability = 0.5,
): Beliefs {
  const mix = (a: number, b: number) => probability * a + (1 - probability) * b;
  const [shape, rate] = [mix(active.shape, inactive.shape), mix(active.rate, inactive.rate)];
  return {
    logits: new Float64Array(bits).fill(Math.log(probability / (1 - probability))),
    evidence: new Float64Array(bits),
    precisions: new Float64Array(weights).fill(shape / rate),
    logPrecisions: new Float64Array(weights).fill(digamma(shape) - Math.log(rate)),
  };
}

/** ln of Student's t density with ν degrees of freedom and this scale². */
function lnStudent(w: number, freedom: number, square: number): number {
  return (
    lnGamma((freedom + 1) / 2) -
    lnGamma(freedom / 2) -
    0.5 * Math.log(freedom * Math.PI * square) -
    ((freedom + 1) / 2) * Math.log1p(w ** 2 / (freedom * square))
  );
}

describe("the evidence of a weight", () => {
  const skewed: PrecisionPrior = {
    active: { shape: 1.3, rate: 0.7 },
    inactive: { shape: 2.1, rate: 0.02 },
    dof: 0.5,
  };

  it.each([prior(), prior(1e-4), skewed])("is a ratio of Student t densities, with %o", (own) => {
    const t = (w: number, { shape, rate }: Gamma) => lnStudent(w, 2 * shape, rate / shape);
    for (const w of [0, 0.01, 0.3, 1, 7])
      expect(
        Math.abs(jointEvidence(own)(w ** 2) - (t(w, own.active) - t(w, own.inactive))),
      ).toBeLessThan(1e-12);
  });

  it("is even where the closed form says", () => {
    // For shapes 1: w²/2 = (b^⅓ - b̄^⅓) / (b̄^-⅔ - b^-⅔).
    const [b, off] = [1, 0.01];
    const half = (Math.cbrt(b) - Math.cbrt(off)) / (off ** (-2 / 3) - b ** (-2 / 3));
    expect(Math.sqrt(2 * half)).toBeCloseTo(0.276, 3);
    expect(Math.abs(jointEvidence(prior(off))(2 * half))).toBeLessThan(1e-12);
  });

  it("with d = 1 is that with d = ½ and half the rates, for shapes ½ more", () => {
    // (b + m₂)^-(a + 1) ∝ (b/2 + m₂/2)^-(a + ½ + ½); constants: Γ and powers of b.
    const [own, half] = [prior(0.01, 1), prior(0.005, 0.5)];
    const moved = {
      ...half,
      active: { shape: 1.5, rate: 0.5 },
      inactive: { shape: 1.5, rate: 0.005 },
    };
    const difference = (m2: number) => jointEvidence(own)(m2) - jointEvidence(moved)(m2);
    for (const m2 of [0.01, 0.5, 3]) expect(difference(m2)).toBeCloseTo(difference(0), 10);
  });
});

describe("joint beliefs", () => {
  it("are Bayes' rule, by numerical integration over ρ", () => {
    const own = prior();
    const [m2, share] = [0.09, 0.2];
    const beliefs = jointBeliefs(own, Float64Array.of(m2), Float64Array.of(logit(share)));
    // ∫ over ln ρ of Gamma(ρ) ρ^½ e^(-ρ m₂ / 2) and of that times ρ.
    const integrals = ({ shape, rate }: Gamma) => {
      let [mass, first] = [0, 0];
      for (let x = -25; x < 15; x += 1e-3) {
        const rho = Math.exp(x);
        const log = shape * Math.log(rate) - lnGamma(shape) + shape * x - rate * rho;
        const value = Math.exp(log + 0.5 * x - (rho * m2) / 2) * 1e-3;
        mass += value;
        first += value * rho;
      }
      return { mass, first };
    };
    const [active, inactive] = [integrals(own.active), integrals(own.inactive)];
    const total = share * active.mass + (1 - share) * inactive.mass;
    expect(sigmoid(beliefs.logits[0])).toBeCloseTo((share * active.mass) / total, 9);
    const mean = (share * active.first + (1 - share) * inactive.first) / total;
    expect(beliefs.precisions[0] / mean).toBeCloseTo(1, 9);
  });

  it("is automatic relevance determination where all bits are in one state", () => {
    const own = prior();
    const m2 = Float64Array.of(0.001, 0.2, 4);
    const { precisions } = jointBeliefs(
      own,
      m2,
      m2.map(() => 50),
    );
    const { active, dof } = own;
    for (const [i, value] of precisions.entries())
      expect(value / ((active.shape + dof) / (active.rate + m2[i] / 2))).toBeCloseTo(1, 10);
  });

  it("add up the evidence of weights that share a bit", () => {
    const own = prior();
    const m2 = Float64Array.of(0.001, 0.2, 4, 0.01);
    const { evidence, logits } = jointBeliefs(own, m2, Float64Array.of(-1, 2));
    const single = [...m2].map(jointEvidence(own));
    expect([...evidence]).toEqual([single[0] + single[1], single[2] + single[3]]);
    expect([...logits]).toEqual([evidence[0] - 1, evidence[1] + 2]);
  });
});

describe("factorised beliefs", () => {
  const own = prior(0.2);
  const m2 = Float64Array.of(0.0004, 0.09, 0.5, 2);
  const priorLogits = m2.map(() => logit(0.3));
  const start = firstBeliefs(own, m2.length, m2);

  it("come to a point where both printed equations hold", () => {
    const end = factorisedBeliefs(own, m2, priorLogits, start, 400);
    for (const [i, square] of m2.entries()) {
      const q = sigmoid(end.logits[i]);
      const shape = q + (1 - q) + 0.5;
      const rate = q * own.active.rate + (1 - q) * own.inactive.rate + square / 2;
      const [mean, log] = [shape / rate, digamma(shape) - Math.log(rate)];
      expect(end.precisions[i] / mean).toBeCloseTo(1, 8);
      expect(end.logPrecisions[i]).toBeCloseTo(log, 8);
      // b^a / Γ(a) e^((a-1) E ln ρ - b E ρ), against the same with ā and b̄.
      const side = ({ shape: a, rate: b }: Gamma) =>
        (b ** a / Math.exp(lnGamma(a))) * Math.exp((a - 1) * log - b * mean);
      const odds = ((0.3 / 0.7) * side(own.active)) / side(own.inactive);
      expect(end.logits[i]).toBeCloseTo(Math.log(odds), 6);
    }
  });

  it.each([50, -50])(
    "with d = 1 are those with half of all shapes and rates, in state %d",
    (state) => {
      const halved = ({ shape, rate }: Gamma) => ({ shape: shape / 2, rate: rate / 2 });
      const half = { active: halved(own.active), inactive: halved(own.inactive), dof: 0.5 };
      const pinned = m2.map(() => state);
      const meansOf = (given: PrecisionPrior) => [
        ...factorisedBeliefs(given, m2, pinned, start, 3).precisions,
        ...jointBeliefs(given, m2, pinned).precisions,
      ];
      const [full, other] = [meansOf({ ...own, dof: 1 }), meansOf(half)];
      for (const [i, mean] of full.entries()) expect(other[i] / mean).toBeCloseTo(1, 12);
    },
  );

  it("may stay where they begin, which joint ones never do", () => {
    const square = Float64Array.of(0.02);
    const even = Float64Array.of(0);
    const ends = [0.999, 0.001].map((probability) => {
      const begin = neutralBeliefs(prior(1e-3), 1, 1, probability);
      return factorisedBeliefs(prior(1e-3), square, even, begin, 500).logits[0];
    });
    expect(ends[0]).toBeGreaterThan(2);
    expect(ends[1]).toBeLessThan(-0.5);
    const joint = jointBeliefs(prior(1e-3), square, even);
    expect(jointBeliefs(prior(1e-3), square, even)).toEqual(joint);
  });
});

/** y = A w + noise with two clusters of six in 96 weights. */
function planted(measurements: number, seed: number) {
  const [size, noise] = [96, 0.01];
  const random = randomOf(seed, "planted", measurements);
  const weights = new Float64Array(size);
  const first = random.integer(size / 2 - 7);
  const second = size / 2 + random.integer(size / 2 - 7);
  for (const start of [first, second])
    for (let i = start; i < start + 6; i++) {
      const value = random.normal();
      weights[i] = Math.sign(value) * (0.5 + Math.abs(value));
    }
  const matrix = Array.from({ length: measurements }, () =>
    Float64Array.from({ length: size }, () => random.normal() / Math.sqrt(measurements)),
  );
  const y = matrix.map(
    (row) =>
      row.reduce((sum, a, i) => sum + a * weights[i], 0) + Math.sqrt(noise) * random.normal(),
  );
  return { size, noise, weights, matrix, y };
}

type Problem = ReturnType<typeof planted>;

/** The exact q(w) = N(μ, Σ) under precisions: μ and the second moments, through the M x M system. */
function exactMoments({ size, noise, matrix, y }: Problem, precisions: Float64Array) {
  const m = matrix.length;
  // C = v I + A D Aᵀ = L Lᵀ, D = 1 / ρ; μ = D Aᵀ C⁻¹ y; Σ = D - D Aᵀ C⁻¹ A D.
  const lower = matrix.map(() => new Float64Array(m));
  const scaled = matrix.map((row) => row.map((a, i) => a / precisions[i]));
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? noise : 0;
      for (let k = 0; k < size; k++) sum += scaled[i][k] * matrix[j][k];
      for (let k = 0; k < j; k++) sum -= lower[i][k] * lower[j][k];
      lower[i][j] = i === j ? Math.sqrt(sum) : sum / lower[j][j];
    }
  // Rows of L⁻¹ [A D | y].
  const solved = matrix.map(() => new Float64Array(size + 1));
  for (let i = 0; i < m; i++) {
    for (let c = 0; c <= size; c++) {
      let sum = c < size ? scaled[i][c] : y[i];
      for (let k = 0; k < i; k++) sum -= lower[i][k] * solved[k][c];
      solved[i][c] = sum / lower[i][i];
    }
  }
  const mean = new Float64Array(size);
  const second = precisions.map((precision) => 1 / precision);
  for (const row of solved)
    for (let c = 0; c < size; c++) {
      mean[c] += row[c] * row[size];
      second[c] -= row[c] ** 2;
    }
  for (let c = 0; c < size; c++) second[c] += mean[c] ** 2;
  return { mean, second };
}

interface Recovery {
  readonly form: BeliefForm;
  readonly transitions: Transitions;
  readonly prior?: PrecisionPrior;
  readonly isNeutral?: boolean;
}

/** F1 of the support that is found in 15 rounds of 10 turns. */
function recovered(problem: Problem, how: Recovery): number {
  const { form, transitions, prior: own = prior(1e-3), isNeutral = false } = how;
  const layout = { structure: "chain", rows: 1, columns: problem.size, taps: 1 } as const;
  const ridge = exactMoments(problem, new Float64Array(problem.size).fill(1));
  let beliefs: Beliefs = isNeutral
    ? neutralBeliefs(own, problem.size, problem.size)
    : firstBeliefs(
        own,
        problem.size,
        ridge.mean.map((w) => w ** 2),
      );
  for (let round = 0; round < 15; round++) {
    const { logits } = supportMessages(layout, beliefs.evidence, transitions);
    for (let turn = 0; turn < 10; turn++) {
      const { second } = exactMoments(problem, beliefs.precisions);
      beliefs =
        form === "joint"
          ? jointBeliefs(own, second, logits)
          : factorisedBeliefs(own, second, logits, beliefs, 1);
    }
  }
  let [right, found, there] = [0, 0, 0];
  for (const [i, own] of beliefs.logits.entries()) {
    const isTrue = problem.weights[i] !== 0;
    found += own > 0 ? 1 : 0;
    there += isTrue ? 1 : 0;
    right += own > 0 && isTrue ? 1 : 0;
  }
  return (2 * right) / (found + there);
}

describe("clusters planted in a linear model", () => {
  const markov = { p01: 0.02, p10: 0.15 };
  const single = independent(12 / 96);
  const mean = (measurements: number, seeds: number, how: Recovery) => {
    let sum = 0;
    for (let seed = 0; seed < seeds; seed++) sum += recovered(planted(measurements, seed), how);
    return sum / seeds;
  };

  it.each([
    [48, 0.08],
    [72, 0.005],
  ])(
    "are found best by joint beliefs with a chain, from %d measurements",
    (measurements, gain) => {
      const joint = mean(measurements, 12, { form: "joint", transitions: markov });
      const alone = mean(measurements, 12, { form: "joint", transitions: single });
      const factorised = mean(measurements, 6, { form: "factorised", transitions: markov });
      expect(joint).toBeGreaterThan(0.98);
      expect(joint - alone).toBeGreaterThan(gain);
      expect(joint - factorised).toBeGreaterThan(0.03);
    },
    60_000,
  );

  it("are lost by the factorised form from the demonstration's start", () => {
    const how: Recovery = {
      form: "factorised",
      transitions: { p01: 0.288, p10: 0.51 },
      prior: prior(0.01, 1),
      isNeutral: true,
    };
    const lost = mean(48, 4, how);
    // All bits are taken for active: twelve of them are.
    expect(lost).toBeCloseTo(24 / 108, 12);
    expect(mean(48, 4, { ...how, form: "joint" })).toBeGreaterThan(0.95);
  });
});
