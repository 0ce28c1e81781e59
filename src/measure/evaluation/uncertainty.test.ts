/** @file Figures of uncertainty against what they come to by hand. */
import { describe, expect, it } from "vitest";
import { uncertaintyChange, uncertaintyOf } from "../outcomes/outcome-uncertainty.ts";
import { metricOf, type Outcomes, pairedDrop } from "../outcomes/outcomes.ts";
import { scoreRow } from "./classification.ts";
import { newScorer } from "./pixels.ts";
import { coverages, selectiveAccuracy } from "./selective.ts";
import { classUncertainty } from "./uncertainty.ts";

const all = (count: number) => Int32Array.from({ length: count }, (_, i) => i);

describe("accuracy against coverage", () => {
  const confidences = [0.9, 0.6, 0.8, 0.95, 0.7, 0.5, 0.55, 0.65, 0.75, 0.85];
  // By falling confidence: right, right, right, wrong, right, right, wrong, right, wrong, wrong.
  const isCorrect = [1, 1, 0, 1, 1, 0, 0, 0, 1, 1].map(Number);

  it("takes the surest samples", () => {
    const order = [3, 0, 9, 2, 8, 4, 7, 1, 6, 5];
    const risks = order.map(
      (_, k) => order.slice(0, k + 1).filter((i) => isCorrect[i] === 0).length / (k + 1),
    );
    const figures = selectiveAccuracy(confidences, isCorrect)(all(10));
    for (const [i, share] of coverages.entries())
      expect(figures[i]).toBeCloseTo(1 - risks[Math.round(10 * share) - 1], 12);
    expect(figures[coverages.length]).toBeCloseTo(
      risks.reduce((sum, risk) => sum + risk / 10, 0),
      12,
    );
  });

  it("of equal confidences is what any order gives on average", () => {
    const figures = selectiveAccuracy([0.5, 0.5, 0.5, 0.5], [1, 0, 0, 1])(all(4));
    for (const figure of figures) expect(figure).toBeCloseTo(0.5, 12);
  });

  it("counts a sample as often as it is drawn", () => {
    const twice = selectiveAccuracy([0.9, 0.2], [1, 0])(Int32Array.of(0, 0, 1, 0));
    // 90 % of four samples are four, to the nearest.
    expect([...twice]).toEqual([0.75, 0.75, 1, 1, 1, 1 / 16]);
  });
});

describe("the Brier score", () => {
  it.each([
    ["logits", [Math.log(6), Math.log(3), Math.log(1)]],
    ["probabilities", [0.6, 0.3, 0.1]],
  ] as const)("of %s sums squares over all classes", (kind, row) => {
    const { brier } = scoreRow(Float64Array.from(row), 1, kind);
    expect(brier).toBeCloseTo(0.6 ** 2 + 0.7 ** 2 + 0.1 ** 2, 10);
  });

  it("of pixels is that of their classes, whatever form the output has", () => {
    const labels = Int32Array.of(0, 1, 255);
    const score = (
      channels: number,
      kind: "logits" | "probabilities",
      values: readonly number[],
    ) => {
      const scorer = newScorer({ channels, pixels: 3, kind, ignored: 255 });
      const [confusion, gaps] = [new Float64Array(4), new Float64Array(15)];
      return { ...scorer.score(Float64Array.from(values), labels, confusion, gaps), gaps };
    };
    const [p, q] = [0.2, 0.7];
    const logit = (x: number) => Math.log(x / (1 - x));
    const forms = [
      score(1, "probabilities", [p, q, 0.5]),
      score(1, "logits", [logit(p), logit(q), 0]),
      score(2, "probabilities", [1 - p, 1 - q, 0.5, p, q, 0.5]),
      score(2, "logits", [Math.log(1 - p), Math.log(1 - q), 3, Math.log(p), Math.log(q), -5]),
    ];
    for (const { brier, gaps } of forms) {
      expect(brier).toBeCloseTo((2 * 0.2 ** 2 + 2 * 0.3 ** 2) / 2, 10);
      // Both are right, with confidences .8 and .7.
      expect(gaps.reduce((sum, gap) => sum + gap, 0)).toBeCloseTo(0.2 + 0.3, 10);
    }
  });
});

function classes(probabilities: readonly (readonly number[])[], labels: readonly number[]) {
  const scored = probabilities.map((row, i) =>
    scoreRow(Float64Array.from(row), labels[i], "probabilities"),
  );
  const of = (pick: (one: (typeof scored)[number]) => number) => Float64Array.from(scored, pick);
  return {
    kind: "classes",
    predictions: {
      indices: all(labels.length),
      labels: Int32Array.from(labels),
      outputs: undefined,
      predicted: Int32Array.from(scored, ({ predicted }) => predicted),
      isCorrect: Uint8Array.from(scored, ({ rank }) => (rank === 0 ? 1 : 0)),
      losses: of(({ loss }) => loss),
      confidences: of(({ confidence }) => confidence),
      briers: of(({ brier }) => brier),
    },
  } satisfies Outcomes;
}

