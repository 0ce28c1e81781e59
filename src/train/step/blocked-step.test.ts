/** @file Training steps with convolutions in blocked layout: the same numbers, and runs that go on alike. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { normals } from "../../../test/support/gradient.ts";
import { writeQuadrants } from "../../../test/support/quadrants.ts";
import { type Dataset, openDataset } from "../../data/dataset.ts";
import { loadTensors, saveTensors } from "../../files/tensor-file.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import {
  type BlockSize,
  blockedDomain,
  withBlockedConvolutions,
} from "../../ops/passes/blocked.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { openTrainer } from "../../runtime/trainer.ts";
import type { Feeds } from "../../runtime/values.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { train } from "../loop/train.ts";
import { emitStep } from "../network/provider-form.ts";
import { labels } from "./objectives.ts";
import type { Optimizer } from "./optimizers.ts";
import { buildStep } from "./step.ts";

const block = await findBlockSize();
/** Where onnxruntime has no such kernels, steps stay as they are. */
const hasKernels = block !== undefined;

/** The next value of a parameter is its gradient: what a step computes, unrounded. */
const gradientsThemselves: Optimizer = {
  name: "gradients",
  decay: 0,
  slots: [],
  scalars: [],
  scalarsAt: () => [],
  update: ({ gradient, slots }) => ({ parameter: gradient, slots }),
};

