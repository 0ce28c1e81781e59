/** @file Scores of single weights, against their formulas. */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../ir/builder.ts";
import { structureOf } from "../structure/units/units.ts";
import { tensorOf } from "../tensor/host-tensor.ts";
import { magnitude } from "./magnitude.ts";

const values = [3, -1, 0, 1, 2, -3];

/** One matrix of these weights, times a factor. */
function scoresOf(options: Readonly<Record<string, string>>, factor = 1) {
  const b = new GraphBuilder("one");
  b.input("x", "float32", ["N", 3]);
  const w = tensorOf(
    "float32",
    [3, 2],
    values.map((value) => value * factor),
  );
  b.node("MatMul", ["x", b.constant("w", w)], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", 2] });
  const { weightScores } = magnitude.propose({
    structure: structureOf(b.build()),
    seed: 0,
    rules: {},
    options,
  });
  return weightScores?.get("w");
}

describe("magnitude", () => {
  it("scores no single weights unless it is asked to", () => {
    expect(scoresOf({})).toBeUndefined();
  });

  it("scores weights by LAMP: w² over the squares that are no smaller", () => {
    const scores = [...(scoresOf({ level: "weights" }) ?? [])];
    // Equal weights count each other: 9 + 9, + 4, + 1 + 1.
    const expected = [9 / 18, 1 / 24, 0, 1 / 24, 4 / 22, 9 / 18];
    for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(expected[i], 12);
  });

  it("scores weights by their layer's root mean square, zeros left out", () => {
    const scores = [...(scoresOf({ level: "weights", scale: "rms" }) ?? [])];
    const rms = Math.sqrt((9 + 1 + 1 + 4 + 9) / 5);
    for (const [i, score] of scores.entries())
      expect(score).toBeCloseTo(Math.abs(values[i]) / rms, 12);
  });

  it.each(["lamp", "rms"])("does not depend on the layer's scale: %s", (scale) => {
    const [a, b] = [1, 256].map((factor) => scoresOf({ level: "weights", scale }, factor));
    expect(a).toEqual(b);
  });
});
