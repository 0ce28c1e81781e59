/** @file Replicas: sums and state by hand, whatever the number of pieces; the guard, failures, the end. */
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/support/scratch.ts";
import { modelOf } from "../../test/tiny-models.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { type HostTensor, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import type { ReplicaExchange } from "./protocol.ts";
import { openReplicas, type ReplicaOptions } from "./replicas.ts";
import { isolated } from "./shared-host.ts";
import type { Trainer } from "./trainer.ts";
import type { Feeds } from "./values.ts";

const folder = scratchFolder("replica-graphs");

/**
 * The share of a batch x [N, 3], places [N]: the summand of `long` is Σ x + long, that of `short` the sum of what
 * a table of 4 holds at the places; told is Σ x. A slow one multiplies large matrices besides.
 */
function share(length: number, isSlow = false) {
  return modelOf((b) => {
    b.input("x", "float32", ["N", 1]);
    b.input("place", "int32", ["N"]);
    b.input("long", "float32", [length]);
    b.input("short", "float32", [3]);
    const table = b.constant("table", tensorOf("float32", [4], [1, 10, 100, 1000]));
    const first = b.constant("first", tensorOf("int64", [1], [0]));
    b.node("ReduceSum", ["x", first], { keepdims: 0 }, { outputs: ["total"] });
    let total = "total";
    if (isSlow) {
      const sides = b.constant("sides", tensorOf("int64", [2], [1200, 1200]));
      const [wide] = b.node("Expand", ["total", sides]);
      const [most] = b.node("ReduceMax", b.node("MatMul", [wide, wide]), { keepdims: 0 });
      const [nothing] = b.node("Mul", [most, b.constant("zero", tensorOf("float32", [], [0]))]);
      [total] = b.node("Add", ["total", nothing]);
    }
    b.node("Add", ["long", total], {}, { outputs: ["long.summand"] });
    b.node("Gather", [table, "place"], {}, { outputs: ["found"] });
    b.node("ReduceSum", ["found", first], { keepdims: 1 }, { outputs: ["sum"] });
    b.node(
      "Expand",
      ["sum", b.constant("three", tensorOf("int64", [1], [3]))],
      {},
      {
        outputs: ["short.summand"],
      },
    );
    b.node("ReduceSum", ["x"], { keepdims: 0 }, { outputs: ["told"] });
    b.output("long.summand", { dtype: "float32", shape: [length] });
    b.output("short.summand", { dtype: "float32", shape: [3] });
    b.output("told", { dtype: "float32", shape: [] });
  });
}

/** The largest element of a sum. */
function measure(name: string, length: number) {
  return modelOf((b) => {
    b.input(`${name}.summand`, "float32", [length]);
    b.node("ReduceMax", [`${name}.summand`], { keepdims: 0 }, { outputs: [`${name}.most`] });
    b.output(`${name}.most`, { dtype: "float32", shape: [] });
  });
}

/** The next value is the sum; ok: what is told is less than 100, as are both figures less than 10⁹. */
function update(names: readonly string[], lengths: readonly number[]) {
  return modelOf((b) => {
    for (const name of ["told", "long.most", "short.most"]) b.input(name, "float32", []);
    const limit = b.constant("limit", tensorOf("float32", [], [100]));
    const most = b.constant("most", tensorOf("float32", [], [1e9]));
    b.node("Less", ["told", limit], {}, { outputs: ["small"] });
    b.node("Max", ["long.most", "short.most"], {}, { outputs: ["figure"] });
    b.node("Less", ["figure", most], {}, { outputs: ["bounded"] });
    b.node("And", ["small", "bounded"], {}, { outputs: ["ok"] });
    b.output("ok", { dtype: "bool", shape: [] });
    for (const [i, name] of names.entries()) {
      b.input(`${name}.summand`, "float32", [lengths[i]]);
      b.node("Identity", [`${name}.summand`], {}, { outputs: [`${name}.next`] });
      b.output(`${name}.next`, { dtype: "float32", shape: [lengths[i]] });
    }
  });
}

const filled = (length: number, value: number): HostTensor =>
  tensorOf("float32", [length], new Float32Array(length).fill(value));
const numbers = (feeds: Feeds, name: string): Float64Array | Float32Array | readonly number[] => {
  const tensor = feeds.get(name);
  return tensor === undefined ? [] : toNumbers(tensor);
};

