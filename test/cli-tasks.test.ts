/** @file Networks whose ends say in other ways what they are for, from data to a trained network. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GraphBuilder } from "../src/ir/builder.ts";
import { int64Vector, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { npyFile, zipFile } from "./data-files.ts";
import { modelOf } from "./tiny-models.ts";

/** 160 images of 8 x 8 pixels; those of class 1 are brighter. Cut into roles by the seed. */
async function brightness(folder: string): Promise<string> {
  const [count, pixels] = [160, 3 * 8 * 8];
  const random = randomOf(1, "brightness");
  const y = Int32Array.from({ length: count }, (_, i) => i % 2);
  const x = Uint8Array.from({ length: count * pixels }, (_, i) => {
    return random.integer(140) + 100 * (Math.floor(i / pixels) % 2);
  });
  const parts = [
    { name: "x.npy", content: npyFile("|u1", [count, 3, 8, 8], x) },
    { name: "y.npy", content: npyFile("<i4", [count], y) },
  ];
  const path = join(folder, "data.npz");
  await writeFile(path, zipFile(parts));
  return folder;
}

/** A network of two layers; `end` makes the output "y", with what a last convolution takes. */
async function networkOf(
  folder: string,
  shape: readonly (number | string)[],
  end: (b: GraphBuilder, inputs: readonly string[]) => void,
): Promise<string> {
  const random = randomOf(2, "network");
  const channels = Number(shape[1]);
  const pieces = modelOf((b) => {
    b.input("x", "float32", ["N", 3, 8, 8]);
    const weight = (name: string, dims: readonly number[]) =>
      b.constant(
        name,
        tensorOf(
          "float32",
          dims,
          random.normals(dims.reduce((a, d) => a * d, 1)).map((v) => v / 4),
        ),
      );
    const w = weight("w", [8, 3, 3, 3]);
    const bias = b.constant("a", tensorOf("float32", [8], Array(8).fill(0)));
    const [conv] = b.node("Conv", ["x", w, bias], { pads: [1, 1, 1, 1] }, { name: "conv" });
    const [relu] = b.node("Relu", [conv]);
    const [means] = b.node("GlobalAveragePool", [relu]);
    const offsets = b.constant("c", tensorOf("float32", [channels], Array(channels).fill(0)));
    end(b, [means, weight("v", [channels, 8, 1, 1]), offsets]);
    b.output("y", { dtype: "float32", shape });
  });
  const path = join(folder, "net.onnx");
  await writeFile(path, Buffer.concat(pieces));
  return path;
}

const named = { outputs: ["y"] } as const;
const ends = [
  {
    what: "a sigmoid of one score, as Keras writes it",
    shape: ["N", 1],
    kind: "probabilities",
    end(b: GraphBuilder, inputs: readonly string[]) {
      const [conv] = b.node("Conv", inputs);
      const [flat] = b.node("Flatten", [conv]);
      b.node("Sigmoid", [flat], {}, named);
    },
  },
  {
    what: "one logit",
    shape: ["N", 1],
    kind: "logits",
    end(b: GraphBuilder, inputs: readonly string[]) {
      const [conv] = b.node("Conv", inputs);
      b.node("Flatten", [conv], {}, named);
    },
  },
  {
    what: "a sigmoid of one score that is flattened afterwards",
    shape: ["N", 1],
    kind: "probabilities",
    end(b: GraphBuilder, inputs: readonly string[]) {
      const [conv] = b.node("Conv", inputs);
      const [p] = b.node("Sigmoid", [conv]);
      b.node("Flatten", [p], {}, named);
    },
  },
  {
    what: "a map of one score that is one pixel large",
    shape: ["N", 1, 1, 1],
    kind: "probabilities",
    end(b: GraphBuilder, inputs: readonly string[]) {
      const [conv] = b.node("Conv", inputs);
      b.node("Sigmoid", [conv], {}, named);
    },
  },
  {
    what: "a fully convolutional classifier",
    shape: ["N", 2, 1, 1],
    kind: "logits",
    end(b: GraphBuilder, inputs: readonly string[]) {
      b.node("Conv", inputs, {}, named);
    },
  },
  {
    what: "a softmax over maps of one pixel, flattened",
    shape: ["N", 2],
    kind: "probabilities",
    end(b: GraphBuilder, inputs: readonly string[]) {
      const [conv] = b.node("Conv", inputs);
      const [p] = b.node("Softmax", [conv], { axis: 1 });
      b.node("Flatten", [p], {}, named);
    },
  },
];

/**
 * A detector of one class in 16 places of 8 x 8 images: the chance that something is there, and a box. Its file
 * fixes the batch at 1, and shapes in which it takes part, as exporters write them.
 */
