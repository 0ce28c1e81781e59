/** @file Inputs that look unlike those of training, on a network whose statistics are measured by the test itself. */
import { describe, expect, it } from "vitest";
import { folderOf, idxFile } from "../../../test/data-files.ts";
import { openDataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { checkInputs, inputWarning } from "./input-check.ts";

const [count, side, channels] = [24, 8, 3];
/** Images [N, H, W, 3] of smooth patches, unevenly bright, other ones for training and later. */
function pixels(seed: number): Uint8Array {
  const random = randomOf(seed, "pixels");
  const values = new Uint8Array(count * side * side * channels);
  for (let n = 0; n < count; n++) {
    const base = 40 + random.integer(160);
    for (let i = 0; i < side * side * channels; i++)
      values[n * side * side * channels + i] = Math.max(
        0,
        Math.min(255, base + random.integer(60) - 30 - 10 * (i % channels)),
      );
  }
  return values;
}

async function images(options: DatasetOptions) {
  const files = {
    "train-images-idx4-ubyte": idxFile([count, side, side, channels], pixels(7)),
    "train-labels-idx1-ubyte": idxFile(
      [count],
      Uint8Array.from({ length: count }, (_, i) => i % 2),
    ),
  };
  return openDataset(await folderOf(files), options);
}

const filters = 6;
const weights = randomOf(3).normals(filters * channels);

/** A convolution 1 x 1 and a normalization with the statistics of other images in this form. */
function trainedOn(scale: number, mean: readonly number[], std: readonly number[]): Graph {
  const values = pixels(1);
  const places = values.length / channels;
  const sums = new Float64Array(filters);
  const squares = new Float64Array(filters);
  for (let p = 0; p < places; p++)
    for (let f = 0; f < filters; f++) {
      let y = 0;
      for (let c = 0; c < channels; c++) {
        const x = (scale * values[p * channels + c] - (mean[c] ?? mean[0])) / (std[c] ?? std[0]);
        y += weights[f * channels + c] * x;
      }
      sums[f] += y / places;
      squares[f] += y ** 2 / places;
    }
  return normalized(
    sums,
    squares.map((square, f) => square - sums[f] ** 2),
  );
}

function normalized(mean: Float64Array, variance: Float64Array): Graph {
  const b = new GraphBuilder("net");
  const x = b.input("x", "float32", ["N", channels, side, side]);
  const w = b.constant("w", tensorOf("float32", [filters, channels, 1, 1], weights));
  const [conv] = b.node("Conv", [x, w]);
  const vector = (name: string, values: ArrayLike<number>) =>
    b.constant(name, tensorOf("float32", [filters], values));
  const ones = vector("ones", Array(filters).fill(1));
  const zeros = vector("zeros", Array(filters).fill(0));
  const own = [conv, ones, zeros, vector("mean", mean), vector("variance", variance)];
  const [y] = b.node("BatchNormalization", own, {}, { name: "bn1" });
  b.output(y);
  return b.build();
}

const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const byte = { scale: 1 / 255, mean: [0], std: [1] };
const forms = [
  { what: "pixels from 0 to 1", form: byte, options: "`mean` 0 `std` 1" },
  {
    what: "pixels from 0 to 255",
    form: { ...byte, scale: 1 },
    options: "`scale` 1 `mean` 0 `std` 1",
  },
  {
    what: "pixels from -1 to 1",
    form: { ...byte, mean: [0.5], std: [0.5] },
    options: "`mean` 0.5 `std` 0.5",
  },
  {
    what: "ImageNet's mean and deviation",
    form: { ...byte, ...imageNet },
    options: "`mean` 0.485,0.456,0.406 `std` 0.229,0.224,0.225",
  },
];

describe("a network that was trained on", () => {
  it.each(forms)("$what says so where it gets something else", async ({ form, options }) => {
    const graph = trainedOn(form.scale, form.mean, form.std);
    const right = await checkInputs(graph, await images(form));
    expect(right?.distance).toBeLessThan(0.3);
    expect(inputWarning(right)).toBeUndefined();
    for (const { form: other } of forms.filter((candidate) => candidate.form !== form)) {
      const warning = inputWarning(await checkInputs(graph, await images(other)));
      // -1 to 1 and a mean and deviation of colours are near each other.
      const isNear = [form, other].every(({ mean }) => mean[0] > 0);
      if (!isNear) expect(warning).toContain(`would fit: ${options}`);
    }
  });
});

describe("nothing is said", () => {
  const zeros = new Float64Array(filters);
  it("of a normalization as it begins, nor of a network without one", async () => {
    expect(
      await checkInputs(
        normalized(
          zeros,
          zeros.map(() => 1),
        ),
        await images({}),
      ),
    ).toBeUndefined();
    const b = new GraphBuilder("plain");
    b.output(b.node("Relu", [b.input("x", "float32", ["N", channels, side, side])])[0]);
    expect(await checkInputs(b.build(), await images({}))).toBeUndefined();
  });

  it("of inputs that are somewhat off, where no known form is nearer", async () => {
    const graph = trainedOn(1 / 255, [0.1], [0.7]);
    const check = await checkInputs(graph, await images({ mean: [0.1], std: [1] }));
    expect(inputWarning(check)).toBeUndefined();
  });

  it("by name of a form, where none fits", async () => {
    const graph = normalized(
      zeros.map(() => 5000),
      zeros.map(() => 1),
    );
    const warning = inputWarning(await checkInputs(graph, await images({})));
    expect(warning).toContain("no known form of inputs fits");
  });
});
