/** @file Tiny networks to train, and steps run one by one. */
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { openTrainer } from "../../src/runtime/trainer.ts";
import type { Feeds } from "../../src/runtime/values.ts";
import { sizeOf, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";
import type { TrainingStep } from "../../src/train/step/step.ts";

/** Dense layers w0 b0, w1 b1, ... of these widths with ReLU between: x [N, widths[0]] → y. */
export function denseGraph(widths: readonly number[], seed = 1): Graph {
  const b = new GraphBuilder("dense");
  let x = b.input("x", "float32", ["N", widths[0]]);
  const last = widths.length - 2;
  for (let i = 0; i <= last; i++) {
    const [inputs, outputs] = [widths[i], widths[i + 1]];
    const random = randomOf(seed, "dense", i);
    const w = b.constant(`w${i}`, normal(random.normals(inputs * outputs), [inputs, outputs]));
    const bias = b.constant(`b${i}`, normal(random.normals(outputs), [outputs]));
    const sum = b.node("Gemm", [x, w, bias], {}, { outputs: [i === last ? "y" : `s${i}`] });
    [x] = i === last ? sum : b.node("Relu", sum, {}, { outputs: [`r${i}`] });
  }
  b.output("y", { dtype: "float32", shape: ["N", widths[last + 1]] });
  return b.build();
}

function normal(values: Float32Array, shape: readonly number[]) {
  return tensorOf("float32", shape, values);
}

/** The network's constants as numbers after each step. Inputs and targets are zeros unless fed. */
export async function runSteps(
  step: TrainingStep,
  rates: readonly number[],
  feeds: (at: number) => Feeds = () => new Map(),
): Promise<Map<string, number[]>[]> {
  const { state, initial, guard, graph } = step;
  const trainer = await openTrainer(encodeGraph(graph).chunks, {
    state,
    initial,
    guard,
    threads: 1,
  });
  try {
    const after: Map<string, number[]>[] = [];
    for (const [at, rate] of rates.entries()) {
      const all = new Map([
        ...zeros(step),
        ...structuredClone(feeds(at)),
        ...step.scalars(at, rate),
      ]);
      const { status } = await trainer.step(all, [step.loss]);
      if (status !== "done") throw new Error(`step ${at} was ${status}`);
      const weights = step.weightsOf(await trainer.readState());
      after.push(new Map([...weights].map(([name, tensor]) => [name, [...toNumbers(tensor)]])));
    }
    return after;
  } finally {
    await trainer.close();
  }
}

/** Zeros for the inputs that are neither state nor scalars. */
function zeros({ graph, initial, scalars }: TrainingStep): Feeds {
  const others = new Set([...initial.keys(), ...scalars(0, 1).keys()]);
  return new Map(
    graph.inputs.flatMap((name) => {
      const type = graph.types.get(name);
      if (others.has(name) || type?.shape === undefined) return [];
      const shape = type.shape.map(Number);
      return [[name, tensorOf(type.dtype, shape, new Float32Array(sizeOf(shape)))] as const];
    }),
  );
}

/** Convolution, batch normalization, ReLU, pool, Dropout if asked for, dense: [N, 1, 8, 8] → [N, 4]. */
export function quadrantNetwork(options: { readonly dropout?: number } = {}): Graph {
  const b = new GraphBuilder("quadrants");
  const random = randomOf(1, "quadrants");
  const normals = (name: string, shape: readonly number[], deviation: number) =>
    b.constant(
      name,
      normal(
        random.normals(sizeOf(shape)).map((v) => v * deviation),
        shape,
      ),
    );
  const filled = (name: string, value: number) =>
    b.constant(name, normal(new Float32Array(4).fill(value), [4]));
  b.input("input", "float32", ["N", 1, 8, 8]);
  const conv = ["input", normals("conv.weight", [4, 1, 3, 3], 0.5), filled("conv.bias", 0)];
  b.node("Conv", conv, { pads: [1, 1, 1, 1] }, { outputs: ["conv"] });
  const statistics = [filled("bn.mean", 0), filled("bn.variance", 1)];
  const bn = ["conv", filled("bn.scale", 1), filled("bn.bias", 0), ...statistics];
  b.node("BatchNormalization", bn, {}, { outputs: ["bn"] });
  b.node("Relu", ["bn"], {}, { outputs: ["relu"] });
  const pool = { kernel_shape: [2, 2], strides: [2, 2] };
  b.node("MaxPool", ["relu"], pool, { outputs: ["pool"] });
  b.node("Flatten", ["pool"], { axis: 1 }, { outputs: ["flat"] });
  let x = "flat";
  if (options.dropout !== undefined) {
    const ratio = b.constant("ratio", normal(Float32Array.of(options.dropout), []));
    [x] = b.node("Dropout", [x, ratio], {}, { outputs: ["dropped"] });
  }
  const dense = [x, normals("dense.weight", [64, 4], 0.1), filled("dense.bias", 0)];
  b.node("Gemm", dense, {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}
