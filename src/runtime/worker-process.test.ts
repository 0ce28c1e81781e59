/** @file ONNX Runtime in a process of its own: the same numbers, and crashes that end nothing else. */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/support/scratch.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import type { DType } from "../tensor/dtype.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { openSession, withSession } from "./session.ts";
import { isolated, sharedHost } from "./shared-host.ts";
import { openTrainer } from "./trainer.ts";
import { startProcess } from "./worker-process.ts";

const folder = scratchFolder("process");

/** One node from `x` to `y`. */
function oneNode(
  opType: string,
  { from = "float32", to = "float32", shape = ["N"] }: Border,
  attributes: Record<string, number> = {},
): readonly Uint8Array[] {
  const b = new GraphBuilder("one");
  const x = b.input("x", from, shape);
  b.node(opType, [x], attributes, { outputs: ["y"] });
  b.output("y", { dtype: to, shape });
  return encodeGraph(b.build(), { opset: 21 }).chunks;
}

interface Border {
  readonly from?: DType;
  readonly to?: DType;
  readonly shape?: readonly (string | number)[];
}

const relu = oneNode("Relu", {});
/** Gives [N, N] zeros: for a large N more than there is memory. */
function squareOf(): readonly Uint8Array[] {
  const b = new GraphBuilder("square");
  const size = b.input("x", "int64", [2]);
  b.node("ConstantOfShape", [size], {}, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["A", "B"] });
  return encodeGraph(b.build()).chunks;
}

const digestOf = (values: ArrayLike<number>) =>
  createHash("sha256").update(Float64Array.from(values)).digest("hex");

const vector = (...values: number[]) => tensorOf("float32", [values.length], values);
const feed = (x: ReturnType<typeof vector>) => new Map([["x", x]]);

describe("a process of its own", () => {
  it("gives the bytes that the thread gives, whatever their size", async () => {
    const sizes = [0, 1, 7, 100_000, 3_000_000];
    const run = () =>
      withSession(relu, {}, async (session) => {
        const results: string[] = [];
        for (const size of sizes) {
          const x = tensorOf("float32", [size], randomOf(size, "process").normals(size));
          const y = (await session.run(feed(x))).get("y");
          results.push(digestOf(y ? toNumbers(y) : []));
        }
        return results;
      });
    expect(await isolated(run)).toEqual(await run());
  });

  it("answers calls that wait together, in their order, and texts and times too", async () => {
    await isolated(async () => {
      const session = await openSession(relu);
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, i) => session.run(feed(vector(-1 - i, i)))),
      );
      expect(answers.map((answer) => [...toNumbers(answer.get("y") ?? vector())])).toEqual(
        Array.from({ length: 50 }, (_, i) => [0, i]),
      );
      const times = await session.time(feed(vector(1)), { runs: 4, warmup: 1 });
      expect(times).toBeInstanceOf(Float64Array);
      expect(times).toHaveLength(4);
      const texts = await openSession(oneNode("Identity", { from: "string", to: "string" }));
      const x = { dtype: "string", shape: [2], data: ["é", ""] } as const;
      expect((await texts.run(new Map([["x", x]]))).get("y")?.data).toEqual(["é", ""]);
    });
  });

  it("keeps the state of training", async () => {
    const b = new GraphBuilder("sum");
    const [s, x] = [b.input("s", "float32", [1]), b.input("x", "float32", [1])];
    b.node("Add", [s, x], {}, { outputs: ["t"] });
    b.output("t", { dtype: "float32", shape: [1] });
    const model = encodeGraph(b.build()).chunks;
    const sum = await isolated(async () => {
      const initial = new Map([["s", vector(1)]]);
      const trainer = await openTrainer(model, { state: new Map([["s", "t"]]), initial });
      for (const value of [2, 3, 4]) await trainer.step(feed(vector(value)), []);
      return (await trainer.readState()).get("s");
    });
    expect(sum && toNumbers(sum)).toEqual(Float64Array.of(10));
  });

  it("is another within `isolated`, and gone afterwards", async () => {
    const outside = sharedHost();
    const inside = await isolated(async () => {
      const host = sharedHost();
      expect(sharedHost()).toBe(host);
      await host.call("providers", null);
      return host;
    });
    expect(inside).not.toBe(outside);
    expect(inside.isAlive()).toBe(false);
    expect(sharedHost()).toBe(outside);
  });
});

describe("a crash", () => {
  const tooLarge = tensorOf("int64", [2], [2 ** 31, 2 ** 16]);
  const crashing = async () => {
    const session = await openSession(squareOf());
    await session.run(new Map([["x", tooLarge]]));
  };

  it("fails the call with its signal, and the next call has a new process", async () => {
    await isolated(async () => {
      const host = sharedHost();
      const pending = host.call("providers", null).then(async () => {
        const killed = openSession(relu);
        // The process is at work on it, or about to be.
        process.kill(await pidOf(host), "SIGSEGV");
        return killed;
      });
      await expect(pending).rejects.toMatchObject({
        code: "RUNTIME_FAILED",
        message: "ONNX Runtime could not load the model: it crashed (signal SIGSEGV).",
        data: { call: "open", signal: "SIGSEGV" },
        hint: expect.stringContaining("nothing else is lost"),
      });
      expect(host.isAlive()).toBe(false);
      const y = await withSession(relu, {}, (session) => session.run(feed(vector(-1, 2))));
      expect([...toNumbers(y.get("y") ?? vector())]).toEqual([0, 2]);
    });
  });

  it.runIf(process.platform === "linux")("of no memory says so", async () => {
    // What is allotted is never touched, so it may succeed where memory is overcommitted: both are right ends.
    await isolated(crashing).catch((error) => {
      expect(error).toMatchObject({ code: "RUNTIME_FAILED" });
    });
  });

  it("of a process that never started is typed", async () => {
    const { execPath } = process;
    try {
      process.execPath = join(folder, "none");
      const host = startProcess();
      await expect(host.call("providers", null)).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
      await host.terminate();
    } finally {
      process.execPath = execPath;
    }
  });
});

