/** @file Arrays as the two sides pass them: NAME.json lists them, NAME.bin holds their bytes. */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { bytesOf, type HostTensor, isStrings, sizeOf } from "../../src/tensor/host-tensor.ts";

const manifest = z.array(
  z.object({
    name: z.string(),
    dtype: z.enum(["float32", "float64"]),
    shape: z.array(z.number().int()),
    offset: z.number().int(),
  }),
);

/** Writes arrays under their names. */
export function writeArrays(path: string, arrays: ReadonlyMap<string, HostTensor>): void {
  const pieces: Uint8Array[] = [];
  let offset = 0;
  const entries = [...arrays].map(([name, { dtype, shape, data }]) => {
    if (isStrings(data)) throw new Error(`"${name}" holds strings`);
    const piece = bytesOf(data);
    const entry = { name, dtype, shape, offset };
    pieces.push(piece);
    offset += piece.length;
    return entry;
  });
  writeFileSync(`${path}.bin`, Buffer.concat(pieces));
  writeFileSync(`${path}.json`, JSON.stringify(entries));
}

/** Reads arrays of floats. */
export function readArrays(path: string): ReadonlyMap<string, HostTensor> {
  const bytes = new Uint8Array(readFileSync(`${path}.bin`));
  const entries = manifest.parse(JSON.parse(readFileSync(`${path}.json`, "utf8")));
  return new Map(
    entries.map(({ name, dtype, shape, offset }) => {
      const length = sizeOf(shape);
      // A copy begins at 0, as typed arrays of wide elements must.
      const cut = bytes.slice(offset, offset + length * (dtype === "float64" ? 8 : 4)).buffer;
      const data = dtype === "float64" ? new Float64Array(cut) : new Float32Array(cut);
      return [name, { dtype, shape, data }];
    }),
  );
}
