/** @file Means of the probabilities of random networks, by hand. */
import { describe, expect, it } from "vitest";
import { type HostTensor, tensorOf } from "../../tensor/host-tensor.ts";
import { type Draws, drawsOf, meanOfDraws } from "./draws.ts";

function value(name: string) {
  return { name, dtype: "float32", shape: [] } as const;
}

/** The mean of runs that give these tensors, one after the other. */
async function meanOf(draws: Draws, outputs: readonly HostTensor[]): Promise<readonly number[]> {
  let run = 0;
  const rows = await meanOfDraws(async () => {
    const tensor = outputs[run++];
    return [{ from: 0, to: 1, tensor, tensors: [tensor] }];
  }, draws);
  expect(run).toBe(draws.count);
  expect(rows[0].tensor.shape).toEqual(outputs[0].shape);
  return [...rows[0].tensor.data].map(Number);
}

const softmax = (logits: readonly number[]) => {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
};

describe("the mean of draws", () => {
  it("of logits is that of their softmax", async () => {
    const logits = [
      [1, -2, 0.5],
      [-1, 3, 0],
    ];
    const tensors = logits.map((row) => tensorOf("float32", [1, 3], row));
    const means = await meanOf(drawsOf(2, value("y"), undefined), tensors);
    const [first, second] = logits.map(softmax);
    for (const [k, mean] of means.entries())
      expect(mean).toBeCloseTo((first[k] + second[k]) / 2, 6);
  });

  it("of probabilities is their mean", async () => {
    const tensors = [
      [0.25, 0.75],
      [0.5, 0.5],
    ].map((row) => tensorOf("float32", [1, 2], row));
    expect(await meanOf(drawsOf(2, value("y"), undefined), tensors)).toEqual([0.375, 0.625]);
  });

  it("of maps is taken pixel by pixel over the channels", async () => {
    // Two channels of two pixels: [[0, ln 3], [0, 0]].
    const tensor = tensorOf("float32", [1, 2, 1, 2], [0, Math.log(3), 0, 0]);
    const means = await meanOf(drawsOf(1, value("y"), "logits"), [tensor]);
    for (const [i, expected] of [0.5, 0.75, 0.5, 0.25].entries())
      expect(means[i]).toBeCloseTo(expected, 6);
  });

  it("of a single channel is that of its sigmoid", async () => {
    const tensors = [0, Math.log(3)].map((z) => tensorOf("float32", [1, 1, 1, 1], [z]));
    const [mean] = await meanOf(drawsOf(2, value("y"), "logits"), tensors);
    expect(mean).toBeCloseTo((0.5 + 0.75) / 2, 6);
    const probabilities = [0.2, 0.6].map((p) => tensorOf("float32", [1, 1, 1, 1], [p]));
    expect((await meanOf(drawsOf(2, value("y"), "probabilities"), probabilities))[0]).toBeCloseTo(
      0.4,
      6,
    );
  });
});
