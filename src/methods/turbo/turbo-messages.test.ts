/** @file Messages on chains and grids against the enumeration of all supports, and the printed recursions. */
import { describe, expect, it } from "vitest";
import { type Random, randomOf } from "../../tensor/random.ts";
import {
  activeShare,
  addChainMessages,
  addGridMessages,
  logit,
  passOn,
  sigmoid,
  type Transitions,
} from "./turbo-messages.ts";
import {
  independent,
  type SupportLayout,
  type SupportStructure,
  supportMessages,
  transitionsOf,
  weightsPerBit,
} from "./turbo-support.ts";

type Edge = readonly [number, number];

/** P(s, t) of neighbours, by their states. */
function pairOf({ p01, p10 }: Transitions, s: number, t: number): number {
  const share = activeShare({ p01, p10 });
  if (s === 0) return (1 - share) * (t === 1 ? p01 : 1 - p01);
  return share * (t === 0 ? p10 : 1 - p10);
}

/** Extrinsic log odds of each bit and expected pairs, summed over all supports. */
function enumerated(evidence: ArrayLike<number>, edges: readonly Edge[], of: Transitions) {
  const bits = evidence.length;
  const share = activeShare(of);
  const odds = Array.from({ length: bits }, () => [0, 0]);
  const pairs = new Float64Array(4);
  let total = 0;
  for (let mask = 0; mask < 2 ** bits; mask++) {
    const state = (i: number) => (mask >> i) & 1;
    let weight = 1;
    for (let i = 0; i < bits; i++) {
      weight *= state(i) ? share : 1 - share;
      weight *= Math.exp(state(i) * evidence[i]);
    }
    for (const [i, j] of edges) {
      const [s, t] = [state(i), state(j)];
      weight *= pairOf(of, s, t) / ((s ? share : 1 - share) * (t ? share : 1 - share));
    }
    total += weight;
    for (let i = 0; i < bits; i++) odds[i][state(i)] += weight;
    for (const [i, j] of edges) pairs[2 * state(i) + state(j)] += weight;
  }
  return {
    logits: odds.map(([silent, active], i) => Math.log(active / silent) - evidence[i]),
    pairs: pairs.map((count) => count / total),
  };
}

function gridEdges(rows: number, columns: number): readonly Edge[] {
  const at = (row: number, column: number) => row * columns + column;
  const edges: Edge[] = [];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      if (c + 1 < columns) edges.push([at(r, c), at(r, c + 1)]);
      if (r + 1 < rows) edges.push([at(r, c), at(r + 1, c)]);
    }
  return edges;
}

function evidenceOf(random: Random, length: number, spread = 2): Float64Array {
  return Float64Array.from({ length }, () => spread * random.normal());
}

function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])));
}

const someTransitions: readonly Transitions[] = [
  { p01: 0.02, p10: 0.15 },
  { p01: 0.4, p10: 0.1 },
  { p01: 0.9, p10: 0.8 },
  { p01: 0.3, p10: 0.7 },
];

/** The recursions as Xia, Tsang and Lau print them, in probabilities. */
function printedChain(input: Float64Array, { p01, p10 }: Transitions): number[] {
  const [p11, p00, length] = [1 - p10, 1 - p01, input.length];
  const forward = [p01 / (p01 + p10)];
  for (let n = 1; n < length; n++) {
    const [pin, lf] = [input[n - 1], forward[n - 1]];
    const below = (1 - pin) * (1 - lf) + pin * lf;
    forward.push((p01 * (1 - pin) * (1 - lf) + p11 * pin * lf) / below);
  }
  const backward = new Array<number>(length).fill(0.5);
  for (let n = length - 2; n >= 0; n--) {
    const a = (1 - input[n + 1]) * (1 - backward[n + 1]);
    const b = input[n + 1] * backward[n + 1];
    backward[n] = (p10 * a + p11 * b) / ((p00 + p10) * a + (p01 + p11) * b);
  }
  return forward.map((lf, n) => {
    const [both, neither] = [lf * backward[n], (1 - lf) * (1 - backward[n])];
    return both / (both + neither);
  });
}