/** Replicas of which the last owns `long` and the first `short`. */
async function open(samples: readonly number[], length = 5): Promise<Trainer> {
  const last = samples.length - 1;
  const exchange: ReplicaExchange = {
    sums: [
      { name: "long.summand", shape: [length], owner: last },
      { name: "short.summand", shape: [3], owner: 0 },
    ],
    told: ["told"],
    figures: [
      { name: "long.most", owner: last },
      { name: "short.most", owner: 0 },
    ],
    state: new Map([
      ["long", { owner: last, next: "long.next", isShared: true }],
      ["short", { owner: 0, next: "short.next", isShared: true }],
    ]),
  };
  const options: ReplicaOptions = {
    exchange,
    initial: new Map([
      ["long", filled(length, 1)],
      ["short", filled(3, 2)],
    ]),
    guard: "ok",
    samples,
    threads: 1,
  };
  const replicas = samples.map((_, index) => ({
    share: share(length),
    measure:
      index === last ? measure("long", length) : index === 0 ? measure("short", 3) : undefined,
    update: index === last ? update(["long"], [length]) : update(index === 0 ? ["short"] : [], [3]),
  }));
  return openReplicas(replicas, options);
}

const batch = (values: readonly number[], places: readonly number[]): Feeds =>
  new Map([
    ["x", tensorOf("float32", [values.length, 1], [...values])],
    ["place", tensorOf("int32", [places.length], [...places])],
  ]);

