/** @file The decoder as users ship it: one small script that needs nothing else. */
import { resolve } from "node:path";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { pack } from "./pack.ts";

const mostBytes = 12 * 1024;

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
  it("is under 12 KB, imports nothing, and unpacks", async () => {
    const { code, files } = await bundled();
    process.stdout.write(`espalier/unpack: ${code.length} bytes minified\n`);
    expect(code.length).toBeLessThan(mostBytes);
    expect(code).not.toMatch(/\bimport\b/);
    const src = resolve(import.meta.dirname, "..");
    const outside = files.filter(
      (file) => !file.startsWith(resolve(src, "pack")) && file !== resolve(src, "unpack.ts"),
    );
    expect(outside).toEqual([]);
    const { unpack } = new Function(`${code}; return espalier;`)();
    const packed = pack(readModel(residualNetwork()));
    expect(Buffer.compare(await unpack(packed.bytes), packed.unpacked)).toBe(0);
  }, 60_000);
});
