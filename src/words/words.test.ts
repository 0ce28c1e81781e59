/** @file How figures are worded: metrics by name, and speed only as far as its interval tells. */
import { describe, expect, it } from "vitest";
import { describeMetric, metricWords } from "./metrics.ts";
import { counted, formatInteger } from "./numbers.ts";
import { speedOf } from "./speed.ts";

describe("speed", () => {
  it.each([
    [0.527, [0.518, 0.536], "faster", "faster: 1.90 times as fast", "95 %: 1.87 to 1.93"],
    [1.25, [1.2, 1.3], "slower", "slower: 1.25 times as long", "95 %: 1.20 to 1.30"],
    [
      0.9,
      [0.8, 1.01],
      "no difference shown",
      "no difference shown",
      "95 %: 0.99 to 1.25 times as fast",
    ],
    [
      1.1,
      [0.99, 1.2],
      "no difference shown",
      "no difference shown",
      "95 %: 0.83 to 1.01 times as fast",
    ],
    [1, [1, 1], "no difference shown", "no difference shown", "95 %: 1.00 to 1.00 times as fast"],
    [
      0.9,
      [0.8, 1],
      "no difference shown",
      "no difference shown",
      "95 %: 1.00 to 1.25 times as fast",
    ],
    // What is not 1 is not written as 1.00.
    [0.998, [0.997, 0.9996], "faster", "faster: 1.002 times as fast", "95 %: 1.0004 to 1.003"],
    [1.001, [1.0004, 1.02], "slower", "slower: 1.001 times as long", "95 %: 1.0004 to 1.02"],
  ] as const)("of %d in %j is %s", (ratio, ci95, verdict, words, interval) => {
    expect(speedOf({ ratio, ci95 })).toMatchObject({ verdict, words, interval });
  });

  it.each([
    [
      0.5,
      [0.4, 0.6],
      "runs 2.00 times as fast",
      "is faster than a.onnx: it runs 2.00 times as fast",
    ],
    [
      2,
      [1.9, 2.1],
      "is slower: it takes 2.00 times as long",
      "is slower than a.onnx: it takes 2.00 times as long",
    ],
    [1, [0.9, 1.1], "shows no difference in speed", "shows no difference in speed from a.onnx"],
  ] as const)("of %d in %j reads as a sentence", (ratio, ci95, alone, beside) => {
    const { predicate } = speedOf({ ratio, ci95 });
    expect([predicate(), predicate("a.onnx")]).toEqual([alone, beside]);
  });
});

describe("metrics", () => {
  it.each([
    ["top1", "accuracy", "92.96 %", "0.25 points", "1 point"],
    ["miou", "mean IoU", "92.96 %", "0.25 points", "1 point"],
    ["agreement", "agreement with the original", "92.96 %", "0.25 points", "1 point"],
    ["PSNR", "PSNR", "0.9296", "0.0025", "0.01"],
  ])("%s is called %s, and written as it is counted", (metric, name, value, difference, short) => {
    const words = metricWords(metric);
    expect([
      words.name,
      words.value(0.9296),
      words.difference(0.0025),
      words.shortDifference(0.01),
    ]).toEqual([name, value, difference, short]);
  });

  it.each([
    ["top1", 0.9296, "accuracy 92.96 %"],
    ["miou", 0.5, "mean IoU 50.00 %"],
    ["objective", -0.1234, "loss 0.1234"],
  ])("%s stands beside its value", (metric, value, text) => {
    expect(describeMetric(metric, value)).toBe(text);
  });
});

it.each([
  [0, "0 images"],
  [1, "1 image"],
  [1500, "1,500 images"],
])("%d is counted as %s", (count, text) => {
  expect(counted(count, "image")).toBe(text);
  expect(text).toContain(formatInteger(count));
});
