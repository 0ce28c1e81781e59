/** @file Sessions with state: sums by hand, the guard, and the memory that they do not take. */
import { describe, expect, it } from "vitest";
import { modelOf } from "../../test/tiny-models.ts";
import { type HostTensor, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { openTrainer, type Trainer, type TrainerOptions } from "./trainer.ts";
import type { Feeds } from "./values.ts";

/** next = s + x; sum = Σ next; ok: sum is finite. */
function accumulator(length: number) {
  const vector = { dtype: "float32", shape: [length] } as const;
  return modelOf((b) => {
    b.input("x", "float32", [length]);
    b.input("s", "float32", [length]);
    b.node("Add", ["s", "x"], {}, { outputs: ["next"] });
    b.node("ReduceSum", ["next"], { keepdims: 0 }, { outputs: ["sum"] });
    b.node("Sub", ["sum", "sum"], {}, { outputs: ["zero"] });
    b.node("Equal", ["zero", "zero"], {}, { outputs: ["ok"] });
    b.output("next", vector);
    b.output("sum", { dtype: "float32", shape: [] });
    b.output("ok", { dtype: "bool", shape: [] });
  });
}

const ones = (length: number): HostTensor =>
  tensorOf("float32", [length], new Float32Array(length).fill(1));
const feed = (x: HostTensor): Feeds => new Map([["x", x]]);
const numbers = (feeds: Feeds, name: string): number[] => {
  const tensor = feeds.get(name);
  return tensor === undefined ? [] : [...toNumbers(tensor)];
};

async function withTrainer(
  length: number,
  options: Partial<TrainerOptions>,
  use: (trainer: Trainer) => Promise<void>,
): Promise<void> {
  const trainer = await openTrainer(accumulator(length), {
    state: new Map([["s", "next"]]),
    initial: new Map([["s", ones(length)]]),
    ...options,
  });
  try {
    await use(trainer);
  } finally {
    await trainer.close();
  }
}

describe("a trainer", () => {
  it("reads in each step what the step before computed, however many are posted at once", async () => {
    await withTrainer(3, {}, async (trainer) => {
      const steps = [1, 2, 3, 4].map((k) =>
        trainer.step(feed(tensorOf("float32", [3], [k, 0, 10])), ["sum"]),
      );
      const sums = (await Promise.all(steps)).map(({ results }) => numbers(results, "sum")[0]);
      // 3 at first; step k adds k + 10.
      expect(sums).toEqual([14, 26, 39, 53]);
      expect(numbers(await trainer.readState(), "s")).toEqual([11, 1, 41]);
    });
  });

  it("gives copies of its state, and takes another", async () => {
    await withTrainer(2, {}, async (trainer) => {
      const before = await trainer.readState(["s"]);
      await trainer.step(feed(ones(2)), []);
      expect(numbers(before, "s")).toEqual([1, 1]);
      await trainer.writeState(before);
      await trainer.step(feed(ones(2)), []);
      expect(numbers(await trainer.readState(), "s")).toEqual([2, 2]);
    });
  });

  it("stops at a step whose guard is false, with the state before it", async () => {
    await withTrainer(1, { guard: "ok" }, async (trainer) => {
      const steps = [1, Number.NaN, 1].map((v) =>
        trainer.step(feed(tensorOf("float32", [1], [v])), ["sum"]),
      );
      const done = await Promise.all(steps);
      expect(done.map(({ status }) => status)).toEqual(["done", "refused", "skipped"]);
      expect(done.map(({ results }) => numbers(results, "sum"))).toEqual([[2], [Number.NaN], []]);
      const state = await trainer.readState();
      expect(numbers(state, "s")).toEqual([2]);
      await trainer.writeState(state);
      expect((await trainer.step(feed(ones(1)), ["sum"])).status).toBe("done");
    });
  });

  it("refuses state that is missing, unknown or of another shape", async () => {
    const missing = openTrainer(accumulator(1), {
      state: new Map([["s", "next"]]),
      initial: new Map(),
    });
    await expect(missing).rejects.toMatchObject({ message: expect.stringContaining('"s" has no') });
    await withTrainer(2, {}, async (trainer) => {
      for (const state of [new Map([["t", ones(2)]]), new Map([["s", ones(1)]])])
        await expect(trainer.writeState(state)).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
      await expect(trainer.readState(["t"])).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
    });
  });

  it("gives an output once that is asked for twice", async () => {
    await withTrainer(2, {}, async (trainer) => {
      const { results } = await trainer.step(feed(ones(2)), ["sum", "sum"]);
      expect([...results.keys()]).toEqual(["sum"]);
      expect(numbers(results, "sum")).toEqual([4]);
    });
  });

  it("goes on after a step that failed", async () => {
    await withTrainer(2, {}, async (trainer) => {
      const wrong = trainer.step(feed(ones(3)), ["sum"]);
      const right = trainer.step(feed(ones(2)), ["sum"]);
      await expect(wrong).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
      expect(numbers((await right).results, "sum")).toEqual([4]);
    });
  });

  it("takes no more memory after thousands of steps", async () => {
    const length = 1 << 18; // 1 MiB of state and of feed: 4 GiB over all steps
    await withTrainer(length, {}, async (trainer) => {
      const run = async (steps: number) => {
        let pending: Promise<unknown> = Promise.resolve();
        for (let i = 0; i < steps; i++) {
          const step = trainer.step(feed(ones(length)), ["sum"]);
          await pending;
          pending = step;
        }
        await pending;
      };
      await run(300);
      const before = process.memoryUsage.rss();
      await run(2000);
      const grown = process.memoryUsage.rss() - before;
      expect(grown).toBeLessThan(64 * 2 ** 20);
      expect(numbers(await trainer.readState(), "s")[0]).toBe(2301);
    });
  });
});
