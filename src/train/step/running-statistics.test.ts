/**
 * @file Batch normalization within a whole step: statistics by hand, gradients by central differences.
 * Inside a step onnxruntime shares memory that it keeps apart where values are outputs.
 */
import { describe, expect, it } from "vitest";
import type { Graph } from "../../ir/graph.ts";
import { Layers } from "../../models/layers.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withSession } from "../../runtime/session.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { withWeights } from "../network/parameters.ts";
import { labels } from "./objectives.ts";
import type { Optimizer } from "./optimizers.ts";
import { buildStep } from "./step.ts";

/** In place of the next value of a parameter: its gradient. */
const gradients: Optimizer = {
  name: "gradients",
  decay: 0,
  slots: [],
  scalars: [],
  scalarsAt: () => [],
  update: ({ gradient, slots }) => ({ parameter: gradient, slots }),
};

const [batch, channels, side] = [6, 2, 4];
const count = batch * side * side;
const input = tensorOf(
  "float32",
  [batch, channels, side, side],
  randomOf(1).normals(batch * channels * side * side),
);
const target = tensorOf("int64", [batch], [0, 1, 2, 0, 1, 2]);

/** `layers` normalisations of the input in a row, and a dense layer. */
function network(layers: number): Graph {
  const net = new Layers("net", 1);
  let x = net.input([channels, side, side]);
  for (let i = 1; i <= layers; i++) x = net.normalise(x, `bn${i}`);
  return net.finish(net.dense(net.flatten(x), "fc", 3, { result: "logits" }));
}

interface Result {
  readonly loss: number;
  /** Gradients, and the next running statistics, by name. */
  readonly weights: ReadonlyMap<string, HostTensor>;
}

async function stepOf(graph: Graph): Promise<Result> {
  const step = buildStep(graph, {
    inputShapes: new Map([["input", input.shape]]),
    target: { dtype: "int64", shape: target.shape },
    objective: labels(),
    optimizer: gradients,
  });
  const feeds = new Map([...step.initial, ["input", input], [step.target ?? "", target]]);
  const results = await withSession(encodeGraph(step.graph).chunks, {}, (session) =>
    session.run(feeds),
  );
  const next = [...step.state].flatMap(([name, output]) => {
    const value = results.get(output);
    return value === undefined ? [] : [[name, value] as const];
  });
  const loss = results.get(step.loss);
  return {
    loss: loss === undefined ? Number.NaN : toNumbers(loss)[0],
    weights: step.weightsOf(new Map(next)),
  };
}

const numbersOf = ({ weights }: Result, name: string): number[] => {
  const tensor = weights.get(name);
  return tensor === undefined ? [] : [...toNumbers(tensor)];
};

describe.each([1, 2])("%i normalisations", (layers) => {
  it("keep the mean and the unbiased variance, one part in ten", async () => {
    const old = { mean: [3, -2], variance: [5, 0.5] };
    const graph = withWeights(
      network(layers),
      new Map([
        ["bn1.running_mean", tensorOf("float32", [2], old.mean)],
        ["bn1.running_var", tensorOf("float32", [2], old.variance)],
      ]),
    );
    const result = await stepOf(graph);
    const values = toNumbers(input);
    for (let c = 0; c < channels; c++) {
      const own = values.filter((_, i) => Math.floor(i / side ** 2) % channels === c);
      const mean = own.reduce((sum, value) => sum + value, 0) / count;
      const unbiased = own.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
      const got = numbersOf(result, "bn1.running_mean")[c];
      expect(got).toBeCloseTo(0.9 * old.mean[c] + 0.1 * mean, 5);
      const variance = numbersOf(result, "bn1.running_var")[c];
      expect(variance).toBeCloseTo(0.9 * old.variance[c] + 0.1 * unbiased, 5);
    }
  });

  it.each(["bn1.weight", "bn1.bias", `bn${layers}.weight`, `bn${layers}.bias`])(
    "have the gradient of %s right",
    async (name) => {
      // At the identity the first of two layers is undone by the second: give them other values.
      const around = (offset: readonly number[]) => {
        const moved = new Map<string, HostTensor>();
        for (let i = 1; i <= layers; i++)
          for (const [part, start] of [
            ["weight", [0.6, 1.7]],
            ["bias", [0.3, -0.4]],
          ] as const) {
            const key = `bn${i}.${part}`;
            const values = key === name ? start.map((v, c) => v + offset[c]) : start;
            moved.set(key, tensorOf("float32", [2], values));
          }
        return stepOf(withWeights(network(layers), moved));
      };
      const gradient = numbersOf(await around([0, 0]), name);
      const h = 0.01;
      for (let c = 0; c < channels; c++) {
        const offset = [0, 0].with(c, h);
        const up = await around(offset);
        const down = await around(offset.map((v) => -v));
        expect(gradient[c]).toBeCloseTo((up.loss - down.loss) / (2 * h), 3);
      }
    },
  );
});
