/** @file Samples that lie end to end in one array: IDX, CIFAR binary and npz. */
import { type ChannelOrder, type Pixels, rasterOf } from "./raster.ts";
import { invalid, type RasterStore } from "./table.ts";

/** Where the samples lie in an array, in elements. */
export interface Packing {
  readonly file: string;
  readonly data: Pixels;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly order: ChannelOrder;
  /** Where the first sample begins. */
  readonly offset: number;
  /** Elements from the beginning of one sample to that of the next. */
  readonly stride: number;
  readonly isVector: boolean;
}

/** A store over samples in memory; nothing is copied. */
export function packedStore(packing: Packing): RasterStore {
  const { file, data, count, order, offset, stride, isVector } = packing;
  const size = { height: packing.height, width: packing.width, channels: packing.channels };
  return {
    count,
    isVector,
    isWhole: !(data instanceof Float32Array || data instanceof Float64Array),
    read: (index) => rasterOf(data, size, order, offset + index * stride),
    bytesOf(index) {
      const from = offset + index * stride;
      const { buffer, byteOffset, BYTES_PER_ELEMENT } = data;
      const length = size.height * size.width * size.channels;
      return new Uint8Array(
        buffer,
        byteOffset + from * BYTES_PER_ELEMENT,
        length * BYTES_PER_ELEMENT,
      );
    },
    fileOf: () => file,
  };
}

/**
 * A store over an array [N, D], [N, H, W], [N, H, W, C] or [N, C, H, W]. Of the last two it is the
 * one whose channel axis is 1, 3 or 4; where both are, `preferred`.
 */
export function arrayStore(
  file: string,
  data: Pixels,
  shape: readonly number[],
  preferred: ChannelOrder,
  offset = 0,
): RasterStore {
  if (shape.length < 2 || shape.length > 4)
    throw invalid(file, `samples have shape [${shape}]; expected [N, D], [N, H, W] or 4 axes`);
  const [count, ...sample] = shape;
  const stride = sample.reduce((product, dim) => product * dim, 1);
  if (count > 0 && stride === 0) throw invalid(file, `samples of shape [${sample}] hold nothing`);
  const order = sample.length === 3 ? channelOrder(sample, preferred) : "hwc";
  const [height, width, channels] =
    sample.length === 1
      ? [1, sample[0], 1]
      : sample.length === 2
        ? [sample[0], sample[1], 1]
        : order === "hwc"
          ? sample
          : [sample[1], sample[2], sample[0]];
  const isVector = sample.length === 1;
  return packedStore({
    file,
    data,
    count,
    height,
    width,
    channels,
    order,
    offset,
    stride,
    isVector,
  });
}

function channelOrder(sample: readonly number[], preferred: ChannelOrder): ChannelOrder {
  const mayBeChannels = (dim: number) => dim === 1 || dim === 3 || dim === 4;
  const [first, , last] = sample;
  if (mayBeChannels(first) === mayBeChannels(last)) return preferred;
  return mayBeChannels(first) ? "chw" : "hwc";
}

/** Several stores of one kind as one, one after the other. */
export function joinStores(stores: readonly RasterStore[]): RasterStore {
  if (stores.length === 1) return stores[0];
  const starts: number[] = [];
  let count = 0;
  for (const store of stores) {
    starts.push(count);
    count += store.count;
  }
  const find = (index: number) => starts.findLastIndex((start) => start <= index);
  return {
    count,
    isVector: stores.every((store) => store.isVector),
    isWhole: stores.every((store) => store.isWhole),
    read(index) {
      const k = find(index);
      return stores[k].read(index - starts[k]);
    },
    bytesOf(index) {
      const k = find(index);
      return stores[k].bytesOf(index - starts[k]);
    },
    fileOf(index) {
      const k = find(index);
      return stores[k].fileOf(index - starts[k]);
    },
  };
}
