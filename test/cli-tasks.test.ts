/** @file Networks whose ends say in other ways what they are for, from data to a trained network. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { GraphBuilder } from "../src/ir/builder.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
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
