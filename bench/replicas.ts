/**
 * @file `npm run bench:replicas [-- NETWORK ...]`: what a training step would take with 1 to 16 replicas of one thread
 * each, had each a core of its own: the processor time of its parts, measured one by one on one core. A share takes longer
 * for each image the smaller it is; the sums of gradients grow with the parameters, not with the images; of the update each
 * replica computes its part. What cores lose to each other's memory traffic, and while they wait, comes on top.
 */

import type { Graph } from "../src/ir/graph.ts";
import { findBlockSize } from "../src/runtime/block-size.ts";
import { addTo } from "../src/runtime/replica-memory.js";
import { withSession } from "../src/runtime/session.ts";
import type { Feeds, ModelSource } from "../src/runtime/values.ts";
import { type HostTensor, sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { emitFor, emitStep } from "../src/train/network/provider-form.ts";
import { labels } from "../src/train/step/objectives.ts";
import { sgd } from "../src/train/step/optimizers.ts";
import { type ReplicaStep, replicaStep, sharesOf } from "../src/train/step/replica-step.ts";
import { buildStep, type TrainingStep } from "../src/train/step/step.ts";
import { batchesOf, type Case, graphOf, speedCases } from "./peers/cases.ts";

const numbers = [1, 2, 4, 8, 16];
const warmup = 2;
/** About how long each part is timed. */
const partMs = 1000;

async function timeParts(of: Case): Promise<void> {
  const graph = graphOf(of);
  const [{ x, y }] = batchesOf(of, 1);
  const block = await findBlockSize();
  print(`\n${of.network}, batch ${of.batch}`);
  print("replicas   share    sums  update    step  speed-up");
  let alone = 0;
  for (const replicas of numbers.filter((count) => count <= of.batch)) {
    const steps = sharesOf(of.batch, replicas).map((samples) =>
      buildStep(graph, {
        inputShapes: new Map([["input", x.shape.with(0, samples)]]),
        target: { dtype: y.dtype, shape: y.shape.with(0, samples) },
        objective: labels(),
        optimizer: sgd({ momentum: 0.9 }),
        share: samples / of.batch,
      }),
    );
    const [step] = steps;
    const cut = replicaStep(steps, "0");
    const [samples] = sharesOf(of.batch, replicas);
    const feeds = feedsOf(step, samples, { x, y });
    const share = await timeOf(
      emitStep(cut.replicas[0].share, {}, block),
      cut.replicas[0].share,
      feeds,
    );
    const { measure, update } = cut.replicas[busiest(cut)];
    const given = cut.exchange.sums.map(({ name, shape }) => [name, zeros(shape)] as const);
    const told = [...cut.exchange.told, ...cut.exchange.figures.map(({ name }) => name)];
    const all = new Map([...feeds, ...given, ...told.map((name) => [name, zeros([])] as const)]);
    const next =
      (await timeOf(emitFor(update, {}), update, all)) +
      (measure ? await timeOf(emitFor(measure, {}), measure, all) : 0);
    const sums = replicas === 1 ? 0 : timeSums(cut, replicas);
    const whole = share + sums + next;
    alone ||= whole;
    const cells = [share, sums, next, whole].map((ms) => ms.toFixed(2).padStart(8));
    print(
      `${String(replicas).padStart(8)}${cells.join("")}${(alone / whole).toFixed(2).padStart(10)}`,
    );
  }
}

/** The replica that owns most. */
function busiest({ exchange }: ReplicaStep): number {
  const loads = new Map<number, number>();
  for (const { owner, shape } of exchange.sums)
    loads.set(owner, (loads.get(owner) ?? 0) + sizeOf(shape));
  return [...loads].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
}

function feedsOf(
  step: TrainingStep,
  samples: number,
  { x, y }: { readonly x: HostTensor; readonly y: HostTensor },
): Feeds {
  return new Map([
    ["input", firstOf(x, samples)],
    [step.target ?? "target", firstOf(y, samples)],
    ...step.scalars(0, 0.01),
    ...step.initial,
  ]);
}

function firstOf({ dtype, shape, data }: HostTensor, samples: number): HostTensor {
  const [, ...rest] = shape;
  return { dtype, shape: [samples, ...rest], data: data.slice(0, samples * sizeOf(rest)) };
}

function zeros(shape: readonly number[]): HostTensor {
  return tensorOf("float32", shape, new Float32Array(sizeOf(shape)));
}

/** Milliseconds of a run on one thread. */
async function timeOf(model: ModelSource, { inputs }: Graph, feeds: Feeds): Promise<number> {
  const own = new Map([...feeds].filter(([name]) => inputs.includes(name)));
  return withSession(model, { threads: 1 }, async (session) => {
    const [first] = await session.time(own, { runs: 1, warmup });
    const runs = Math.max(5, Math.min(500, Math.round(partMs / first)));
    const start = process.cpuUsage();
    await session.time(own, { runs, warmup: 0 });
    return cpuMsSince(start) / runs;
  });
}

/** Milliseconds in which a replica hands its summands over, adds up what arrives, hands on, and takes the parameters. */
function timeSums({ exchange }: ReplicaStep, replicas: number): number {
  const parameters = exchange.sums.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const own = Math.ceil(parameters / replicas);
  const piece = Math.min(own, Math.floor((1 << 22) / (replicas * (replicas - 1))));
  const shared = new Float32Array(new SharedArrayBuffer(4 * piece));
  const values = new Float32Array(parameters);
  const rounds = 7;
  let start = process.cpuUsage();
  for (let round = 0; round <= rounds; round++) {
    // The first round warms up.
    if (round === 1) start = process.cpuUsage();
    for (let at = 0; at + piece <= parameters; at += piece) {
      const part = values.subarray(at, at + piece);
      // Of all other parts a copy goes out, and as many elements come in to be added.
      shared.set(part);
      addTo(part, shared);
      // Parameters come in.
      part.set(shared);
    }
    for (let at = 0; at + piece <= own; at += piece) shared.set(values.subarray(at, at + piece));
  }
  return cpuMsSince(start) / rounds;
}

/** Processor time, which on an idle machine is the time that passes: one thread computes, and none waits in a loop. */
function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const wanted = process.argv.slice(2);
for (const of of speedCases)
  if (wanted.length === 0 || wanted.includes(of.network)) await timeParts(of);
process.exit();
