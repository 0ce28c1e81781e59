/**
 * @file A training step on WebGPU beside the same step on the CPU, where there is an adapter: the
 * software one (SwiftShader) that comes with Debian's chromium, else that of this machine.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const root = resolve(import.meta.dirname, "..");
/** Debian's chromium brings Vulkan's loader and a driver in software. */
const chromium = "/usr/lib/chromium";
const driver = join(chromium, "vk_swiftshader_icd.json");
const hasSoftware = existsSync(driver) && existsSync(join(chromium, "libvulkan.so.1"));
/** Whoever names a driver means it. */
const isNamed = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].some((name) => process.env[name]);
const usesSoftware = hasSoftware && !isNamed;
const place = usesSoftware
  ? "by the driver of Debian's chromium"
  : isNamed
    ? "by the driver that VK_DRIVER_FILES or VK_ICD_FILENAMES names"
    : "on this machine, and no chromium of Debian's, which brings one";
const environment = usesSoftware
  ? { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: chromium }
  : {};

const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
const arrays = z.record(z.string(), z.array(z.number()));
/** Gradients, running statistics and the loss by name, or why there are none. */
type Answer = z.infer<typeof failure> | z.infer<typeof arrays>;

/** Runs the step in a process of its own: drivers are found when it starts, and may end it. */
async function gradientsOn(provider: string): Promise<Answer> {
  const script = join(root, "test/support/gradients-on.ts");
  const child = spawn(process.execPath, ["--import", "tsx", script, provider], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
    env: { ...process.env, ...environment },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (text) => {
    out += text;
  });
  child.stderr.on("data", (text) => {
    err += text;
  });
  const [code, signal] = await new Promise<readonly [number | null, string | null]>((ended) => {
    child.on("close", (...how) => ended(how));
  });
  if (code !== 0)
    return { error: { code: `ended with ${signal ?? code}`, message: err.slice(-500) } };
  return failure.or(arrays).parse(JSON.parse(out));
}

function isFailure(answer: Answer): answer is z.infer<typeof failure> {
  return failure.safeParse(answer).success;
}

/** ‖a - b‖ / ‖b‖. */
function relativeError(a: readonly number[], b: readonly number[]): number {
  const norm = (values: readonly number[]) => Math.hypot(...values);
  return norm(b.map((value, i) => (a[i] ?? Number.NaN) - value)) / norm(b);
}

describe("a training step on WebGPU", () => {
  it("has the gradients, running statistics and loss of the CPU", async ({ skip }) => {
    const [cpu, gpu] = await Promise.all(["cpu", "webgpu"].map(gradientsOn));
    if (isFailure(gpu) && gpu.error.code === "PROVIDER_MISSING")
      skip(`no WebGPU adapter ${place}: ${gpu.error.message.trim()}`);
    expect(gpu).not.toHaveProperty("error");
    expect(Object.keys(gpu)).toEqual(Object.keys(cpu));
    const [ours, expected] = [gpu, cpu].map((answer) => arrays.parse(answer));
    const names = Object.keys(expected);
    expect(names).toHaveLength(18);
    const errors = names.map((name) => ({
      name,
      error: relativeError(ours[name], expected[name]),
    }));
    for (const { name, error } of errors) expect(error, name).toBeLessThan(1e-4);
    // Were all of them the same to the last bit, the CPU would have computed both.
    expect(errors.some(({ error }) => error > 0)).toBe(true);
  }, 90_000);
});