describe("a chain", () => {
  const random = randomOf(0, "chain");

  it.each(someTransitions)("is what enumeration gives, with %o", (transitions) => {
    for (let length = 1; length <= 11; length++) {
      const evidence = evidenceOf(random, length);
      const line = { offset: 0, stride: 1, length };
      const out = new Float64Array(length).fill(logit(activeShare(transitions)));
      const pairs = new Float64Array(4);
      addChainMessages(evidence, line, transitions, out, pairs);
      const edges = Array.from({ length: length - 1 }, (_, i): Edge => [i, i + 1]);
      const exact = enumerated(evidence, edges, transitions);
      expect(furthest(out, exact.logits)).toBeLessThan(1e-12);
      expect(furthest(pairs, exact.pairs)).toBeLessThan(1e-12);
    }
  });

  it.each(someTransitions)("is the printed recursion, with %o", (transitions) => {
    const evidence = evidenceOf(random, 60);
    const out = new Float64Array(60).fill(logit(activeShare(transitions)));
    addChainMessages(evidence, { offset: 0, stride: 1, length: 60 }, transitions, out);
    const printed = printedChain(evidence.map(sigmoid), transitions);
    expect(furthest(out.map(sigmoid), printed)).toBeLessThan(1e-12);
  });

  it("lies anywhere in an array", () => {
    const evidence = evidenceOf(random, 12);
    const [transitions] = someTransitions;
    const out = new Float64Array(12);
    addChainMessages(evidence, { offset: 1, stride: 3, length: 4 }, transitions, out);
    const own = evidence.filter((_, i) => i % 3 === 1);
    const alone = new Float64Array(4);
    addChainMessages(own, { offset: 0, stride: 1, length: 4 }, transitions, alone);
    expect([...out].filter((_, i) => i % 3 === 1)).toEqual([...alone]);
    expect([...out].filter((_, i) => i % 3 !== 1).every((value) => value === 0)).toBe(true);
  });

  it("says λ of each bit where neighbours are independent, or nothing is known", () => {
    for (const share of [0.1, 0.5, 0.83])
      expect(Math.abs(passOn(3.7, independent(share)))).toBeLessThan(1e-15);
    for (const transitions of someTransitions)
      expect(Math.abs(passOn(0, transitions))).toBeLessThan(1e-15);
  });

  it("stays finite where evidence is beyond doubt", () => {
    const evidence = Float64Array.from([900, -900, 900, -900]);
    const out = new Float64Array(4);
    addChainMessages(evidence, { offset: 0, stride: 1, length: 4 }, { p01: 1e-6, p10: 1e-6 }, out);
    expect(out.every(Number.isFinite)).toBe(true);
  });
});

describe("a grid", () => {
  const random = randomOf(0, "grid");
  const patient = { iterations: 200, damping: 0, tolerance: 0 };

  it.each(someTransitions)("of one row or column is a chain, with %o", (transitions) => {
    const evidence = evidenceOf(random, 9);
    const line = { offset: 0, stride: 1, length: 9 };
    const [chain, chainPairs] = [new Float64Array(9), new Float64Array(4)];
    addChainMessages(evidence, line, transitions, chain, chainPairs);
    for (const columns of [1, 9]) {
      const [out, pairs] = [new Float64Array(9), new Float64Array(4)];
      addGridMessages(evidence, columns, transitions, out, patient, pairs);
      expect(furthest(out, chain)).toBeLessThan(1e-12);
      expect(furthest(pairs, chainPairs)).toBeLessThan(1e-12);
    }
  });

  it("of three rows and columns is close to enumeration where coupling is weak", () => {
    const errors = [
      { p01: 0.2, p10: 0.6 },
      { p01: 0.1, p10: 0.5 },
    ].map((transitions) => {
      const cases = Array.from({ length: 20 }, () => {
        const evidence = evidenceOf(random, 9);
        const out = new Float64Array(9).fill(logit(activeShare(transitions)));
        addGridMessages(evidence, 3, transitions, out, { iterations: 300 });
        const { logits } = enumerated(evidence, gridEdges(3, 3), transitions);
        const chance = (values: ArrayLike<number>) =>
          Float64Array.from(evidence, (own, i) => sigmoid(own + values[i]));
        return furthest(chance(out), chance(logits));
      });
      return Math.max(...cases);
    });
    // Probabilities are off by at most so much, with correlations of .2 and .4 between neighbours.
    for (const [i, bound] of [0.005, 0.06].entries()) expect(errors[i]).toBeLessThan(bound);
    expect(errors[0]).toBeLessThan(errors[1]);
  });

  it("gives λ where nothing is known", () => {
    const out = new Float64Array(12);
    for (const transitions of someTransitions) {
      addGridMessages(new Float64Array(12), 4, transitions, out, {});
      // What neighbours say of a bit on which they know nothing is nothing.
      expect(Math.max(...out.map(Math.abs))).toBeLessThan(1e-12);
    }
  });
});

