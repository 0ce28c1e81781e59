/**
 * @file The network of `npm run demo`: a convolutional classifier for MNIST, built without a single
 * gradient step, so that there is something real to prune.
 *
 * Two convolutions with fixed random filters, batch normalization with statistics measured on
 * images, and a dense layer by ridge regression in closed form.
 */
import {
  concatBytes,
  type Dataset,
  emitModel,
  GraphBuilder,
  type HostTensor,
  tensorOf,
  withSession,
} from "../src/index.ts";
import { randomOf } from "../src/tensor/random.ts";

/** Channels of the two convolutions. */
const widths: readonly [number, number] = [64, 128];
/** Features per channel that the dense layer reads: 4 x 4 positions. */
const positions = 16;
const classes = 10;
const statisticsImages = 1000;
/** Ridge penalty per image: as strong as it can be without a loss of accuracy, so that no channel is alone. */
const penalty = 0.1;
/** Regression to 0 and 1 gives flat probabilities; as logits they are stretched. */
const sharpness = 10;

/** What is told while the network is made. */
export type OnStep = (step: { readonly done: number; readonly total: number }) => void;

/** Mean and variance per channel. */
interface Statistics {
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

/** The parameters of the dense layer. */
interface Dense {
  readonly weight: HostTensor;
  readonly bias: HostTensor;
}

/** Builds the network from the first `images` training images. */
export async function buildNetwork(
  dataset: Dataset,
  images: number,
  seed: number,
  onStep: OnStep,
): Promise<Uint8Array<ArrayBuffer>> {
  const filters = [
    randomFilters(seed, "first", [widths[0], 1, 5, 5]),
    randomFilters(seed, "second", [widths[1], widths[0], 3, 3]),
  ];
  const statistics: Statistics[] = [];
  for (const layer of [0, 1]) {
    const probe = networkOf(filters, statistics, { endsAtConvolution: layer });
    statistics.push(await measure(probe, dataset, widths[layer]));
  }
  const features = networkOf(filters, statistics, {});
  const dense = await ridge(features, dataset, images, onStep);
  return networkOf(filters, statistics, { dense });
}

/** He's scale, and every filter sums to zero, so that the background's brightness does not matter. */
function randomFilters(seed: number, name: string, shape: readonly number[]): HostTensor {
  const [filters, ...rest] = shape;
  const size = rest.reduce((product, side) => product * side, 1);
  const values = randomOf(seed, "filters", name).normals(filters * size);
  for (let at = 0; at < values.length; at += size) {
    const filter = values.subarray(at, at + size);
    const mean = filter.reduce((sum, value) => sum + value, 0) / size;
    for (let i = 0; i < size; i++) filter[i] = (filter[i] - mean) * Math.sqrt(2 / size);
  }
  return tensorOf("float32", shape, values);
}

/** The network up to the convolution `endsAtConvolution`, up to the features, or as a whole. */
function networkOf(
  filters: readonly HostTensor[],
  statistics: readonly Statistics[],
  parts: { readonly endsAtConvolution?: number; readonly dense?: Dense },
): Uint8Array<ArrayBuffer> {
  const b = new GraphBuilder("mnist");
  let x = b.input("image", "float32", ["N", 1, 28, 28]);
  for (const [layer, weights] of filters.entries()) {
    const name = `conv${layer + 1}`;
    const pads = weights.shape[2] >> 1;
    const weight = b.constant(`${name}.weight`, weights);
    [x] = b.node("Conv", [x, weight], { pads: [pads, pads, pads, pads] }, { name });
    if (parts.endsAtConvolution === layer) break;
    const { mean, variance } = statistics[layer];
    const vector = (part: string, values: readonly number[]) =>
      b.constant(`${name}.bn.${part}`, tensorOf("float32", [values.length], values));
    const parameters = [
      vector(
        "scale",
        mean.map(() => 1),
      ),
      vector(
        "shift",
        mean.map(() => 0),
      ),
      vector("mean", mean),
      vector("variance", variance),
    ];
    [x] = b.node("BatchNormalization", [x, ...parameters], {}, { name: `${name}.bn` });
    [x] = b.node("Relu", [x], {}, { name: `${name}.relu` });
    // 28 → 14 → 4
    const size = layer === 0 ? 2 : 4;
    const window = {
      kernel_shape: [size, size],
      strides: [size, size],
      pads: [0, 0, size - 2, size - 2],
    };
    [x] = b.node("MaxPool", [x], window, { name: `${name}.pool` });
  }
  if (parts.endsAtConvolution === undefined)
    [x] = b.node("Flatten", [x], { axis: 1 }, { name: "flatten" });
  if (parts.dense !== undefined) {
    const weight = b.constant("dense.weight", parts.dense.weight);
    const bias = b.constant("dense.bias", parts.dense.bias);
    [x] = b.node("Gemm", [x, weight, bias], {}, { name: "dense", outputs: ["logits"] });
  }
  const shape = parts.dense === undefined ? undefined : ["N", classes];
  b.output(x, { dtype: "float32", shape });
  return concatBytes(emitModel(b.build(), { opset: 17 }));
}

/** Statistics of the only output [N, C, H, W], per channel. */
async function measure(model: Uint8Array, dataset: Dataset, channels: number): Promise<Statistics> {
  const sums = new Float64Array(channels);
  const squares = new Float64Array(channels);
  let count = 0;
  await withSession(model, {}, async (session) => {
    for await (const { input } of dataset.batches("fit", {
      batchSize: 100,
      limit: statisticsImages,
    })) {
      const values = onlyFloats(await session.run(new Map([["image", input]])));
      const plane = values.length / input.shape[0] / channels;
      for (const [i, value] of values.entries()) {
        const channel = Math.floor(i / plane) % channels;
        sums[channel] += value;
        squares[channel] += value * value;
      }
      count += input.shape[0] * plane;
    }
  });
  const mean = Array.from(sums, (sum) => sum / count);
  return { mean, variance: mean.map((m, c) => squares[c] / count - m * m) };
}

/**
 * Ridge regression of the one-hot labels on the features F: with both centred,
 * (FᵀF + λI) W = FᵀY. The products run on ONNX Runtime, the solution here.
 */
async function ridge(
  featureModel: Uint8Array,
  dataset: Dataset,
  images: number,
  onStep: OnStep,
): Promise<Dense> {
  const size = widths[1] * positions;
  // A column of ones makes the products hold the sums as well.
  const columns = size + 1;
  const gram = new Float64Array(columns * columns);
  const moments = new Float64Array(columns * classes);
  let done = 0;
  await withSession(featureModel, {}, (features) =>
    withSession(productsModel(), {}, async (products) => {
      for await (const { input, labels } of dataset.batches("fit", {
        batchSize: 500,
        limit: images,
      })) {
        const values = onlyFloats(await features.run(new Map([["image", input]])));
        const rows = input.shape[0];
        const f = new Float32Array(rows * columns).fill(1);
        for (let i = 0; i < rows; i++)
          f.set(values.subarray(i * size, (i + 1) * size), i * columns);
        const y = new Float32Array(rows * classes);
        for (const [i, label] of (labels ?? new Int32Array()).entries()) y[i * classes + label] = 1;
        const results = await products.run(
          new Map([
            ["f", tensorOf("float32", [rows, columns], f)],
            ["y", tensorOf("float32", [rows, classes], y)],
          ]),
        );
        add(gram, floatsOf(results.get("gram")));
        add(moments, floatsOf(results.get("moments")));
        done += rows;
        onStep({ done, total: images });
      }
    }),
  );
  return solve(gram, moments, size, done);
}

function productsModel(): Uint8Array {
  const b = new GraphBuilder("products");
  const f = b.input("f", "float32", ["N", "D"]);
  const y = b.input("y", "float32", ["N", classes]);
  const [transposed] = b.node("Transpose", [f], { perm: [1, 0] });
  b.node("MatMul", [transposed, f], {}, { outputs: ["gram"] });
  b.node("MatMul", [transposed, y], {}, { outputs: ["moments"] });
  b.output("gram", { dtype: "float32", shape: ["D", "D"] });
  b.output("moments", { dtype: "float32", shape: ["D", classes] });
  return concatBytes(emitModel(b.build(), { opset: 17 }));
}

function solve(gram: Float64Array, moments: Float64Array, size: number, count: number): Dense {
  const columns = size + 1;
  const featureMean = Array.from({ length: size }, (_, i) => gram[i * columns + size] / count);
  const labelMean = Array.from({ length: classes }, (_, k) => moments[size * classes + k] / count);
  const lower = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j <= i; j++)
      lower[i * size + j] =
        gram[i * columns + j] -
        count * featureMean[i] * featureMean[j] +
        (i === j ? penalty * count : 0);
  factorize(lower, size);
  const weight = new Float64Array(size * classes);
  for (let k = 0; k < classes; k++) {
    const right = Float64Array.from(
      { length: size },
      (_, i) => moments[i * classes + k] - count * featureMean[i] * labelMean[k],
    );
    substitute(lower, right);
    for (let i = 0; i < size; i++) weight[i * classes + k] = sharpness * right[i];
  }
  const bias = labelMean.map((mean, k) =>
    featureMean.reduce((sum, f, i) => sum - f * weight[i * classes + k], sharpness * mean),
  );
  return {
    weight: tensorOf("float32", [size, classes], weight),
    bias: tensorOf("float32", [classes], bias),
  };
}

