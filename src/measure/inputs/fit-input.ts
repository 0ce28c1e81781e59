/** @file Bringing samples into the shape and type of a network's input, or saying why they don't fit. */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import { EspalierError } from "../../errors.ts";
import type { Shape } from "../../ir/graph.ts";
import type { SessionValue } from "../../runtime/values.ts";
import { bitsOf, type DType, isInteger } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";

/** How batches of a data set are fed to one input of a network. */
export interface InputFit {
  readonly name: string;
  /** Samples per run where the network's shape fixes it. */
  readonly fixedBatch: number | undefined;
  /** The shape of one sample as the network takes it. */
  readonly sampleShape: readonly number[];
  /**
   * Samples `from` to `to` of a batch as the network takes them; zeros fill up a fixed batch. May
   * share memory with the batch.
   */
  tensor(batch: Batch, from: number, to: number): HostTensor;
}

/**
 * Fits the samples to the network's only input.
 * @throws EspalierError `DATA_MISMATCH` with the shapes expected and got.
 */
export function fitInput(inputs: readonly SessionValue[], dataset: Dataset): InputFit {
  const [input] = inputs;
  if (input === undefined || inputs.length > 1)
    throw new EspalierError(
      "DATA_MISMATCH",
      `the network has ${inputs.length} inputs (${inputs.map(({ name }) => name).join(", ")}); ` +
        "samples fill exactly one",
    );
  const { name, dtype, shape } = input;
  const sample = dataset.sampleShape;
  if (!isFeedable(dtype)) throw misfit(input, dataset, "its type is not one that samples have");
  const fitted = fitShape(shape, sample);
  if (fitted === undefined) throw misfit(input, dataset, hintFor(shape, dataset));
  const fixedBatch = typeof shape[0] === "number" ? shape[0] : undefined;
  const size = sizeOf(sample);
  return {
    name,
    fixedBatch,
    sampleShape: fitted,
    tensor(batch, from, to) {
      const count = fixedBatch ?? to - from;
      let values = batch.input.data.subarray(from * size, to * size);
      if (to - from < count) {
        const padded = new Float32Array(count * size);
        padded.set(values);
        values = padded;
      }
      return convert(values, dtype, [count, ...fitted], input);
    },
  };
}

/** The sample's shape as the network wants it: the same elements in the same order, or `undefined`. */
function fitShape(shape: Shape, sample: readonly number[]): readonly number[] | undefined {
  // onnxruntime gives an unknown rank as [].
  if (shape.length === 0) return sample;
  const wanted = shape.slice(1);
  const matches = (dims: readonly number[]) =>
    dims.length === wanted.length &&
    wanted.every((dim, axis) => typeof dim === "string" || dim === dims[axis]);
  if (matches(sample)) return sample;
  const flat = [sizeOf(sample)];
  if (matches(flat)) return flat;
  // Axes of size 1 may come and go, and a vector may be an image, row by row.
  const fixed = wanted.filter((dim) => typeof dim === "number");
  if (fixed.length < wanted.length || sizeOf(fixed) !== sizeOf(sample)) return undefined;
  const long = (dims: readonly number[]) => dims.filter((dim) => dim !== 1).join();
  return sample.length === 1 || long(fixed) === long(sample) ? fixed : undefined;
}

function hintFor(shape: Shape, { sampleShape, preprocessing }: Dataset): string {
  const wanted = shape.slice(1);
  if (wanted.length === 3 && sampleShape.length === 3) {
    const other = preprocessing.layout === "nchw" ? "nhwc" : "nchw";
    const [a, b, c] = sampleShape;
    const turned = other === "nhwc" ? [b, c, a] : [c, a, b];
    if (fitShape(shape, turned) !== undefined) return `Try \`layout\` ${other}.`;
    const isFirst = preprocessing.layout === "nchw";
    const looksLast = isChannels(wanted[2]) && !isChannels(wanted[0]);
    const looksFirst = isChannels(wanted[0]) && !isChannels(wanted[2]);
    const changes: string[] = [];
    if (isFirst && looksLast) changes.push("`layout` nhwc");
    if (!isFirst && looksFirst) changes.push("`layout` nchw");
    const isPlanar = looksFirst || (isFirst && !looksLast);
    const [channels, height, width] = isPlanar ? wanted : [wanted[2], wanted[0], wanted[1]];
    const [gotChannels, gotHeight, gotWidth] = isFirst ? [a, b, c] : [c, a, b];
    if (channels !== gotChannels && channels === 1) changes.push("`color` gray");
    if (channels !== gotChannels && channels === 3) changes.push("`color` rgb");
    const isFixed = typeof height === "number" && typeof width === "number";
    if (isFixed && (height !== gotHeight || width !== gotWidth))
      changes.push(`\`resize\` ${width}x${height}`);
    if (changes.length > 0) return `Try ${changes.join(" ")}.`;
  }
  return "Choose another data set, or prepare the samples with `resize`, `crop`, `layout` or `color`.";
}

function isChannels(dim: Shape[number]): boolean {
  return dim === 1 || dim === 3 || dim === 4;
}

function isFeedable(dtype: DType): boolean {
  return (
    (isInteger(dtype) && bitsOf[dtype] >= 8) ||
    dtype === "float32" ||
    dtype === "float16" ||
    dtype === "float64"
  );
}

function convert(
  values: Float32Array,
  dtype: DType,
  shape: readonly number[],
  input: SessionValue,
): HostTensor {
  if (dtype === "float32") return { dtype, shape, data: values };
  if (isInteger(dtype)) requireWhole(values, dtype, input);
  return tensorOf(dtype, shape, values);
}

function requireWhole(values: Float32Array, dtype: DType, input: SessionValue): void {
  const bits = Math.min(bitsOf[dtype], 53);
  const isSigned = dtype.startsWith("int");
  const high = isSigned ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const low = isSigned ? -high - 1 : 0;
  const wrong = values.find((value) => !Number.isInteger(value) || value < low || value > high);
  if (wrong === undefined) return;
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network's input ${input.name} is ${dtype}, but a sample holds ${wrong}`,
    {
      hint: "Feed pixels as they are: `scale` 1 `mean` 0 `std` 1.",
      data: { input: input.name, expected: dtype, got: wrong },
    },
  );
}

function misfit(input: SessionValue, dataset: Dataset, hint: string): EspalierError {
  const expected = `${input.dtype} [${input.shape.join(", ")}]`;
  const got = `float32 [N, ${dataset.sampleShape.join(", ")}]`;
  return new EspalierError(
    "DATA_MISMATCH",
    `the network's input ${input.name} is ${expected}, the samples are ${got}`,
    { hint, data: { input: input.name, expected: input.shape, got: dataset.sampleShape } },
  );
}