async function detector(folder: string): Promise<string> {
  const random = randomOf(3, "detector");
  const pieces = modelOf((b) => {
    b.input("x", "float32", [1, 3, 8, 8]);
    const conv = (input: string, name: string, dims: readonly number[], stride = 1) => {
      const count = dims.reduce((product, dim) => product * dim, 1);
      const deviation = Math.sqrt(2 / (count / dims[0]));
      const w = b.constant(
        `${name}.w`,
        tensorOf(
          "float32",
          dims,
          random.normals(count).map((v) => v * deviation),
        ),
      );
      const c = b.constant(`${name}.b`, tensorOf("float32", [dims[0]], Array(dims[0]).fill(0.1)));
      const pads = dims[2] === 3 ? [1, 1, 1, 1] : [0, 0, 0, 0];
      return b.node("Conv", [input, w, c], { pads, strides: [stride, stride] }, { name })[0];
    };
    const relu = (input: string) => b.node("Relu", [input])[0];
    const first = relu(conv("x", "conv1", [12, 3, 3, 3], 2));
    const body = relu(conv(first, "conv2", [16, 12, 3, 3]));
    const head = (name: string, channels: number) => {
      const [rows] = b.node("Transpose", [conv(body, name, [channels, 16, 1, 1])], {
        perm: [0, 2, 3, 1],
      });
      return b.node("Reshape", [rows, b.constant(`${name}.s`, int64Vector([1, -1, channels]))])[0];
    };
    b.node("Sigmoid", [head("cls", 1)], {}, { outputs: ["scores"] });
    b.node("Identity", [head("box", 4)], {}, { outputs: ["boxes"] });
    b.output("scores", { dtype: "float32", shape: [1, 16, 1] });
    b.output("boxes", { dtype: "float32", shape: [1, 16, 4] });
  });
  const path = join(folder, "detector.onnx");
  await writeFile(path, Buffer.concat(pieces));
  return path;
}

/** The same images without their classes. */
async function unlabelled(folder: string): Promise<string> {
  const [count, pixels] = [160, 3 * 8 * 8];
  const random = randomOf(1, "unlabelled");
  const x = Uint8Array.from({ length: count * pixels }, () => random.integer(256));
  const content = npyFile("|u1", [count, 3, 8, 8], x);
  const path = join(folder, "images.npz");
  await writeFile(path, zipFile([{ name: "x.npy", content }]));
  return path;
}

describe("a detector without labels", () => {
  it("is compressed by the similarity of all of its outputs, which tuning raises", async () => {
    const folder = await emptyFolder();
    const data = await unlabelled(folder);
    const model = await detector(folder);
    const run = join(folder, "run");
    const { out, err } = await espalier([
      ...["compress", model, "--data", data, "-o", run, "--macs", "0.6", "--rounds", "1"],
      ...["--epochs", "20", "--lr", "0.01", "--threads", "1", "--bench-seconds", "0.1", "--json"],
    ]);
    expect(err).not.toContain("error");
    const report = JSON.parse(out);
    expect(report).toMatchObject({ metric: "similarity", task: "outputs", hasLabels: false });
    expect(report.baseline.select.value).toBe(1);
    const [{ removed, tuned }] = report.rounds[0].attempts;
    expect(tuned.value).toBeGreaterThan(removed.value + 0.02);
    const small = join(run, "model.onnx");

    const against = ["--data", data, "--against", model, "--json"];
    const evaluated = JSON.parse((await espalier(["evaluate", small, ...against])).out);
    expect(evaluated).toMatchObject({ metric: "similarity", against: model });
    expect(evaluated.value).toBeCloseTo(report.result.value, 9);
    expect(evaluated.outputs.map(({ output }: { output: string }) => output)).toEqual([
      "scores",
      "boxes",
    ]);
    // The run knows its original.
    const ofRun = JSON.parse((await espalier(["evaluate", run, "--json"])).out);
    expect(ofRun.value).toBe(evaluated.value);
    expect((await espalier(["verify", run])).exitCode).toBe(0);
  });

  it("is not taken for a classifier of its places", async () => {
    const folder = await emptyFolder();
    const { exitCode, err } = await espalier([
      ...["evaluate", await detector(folder), "--data", await brightness(folder)],
    ]);
    expect(exitCode).not.toBe(0);
    expect(err).toContain("no output of shape [N, classes]; it has scores [1, 16, 1]");
    expect(err).toContain("--output-name");
  });
});

describe("a classifier that ends in", () => {
  it.each(ends)("$what is trained and evaluated", async ({ shape, kind, end }) => {
    const folder = await emptyFolder();
    const data = await brightness(folder);
    const model = await networkOf(folder, shape, end);
    const run = join(folder, "run");
    const trained = await espalier([
      ...["train", model, "--data", data, "-o", run, "--epochs", "12", "--batch", "20"],
      ...["--optimizer", "adam", "--lr", "0.03", "--threads", "1", "--json"],
    ]);
    expect(trained.err).not.toContain("error");
    const { final, history } = JSON.parse(trained.out);
    expect(final.value).toBeGreaterThan(0.9);
    // Of two classes: better than log 2, and the accuracy in training is measured, too.
    expect(final.loss).toBeLessThan(Math.log(2));
    expect(history.at(-1).accuracy).toBeGreaterThan(0.9);
    const evaluated = await espalier([
      ...["evaluate", join(run, "model.onnx"), "--data", data, "--json"],
    ]);
    const { value, loss, classes, outputKind } = JSON.parse(evaluated.out);
    expect({ value, loss }).toEqual({ value: final.value, loss: final.loss });
    expect({ classes, outputKind }).toEqual({ classes: 2, outputKind: kind });
  });

  it("one score is trained with --loss bce, and two are not", async () => {
    const folder = await emptyFolder();
    const data = await brightness(folder);
    for (const [{ shape, end }, exitCode] of [
      [ends[0], 0],
      [ends[4], 2],
    ] as const) {
      const model = await networkOf(folder, shape, end);
      const run = join(folder, `run-${exitCode}`);
      const argv = ["train", model, "--data", data, "-o", run, "--epochs", "1", "--loss", "bce"];
      const { exitCode: found } = await espalier([...argv, "--threads", "1"]);
      expect(found).toBe(exitCode);
    }
  });
});