/** Cholesky's factor L of a symmetric positive matrix, in place in its lower triangle. */
function factorize(a: Float64Array, size: number): void {
  for (let j = 0; j < size; j++) {
    const rowJ = a.subarray(j * size, j * size + j);
    for (let i = j; i < size; i++) {
      const rowI = a.subarray(i * size, i * size + j);
      let sum = a[i * size + j];
      for (let k = 0; k < j; k++) sum -= rowI[k] * rowJ[k];
      a[i * size + j] = i === j ? Math.sqrt(sum) : sum / a[j * size + j];
    }
  }
}

/** Solves L Lᵀ x = b in place. */
function substitute(lower: Float64Array, b: Float64Array): void {
  const size = b.length;
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < i; k++) b[i] -= lower[i * size + k] * b[k];
    b[i] /= lower[i * size + i];
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) b[i] -= lower[k * size + i] * b[k];
    b[i] /= lower[i * size + i];
  }
}

function add(to: Float64Array, from: Float32Array): void {
  for (let i = 0; i < to.length; i++) to[i] += from[i];
}

function onlyFloats(outputs: ReadonlyMap<string, HostTensor>): Float32Array {
  const [tensor] = outputs.values();
  return floatsOf(tensor);
}

function floatsOf(tensor: HostTensor | undefined): Float32Array {
  if (!(tensor?.data instanceof Float32Array)) throw new Error("a float32 output");
  return tensor.data;
}
