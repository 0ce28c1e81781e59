/** @file The block size that the trial finds, beside what the processor says of itself. */
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { findBlockSize } from "./block-size.ts";

/** Linux lists a processor's features there; other systems are not asked. */
const cpuinfo = "/proc/cpuinfo";
const flags = existsSync(cpuinfo)
  ? (/^flags\s*:(.*)$/m.exec(readFileSync(cpuinfo, "utf8"))?.[1].trim().split(" ") ?? [])
  : [];

// onnxruntime, MlasNchwcGetBlockSize: 16 with AVX-512, 8 on every other x86-64 processor.
it.runIf(flags.length > 0)("is that of the processor", async () => {
  expect(await findBlockSize()).toBe(flags.includes("avx512f") ? 16 : 8);
});

it("is asked of the CPU only", async () => {
  expect(await findBlockSize({ providers: ["webgpu"] })).toBeUndefined();
  expect(await findBlockSize({ providers: ["cuda", "cpu"] })).toBeUndefined();
});

it("can be given up", async () => {
  const signal = AbortSignal.abort();
  await expect(findBlockSize({ signal })).rejects.toMatchObject({ code: "ABORTED" });
});