describe("types that cannot come back are refused before anything is run:", () => {
  it.each([
    "int4",
    "uint4",
    "int2",
    "uint2",
    "float8e4m3fn",
    "float8e5m2fnuz",
    "bfloat16",
  ] as const)("%s", async (dtype) => {
    const number = { int4: 22, uint4: 21, int2: 26, uint2: 25 } as Record<string, number>;
    const more = { float8e4m3fn: 17, float8e5m2fnuz: 20, bfloat16: 16 } as Record<string, number>;
    const to = number[dtype] ?? more[dtype];
    const cast = oneNode("Cast", { to: dtype, shape: [5, 5] }, { to });
    // In the process that runs the tests: were it run, they would end here.
    await expect(openSession(cast)).rejects.toMatchObject({
      code: "MODEL_UNSUPPORTED",
      message: expect.stringContaining(dtype),
      hint: expect.stringContaining("Cast"),
    });
  });
});

describe("the end of", () => {
  it("the user's patience ends a run that is going on", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const run = isolated(
      async () => {
        const session = await openSession(relu);
        const timing = session.time(feed(vector(1)), { runs: 1e9, warmup: 0 });
        setTimeout(() => controller.abort(), 50);
        return timing;
      },
      { signal },
    );
    const begun = performance.now();
    await expect(run).rejects.toMatchObject({ code: "ABORTED" });
    expect(performance.now() - begun).toBeLessThan(10_000);
    await expect(isolated(() => openSession(relu), { signal })).rejects.toMatchObject({
      code: "ABORTED",
    });
  });

  it.each(["SIGKILL", "SIGTERM"] as const)(
    "the parent by %s ends it in the middle of a run",
    async (signal) => {
      const { child, pid } = await parentAtWork();
      child.kill(signal);
      await expectGone(pid);
    },
    30_000,
  );

  it("the parent by process.exit ends it", async () => {
    const script = `
      await openSession({ path });
      setTimeout(() => process.exit(3), 50);
      await session.time(new Map([["x", x]]), { runs: 1e9, warmup: 0 });`;
    const { stderr, code, pid } = await parentThat(script);
    expect([code, stderr]).toEqual([3, ""]);
    await expectGone(pid);
  }, 30_000);

  it("the work lets the parent go", async () => {
    const script =
      'process.stderr.write(String((await session.run(new Map([["x", x]]))).get("y").data));';
    const { stderr, code, pid } = await parentThat(script);
    expect([code, stderr]).toEqual([0, "1"]);
    await expectGone(pid);
  }, 30_000);
});

/** The number of the process behind a host: the child of this one that was started last. */
async function pidOf(_: unknown): Promise<number> {
  const pids = childrenOf(process.pid);
  return pids[pids.length - 1];
}

/** Children of a process that run `child.js`, oldest first. */
function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text
    .trim()
    .split(" ")
    .map(Number)
    .filter((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("child.js"));
}

/** A script, from source, that has begun to use a session within `isolated`. */
function scriptOf(use: string): readonly string[] {
  const path = join(folder, "relu.onnx");
  writeFileSync(path, Buffer.concat(relu));
  const url = (name: string) => JSON.stringify(new URL(name, import.meta.url).href);
  const script = `
    import { readFileSync } from "node:fs";
    import { openSession } from ${url("./session.ts")};
    import { isolated } from ${url("./shared-host.ts")};
    const path = ${JSON.stringify(path)};
    const x = { dtype: "float32", shape: [1], data: Float32Array.of(1) };
    await isolated(async () => {
      const session = await openSession({ path });
      const me = process.pid;
      const children = readFileSync("/proc/" + me + "/task/" + me + "/children", "utf8").trim().split(" ");
      process.stdout.write(children.filter((c) => readFileSync("/proc/" + c + "/cmdline", "utf8").includes("child.js"))[0]);
      ${use}
    });`;
  return ["--import", "tsx", "--input-type=module", "--eval", script];
}

async function parentThat(use: string) {
  const options = { cwd: import.meta.dirname };
  const { stdout, stderr, code } = await promisify(execFile)(
    process.execPath,
    [...scriptOf(use)],
    options,
  ).then(
    (ended) => ({ ...ended, code: 0 }),
    (error) => error,
  );
  return { stderr, code, pid: Number(stdout) };
}

async function parentAtWork() {
  const use = 'await session.time(new Map([["x", x]]), { runs: 1e9, warmup: 0 });';
  const child = spawn(process.execPath, [...scriptOf(use)], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const pid = await new Promise<number>((resolve) => {
    child.stdout?.once("data", (text) => resolve(Number(text)));
  });
  await wait(50);
  return { child, pid };
}

async function expectGone(pid: number): Promise<void> {
  expect(pid).toBeGreaterThan(0);
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
}

function isAlive(pid: number): boolean {
  try {
    // A zombie that nobody waits for is no more.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
