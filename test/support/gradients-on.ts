/**
 * @file `node --import tsx gradients-on.ts PROVIDER`: one training step of a small CNN on a provider,
 * with gradients in place of updates. Prints JSON: arrays by name, or `{ error: { code, message } }`.
 *
 * A process of its own, because the loader of Vulkan reads its environment when a process starts.
 */
import { EspalierError } from "../../src/errors.ts";
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { openTrainer } from "../../src/runtime/trainer.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";
import { type Random, randomOf } from "../../src/tensor/random.ts";
import { emitFor } from "../../src/train/network/provider-form.ts";
import { labels } from "../../src/train/step/objectives.ts";
import type { Optimizer } from "../../src/train/step/optimizers.ts";
import { buildStep } from "../../src/train/step/step.ts";

const batch = 4;
const classes = 5;
const inputShape = [batch, 3, 12, 12];

/** In place of the next value of a parameter, its gradient: what a step computes, unrounded. */
const gradientsThemselves: Optimizer = {
  name: "gradients",
  decay: 0,
  slots: [],
  scalars: [],
  scalarsAt: () => [],
  update: ({ gradient, slots }) => ({ parameter: gradient, slots }),
};

function normals(random: Random, shape: readonly number[], deviation = 1): HostTensor {
  const values = random.normals(sizeOf(shape)).map((value) => value * deviation);
  return tensorOf("float32", shape, values);
}

/** 6 → 12 channels are what WebGPU errs in. Conv-BN-ReLU-MaxPool, strided Conv-BN-ReLU-AveragePool, grouped Conv-BN-ReLU, global pool, Gemm. */
function network(): Graph {
  const random = randomOf(1, "network");
  const b = new GraphBuilder("small");
  const constant = (name: string, shape: readonly number[], deviation: number) =>
    b.constant(name, normals(random, shape, deviation));
  const filled = (name: string, size: number, value: number) =>
    b.constant(name, tensorOf("float32", [size], new Float32Array(size).fill(value)));
  let x = b.input("input", "float32", ["N", ...inputShape.slice(1)]);
  const block = (name: string, shape: readonly number[], stride: number, group = 1) => {
    const [out, ...rest] = shape;
    const weight = constant(`${name}.weight`, shape, Math.sqrt(2 / sizeOf(rest)));
    const conv = { pads: [1, 1, 1, 1], strides: [stride, stride], group };
    [x] = b.node("Conv", [x, weight], conv, { outputs: [`${name}.conv`] });
    const affine = [filled(`${name}.scale`, out, 1), filled(`${name}.shift`, out, 0)];
    const statistics = [filled(`${name}.mean`, out, 0), filled(`${name}.variance`, out, 1)];
    const inputs = [x, ...affine, ...statistics];
    [x] = b.node("BatchNormalization", inputs, {}, { outputs: [`${name}.bn`] });
    [x] = b.node("Relu", [x], {}, { outputs: [`${name}.relu`] });
  };
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  block("one", [6, 3, 3, 3], 1);
  [x] = b.node("MaxPool", [x], pool, { outputs: ["max"] });
  block("two", [12, 6, 3, 3], 2);
  [x] = b.node("AveragePool", [x], pool, { outputs: ["average"] });
  block("three", [12, 4, 3, 3], 1, 3);
  [x] = b.node("GlobalAveragePool", [x], {}, { outputs: ["global"] });
  [x] = b.node("Flatten", [x], { axis: 1 }, { outputs: ["flat"] });
  const dense = [x, constant("dense.weight", [12, classes], 0.3), filled("dense.bias", classes, 0)];
  b.node("Gemm", dense, {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", classes] });
  return b.build();
}

async function gradientsOn(provider: string): Promise<Readonly<Record<string, number[]>>> {
  const step = buildStep(network(), {
    inputShapes: new Map([["input", inputShape]]),
    target: { dtype: "int32", shape: [batch] },
    objective: labels(),
    optimizer: gradientsThemselves,
  });
  const { state, initial, guard, target = "target", loss } = step;
  const options = { state, initial, guard, threads: 1, providers: [provider] };
  const trainer = await openTrainer(emitFor(step.graph, options), options);
  try {
    const targets = Int32Array.from({ length: batch }, (_, i) => i % classes);
    const feeds = new Map([
      ["input", normals(randomOf(2, "images"), inputShape)],
      [target, tensorOf("int32", [batch], targets)],
      ...step.scalars(0, 0),
    ]);
    const { status, results } = await trainer.step(feeds, [loss]);
    if (status !== "done") throw new Error(`the step was ${status}`);
    const arrays = [...step.weightsOf(await trainer.readState()), ...results];
    return Object.fromEntries(arrays.map(([name, tensor]) => [name, [...toNumbers(tensor)]]));
  } finally {
    await trainer.close();
  }
}

const answer = await gradientsOn(process.argv[2]).catch((error: unknown) => {
  if (!(error instanceof EspalierError)) throw error;
  return { error: { code: error.code, message: error.message } };
});
process.stdout.write(JSON.stringify(answer));
