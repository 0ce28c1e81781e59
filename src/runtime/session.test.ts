/** @file Sessions: results against closed forms, every element type, errors, and the thread's life. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { convModel, denseModel, identityModel, unaryModel } from "../../test/tiny-models.ts";
import type { DType } from "../tensor/dtype.ts";
import { type HostTensor, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { listProviders, openSession, openSessionOn, profileNodes, withSession } from "./session.ts";
import { sharedHost } from "./shared-host.ts";
import type { Feeds } from "./values.ts";
import { startWorker } from "./worker-thread.ts";

const folder = mkdtempSync(join(tmpdir(), "espalier-session-"));
afterAll(() => rmSync(folder, { recursive: true }));

const feed = (tensor: HostTensor): Feeds => new Map([["x", tensor]]);
const numbers = (results: Feeds, name = "y"): number[] => {
  const tensor = results.get(name);
  return tensor === undefined ? [] : [...toNumbers(tensor)];
};
const row = (...values: number[]) => feed(tensorOf("float32", [1, 2], values));
const denseRow = row(3, 4);
/** relu([3, 4] w + b), by hand. */
const denseResult = [11.5, 0];

describe("run", () => {
  it("computes what the network says, batch by batch", async () => {
    await withSession(denseModel(), {}, async (session) => {
      const results = await session.run(feed(tensorOf("float32", [2, 2], [3, 4, -10, -6])));
      // Row 2: -10 - 12 + 0.5 < 0, and 10 - 3 - 4 = 3.
      expect(results).toEqual(new Map([["y", tensorOf("float32", [2, 2], [11.5, 0, 0, 3])]]));
    });
  });

  it("takes a model in one piece, in many, or as a file", async () => {
    const pieces = denseModel();
    const whole = Buffer.concat(pieces);
    const path = join(folder, "dense.onnx");
    writeFileSync(path, whole);
    for (const model of [pieces, whole, whole.subarray(), { path }]) {
      const y = await withSession(model, {}, (session) => session.run(denseRow));
      expect(numbers(y)).toEqual(denseResult);
    }
    // The caller's bytes are still the caller's.
    expect(Buffer.concat(pieces).equals(whole)).toBe(true);
    expect(whole.byteLength).toBeGreaterThan(0);
  });

  it("agrees between no optimisation and all of it", async () => {
    const x: HostTensor = {
      dtype: "float32",
      shape: [2, 8, 16, 16],
      data: randomOf(1).normals(2 * 8 * 256),
    };
    const [plain, fast] = await Promise.all(
      (["disabled", "all"] as const).map((optimization) =>
        withSession(convModel(8, 3), { optimization }, (session) => session.run(feed(x))),
      ),
    );
    const a = numbers(plain);
    const b = numbers(fast);
    expect(a.length).toBe(2 * 8 * 256);
    const largest = Math.max(...a.map(Math.abs));
    expect(largest).toBeGreaterThan(0.1);
    expect(Math.max(...a.map((v, i) => Math.abs(v - b[i])))).toBeLessThan(1e-5 * largest);
  });

  it.each<readonly [DType, HostTensor["data"]]>([
    ["float32", Float32Array.of(1.5, -0, Number.NaN)],
    ["float64", Float64Array.of(1 / 3, Number.NEGATIVE_INFINITY)],
    ["float16", Uint16Array.of(0x3c00, 0x8001, 0x7c00)],
    ["int8", Int8Array.of(-128, 127)],
    ["int16", Int16Array.of(-32768, 32767)],
    ["int32", Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ["int64", BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ["uint8", Uint8Array.of(0, 255)],
    ["uint16", Uint16Array.of(65535)],
    ["uint32", Uint32Array.of(2 ** 32 - 1)],
    ["uint64", BigUint64Array.of(2n ** 64n - 1n)],
    ["bool", Uint8Array.of(1, 0, 1)],
    ["string", ["", "straße", "\u{1f333}"]],
  ])("carries %s there and back, empty tensors too", async (dtype, data) => {
    await withSession(identityModel(dtype), {}, async (session) => {
      expect(session.inputs).toEqual([{ name: "x", dtype, shape: ["n"] }]);
      expect(session.outputs).toEqual([{ name: "y", dtype, shape: ["n"] }]);
      for (const part of [data, data.slice(0, 0)]) {
        const x = { dtype, shape: [part.length], data: part };
        expect((await session.run(feed(x))).get("y")).toEqual(x);
      }
    });
  });

  it("carries a scalar", async () => {
    const model = unaryModel({ dtype: "float32", shape: [] }, { y: "Neg" });
    await withSession(model, {}, async (session) => {
      const y = await session.run(feed(tensorOf("float32", [], [2])));
      expect(y.get("y")).toEqual(tensorOf("float32", [], [-2]));
    });
  });

  it("reads views into larger arrays, and leaves them to the caller unless they are handed over", async () => {
    await withSession(denseModel(), {}, async (session) => {
      const larger = Float32Array.of(9, 9, 3, 4, 9);
      const view = { dtype: "float32", shape: [1, 2], data: larger.subarray(2, 4) } as const;
      const own = { dtype: "float32", shape: [1, 2], data: Float32Array.of(3, 4) } as const;
      for (const x of [view, own]) {
        const y = await session.run(feed(x), undefined, { handOver: x === own });
        expect(numbers(y)).toEqual(denseResult);
      }
      expect(larger).toEqual(Float32Array.of(9, 9, 3, 4, 9));
      expect(own.data.length).toBe(0);
    });
  });

  it("gives only the outputs that are asked for", async () => {
    const model = unaryModel({ dtype: "float32", shape: ["n"] }, { up: "Ceil", down: "Floor" });
    await withSession(model, {}, async (session) => {
      const x = feed(tensorOf("float32", [1], [1.5]));
      expect([...(await session.run(x, ["down"]))]).toEqual([
        ["down", tensorOf("float32", [1], [1])],
      ]);
      expect([...(await session.run(x)).keys()].sort()).toEqual(["down", "up"]);
    });
  });

  it("keeps calls to several sessions apart", async () => {
    const sessions = await Promise.all([1, 2, 3, 4].map(() => openSession(denseModel())));
    const answers = await Promise.all(
      sessions.flatMap((session) =>
        Array.from({ length: 5 }, async (_, i) => {
          const y = await session.run(row(i, 0));
          return numbers(y)[0];
        }),
      ),
    );
    expect(answers).toEqual(sessions.flatMap(() => [0.5, 1.5, 2.5, 3.5, 4.5]));
    await Promise.all(sessions.map((session) => session.close()));
  });
});

describe("time and profileNodes", () => {
  it("time every run that counts, and give the result of the feeds at hand", async () => {
    await withSession(denseModel(), { threads: 1 }, async (session) => {
      const times = await session.time(denseRow, { runs: 7, warmup: 2 });
      expect(times.length).toBe(7);
      expect(times.every((ms) => ms > 0 && ms < 1000)).toBe(true);
      await expect(
        session.time(feed(tensorOf("float32", [1], [1])), { runs: 1, warmup: 0 }),
      ).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
    });
  });

  it("name each node that ran", async () => {
    const x: HostTensor = { dtype: "float32", shape: [1, 8, 16, 16], data: new Float32Array(2048) };
    const nodes = await profileNodes(convModel(8, 3), feed(x), {
      optimization: "disabled",
      runs: 3,
      warmup: 1,
    });
    expect(nodes.map(({ name, opType }) => `${name} ${opType}`)).toEqual(
      [0, 1, 2].flatMap((i) => [`Conv_${2 * i} Conv`, `Relu_${2 * i + 1} Relu`]),
    );
    expect(nodes.every(({ ms }) => ms >= 0 && ms < 1000)).toBe(true);
  });
});

describe("errors", () => {
  it("of a model that is none, in onnxruntime's words", async () => {
    await expect(openSession(new Uint8Array(100).fill(7))).rejects.toMatchObject({
      name: "EspalierError",
      code: "RUNTIME_FAILED",
      message: expect.stringContaining("protobuf parsing failed"),
    });
    await expect(openSession({ path: join(folder, "absent.onnx") })).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
    });
  });

  it("of feeds that do not fit, after which the session still works", async () => {
    await withSession(denseModel(), {}, async (session) => {
      const wrong: readonly [Feeds, RegExp][] = [
        [new Map(), /'x' is missing/],
        [feed(tensorOf("float32", [3], [1, 2, 3])), /rank/i],
        [feed(tensorOf("float32", [1, 3], [1, 2, 3])), /dimension/i],
        [feed(tensorOf("float64", [1, 2], [1, 2])), /type/i],
        [feed({ dtype: "float32", shape: [1, 2], data: Float32Array.of(1) }), /size/i],
        [feed(tensorOf("bfloat16", [1, 2], [1, 2])), /bfloat16/],
        [feed({ dtype: "string", shape: [1, 2], data: ["a", "b\0c"] }), /NUL/],
      ];
      for (const [feeds, message] of wrong) {
        await expect(session.run(feeds)).rejects.toMatchObject({
          code: "RUNTIME_FAILED",
          message: expect.stringMatching(message),
        });
      }
      expect(numbers(await session.run(denseRow))).toEqual(denseResult);
    });
  });

  it("of a provider that is not there, with those that are", async () => {
    const available = await listProviders();
    expect(available).toContain("cpu");
    await expect(openSession(denseModel(), { providers: ["abacus", "cpu"] })).rejects.toMatchObject(
      {
        code: "PROVIDER_MISSING",
        data: { provider: "abacus", available },
        hint: expect.stringContaining("cpu"),
      },
    );
  });

  it("of a closed session; closing twice is none", async () => {
    const session = await openSession(denseModel());
    await session.close();
    await session.close();
    await expect(session.run(denseRow)).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
      message: expect.stringContaining("closed"),
    });
  });

  it("of an aborted load, before and during it", async () => {
    const during = new AbortController();
    const opening = openSession(convModel(32, 4), { signal: during.signal });
    during.abort();
    await expect(opening).rejects.toMatchObject({ code: "ABORTED" });
    await expect(openSession(denseModel(), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "ABORTED",
    });
  });
});

