/** @file Models of random tensors for packing, and damage to packs. */
import type { GraphBuilder } from "../../src/ir/builder.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { ByteReader, pushVarint } from "../../src/pack/coding/byte-io.ts";
import { crc32 } from "../../src/pack/file/crc32.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { allocate, bytesOf, type HostTensor } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { modelOf } from "../tiny-models.ts";

/** How the bits of a random tensor are drawn. */
export type Filling = "noise" | "sparse" | "clustered" | "few" | "zero" | "weights";

/** A tensor of any element type that has bytes. */
export function randomTensor(
  dtype: DType,
  shape: readonly number[],
  filling: Filling,
  seed: number,
): HostTensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const random = randomOf(seed, "tensor", filling);
  const data = allocate(dtype, size);
  const bytes = bytesOf(data);
  const width = Math.max(1, Math.round(bytes.length / size));
  if (filling === "zero") return { dtype, shape, data };
  let isOn = true;
  for (let i = 0; i < bytes.length; i++) {
    if (i % width === 0)
      isOn =
        filling === "clustered"
          ? random.uniform() < (isOn ? 0.9 : 0.02)
          : filling !== "sparse" || random.uniform() < 0.1;
    if (filling === "few") bytes[i] = i % width === 0 ? random.integer(3) : 0;
    else bytes[i] = isOn ? random.integer(256) : 0;
  }
  if (filling === "weights" && data instanceof Float32Array) data.set(random.normals(size));
  return { dtype, shape, data };
}

/** A model that holds these tensors and passes each on as an output. */
export function modelWith(tensors: readonly HostTensor[]): Uint8Array<ArrayBuffer> {
  return concatBytes(
    modelOf((b: GraphBuilder) => {
      for (const [i, tensor] of tensors.entries()) {
        const name = b.constant(`c${i}`, tensor);
        b.node("Identity", [name], {}, { outputs: [`y${i}`] });
        b.output(`y${i}`, { dtype: tensor.dtype, shape: tensor.shape });
      }
    }),
  );
}

/** One piece of damage: flipped bits, edge values, a cut, a removed or a repeated stretch. */
export function damaged(bytes: Uint8Array, pick: (bound: number) => number): Uint8Array {
  const at = pick(bytes.length);
  const count = 1 + pick(16);
  switch (pick(6)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return concatBytes([bytes.subarray(0, at), bytes.subarray(at + count)]);
    case 2:
      return concatBytes([
        bytes.subarray(0, at),
        bytes.subarray(at, at + count),
        bytes.subarray(at),
      ]);
    case 3:
      return bytes.map((byte, i) => (i === at ? [0, 1, 127, 128, 255][pick(5)] : byte));
    case 4:
      return bytes.map((byte, i) => (i >= at && i < at + count ? pick(256) : byte));
    default:
      return bytes.map((byte, i) => (i === at ? byte ^ (1 << pick(8)) : byte));
  }
}

/** The parts of a well-formed pack, without their checksums. */
interface Frame {
  /** Output bytes, plain structure bytes, filling, bytes of each section (the first: structure). */
  readonly numbers: readonly number[];
  readonly filling: Uint8Array;
  readonly sections: readonly Uint8Array[];
}

const headerStart = 7;

/** Takes a pack apart. */
export function frameOf(pack: Uint8Array): Frame {
  const end = headerStart + pack[5] + 256 * pack[6];
  const reader = new ByteReader(pack.subarray(headerStart, end));
  const numbers: number[] = [];
  while (reader.rest.length > 0) numbers.push(reader.varint());
  let at = end + 4;
  const section = (length: number): Uint8Array => {
    const bytes = pack.subarray(at, at + length);
    at += length + 4;
    return bytes;
  };
  const [, , filling, ...lengths] = numbers;
  return { numbers, filling: section(filling), sections: lengths.map(section) };
}

/** Puts a pack together, with checksums that are right whatever the parts are. */
export function sealed({ numbers, filling, sections }: Frame): Uint8Array {
  const checked = (...pieces: readonly Uint8Array[]): Uint8Array => {
    const bytes = concatBytes(pieces);
    const sum = crc32(bytes);
    return concatBytes([bytes, Uint8Array.of(sum, sum >>> 8, sum >>> 16, sum >>> 24)]);
  };
  const header: number[] = [];
  for (const number of numbers) pushVarint(header, number);
  const frame = [0x89, 0x45, 0x53, 0x50, 1, header.length & 255, header.length >> 8];
  return checked(
    checked(Uint8Array.of(...frame, ...header)),
    checked(filling),
    ...sections.map((section) => checked(section)),
  );
}

/** Damage that the checksums do not show: what a hostile writer would make. */
export function forged(pack: Uint8Array, pick: (bound: number) => number): Uint8Array {
  const frame = frameOf(pack);
  if (pick(4) === 0) {
    const which = pick(frame.numbers.length);
    const odd = [0, 1, 2, 1000, 2 ** 24, 2 ** 31, 2 ** 40][pick(7)];
    const near = frame.numbers[which] + pick(7) - 3;
    const value = Math.max(0, pick(2) === 0 ? odd : near);
    return sealed({ ...frame, numbers: frame.numbers.with(which, value) });
  }
  // Every other time the structure; its length is announced as it is, so that decoding begins at all.
  const which = pick(2) === 0 ? 0 : pick(frame.sections.length);
  const section = damaged(frame.sections[which], pick);
  const numbers = frame.numbers.with(3 + which, section.length);
  return sealed({ ...frame, numbers, sections: frame.sections.with(which, section) });
}
