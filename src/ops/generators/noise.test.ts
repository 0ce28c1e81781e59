/** @file RandomNormalLike: types as onnxruntime gives them, mean and scale, and a seed for training. */
import { describe, expect, it } from "vitest";
import { expectAsOnnxruntime, type OneNode, runOneNode } from "../../../test/support/one-node.ts";
import { newNode } from "../../ir/graph.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { trainingForm } from "../passes/training.ts";

const floats = (shape: readonly number[]) =>
  tensorOf("float32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));

describe("RandomNormalLike", () => {
  it.each<OneNode>([
    { op: "RandomNormalLike", inputs: [floats([2, 3])] },
    { op: "RandomNormalLike", inputs: [floats([])] },
    { op: "RandomNormalLike", inputs: [floats([2, 0])] },
    { op: "RandomNormalLike", inputs: [tensorOf("float64", [4], [1, 2, 3, 4])] },
    {
      op: "RandomNormalLike",
      inputs: [tensorOf("int64", [2], [1, 2])],
      attributes: { dtype: 1 },
    },
  ])("has the type that onnxruntime gives it, case %#", expectAsOnnxruntime);

  it("has the mean and scale of its attributes", async () => {
    const count = 1 << 16;
    const attributes = {
      mean: { kind: "float", value: 3 },
      scale: { kind: "float", value: 0.5 },
    } as const;
    const node = { op: "RandomNormalLike", inputs: [floats([count])], attributes };
    const values = toNumbers((await runOneNode(node))[0]);
    const mean = values.reduce((sum, value) => sum + value / count, 0);
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2 / count, 0);
    expect(Math.abs(mean - 3)).toBeLessThan(4 * Math.sqrt(0.25 / count));
    expect(Math.abs(variance - 0.25)).toBeLessThan(4 * 0.25 * Math.sqrt(2 / count));
  });

  it("gets a seed in training, whatever the file says", () => {
    const node = newNode("n", "RandomNormalLike", ["x"], "y");
    const own = { ...node, attributes: new Map([["seed", { kind: "float", value: 1 } as const]]) };
    const form = trainingForm(own, {
      constant: () => "constant",
      fresh: (stem) => stem,
      seed: () => 77,
      usesBatchStatistics: true,
    });
    expect(form.attributes.get("seed")).toEqual({ kind: "float", value: 77 });
  });
});