describe("the worker thread", () => {
  it("that ends rejects what is pending and what comes later", async () => {
    const worker = startWorker();
    const session = await openSessionOn(worker, convModel(32, 4));
    const x: HostTensor = {
      dtype: "float32",
      shape: [1, 32, 16, 16],
      data: new Float32Array(8192),
    };
    const pending = session.time(feed(x), { runs: 100_000, warmup: 0 });
    const outcome = expect(pending).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
    await worker.terminate();
    await outcome;
    await expect(session.run(feed(x))).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
    await session.close();
  });

  it("that runs out of memory rejects what is pending", async () => {
    // The memory is gone while the thread takes in the texts, long before onnxruntime sees them.
    const worker = startWorker({ maxOldGenerationSizeMb: 16 });
    const session = await openSessionOn(worker, identityModel("string"));
    const data = Array.from({ length: 1_000_000 }, (_, i) => `text number ${i}`);
    const x = feed({ dtype: "string", shape: [data.length], data });
    await expect(session.run(x)).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
      message: expect.stringContaining("memory"),
    });
    expect(worker.isAlive()).toBe(false);
  });

  it("is replaced by a new one after its end", async () => {
    const first = sharedHost();
    await first.terminate();
    const y = await withSession(denseModel(), {}, (session) => session.run(denseRow));
    expect(numbers(y)).toEqual(denseResult);
    expect(sharedHost()).not.toBe(first);
  });

  it("lets the process exit while sessions are open, and writes nothing of its own", async () => {
    const { stdout, stderr } = await runScript(`
      const y = await session.run(new Map([["x", x]]));
      await session.run(new Map()).catch(() => {});
      process.stdout.write(String(y.get("y").data));`);
    expect({ stdout, stderr }).toEqual({ stdout: "11.5,0", stderr: "" });
  });

  it("survives process.exit in the middle of a run", async () => {
    const script = `
      session.time(new Map([["x", x]]), { runs: 1e9, warmup: 0 });
      setTimeout(() => process.exit(3), 100);`;
    await expect(runScript(script)).rejects.toMatchObject({ code: 3, signal: null, stderr: "" });
  });
});

/** Runs a script in a process of its own; it finds a dense model's session and an input x. */
function runScript(script: string): Promise<{ stdout: string; stderr: string }> {
  const path = join(folder, "script.onnx");
  writeFileSync(path, Buffer.concat(denseModel()));
  const start = `
    import { openSession } from ${JSON.stringify(new URL("./session.ts", import.meta.url).href)};
    const session = await openSession({ path: ${JSON.stringify(path)} });
    const x = { dtype: "float32", shape: [1, 2], data: Float32Array.of(3, 4) };`;
  const args = ["--import", "tsx", "--input-type=module", "--eval", start + script];
  const options = { timeout: 20_000, cwd: import.meta.dirname };
  return promisify(execFile)(process.execPath, args, options);
}
