/**
 * @file The time of a full training step (forward, backward, SGD with momentum) beside PyTorch's: both
 * stay loaded and run blocks of steps in turn. One network per process, so that its peak memory is
 * its own.
 */
import { type Estimate, median, ratioOfMedians } from "../../src/measure/statistics/statistics.ts";
import { sgd } from "../../src/train/step/optimizers.ts";
import { loadTwin, replicas, threads } from "./accuracy.ts";
import { type Batch, batchesOf, type Case, graphOf } from "./cases.ts";
import { peakBytes, processSeconds, watchOthers } from "./machine.ts";
import { type Learner, openLearner } from "./ours.ts";
import { answers, startTorch } from "./torch.ts";

const rate = 0.01;
const momentum = 0.9;
const batches = 4;
const warmup = 5;
/** About how long a block runs, and how many there are of each side. */
const blockMs = 2000;
const blocks = 7;

/** What one network gave. */
export interface SpeedResult {
  readonly network: string;
  readonly ours: SideResult;
  readonly torch: SideResult;
  /** Our median by PyTorch's; the interval over pairs of blocks. */
  readonly ratio: Estimate;
  /** The same of the fastest block of each. */
  readonly bestRatio: number;
  /** How many processors other processes kept busy meanwhile; above a few tenths nothing here counts. */
  readonly othersBusy: number;
}

/** Milliseconds per step, and bytes. */
export interface SideResult {
  readonly medianMs: number;
  /** Processor time per step, all threads together; waiting in a loop for another thread counts. */
  readonly cpuMs: number;
  readonly peakBytes: number;
  /** Memory of the process before it had a network. */
  readonly startBytes: number;
}

/** Measures one network. */
export async function compareSpeed(of: Case, folder: string): Promise<SpeedResult> {
  const startBytes = process.memoryUsage().rss;
  const data = batchesOf(of, batches);
  const optimizer = sgd({ momentum });
  const learner = await openLearner(graphOf(of), {
    optimizer,
    rate,
    threads,
    replicas,
    sample: data[0],
  });
  const torch = startTorch(threads);
  await loadTwin(torch, of, { folder, batches, double: false });
  const run = {
    ours: (steps: number) => runOurs(learner, data, steps),
    torch: async (steps: number) =>
      (await torch.ask("time", answers.time, { steps, rate, momentum })).times,
  };
  const medians: Record<Side, number[]> = { ours: [], torch: [] };
  const cpuSeconds = { ours: 0, torch: 0 };
  const pids = { ours: "self", torch: torch.pid } as const;
  // The first block warms up and tells how many steps fill the others.
  const steps = { ours: 0, torch: 0 };
  for (const side of sides) {
    const fastest = Math.min(...(await run[side](warmup)));
    steps[side] = Math.max(4, Math.min(300, Math.round(blockMs / fastest)));
  }
  const others = watchOthers(["self", torch.pid]);
  for (let block = 0; block < blocks; block++)
    for (const side of block % 2 === 0 ? sides : sides.toReversed()) {
      const before = processSeconds(pids[side]);
      // The first step after the other side ran finds cold caches.
      medians[side].push(median((await run[side](steps[side] + 1)).slice(1)));
      cpuSeconds[side] += processSeconds(pids[side]) - before;
    }
  const othersBusy = others();
  const memory = await torch.ask("memory", answers.memory);
  torch.close();
  const peak = peakBytes();
  await learner.close();
  const timesOf = (side: Side) => ({
    medianMs: median(medians[side]),
    cpuMs: (1000 * cpuSeconds[side]) / (blocks * (steps[side] + 1)),
  });
  return {
    network: of.network,
    ours: { ...timesOf("ours"), peakBytes: peak, startBytes },
    torch: { ...timesOf("torch"), peakBytes: memory.peak, startBytes: memory.start },
    ratio: ratioOfMedians(medians.ours, medians.torch),
    bestRatio: Math.min(...medians.ours) / Math.min(...medians.torch),
    othersBusy,
  };
}

type Side = "ours" | "torch";
const sides: readonly Side[] = ["ours", "torch"];

/** Milliseconds of each step; the next batch is handed over while a step runs, as training does it. */
async function runOurs(
  learner: Learner,
  data: readonly Batch[],
  steps: number,
): Promise<readonly number[]> {
  const times: number[] = [];
  let last = performance.now();
  let running = learner.step(data[0]);
  for (let step = 1; step <= steps; step++) {
    const next = step < steps ? learner.step(data[step % data.length]) : undefined;
    await running;
    const now = performance.now();
    times.push(now - last);
    last = now;
    if (next !== undefined) running = next;
  }
  return times;
}
