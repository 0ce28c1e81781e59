/** @file Tensor files: there and back, and damage that is told. */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type HostTensor, tensorOf } from "../tensor/host-tensor.ts";
import { digestOf, loadTensors, saveTensors } from "./tensor-file.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-tensors-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.safetensors");

const tensors = new Map<string, HostTensor>([
  ["w", tensorOf("float32", [2, 2], [1.5, -0, Number.NaN, Number.POSITIVE_INFINITY])],
  ["__proto__", tensorOf("int64", [], [7])],
  ["empty", tensorOf("float64", [0, 3], [])],
  ["odd", tensorOf("uint8", [3], [1, 2, 255])],
]);

describe("a tensor file", () => {
  it("gives back what was saved, and leaves nothing else behind", async () => {
    await saveTensors(path, { tensors, note: "straße" });
    expect(await loadTensors(path)).toEqual({ tensors, note: "straße" });
    expect(readdirSync(folder)).toEqual(["a.safetensors"]);
  });

  it("is laid out as safetensors says", async () => {
    await saveTensors(path, { tensors: new Map([["x", tensorOf("float32", [1], [2])]]), note: "" });
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    expect(JSON.parse(bytes.toString("utf8", 8, 8 + length))).toEqual({
      __metadata__: { note: "", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      x: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
    });
    expect(bytes.readFloatLE(8 + length)).toBe(2);
  });

  it("may be absent", async () => {
    expect(await loadTensors(join(folder, "none"))).toBeUndefined();
  });

  it("cut short anywhere, or filled with something else, is damaged", async () => {
    await saveTensors(path, { tensors, note: "" });
    const { length } = readFileSync(path);
    for (const at of [length - 1, length - 20, 40, 7, 0]) {
      await saveTensors(path, { tensors, note: "" });
      truncateSync(path, at);
      await expect(loadTensors(path)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
    for (const text of ["\xff".repeat(20), "\x02\0\0\0\0\0\0\0[]", "\x02\0\0\0\0\0\0\0{}"]) {
      writeFileSync(path, text, "latin1");
      await expect(loadTensors(path)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
    }
  });

  it("tells every bit that is another", async () => {
    const saved = { tensors, note: "straße" };
    await saveTensors(path, saved);
    const bytes = readFileSync(path);
    for (const at of bytes.keys()) {
      const changed = Buffer.from(bytes);
      changed[at] ^= 1 << (at % 8);
      writeFileSync(path, changed);
      // A space between two words of JSON may become another one.
      const found = await loadTensors(path).catch((error) => error.code);
      if (found !== "CHECKPOINT_INVALID") expect(found, `byte ${at}`).toEqual(saved);
    }
  });

  it("of version 0.1.0, without a digest of its own, is read", async () => {
    await saveTensors(path, { tensors, note: "" });
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const { __metadata__, ...rest } = JSON.parse(bytes.toString("utf8", 8, 8 + length));
    const header = Buffer.from(JSON.stringify({ __metadata__: { note: "" }, ...rest }));
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(path, Buffer.concat([size, header, bytes.subarray(8 + length)]));
    expect((await loadTensors(path))?.note).toBe("");
    // One of a version that is not known yet is not.
    const later = Buffer.from(JSON.stringify({ __metadata__: { note: "", sha512: "" }, ...rest }));
    size.writeBigUInt64LE(BigInt(later.length));
    writeFileSync(path, Buffer.concat([size, later, bytes.subarray(8 + length)]));
    await expect(loadTensors(path)).rejects.toMatchObject({ code: "CHECKPOINT_INVALID" });
  });

  it("has a digest that one bit changes", () => {
    const one = digestOf(new Map([["x", tensorOf("float32", [2], [1, 2])]]));
    expect(digestOf(new Map([["x", tensorOf("float32", [2], [1, 2])]]))).toBe(one);
    expect(digestOf(new Map([["x", tensorOf("float32", [2], [1, 2.0000002])]]))).not.toBe(one);
    expect(digestOf(new Map([["x", tensorOf("float32", [1, 2], [1, 2])]]))).not.toBe(one);
  });
});
