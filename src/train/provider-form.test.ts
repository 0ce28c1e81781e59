/** @file What is emitted for a provider that lacks batch statistics, beside onnxruntime's own kernel. */
import { expect, it } from "vitest";
import { type AttributeValue, GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { emitModel } from "../onnx/emit.ts";
import { withComposedStatistics } from "../ops/batch-statistics.ts";
import { withSession } from "../runtime/session.ts";
import { sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
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
    bytesOf(emitModel(training).chunks),
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
