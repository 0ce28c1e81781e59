/** @file Weights that no gradient reaches are named, and stay as they are. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import type { Dataset } from "../../data/dataset.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { int64Vector, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { train } from "../loop/train.ts";
import { sgd } from "../step/optimizers.ts";
import { frozen } from "./parameters.ts";
import { untrainedWarning } from "./unreached.ts";

const folder = scratchFolder("unreached");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

type Layer = (b: GraphBuilder, x: string) => string;

/** [N, 1, 8, 8] → a convolution → something on [N, 4, 8, 8] → a dense layer: [N, 4]. */
function network(between: Layer, size = 4 * 64): Graph {
  const b = new GraphBuilder("net");
  const x = b.input("input", "float32", ["N", 1, 8, 8]);
  const [conv] = b.node("Conv", [x, weights(b, "conv.weight", [4, 1, 3, 3])], {
    pads: [1, 1, 1, 1],
  });
  const [flat] = b.node("Flatten", [between(b, conv)]);
  b.node("MatMul", [flat, weights(b, "dense.weight", [size, 4])], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

function weights(b: GraphBuilder, name: string, shape: readonly number[]): string {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const values = randomOf(7, name)
    .normals(count)
    .map((value) => value / 4);
  return b.constant(name, tensorOf("float32", shape, values));
}

const relu: Layer = (b, x) => b.node("Relu", [x])[0];
const rounded: Layer = (b, x) => b.node("Round", [x])[0];
const quantised: Layer = (b, x) => {
  const scale = b.constant("scale", tensorOf("float32", [], [0.1]));
  const zero = b.constant("zero", tensorOf("uint8", [], [128]));
  const [whole] = b.node("QuantizeLinear", [x, scale, zero]);
  return b.node("DequantizeLinear", [whole, scale, zero])[0];
};
/** Rows as steps, channels and columns as features. */
const recurrent: Layer = (b, x) => {
  const [rows] = b.node("Transpose", [x], { perm: [2, 0, 1, 3] });
  const [steps] = b.node("Reshape", [rows, b.constant("sizes", int64Vector([8, -1, 32]))]);
  const [w, r] = [weights(b, "gru.w", [1, 15, 32]), weights(b, "gru.r", [1, 15, 5])];
  const [y] = b.node("GRU", [steps, w, r], { hidden_size: 5 });
  return b.node("Transpose", [y], { perm: [2, 0, 1, 3] })[0];
};
/** Another head, which the first output does not depend on. */
const headed: Layer = (b, x) => {
  const [other] = b.node("Conv", [x, weights(b, "other.weight", [3, 4, 1, 1])]);
  b.output(other);
  return relu(b, x);
};

const options = { epochs: 1, epochSamples: 64, batchSize: 32, learningRate: 0.1, threads: 1 };

describe("a weight that no gradient reaches", () => {
  it.each([
    { what: "behind it, rounding", graph: network(rounded), names: ["conv.weight"] },
    { what: "behind it, quantisation", graph: network(quantised), names: ["conv.weight"] },
    {
      what: "a recurrent layer, and what is before it",
      graph: network(recurrent, 8 * 5),
      names: ["conv.weight", "gru.w", "gru.r"],
    },
    { what: "another head", graph: network(headed), names: ["other.weight"] },
  ])("is named, and does not decay: $what", async ({ graph, names }) => {
    const heard: string[] = [];
    const own = { ...options, output: "logits", optimizer: sgd({ decay: 0.1 }) };
    const onWarning = (text: string) => void heard.push(text);
    const { final, warnings } = await train(graph, dataset, { ...own, onWarning });
    const expected = untrainedWarning(names) ?? "";
    expect(expected).toContain(names.map((name) => `"${name}"`).join(", "));
    expect(warnings).toContain(expected);
    expect(heard).toContain(expected);
    const valuesOf = (network: Graph, name: string) => {
      const tensor = network.constants.get(name)?.read();
      return tensor && [...toNumbers(tensor)];
    };
    for (const name of names) expect(valuesOf(final.graph, name)).toEqual(valuesOf(graph, name));
    const dense = valuesOf(final.graph, "dense.weight");
    expect(dense).not.toEqual(valuesOf(graph, "dense.weight"));
  });

  it("is not spoken of where all are reached, or where it was frozen", async () => {
    const reached = await train(network(relu), dataset, options);
    expect(reached.warnings).toEqual([]);
    const held = await train(network(rounded), dataset, { ...options, groups: frozen(["conv.*"]) });
    expect(held.warnings).toEqual([]);
  });
});