describe("the support of a layer", () => {
  const random = randomOf(0, "layer");
  const [transitions] = someTransitions;
  const layout = (structure: SupportStructure): SupportLayout => ({
    structure,
    rows: 3,
    columns: 8,
    taps: 2,
  });
  const bitsOf = (own: SupportLayout) => (own.rows * own.columns) / weightsPerBit(own);
  const messages = (structure: SupportStructure, own = transitions) => {
    const evidence = evidenceOf(random, bitsOf(layout(structure)));
    return { evidence, ...supportMessages(layout(structure), evidence, own) };
  };

  it("has a bit for each weight, kernel or neuron", () => {
    const bits = (["chain", "grid", "kernel", "neuron", "iid"] as const).map((structure) =>
      bitsOf(layout(structure)),
    );
    expect(bits).toEqual([24, 24, 12, 3, 24]);
  });

  it("is a chain for each neuron, exactly", () => {
    const { evidence, logits } = messages("chain");
    const edges = Array.from({ length: 7 }, (_, i): Edge => [i, i + 1]);
    for (const row of [0, 1, 2]) {
      const own = [8 * row, 8 * row + 8] as const;
      const exact = enumerated(evidence.slice(...own), edges, transitions);
      expect(furthest(logits.slice(...own), exact.logits)).toBeLessThan(1e-12);
    }
  });

  it.each(["rows-columns", "kernel"] as const)(
    "adds up log odds of both lines, as %s",
    (structure) => {
      const { evidence, logits } = messages(structure);
      const columns = evidence.length / 3;
      const prior = logit(activeShare(transitions));
      const lineOf = (at: readonly number[]) =>
        enumerated(
          at.map((i) => evidence[i]),
          at.slice(1).map((_, i): Edge => [i, i + 1]),
          transitions,
        ).logits;
      for (let i = 0; i < evidence.length; i++) {
        const [row, column] = [Math.floor(i / columns), i % columns];
        const along = lineOf(Array.from({ length: columns }, (_, c) => row * columns + c))[column];
        const across = lineOf([0, 1, 2].map((r) => r * columns + column))[row];
        expect(Math.abs(logits[i] - (along + across - prior))).toBeLessThan(1e-12);
      }
    },
  );

  it.each(["chain", "rows-columns", "grid", "kernel", "neuron", "iid"] as const)(
    "says λ of independent bits, as %s",
    (structure) => {
      const { logits } = messages(structure, independent(0.17));
      expect(
        furthest(
          logits,
          logits.map(() => logit(0.17)),
        ),
      ).toBeLessThan(1e-12);
    },
  );

  it.each(["chain", "rows-columns", "grid"] as const)(
    "learns its transitions, as %s",
    (structure) => {
      // One long chain in each row; the rows are independent, so columns would learn λ alone.
      const [rows, columns] = structure === "chain" ? [20, 400] : [1, 8000];
      const truth = { p01: 0.05, p10: 0.2 };
      const evidence = new Float64Array(rows * columns);
      let state = 0;
      for (let i = 0; i < evidence.length; i++) {
        if (i % columns === 0) state = random.uniform() < activeShare(truth) ? 1 : 0;
        else state = random.uniform() < (state ? 1 - truth.p10 : truth.p01) ? 1 : 0;
        // y ~ N(±1.2, 1): its log odds are 2.4 y.
        evidence[i] = 2.4 * ((state ? 1.2 : -1.2) + random.normal());
      }
      let learnt: Transitions = { p01: 0.3, p10: 0.3 };
      const own = { structure, rows, columns, taps: 1 };
      for (let i = 0; i < 40; i++) learnt = supportMessages(own, evidence, learnt).learnt;
      expect(learnt.p01 / truth.p01).toBeGreaterThan(0.85);
      expect(learnt.p01 / truth.p01).toBeLessThan(1.15);
      expect(learnt.p10 / truth.p10).toBeGreaterThan(0.85);
      expect(learnt.p10 / truth.p10).toBeLessThan(1.15);
    },
  );

  it("learns the share of active bits where they are independent", () => {
    const evidence = Float64Array.from({ length: 4000 }, (_, i) => (i % 10 < 3 ? 9 : -9));
    const own = { structure: "iid", rows: 40, columns: 100, taps: 1 } as const;
    const { learnt } = supportMessages(own, evidence, independent(0.5));
    expect(activeShare(learnt)).toBeCloseTo(0.3, 3);
    expect(learnt.p01 + learnt.p10).toBeCloseTo(1, 12);
  });

  it("learns nothing where there are no neighbours", () => {
    expect(transitionsOf(new Float64Array(4))).toBeUndefined();
    expect(transitionsOf(Float64Array.from([6, 2, 0, 1]))).toEqual({ p01: 1 / 7, p10: 1 / 2 });
  });
});