describe("uncertainty", () => {
  const rows = [
    [0.8, 0.2],
    [0.4, 0.6],
    [0.9, 0.1],
  ];
  const sure = classes(rows, [0, 0, 1]);
  const unsure = classes(
    rows.map(() => [0.5, 0.5]),
    [0, 0, 1],
  );

  it("of a classifier is by hand", () => {
    const { predictions } = sure;
    const { value, nll, brier, ece, selective } = classUncertainty(predictions, 0);
    expect(value.value).toBeCloseTo(1 / 3, 12);
    expect(nll.value).toBeCloseTo(-(Math.log(0.8) + Math.log(0.4) + Math.log(0.1)) / 3, 12);
    expect(brier.value).toBeCloseTo((2 * 0.2 ** 2 + 2 * 0.6 ** 2 + 2 * 0.9 ** 2) / 3, 12);
    expect(ece.value).toBeCloseTo((0.2 + 0.6 + 0.9) / 3, 12);
    // The surest is wrong, the next right, the last wrong.
    expect(selective.riskArea.value).toBeCloseTo((1 + 1 / 2 + 2 / 3) / 3, 12);
    for (const { ci95 } of [value, nll, brier, ece, selective.riskArea])
      expect(ci95[0]).toBeLessThanOrEqual(ci95[1]);
  });

  it("of maps sums over pixels, image by image", () => {
    const gaps = new Float64Array(30);
    gaps[3] = 2;
    gaps[15 + 3] = -1;
    gaps[15 + 9] = -1;
    const maps: Outcomes = {
      kind: "maps",
      classes: 2,
      indices: all(2),
      losses: Float64Array.of(1, 0.5),
      gaps,
      confusions: Float64Array.of(4, 0, 0, 4, 1, 1, 0, 0),
      briers: Float64Array.of(0.1, 0.6),
    };
    const { value, nll, brier, ece, selective } = uncertaintyOf(maps) ?? {};
    expect(value?.value).toBeCloseTo((5 / 6 + 4 / 5) / 2, 12);
    expect(nll?.value).toBeCloseTo((8 * 1 + 2 * 0.5) / 10, 12);
    expect(brier?.value).toBeCloseTo((8 * 0.1 + 2 * 0.6) / 10, 12);
    expect(ece?.value).toBeCloseTo((1 + 1) / 10, 12);
    expect(selective).toBe(undefined);
  });

  it("changes by the difference, with an interval of pairs", () => {
    const same = uncertaintyChange(sure, sure);
    expect(same?.nll).toEqual({ value: 0, ci95: [0, 0] });
    const change = uncertaintyChange(sure, unsure);
    const before = uncertaintyOf(sure);
    const after = uncertaintyOf(unsure);
    expect(change?.brier.value).toBeCloseTo(
      (after?.brier.value ?? 0) - (before?.brier.value ?? 0),
      12,
    );
    expect(change?.riskArea?.value).toBeCloseTo(1 / 3 - (1 + 1 / 2 + 2 / 3) / 3, 12);
    expect(() => uncertaintyChange(sure, classes([[1, 0]], [0]))).toThrow("different samples");
  });

  const mapsOf = (confusions: readonly number[]): Outcomes => {
    const images = confusions.length / 4;
    const gaps = new Float64Array(15 * images);
    return {
      kind: "maps",
      classes: 2,
      indices: all(images),
      gaps,
      losses: new Float64Array(images),
      briers: new Float64Array(images),
      confusions: Float64Array.from(confusions),
    };
  };
  it.each([
    ["classifiers", sure, unsure],
    ["classifiers that agree", sure, sure],
    [
      "maps",
      mapsOf([4, 0, 0, 4, 3, 1, 1, 3, 2, 2, 0, 4]),
      mapsOf([4, 0, 1, 3, 2, 2, 1, 3, 1, 3, 0, 4]),
    ],
  ] as const)("of %s has one interval for the metric and one for its drop", (_, first, second) => {
    const { drop, ci95 } = pairedDrop(first, second, { level: 0.025 });
    const change = uncertaintyChange(first, second)?.value;
    expect(change?.value).toBeCloseTo(-drop, 12);
    expect(change?.ci95.map((end) => -end || 0)).toEqual([ci95[1], ci95[0]].map((end) => end || 0));
    for (const outcomes of [first, second]) {
      const { value, ci95: ends } = metricOf(outcomes);
      const found = uncertaintyOf(outcomes);
      expect(found?.value).toEqual({ value, ci95: ends });
      expect(found?.selective?.coverage[0] ?? { share: 1, accuracy: found?.value }).toEqual({
        share: 1,
        accuracy: { value, ci95: ends },
      });
    }
  });

  it("is not told by values, or by files without it", () => {
    const values: Outcomes = {
      kind: "values",
      metric: "mine",
      values: Float64Array.of(1),
      indices: all(1),
    };
    expect(uncertaintyOf(values)).toBe(undefined);
    const { briers, ...older } = sure.predictions;
    expect(uncertaintyOf({ kind: "classes", predictions: older })).toBe(undefined);
  });
});