describe("replicas", () => {
  it("add up what their shares compute, and all go on with the sums", async () => {
    const trainer = await open([2, 1, 1]);
    const steps = [1, 2].map((k) =>
      trainer.step(batch([k, 2, 3, 4], [0, 1, 2, 3]), ["told", "long.most"]),
    );
    const told = (await Promise.all(steps)).map(({ status, results }) => [
      status,
      ...numbers(results, "told"),
      ...numbers(results, "long.most"),
    ]);
    // Each replica adds `long` once: 10 + 3 · 1, then 11 + 3 · 13.
    expect(told).toEqual([
      ["done", 10, 13],
      ["done", 11, 50],
    ]);
    const state = await trainer.readState();
    expect([...numbers(state, "long")]).toEqual([50, 50, 50, 50, 50]);
    expect([...numbers(state, "short")]).toEqual([1111, 1111, 1111]);
    expect([...(await trainer.readState(["short"])).keys()]).toEqual(["short"]);
    await trainer.writeState(new Map([["long", filled(5, 0)]]));
    await expect(trainer.writeState(new Map([["long", filled(4, 0)]]))).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
    });
    await trainer.step(batch([1, 1, 1, 1], [0, 0, 0, 0]), []);
    expect(numbers(await trainer.readState(), "long")[4]).toBe(4);
    await trainer.close();
    await trainer.close();
  });

  it("hand over tensors that take many pieces", async () => {
    const length = 5_000_001;
    const trainer = await open([1, 1], length);
    await trainer.step(batch([1, 2], [0, 0]), []);
    await trainer.step(batch([3, 4], [0, 0]), []);
    const long = numbers(await trainer.readState(["long"]), "long");
    // 3 + 2 · 1 = 5, then 7 + 2 · 5.
    expect(long).toHaveLength(length);
    expect(long.every((value) => value === 17)).toBe(true);
    await trainer.close();
  });

  it("take no more memory after hundreds of steps", async () => {
    const half = 1 << 16; // 1 MiB of feeds: 300 MiB over the steps that count
    const trainer = await open([half, half]);
    await trainer.writeState(new Map([["long", filled(5, 0)]]));
    const run = async (steps: number) => {
      let pending: Promise<unknown> = Promise.resolve();
      for (let i = 0; i < steps; i++) {
        const feeds = new Map([
          ["x", tensorOf("float32", [2 * half, 1], new Float32Array(2 * half))],
          ["place", tensorOf("int32", [2 * half], new Int32Array(2 * half))],
        ]);
        const step = trainer.step(feeds, ["told"]);
        await pending;
        pending = step;
      }
      await pending;
    };
    await run(100);
    const before = process.memoryUsage.rss();
    await run(300);
    expect(numbers(await trainer.readState(), "short")[0]).toBe(2 * half);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * 2 ** 20);
    await trainer.close();
  });

  it("stop together where the guard is false, with the state before it", async () => {
    const trainer = await open([1, 1]);
    const steps = [1, 99, 1].map((value) => trainer.step(batch([value, 1], [0, 0]), ["told"]));
    const results = await Promise.all(steps);
    expect(results.map(({ status }) => status)).toEqual(["done", "refused", "skipped"]);
    expect(numbers(results[1].results, "told")[0]).toBe(100);
    expect(numbers(await trainer.readState(), "long")[0]).toBe(4);
    await trainer.writeState(new Map([["long", filled(5, 1)]]));
    expect((await trainer.step(batch([1, 1], [0, 0]), [])).status).toBe("done");
    await trainer.close();
  });

  it.each([0, 1, 2])("end with the error of replica %i where that fails", async (failing) => {
    const trainer = await open([1, 1, 1]);
    const places = [0, 0, 0].with(failing, 9);
    await expect(trainer.step(batch([1, 1, 1], places), [])).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
      message: expect.stringContaining("Gather"),
    });
    await expect(trainer.step(batch([1, 1, 1], [0, 0, 0]), [])).rejects.toMatchObject({
      code: "RUNTIME_FAILED",
      message: expect.stringContaining("another replica has failed"),
    });
    await trainer.close();
  });

  it("name what is wrong with a graph of any of them", async () => {
    const broken = modelOf((b) => {
      b.input("x", "float32", [2]);
      b.node("MatMul", ["x", b.constant("w", filled(3, 1))], {}, { outputs: ["y"] });
      b.output("y", { dtype: "float32", shape: [] });
    });
    const exchange = { sums: [], told: [], figures: [], state: new Map() };
    const opening = openReplicas(
      [
        { share: share(5), measure: undefined, update: share(5) },
        { share: broken, measure: undefined, update: share(5) },
      ],
      { exchange, initial: new Map(), guard: "ok", samples: [1, 1] },
    );
    await expect(opening).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
  });

  it("survive process.exit in the middle of a step", async () => {
    const length = 4;
    for (const [name, chunks] of Object.entries({
      share: share(length),
      slow: share(length, true),
      long: measure("long", length),
      short: measure("short", 3),
      last: update(["long"], [length]),
      first: update(["short"], [3]),
    }))
      writeFileSync(join(folder, `${name}.onnx`), concatBytes(chunks));
    const path = (name: string) => `{ path: ${JSON.stringify(join(folder, `${name}.onnx`))} }`;
    const script = `
      import { openReplicas } from ${JSON.stringify(new URL("./replicas.ts", import.meta.url).href)};
      const floats = (shape, data) => ({ dtype: "float32", shape, data });
      const trainer = await openReplicas([
        { share: ${path("share")}, measure: ${path("short")}, update: ${path("first")} },
        { share: ${path("slow")}, measure: ${path("long")}, update: ${path("last")} },
      ], {
        exchange: {
          sums: [
            { name: "long.summand", shape: [${length}], owner: 1 },
            { name: "short.summand", shape: [3], owner: 0 },
          ],
          told: ["told"],
          figures: [{ name: "long.most", owner: 1 }, { name: "short.most", owner: 0 }],
          state: new Map([
            ["long", { owner: 1, next: "long.next", isShared: true }],
            ["short", { owner: 0, next: "short.next", isShared: true }],
          ]),
        },
        initial: new Map([
          ["long", floats([${length}], new Float32Array(${length}))],
          ["short", floats([3], new Float32Array(3))],
        ]),
        guard: "ok",
        samples: [1, 1],
        threads: 1,
      });
      for (let i = 0; i < 10000; i++)
        trainer.step(new Map([
          ["x", floats([2, 1], new Float32Array(2))],
          ["place", { dtype: "int32", shape: [2], data: new Int32Array(2) }],
        ]), []).catch(() => undefined);
      setTimeout(() => {
        const start = performance.now();
        process.on("exit", () => process.stdout.write(String(performance.now() - start)));
        process.exit(3);
      }, 300);`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", script];
    const options = { timeout: 20_000, cwd: import.meta.dirname };
    const running = promisify(execFile)(process.execPath, args, options);
    const error = await running.catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 3, signal: null, stderr: "" });
    // It waits for the steps at hand, not for a thread that never leaves.
    expect(Number(Object(error).stdout)).toBeLessThan(5000);
  });

  it("refuse state that they do not have", async () => {
    const exchange = { sums: [], told: [], figures: [], state: new Map() };
    const opening = openReplicas(
      [1, 2].map(() => ({ share: share(5), measure: undefined, update: share(5) })),
      { exchange, initial: new Map([["long", filled(5, 1)]]), guard: "ok", samples: [1, 1] },
    );
    await expect(opening).rejects.toThrow('"long" is no state');
  });

  it("work in a process of their own", async () => {
    const long = await isolated(async () => {
      const trainer = await open([1, 1]);
      await trainer.step(batch([1, 2], [0, 0]), []);
      const state = await trainer.readState();
      await trainer.close();
      return numbers(state, "long")[0];
    });
    expect(long).toBe(5);
  });
});
