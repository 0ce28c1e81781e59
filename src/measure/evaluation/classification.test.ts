/** @file Scores against closed forms, and Tango's interval against published values. */
import { describe, expect, it } from "vitest";
import {
  calibrationError,
  pairedDifferenceInterval,
  reliability,
  scoreRow,
} from "./classification.ts";

describe("scoreRow", () => {
  it("of logits is the log of the softmax", () => {
    const { loss, rank, predicted, confidence } = scoreRow(
      Float64Array.of(Math.log(2), Math.log(3), Math.log(5)),
      1,
      "logits",
    );
    expect(loss).toBeCloseTo(-Math.log(0.3), 12);
    expect(confidence).toBeCloseTo(0.5, 12);
    expect([rank, predicted]).toEqual([1, 2]);
  });

  it("of probabilities takes them as they are, and bounds the loss of a zero", () => {
    expect(scoreRow(Float64Array.of(0.25, 0.75), 0, "probabilities").loss).toBeCloseTo(
      Math.log(4),
      12,
    );
    expect(scoreRow(Float64Array.of(0, 1), 0, "probabilities").loss).toBeCloseTo(
      126 * Math.log(2),
      10,
    );
  });

  it("gives equals to the first class, as argmax does", () => {
    const row = Float64Array.of(1, 1, 1);
    expect([0, 1, 2].map((label) => scoreRow(row, label, "logits").rank)).toEqual([0, 1, 2]);
  });

  it("survives logits that overflow exp", () => {
    expect(scoreRow(Float64Array.of(1000, 999), 0, "logits").loss).toBeCloseTo(0.31326, 5);
  });
});

describe("calibrationError", () => {
  it("weighs each bin's gap by its samples", () => {
    // Two samples at .9 (one right), two at .5 (both right): (2 * .4 + 2 * .5) / 4.
    const error = calibrationError([0.9, 0.9, 0.5, 0.5], [1, 0, 1, 1]);
    expect(error([0, 1, 2, 3])).toBeCloseTo(0.45, 12);
    expect(error([2, 3])).toBeCloseTo(0.5, 12);
  });

  it("cancels within a bin, but not between bins", () => {
    expect(calibrationError([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0])([0, 1, 2, 3])).toBe(0);
    expect(calibrationError([1, 0.5], [0, 1])([0, 1])).toBeCloseTo(0.75, 12);
  });
});

describe("pairedDifferenceInterval", () => {
  // Fagerland, Lydersen, Laake, "Statistical Analysis of Contingency Tables", 2017, chapter 8: the
  // Tango asymptotic score interval for Cavo et al. 2012. Then R's PropCIs::scoreci.mp(25, 28, 618).
  it.each([
    [16, 6, 161, 0.95, -0.124, -0.0054],
    [25, 28, 618, 0.9, -0.0148, 0.0247],
  ])("of %d and %d in %d at %d is [%d, %d]", (onlyFirst, onlySecond, samples, level, low, high) => {
    const interval = pairedDifferenceInterval({ onlyFirst, onlySecond, samples }, level);
    expect(interval[0]).toBeCloseTo(low, 4);
    expect(interval[1]).toBeCloseTo(high, 4);
  });

  it("without any discordant pair is ± z² / (n + z²)", () => {
    const z2 = 1.959963984540054 ** 2;
    const [low, high] = pairedDifferenceInterval({ onlyFirst: 0, onlySecond: 0, samples: 100 });
    expect(high).toBeCloseTo(z2 / (100 + z2), 10);
    expect(low).toBeCloseTo(-high, 10);
  });

  it("is mirrored when the networks change places", () => {
    const [low, high] = pairedDifferenceInterval({ onlyFirst: 3, onlySecond: 11, samples: 200 });
    const mirrored = pairedDifferenceInterval({ onlyFirst: 11, onlySecond: 3, samples: 200 });
    expect(mirrored[0]).toBeCloseTo(-high, 10);
    expect(mirrored[1]).toBeCloseTo(-low, 10);
  });

  it("ends at ±1 when every pair is discordant one way", () => {
    expect(pairedDifferenceInterval({ onlyFirst: 0, onlySecond: 20, samples: 20 })[1]).toBe(1);
    expect(pairedDifferenceInterval({ onlyFirst: 20, onlySecond: 0, samples: 20 })[0]).toBe(-1);
  });

  it("becomes Wald's interval as samples grow", () => {
    const counts = { onlyFirst: 15_000, onlySecond: 15_000, samples: 1_000_000 };
    const half = 1.959963984540054 * Math.sqrt(0.03 / counts.samples);
    const [low, high] = pairedDifferenceInterval(counts);
    expect(Math.abs(low + half) / half).toBeLessThan(1e-3);
    expect(Math.abs(high - half) / half).toBeLessThan(1e-3);
  });
});

describe("reliability", () => {
  it("adds up to the calibration error", () => {
    const confidences = Float64Array.from({ length: 200 }, (_, i) => 0.1 + (0.9 * i) / 199);
    const isCorrect = Uint8Array.from(confidences, (c, i) => (i % 3 === 0 || c > 0.8 ? 1 : 0));
    const error = reliability(confidences, isCorrect).reduce(
      (sum, bin) => sum + Math.abs(bin.accuracy - bin.confidence) * (bin.samples / 200),
      0,
    );
    const all = Int32Array.from({ length: 200 }, (_, i) => i);
    expect(error).toBeCloseTo(calibrationError(confidences, isCorrect)(all), 12);
  });

  it("has the right end of a bin in it", () => {
    const bins = reliability([1, 1 / 15, 0], [1, 0, 1]);
    expect(bins.map(({ samples }) => samples)).toEqual([2, ...Array(13).fill(0), 1]);
    expect(bins[0]).toMatchObject({ accuracy: 0.5, confidence: 1 / 30 });
  });
});