/** A residual network over [N, 1, 8, 8] without kinks, on which rounding could turn: [N, 4]. */
function smoothNetwork([stem, inner, last]: readonly number[]): Graph {
  const b = new GraphBuilder("smooth");
  const random = randomOf(1, "smooth");
  const constant = (name: string, shape: readonly number[], scale: number, offset = 0) => {
    const values = random.normals(sizeOf(shape)).map((value) => scale * value + offset);
    return b.constant(name, tensorOf("float32", shape, values));
  };
  const conv = (x: string, name: string, inputs: number, filters: number, stride = 1) => {
    const w = constant(`${name}.weight`, [filters, inputs, 3, 3], 1 / Math.sqrt(9 * inputs));
    const bias = constant(`${name}.bias`, [filters], 0.1);
    return b.node("Conv", [x, w, bias], { pads: [1, 1, 1, 1], strides: [stride, stride] })[0];
  };
  const normalized = (x: string, name: string, width: number) => {
    const affine = [
      constant(`${name}.scale`, [width], 0.1, 1),
      constant(`${name}.shift`, [width], 0.1),
    ];
    const kept = [
      constant(`${name}.mean`, [width], 0),
      constant(`${name}.variance`, [width], 0, 1),
    ];
    return b.node("Elu", b.node("BatchNormalization", [x, ...affine, ...kept]))[0];
  };
  b.input("input", "float32", ["N", 1, 8, 8]);
  const x = normalized(conv("input", "stem", 1, stem), "bn0", stem);
  const y = normalized(conv(x, "first", stem, inner), "bn1", inner);
  const [sum] = b.node("Add", [x, conv(y, "second", inner, stem)]);
  const z = normalized(conv(sum, "third", stem, last, 2), "bn2", last);
  const flat = b.node("Flatten", b.node("GlobalAveragePool", [z]), { axis: 1 });
  const dense = [constant("dense.weight", [last, 4], 0.3), constant("dense.bias", [4], 0)];
  b.node("Gemm", [...flat, ...dense], {}, { outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  return b.build();
}

const batch = 16;
const stepOf = (network: Graph) =>
  buildStep(network, {
    inputShapes: new Map([["input", [batch, 1, 8, 8]]]),
    target: { dtype: "int32", shape: [batch] },
    objective: labels(),
    optimizer: gradientsThemselves,
  });

/** The loss and all gradients and statistics after one step, by name. */
async function gradientsOf(network: Graph, form: BlockSize | undefined, threads = 1) {
  const step = stepOf(network);
  const { state, initial, guard, target = "target", loss } = step;
  const model = emitStep(step.graph, {}, form);
  const trainer = await openTrainer(model, { state, initial, guard, threads });
  try {
    const targets = Int32Array.from({ length: batch }, (_, i) => i % 4);
    const feeds: Feeds = new Map([
      ["input", normals([batch, 1, 8, 8])],
      [target, tensorOf("int32", [batch], targets)],
    ]);
    const { results } = await trainer.step(feeds, [loss]);
    return new Map([...results, ...step.weightsOf(await trainer.readState())]);
  } finally {
    await trainer.close();
  }
}

describe.runIf(hasKernels)("a step with blocked convolutions", () => {
  it.each([
    { widths: [16, 16, 32], convolutions: 5 },
    { widths: [32, 64, 64], convolutions: 5 },
    { widths: [16, 27, 40], convolutions: 5 },
    { widths: [13, 9, 20], convolutions: 5 },
    { widths: [50, 7, 33], convolutions: 4 },
  ])("gives the gradients of the plain one: $widths", async ({ widths, convolutions }) => {
    const network = smoothNetwork(widths);
    const { nodes } = withBlockedConvolutions(stepOf(network).graph, block ?? 16);
    const blocked = nodes.filter(({ domain, inputs }) => domain !== "" && inputs.length > 1);
    if (block === 16) expect(blocked.length).toBe(convolutions);
    const plain = await gradientsOf(network, undefined);
    const other = await gradientsOf(network, block);
    expect([...other.keys()]).toEqual([...plain.keys()]);
    for (const [name, tensor] of plain) {
      const [a, b] = [tensor, other.get(name) ?? tensor].map(toNumbers);
      // A bias in front of batch normalization has no gradient but what rounding leaves.
      const largest = a.reduce((m, value) => Math.max(m, Math.abs(value)), 1e-2);
      const error = a.reduce((m, value, i) => Math.max(m, Math.abs(value - b[i])), 0);
      expect(error / largest, name).toBeLessThan(1e-5);
    }
  });

  it.each([1, 2])("gives the same bytes again: %i threads", async (threads) => {
    const network = smoothNetwork([16, 27, 40]);
    const first = await gradientsOf(network, block, threads);
    expect(await gradientsOf(network, block, threads)).toEqual(first);
  });
});

it("stays as it is where there are no such kernels", () => {
  const { graph } = stepOf(smoothNetwork([16, 16, 32]));
  const bytes = (chunks: readonly Uint8Array[]) => Buffer.from(concatBytes(chunks));
  expect(bytes(emitStep(graph, {}, undefined))).toEqual(bytes(encodeGraph(graph).chunks));
});

describe("a run", () => {
  const folder = mkdtempSync(join(tmpdir(), "espalier-blocked-"));
  const network = smoothNetwork([16, 27, 20]);
  let dataset: Dataset;
  beforeAll(async () => {
    await writeQuadrants(folder);
    dataset = await openDataset(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Trains for 3 epochs of 4 steps, or so many steps of them, and on from its checkpoint. */
  const runTo = async (name: string, stop = Number.POSITIVE_INFINITY) => {
    const controller = new AbortController();
    return train(network, dataset, {
      epochs: 3,
      batchSize: 16,
      limit: 64,
      threads: 1,
      checksMemorisation: false,
      signal: controller.signal,
      checkpoint: { path: join(folder, name), resumes: true },
      onProgress: ({ step }) => step >= stop && controller.abort(),
    });
  };
  const bytesOf = ({ final }: Awaited<ReturnType<typeof runTo>>) =>
    Buffer.from(concatBytes(final.bytes)).toString("base64");
  /** The note of a checkpoint. */
  const noteOf = async (name: string) => JSON.parse((await fileOf(name)).note);
  const fileOf = async (name: string) => {
    const file = await loadTensors(join(folder, name));
    if (file === undefined) throw new Error(`there is no ${name}`);
    return file;
  };

  it("notes the form of its steps, goes on in it to the same bytes, and gives a plain network", async () => {
    const whole = await runTo("whole");
    for (const stop of [2, 5, 9])
      await expect(runTo("resumed", stop)).rejects.toMatchObject({ code: "ABORTED" });
    expect((await noteOf("resumed")).position.block).toBe(block);
    const resumed = await runTo("resumed");
    expect(bytesOf(resumed)).toBe(bytesOf(whole));
    expect(resumed.warnings).toEqual([]);
    const { graph } = readModel(concatBytes(whole.final.bytes));
    expect(graph.nodes.map(({ domain }) => domain)).not.toContain(blockedDomain);
  });

  it.runIf(hasKernels)("goes on with plain convolutions where it began so", async () => {
    await expect(runTo("plain", 5)).rejects.toMatchObject({ code: "ABORTED" });
    await rewrite("plain", undefined);
    const resumed = await runTo("plain");
    expect(resumed.warnings).toEqual([]);
    expect((await noteOf("plain")).position.block).toBeUndefined();
  });

  it("warns where it began on a machine with other blocks", async () => {
    await expect(runTo("other", 5)).rejects.toMatchObject({ code: "ABORTED" });
    await rewrite("other", block === 8 ? 16 : 8);
    const resumed = await runTo("other");
    expect(resumed.warnings).toEqual([expect.stringContaining("in another layout")]);
    expect((await noteOf("other")).position.block).toBe(block);
  });

  it("names what is not finite in blocked layout, too", async () => {
    const run = train(network, dataset, {
      epochs: 1,
      batchSize: 16,
      limit: 64,
      threads: 1,
      checksMemorisation: false,
      learningRate: 1e30,
    });
    await expect(run).rejects.toMatchObject({
      code: "TRAINING_DIVERGED",
      data: { tensor: expect.stringMatching(/value|parameter|gradient/) },
    });
  });

  /** As if the checkpoint came from another machine. */
  async function rewrite(name: string, other: BlockSize | undefined): Promise<void> {
    const { tensors } = await fileOf(name);
    const note = await noteOf(name);
    note.position.block = other;
    await saveTensors(join(folder, name), { tensors, note: JSON.stringify(note) });
  }
});
