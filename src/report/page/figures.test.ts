/** @file Figures in words. */
import { describe, expect, it } from "vitest";
import { roundScale } from "./chart.ts";
import {
  countedOnPage,
  formatDrop,
  formatShare,
  metricOnPage,
  sentence,
  signed,
  timesOf,
} from "./figures.ts";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

describe("figures", () => {
  it("of known metrics are percentages and points", () => {
    const words = metricOnPage("miou");
    expect(words.name).toBe("mean IoU");
    expect(plain(words.value(0.85714))).toBe("85.71 %");
    expect(plain(signed(-0.0025, words.difference))).toBe("−0.25 points");
    expect(plain(signed(0, words.difference))).toBe("±0.00 points");
    expect(formatDrop(0.0025, words.amount)).toBe("0.25");
    expect(formatDrop(-0.0025, words.amount)).toBe("−0.25");
    expect(formatDrop(-0.00001, words.amount)).toBe("0.00");
  });

  it("of a user's metric keep their name and their numbers", () => {
    const words = metricOnPage("mAP50");
    expect([words.name, words.value(41.2345), words.difference(0.5)]).toEqual([
      "mAP50",
      "41.23",
      "0.5",
    ]);
  });

  it.each([
    [0.47, "47 %"],
    [0.0312, "3.1 %"],
    [0.0996, "10 %"],
    [0.9949, "99 %"],
    [0.9966, "99.7 %"],
    [1, "100 %"],
    [1.2, "120 %"],
  ])("%d is a share of %s", (share, expected) => {
    expect(plain(formatShare(share))).toBe(expected);
  });

  it("count nouns, times and sentences", () => {
    expect([countedOnPage(1, "image"), countedOnPage(1500, "image")].map(plain)).toEqual([
      "1 image",
      "1,500 images",
    ]);
    expect([timesOf(125, 59), timesOf(1000, 1)]).toEqual(["2.1", "1,000"]);
    expect([sentence("it failed"), sentence("Why?")]).toEqual(["It failed.", "Why?"]);
  });

  it.each([
    ["accuracy", "Accuracy."],
    ["top-5 accuracy", "Top-5 accuracy."],
    ["it's late", "It's late."],
    ["round 1: conv1 is full", "Round 1: conv1 is full."],
    ["fc1.weight: 24.9 % active", "fc1.weight: 24.9 % active."],
    ["conv: the data tell nothing", "conv: the data tell nothing."],
    ["layer_1 stays", "layer_1 stays."],
    ["mAP50", "mAP50."],
    ["λ is large", "λ is large."],
  ])("%s begins a sentence as it is called", (text, expected) => {
    expect(sentence(text)).toBe(expected);
  });
});

describe("roundScale", () => {
  it.each([
    [0.9193, 0.9331, { min: 0.915, max: 0.935, interval: 0.005 }],
    [0, 6.2, { min: 0, max: 8, interval: 2 }],
    [-0.3, 0.9, { min: -0.5, max: 1, interval: 0.5 }],
  ])("from %d to %d has round ends that hold both", (low, high, expected) => {
    const { min, max, interval } = roundScale(low, high);
    expect(min).toBeCloseTo(expected.min, 9);
    expect(max).toBeCloseTo(expected.max, 9);
    expect(interval).toBeCloseTo(expected.interval, 9);
  });
});
