/** @file Moments through a network against closed forms and what onnxruntime measures. */
import { describe, expect, it } from "vitest";
import { chain } from "../../../test/support/bn-network.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { analyze } from "../../structure/analysis/analysis.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { momentsOf } from "./statistics.ts";

describe("moments", () => {
  it("behind batch normalization and ReLU are those of a rectified Gaussian", () => {
    const graph = chain({ scale: [1, -1, 1, 0.5, 0], shift: [0, 1, -1, 2, 0.7] });
    const moments = momentsOf(analyze(graph)).get("h");
    const want = [
      [0.39894228, 0.34084506],
      [1.0833155, 0.75108781],
      [0.083315471, 0.068398316],
      [2.0000036, 0.24998494],
      [0.7, 0],
    ];
    for (const [c, [mean, variance]] of want.entries()) {
      expect(moments?.mean[c]).toBeCloseTo(mean, 6);
      expect(moments?.variance[c]).toBeCloseTo(variance, 6);
    }
  });

  it("are unknown up to the first batch normalization", () => {
    const graph = chain({ scale: [1, 1], shift: [0, 0] });
    const moments = momentsOf(analyze(graph));
    const [conv, norm] = graph.nodes.map((node) => moments.has(node.outputs[0]));
    expect([moments.has("x"), conv, norm]).toEqual([false, false, true]);
  });

  it("of a sum of branches add up", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", [1, 2, 4, 4]);
    const norm = (scale: number[], shift: number[]) => {
      const values = [scale, shift, [0, 0], [1, 1]];
      const names = values.map((v) => b.constant(undefined, tensorOf("float32", [2], v)));
      return b.node("BatchNormalization", [x, ...names])[0];
    };
    const [y] = b.node(
      "Add",
      [norm([1, 2], [3, 4]), norm([2, 0.5], [-1, 1])],
      {},
      { outputs: ["y"] },
    );
    // Also where normalization alone reads it: the correlations of the sum follow from its moments.
    const names = [1, 0, 0, 1].map((v) => b.constant(undefined, tensorOf("float32", [2], [v, v])));
    b.output(b.node("BatchNormalization", [y, ...names])[0]);
    const moments = momentsOf(analyze(b.build())).get("y");
    expect([...(moments?.mean ?? [])]).toEqual([2, 5]);
    expect([...(moments?.variance ?? [])]).toEqual([5, 4.25]);
  });
});
