/** @file Forms of inputs that networks are commonly trained on, and samples brought into them. */
import type { Dataset } from "../../data/dataset.ts";
import type { Preprocessing } from "../../data/preprocessing.ts";
import type { Batch } from "../../data/serve.ts";

/** One way to make an input of pixels from 0 to 255: (scale · x - mean) / std. */
export interface InputForm {
  /** What it is, as the subject of a sentence. */
  readonly words: string;
  /** The options that ask for it, with their values. */
  readonly options: string;
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const common: readonly InputForm[] = [
  {
    words: "Pixels from 0 to 1",
    options: "`mean` 0 `std` 1",
    scale: 1 / 255,
    mean: [0],
    std: [1],
  },
  {
    words: "Pixels from 0 to 255",
    options: "`scale` 1 `mean` 0 `std` 1",
    scale: 1,
    mean: [0],
    std: [1],
  },
  {
    words: "Pixels from -1 to 1",
    options: "`mean` 0.5 `std` 0.5",
    scale: 1 / 255,
    mean: [0.5],
    std: [0.5],
  },
];

const colored: readonly InputForm[] = [
  {
    words: "ImageNet's mean and deviation",
    options: "`mean` 0.485,0.456,0.406 `std` 0.229,0.224,0.225",
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  {
    words: "CIFAR-10's mean and deviation",
    options: "`mean` 0.4914,0.4822,0.4465 `std` 0.247,0.2435,0.2616",
    scale: 1 / 255,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.247, 0.2435, 0.2616],
  },
  {
    words: "Pixels from 0 to 255 less ImageNet's mean, as Caffe has them",
    options: "`scale` 1 `mean` 123.68,116.779,103.939 `std` 1",
    scale: 1,
    mean: [123.68, 116.779, 103.939],
    std: [1],
  },
];

const grey: readonly InputForm[] = [
  {
    words: "MNIST's mean and deviation",
    options: "`mean` 0.1307 `std` 0.3081",
    scale: 1 / 255,
    mean: [0.1307],
    std: [0.3081],
  },
];

/**
 * The forms to try; none where samples are no pixels from 0 to 255. The order of channels is not tried: first
 * normalizations cannot tell it (on CIFAR-10 their distance is 0.05 to 0.21 in the right one, and 0.11 to 0.24 in
 * the other).
 */
export function knownForms(
  { sampleShape, preprocessing }: Dataset,
  batches: readonly Batch[],
): readonly InputForm[] {
  if (sampleShape.length !== 3 || !batches.every((batch) => holdsPixels(batch, preprocessing)))
    return [];
  const channels = sampleShape[preprocessing.layout === "nchw" ? 0 : 2];
  if (channels === 1) return [...common, ...grey];
  return channels === 3 ? [...common, ...colored] : common;
}

/** A batch as it would be in another form. */
export function withForm(batch: Batch, how: Preprocessing, form: InputForm): Batch {
  const values: Float32Array = batch.input.data;
  const data = new Float32Array(values.length);
  for (const { first, end, step, channel } of channelRuns(batch, how)) {
    const { factor, shift } = pixelsOf(how, channel);
    const mean = form.mean[channel] ?? form.mean[0];
    const std = form.std[channel] ?? form.std[0];
    for (let i = first; i < end; i += step)
      data[i] = (form.scale * (factor * values[i] + shift) - mean) / std;
  }
  return { ...batch, input: { ...batch.input, data } };
}

function holdsPixels(batch: Batch, how: Preprocessing): boolean {
  const values: Float32Array = batch.input.data;
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { first, end, step, channel } of channelRuns(batch, how)) {
    const { factor, shift } = pixelsOf(how, channel);
    for (let i = first; i < end; i += step) {
      const pixel = factor * values[i] + shift;
      if (pixel < least) least = pixel;
      if (pixel > most) most = pixel;
    }
  }
  // Samples of numbers from 0 to 1, say, are no pixels; no batch of images is so dark throughout.
  return least > -0.5 && most < 255.5 && most > 2;
}

/** What the elements of an input were before they were scaled: pixel = factor · x + shift. */
function pixelsOf({ mean, std, scale }: Preprocessing, channel: number) {
  return {
    factor: (std[channel] ?? std[0]) / scale,
    shift: (mean[channel] ?? mean[0]) / scale,
  };
}

/** Elements of an input, `step` apart, that belong to one channel. */
interface ChannelRun {
  readonly first: number;
  readonly end: number;
  readonly step: number;
  readonly channel: number;
}

/** Runs that hold every element of the images of a batch once. */
function channelRuns({ input }: Batch, { layout }: Preprocessing): readonly ChannelRun[] {
  const [count, a, b, c] = input.shape;
  const isPlanar = layout === "nchw";
  const [channels, places] = isPlanar ? [a, b * c] : [c, count * a * b];
  if (!isPlanar)
    return Array.from({ length: channels }, (_, channel) => ({
      first: channel,
      end: places * channels,
      step: channels,
      channel,
    }));
  return Array.from({ length: count * channels }, (_, map) => ({
    first: map * places,
    end: (map + 1) * places,
    step: 1,
    channel: map % channels,
  }));
}
