/** @file What is emitted for WebGPU, beside the graph itself on the CPU. */
import { expect, it } from "vitest";
import { type AttributeValue, GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { withComposedStatistics } from "../../ops/passes/batch-statistics.ts";
import { withPaddedConvolutions } from "../../ops/passes/padded-convolutions.ts";
import { withSession } from "../../runtime/session.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { emitFor } from "./provider-form.ts";

/** Batch normalization of x, in training mode where it has a momentum, and a ReLU. */
function normalized(shape: readonly number[], momentum?: number): Graph {
  const b = new GraphBuilder("normalized");
  const vector = (name: string, value: number) =>
    b.constant(
      name,
      tensorOf(
        "float32",
        [shape[1]],
        Float32Array.from({ length: shape[1] }, (_, i) => value + i / 4),
      ),
    );
  const parameters = [vector("scale", 1.5), vector("shift", -1), vector("m", 5), vector("v", 3)];
  b.input("x", "float32", shape);
  const float = (value: number) => ({ kind: "float", value }) as const;
  const isTraining = momentum !== undefined;
  const training: Readonly<Record<string, AttributeValue>> = isTraining
    ? { training_mode: 1, momentum: float(momentum) }
    : {};
  const outputs = isTraining ? ["y", "mean", "variance"] : ["y"];
  b.node(
    "BatchNormalization",
    ["x", ...parameters],
    { ...training, epsilon: float(0.01) },
    {
      outputs,
    },
  );
  b.node("Relu", ["y"], {}, { outputs: ["z"] });
  for (const name of [...outputs.slice(1), "z"])
    b.output(name, { dtype: "float32", shape: name === "z" ? shape : [shape[1]] });
  return b.build();
}

it.each([
  { shape: [6, 3] },
  { shape: [5, 2, 7] },
  { shape: [4, 3, 5, 6] },
  { shape: [2, 3, 4, 3, 2] },
])("computes over $shape what the kernel of the CPU computes", async ({ shape }) => {
  const graph = normalized(shape, 0);
  const values = randomOf(1, "x").normals(sizeOf(shape));
  const x = tensorOf(
    "float32",
    shape,
    values.map((value) => 3 * value + 2),
  );
  const run = (model: readonly Uint8Array[]) =>
    withSession(model, { threads: 1 }, (session) => session.run(new Map([["x", x]])));
  const expected = await run(emitFor(graph, {}));
  const composed = await run(emitFor(graph, { providers: ["webgpu"] }));
  expect([...composed.keys()]).toEqual(["mean", "variance", "z"]);
  for (const [name, tensor] of expected) {
    const got = composed.get(name);
    expect(got?.shape, name).toEqual(tensor.shape);
    const numbers = got === undefined ? [] : toNumbers(got);
    for (const [i, value] of toNumbers(tensor).entries()) expect(numbers[i]).toBeCloseTo(value, 4);
  }
});

it("leaves the graph alone for other providers, and where nothing takes batch statistics", () => {
  const training = normalized([4, 3, 2, 2], 0);
  const bytesOf = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks);
  expect(bytesOf(emitFor(training, { providers: ["cuda"] }))).toEqual(
    bytesOf(encodeGraph(training).chunks),
  );
  expect(withComposedStatistics(training).nodes.map(({ opType }) => opType)).toEqual([
    ...["ReduceMean", "Squeeze", "Sub", "Mul", "ReduceMean", "Squeeze"],
    ...["BatchNormalization", "Relu"],
  ]);
  for (const momentum of [undefined, 0.9]) {
    const graph = normalized([4, 3, 2, 2], momentum);
    expect(withComposedStatistics(graph)).toBe(graph);
  }
});

/** A convolution with three batches of [inputs, 5, 5]. */
function convolution(outputs: number, inputs: number, group = 1): Graph {
  const b = new GraphBuilder("convolution");
  const shape = [outputs, inputs / group, 3, 3];
  const weight = tensorOf("float32", shape, randomOf(1, "weight").normals(sizeOf(shape)));
  const bias = tensorOf("float32", [outputs], randomOf(1, "bias").normals(outputs));
  b.input("x", "float32", ["N", inputs, 5, 5]);
  b.node(
    "Conv",
    ["x", b.constant("weight", weight), b.constant("bias", bias)],
    { group },
    {
      outputs: ["y"],
    },
  );
  b.output("y", { dtype: "float32", shape: ["N", outputs, 3, 3] });
  return b.build();
}

it("adds channels of zeros to convolutions, which changes no result", async () => {
  for (const inputs of [6, 9]) {
    const graph = convolution(8, inputs);
    const x = tensorOf("float32", [3, inputs, 5, 5], randomOf(2).normals(75 * inputs));
    const run = async (model: readonly Uint8Array[]) => {
      const run = withSession(model, { threads: 1 }, (session) => session.run(new Map([["x", x]])));
      return (await run).get("y")?.data;
    };
    const padded = await run(emitFor(graph, { providers: ["webgpu"] }));
    const expected = await run(encodeGraph(graph).chunks);
    expect(padded).toHaveLength(216);
    for (const [i, value] of [...(expected ?? [])].entries())
      expect(padded?.[i]).toBeCloseTo(Number(value), 4);
  }
  // No others: few channels, whole fours, outputs that are not fours, groups.
  for (const graph of [convolution(8, 3), convolution(8, 12), convolution(6, 9)])
    expect(withPaddedConvolutions(graph)).toBe(graph);
  const grouped = convolution(8, 12, 2);
  expect(withPaddedConvolutions(grouped)).toBe(grouped);
});
