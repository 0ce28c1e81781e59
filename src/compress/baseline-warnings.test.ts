/** @file What is said of a baseline that has nothing to lose. */
import { expect, it } from "vitest";
import type { Outcomes } from "../measure/outcomes/outcomes.ts";
import { chanceWarnings } from "./baseline-warnings.ts";

/** A classifier's answers to samples of these classes. */
function answers(labels: readonly number[], predicted: readonly number[]): Outcomes {
  return {
    kind: "classes",
    predictions: {
      indices: Int32Array.from(labels.keys()),
      labels: Int32Array.from(labels),
      predicted: Int32Array.from(predicted),
      isCorrect: Uint8Array.from(labels, (label, i) => Number(label === predicted[i])),
      losses: new Float64Array(labels.length),
      confidences: new Float64Array(labels.length).fill(1),
      outputs: undefined,
    },
  };
}

it.each([
  ["always the commonest class", [0, 1, 1, 2], [1, 1, 1, 1], 1],
  ["worse than that", [0, 1, 1, 2], [2, 1, 0, 0], 1],
  ["better than that", [0, 1, 1, 2], [0, 1, 1, 0], 0],
  ["all of one class", [1, 1], [1, 1], 0],
])("%s", (_, labels, predicted, count) => {
  expect(chanceWarnings(answers(labels, predicted))).toHaveLength(count);
});

it("names both shares", () => {
  const [warning] = chanceWarnings(answers([0, 1, 1, 2], [2, 1, 0, 0]));
  expect(warning).toMatch(/right on 25\.0 %.*commonest class is right on 50\.0 %/);
});
