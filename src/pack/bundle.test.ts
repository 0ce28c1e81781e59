/** @file The decoder as users ship it: one small script that needs nothing else. */
import { resolve } from "node:path";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { pack } from "./pack.ts";

/** 12 KB, rounded. */
const mostBytes = 12_499;

/** `espalier/unpack` minified, and the source files that went into it. */
async function bundled(): Promise<{ readonly code: string; readonly files: readonly string[] }> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: true,
      target: "es2022",
      lib: {
        entry: resolve(import.meta.dirname, "../unpack.ts"),
        // vite leaves the white space of modules alone.
        formats: ["iife"],
        name: "espalier",
      },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!("output" in output)) throw new Error("vite gave no output");
  const [chunk] = output.output;
  return { code: chunk.code, files: Object.keys(chunk.modules) };
}

describe("espalier/unpack as one minified script", () => {
  it("is 12 KB, holds of the library the decoder and its class of errors, and unpacks", async () => {
    const { code, files } = await bundled();
    process.stdout.write(`espalier/unpack: ${code.length} bytes minified\n`);
    expect(code.length).toBeLessThan(mostBytes);
    expect(code).not.toMatch(/\bimport\b/);
    const src = resolve(import.meta.dirname, "..");
    const own = ["unpack.ts", "errors.ts"].map((name) => resolve(src, name));
    const outside = files.filter(
      (file) => !file.startsWith(resolve(src, "pack")) && !own.includes(file),
    );
    // The table of all codes, and what guesses at words, stay behind.
    expect(code).not.toMatch(/MODEL_TRUNCATED|Did you mean/);
    expect(outside).toEqual([]);
    const { unpack } = new Function(`${code}; return espalier;`)();
    const packed = pack(readModel(residualNetwork()));
    expect(Buffer.compare(await unpack(packed.bytes), packed.unpacked)).toBe(0);
  }, 60_000);
});
