/** @file Probabilities told from logits by their values. */
import { describe, expect, it } from "vitest";
import { outputKindOf } from "./pixels.ts";

describe("outputKindOf", () => {
  it.each([
    [2, [0.25, 0.75, 1, 0], "probabilities"],
    [2, [0.25, 0.75, 1.1, -0.1], "logits"],
    [2, [0.25, 0.75, 0.5, 0.4], "logits"],
    [2, [Math.log(0.5), Math.log(0.5)], "logits"],
    [1, [0, 0.3, 1], "probabilities"],
    [1, [0, 0.3, 1.1], "logits"],
    [1, [-0.1, 0.3, 1], "logits"],
  ])("of %d channels and %j is %s", (channels, rows, kind) => {
    expect(outputKindOf(Float64Array.from(rows), channels, 1, 1e-3)).toBe(kind);
  });
});
