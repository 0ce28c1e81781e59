/** @file The version of this package, and of what it runs on. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { z } from "zod";

/** What numbers may depend on besides the input. */
export interface Versions {
  readonly espalier: string;
  readonly node: string;
  readonly onnxruntime: string;
  /** Operating system and architecture. */
  readonly platform: string;
  readonly cpu: string;
}

const manifest = z.object({ version: z.string() });

function versionIn(path: string | URL): string {
  return manifest.parse(JSON.parse(readFileSync(path, "utf8"))).version;
}

/** The version as package.json says it; the file lies two folders up, in a clone as in the package. */
export function version(): string {
  return versionIn(new URL("../../package.json", import.meta.url));
}

/** All versions. */
export function versions(): Versions {
  const { resolve } = createRequire(import.meta.url);
  return {
    espalier: version(),
    node: process.version,
    onnxruntime: versionIn(resolve("onnxruntime-node/package.json")),
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? "unknown",
  };
}
