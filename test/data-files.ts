/** @file Data files for tests, made byte by byte: IDX, npy, npz, and folders that vanish again. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { onTestFinished } from "vitest";

/** A folder with these files, removed when the test is over. Names may hold slashes. */
export async function folderOf(files: Readonly<Record<string, Uint8Array | string>>) {
  const path = await mkdtemp(join(tmpdir(), "espalier-data-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), content);
  }
  return path;
}

/** An IDX file of unsigned bytes; without `values` it counts up from 0. */
export function idxFile(shape: readonly number[], values?: ArrayLike<number>): Uint8Array {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const file = Buffer.alloc(4 + 4 * shape.length + size);
  file.set([0, 0, 8, shape.length]);
  for (const [axis, dim] of shape.entries()) file.writeUInt32BE(dim, 4 + 4 * axis);
  for (let i = 0; i < size; i++) file[4 + 4 * shape.length + i] = values?.[i] ?? i;
  return file;
}

/** A CIFAR file: one record per list of label bytes; pixel i of record r is r + i. */
export function cifarFile(labels: readonly (readonly number[])[]): Uint8Array {
  const pixels = (r: number) => Uint8Array.from({ length: 3072 }, (_, i) => r + i);
  return Buffer.concat(labels.map((bytes, r) => Buffer.concat([Buffer.from(bytes), pixels(r)])));
}

/** A version 1 npy file with a header as numpy writes it. */
export function npyFile(
  descr: string,
  shape: readonly number[],
  body: ArrayBufferView,
  isFortran = false,
): Uint8Array {
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const order = isFortran ? "True" : "False";
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${dims}), }`;
  const padded = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11);
  const head = Buffer.from(`\x93NUMPY\x01\x00..${padded}\n`, "latin1");
  head.writeUInt16LE(padded.length + 1, 8);
  return Buffer.concat([head, Buffer.from(body.buffer, body.byteOffset, body.byteLength)]);
}

/** What to put into an archive, and how to lie about it. */
export interface ZipPart {
  readonly name: string;
  readonly content: Uint8Array;
  readonly isStored?: boolean;
  /** What the directory says instead of the truth. */
  readonly claims?: {
    readonly size?: number;
    readonly compressedSize?: number;
    readonly crc?: number;
    readonly method?: number;
    readonly flags?: number;
    readonly headerAt?: number;
  };
}

/** A zip archive. */
export function zipFile(parts: readonly ZipPart[]): Uint8Array {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, content, isStored = false, claims = {} } of parts) {
    const packed = isStored ? content : deflateRawSync(content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(claims.flags ?? 0, 2);
    common.writeUInt16LE(claims.method ?? (isStored ? 0 : 8), 4);
    common.writeUInt32LE(claims.crc ?? crc32(content), 10);
    common.writeUInt32LE(claims.compressedSize ?? packed.length, 14);
    common.writeUInt32LE(claims.size ?? content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const body = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(claims.headerAt ?? at, 10);
    const version = Buffer.from([20, 0]);
    directory.push(
      Buffer.concat([Buffer.from("PK\x01\x02"), version, common, tail, Buffer.from(name)]),
    );
    bodies.push(body);
    at += body.length;
  }
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(parts.length, 8);
  end.writeUInt16LE(parts.length, 10);
  end.writeUInt32LE(
    directory.reduce((sum, entry) => sum + entry.length, 0),
    12,
  );
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...bodies, ...directory, end]);
}
