/** @file The decoder: every kind of source, and damaged, cut and forged packs. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { damageRuns } from "../../test/support/damage-runs.ts";
import { frameOf, modelWith, randomTensor, sealed } from "../../test/support/packs.ts";
import { EspalierError } from "../errors.ts";
import { readModel } from "../onnx/reading/read.ts";
import { readDirectory, writeDirectory } from "./file/directory.ts";
import { pack } from "./pack.ts";
import { simplest } from "./quantising/choose.ts";
import { unpack, unpackPieces } from "./unpack.ts";

const whole = pack(readModel(residualNetwork()));

/** What is wrong with a pack. */
function codeIn(error: unknown): string | undefined {
  if (!(error instanceof EspalierError)) return undefined;
  return error.code === "PACK_INVALID" ? error.data.reason : error.code;
}

async function codeOf(bytes: Uint8Array, maxBytes?: number): Promise<string> {
  try {
    await unpack(bytes, maxBytes === undefined ? {} : { maxBytes });
    return "ok";
  } catch (error) {
    return codeIn(error) ?? String(error);
  }
}

describe("unpack", () => {
  it("reads an array, a web stream and an async iterable, in pieces of any length", async () => {
    const { bytes, unpacked } = whole;
    for (const size of [1, 7, 1000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(Buffer.compare(await unpack(new Blob(pieces).stream()), unpacked)).toBe(0);
      async function* iterable() {
        yield* pieces;
      }
      expect(Buffer.compare(await unpack(iterable()), unpacked)).toBe(0);
    }
    const noIteration = { getReader: () => new Blob([bytes]).stream().getReader() };
    expect(Buffer.compare(await unpack(noIteration), unpacked)).toBe(0);
  });

  it("gives pieces before the end has come", async () => {
    const { bytes } = pack(
      readModel(
        modelWith([1, 2, 3].map((seed) => randomTensor("float32", [512, 513], "noise", seed))),
      ),
      { isLossless: true },
    );
    let given = 0;
    async function* source() {
      for (let at = 0; at < bytes.length; at += 4096) {
        given = at + 4096;
        yield bytes.subarray(at, at + 4096);
      }
    }
    const early: number[] = [];
    for await (const _ of unpackPieces(source())) early.push(given);
    expect(early[0]).toBeLessThan(bytes.length / 2);
  });

  it("lets go of its source when it fails", async () => {
    let isReleased = false;
    async function* source() {
      try {
        for (;;) yield new Uint8Array(16);
      } finally {
        isReleased = true;
      }
    }
    await expect(unpack(source())).rejects.toMatchObject({
      code: "PACK_INVALID",
      data: { reason: "NOT_A_PACK" },
    });
    expect(isReleased).toBe(true);
  });

  it.each([new Error("connection lost"), new RangeError("416")])(
    "passes on what the source throws: %s",
    async (error) => {
      async function* source(): AsyncGenerator<Uint8Array> {
        yield whole.bytes.subarray(0, 100);
        throw error;
      }
      await expect(unpack(source())).rejects.toBe(error);
    },
  );

  it.each([
    { what: "nothing", bytes: new Uint8Array(0), code: "TRUNCATED" },
    { what: "an ONNX file", bytes: residualNetwork(), code: "NOT_A_PACK" },
    { what: "a later version", bytes: whole.bytes.with(4, 2), code: "UNKNOWN_VERSION" },
    { what: "half of it", bytes: whole.bytes.slice(0, whole.bytes.length / 2), code: "TRUNCATED" },
    { what: "all but a byte", bytes: whole.bytes.slice(0, -1), code: "TRUNCATED" },
    { what: "a byte too many", bytes: Uint8Array.of(...whole.bytes, 0), code: "DAMAGED" },
    { what: "a wrong byte", bytes: whole.bytes.with(500, whole.bytes[500] ^ 1), code: "DAMAGED" },
  ])("tells $what by its code: $code", async ({ bytes, code }) => {
    expect(await codeOf(bytes)).toBe(code);
  });

  it("refuses what is larger than allowed, and what no pack of its size can hold", async () => {
    expect(await codeOf(whole.bytes, whole.unpacked.length)).toBe("ok");
    expect(await codeOf(whole.bytes, whole.unpacked.length - 1)).toBe("PACK_TOO_LARGE");
    const zeros = pack(readModel(modelWith([randomTensor("int64", [800, 1100], "zero", 0)])));
    const frame = frameOf(zeros.bytes);
    expect(frame.numbers[2]).toBeGreaterThan(0);
    const bare = { ...frame, numbers: frame.numbers.with(2, 0), filling: new Uint8Array(0) };
    expect(await codeOf(sealed(frame))).toBe("ok");
    expect(await codeOf(sealed(bare))).toBe("PACK_TOO_LARGE");
  });

  it("gives back an empty tensor that comes before larger packs of others", async () => {
    const bytes = modelWith([
      randomTensor("int64", [1000, 1600], "zero", 0),
      randomTensor("uint8", [1100, 1000], "noise", 1),
      randomTensor("uint8", [100, 100], "noise", 2),
    ]);
    const packed = pack(readModel(bytes), { isLossless: true });
    expect(Buffer.compare(await unpack(packed.bytes), bytes)).toBe(0);
  });

  it("bounds what all sections announce together", async () => {
    const mega = (seed: number) => randomTensor("int64", [800, 600], "zero", seed);
    const zeros = pack(readModel(modelWith([mega(0), mega(1), mega(2)])));
    const frame = frameOf(zeros.bytes);
    // Each section by itself would be plausible.
    const bare = { ...frame, numbers: frame.numbers.with(2, 0), filling: new Uint8Array(0) };
    expect(await codeOf(sealed(frame))).toBe("ok");
    expect(await codeOf(sealed(bare))).toBe("PACK_TOO_LARGE");
  });

  it("refuses a structure far larger than all that would come out, before it has come", async () => {
    let taken = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      yield sealed({
        numbers: [10, 2 ** 40, 0, 2 ** 40],
        filling: new Uint8Array(0),
        sections: [],
      });
      for (; taken < 2 ** 24; taken += 2 ** 16) yield new Uint8Array(2 ** 16);
    }
    await expect(unpack(source(), { maxBytes: 1000 })).rejects.toMatchObject({
      data: { reason: "DAMAGED" },
    });
    expect(taken).toBeLessThan(2 ** 20);
  });

  it("refuses tensors so small that a directory of them would be far larger than they", () => {
    const directoryOf = (count: number) => {
      const { entry } = simplest({
        gap: 0,
        width: 4,
        beginsSection: true,
        count,
        row: count,
        kernel: 1,
        content: { kind: "exact", bytes: new Uint8Array(4 * count), isFloat: true },
      });
      return Uint8Array.from(writeDirectory([entry]));
    };
    expect(readDirectory(directoryOf(8), 32).entries).toHaveLength(1);
    expect(() => readDirectory(directoryOf(7), 28)).toThrow(EspalierError);
  });

  it("tells 2,000 damaged and forged packs by typed errors, at once and in little memory", async () => {
    const report = await damageRuns(2000, 1);
    expect(report.untyped).toEqual([]);
    expect(report.slowestMs).toBeLessThan(2000);
    expect(report.silent).toBe(0);
    expect(report.codes.get("DAMAGED")).toBeGreaterThan(100);
  }, 120_000);
});

describe("pack", () => {
  it("writes the same bytes every time", () => {
    const again = pack(readModel(residualNetwork()));
    expect(Buffer.compare(again.bytes, whole.bytes)).toBe(0);
  });
});
