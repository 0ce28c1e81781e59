/** @file Gradients, running statistics and losses beside PyTorch's, from the same weights and batches. */
import { join } from "node:path";
import { type HostTensor, toNumbers } from "../../src/tensor/host-tensor.ts";
import { sgd } from "../../src/train/step/optimizers.ts";
import { readArrays, writeArrays } from "./arrays.ts";
import { batchArrays, batchesOf, type Case, graphOf, twinOf, weightsOf } from "./cases.ts";
import { gradientsThemselves, openLearner } from "./ours.ts";
import { answers, startTorch, type Torch } from "./torch.ts";

/** Threads of both sides; `ESPALIER_PEER_THREADS`. */
export const threads = Number(process.env.ESPALIER_PEER_THREADS ?? 2);
/** Our sessions that share every batch; `ESPALIER_PEER_REPLICAS`. */
export const replicas = Number(process.env.ESPALIER_PEER_REPLICAS ?? 1);

const steps = 50;
const rate = 0.01;
/** They repeat, so that there is something to learn in so few steps. */
const batches = 10;

type Arrays = ReadonlyMap<string, HostTensor>;

/** Compares the gradients of one batch, and the running statistics behind it; prints and judges. */
export async function compareGradients(of: Case, folder: string): Promise<boolean> {
  const graph = graphOf(of);
  const data = batchesOf(of, 1);
  const learner = await openLearner(graph, {
    optimizer: gradientsThemselves,
    rate: 0,
    threads,
    replicas,
    sample: data[0],
  });
  const loss = await learner.step(data[0]);
  const ours = await learner.weights();
  await learner.close();

  const torch = startTorch(threads);
  const found: { readonly loss: number; readonly arrays: Arrays }[] = [];
  for (const double of [false, true]) {
    await loadTwin(torch, of, { folder, batches: 1, double });
    const to = join(folder, "gradients");
    const answer = await torch.ask("gradients", answers.gradients, { to });
    found.push({ ...answer, arrays: readArrays(to) });
  }
  torch.close();
  const [single, exact] = found;

  print(
    `${of.network}${of.isSmooth ? " without kinks" : ""}, batch ${of.batch}: loss ${loss.toFixed(6)}, PyTorch ${single.loss.toFixed(6)}`,
  );
  let isClose = true;
  for (const kind of ["gradients", "running statistics"]) {
    const names = [...exact.arrays.keys()].filter(
      (name) => name.includes(".running_") === (kind !== "gradients"),
    );
    if (names.length === 0) continue;
    const line = (what: string, a: Arrays, b: Arrays): number => {
      const errors = names.map((name) => ({
        name,
        error: relativeError(a.get(name), b.get(name)),
      }));
      const worst = errors.reduce((x, y) => (y.error > x.error ? y : x));
      const all = relativeErrorOfAll(names, a, b);
      print(
        `  ${kind}, ${what.padEnd(34)} all ${all.toExponential(1)}, ` +
          `worst of ${names.length} tensors ${worst.error.toExponential(1)} (${worst.name})`,
      );
      return worst.error;
    };
    const error = line("ours against PyTorch", ours, single.arrays);
    line("ours against PyTorch in float64", ours, exact.arrays);
    line("PyTorch against itself in float64", single.arrays, exact.arrays);
    isClose &&= error <= 1e-4;
  }
  return isClose;
}

/** Compares the losses of SGD steps; prints and judges. */
export async function compareLosses(of: Case, folder: string, momentum: number): Promise<boolean> {
  const graph = graphOf(of);
  const data = batchesOf(of, batches);
  const optimizer = sgd({ momentum });
  const learner = await openLearner(graph, { optimizer, rate, threads, replicas, sample: data[0] });
  const ours: number[] = [];
  for (let step = 0; step < steps; step++) ours.push(await learner.step(data[step % batches]));
  await learner.close();

  const torch = startTorch(threads);
  await loadTwin(torch, of, { folder, batches, double: false });
  const { losses } = await torch.ask("train", answers.train, { steps, rate, momentum });
  torch.close();
  const deviation = Math.max(...ours.map((loss, i) => Math.abs(loss - losses[i]) / losses[i]));
  const round = (loss: number) => loss.toFixed(4);
  print(
    `${of.network}, ${steps} steps, momentum ${momentum}: loss ${round(ours[0])} to ` +
      `${round(ours[steps - 1])}, PyTorch ${round(losses[0])} to ${round(losses[steps - 1])}, ` +
      `largest deviation ${(100 * deviation).toPrecision(2)} %`,
  );
  return deviation <= 0.01;
}

/** Hands weights and batches to PyTorch. */
export async function loadTwin(
  torch: Torch,
  of: Case,
  options: { readonly folder: string; readonly batches: number; readonly double: boolean },
): Promise<void> {
  const { folder, batches: count, double } = options;
  const weights = join(folder, "weights");
  const arrays = join(folder, "batches");
  writeArrays(weights, weightsOf(graphOf(of)));
  writeArrays(arrays, batchArrays(batchesOf(of, count)));
  await torch.ask("load", answers.load, { ...twinOf(of), weights, threads, double });
  await torch.ask("batches", answers.batches, { arrays });
}

/** ‖a - b‖ / ‖b‖; infinite where an array is missing. */
function relativeError(a: HostTensor | undefined, b: HostTensor | undefined): number {
  if (a === undefined || b === undefined) return Number.POSITIVE_INFINITY;
  const [difference, size] = squares(a, b);
  return Math.sqrt(difference / size);
}

/** The same of all arrays end to end. */
function relativeErrorOfAll(names: readonly string[], a: Arrays, b: Arrays): number {
  let [difference, size] = [0, 0];
  for (const name of names) {
    const [x, y] = [a.get(name), b.get(name)];
    if (x === undefined || y === undefined) return Number.POSITIVE_INFINITY;
    const [d, s] = squares(x, y);
    difference += d;
    size += s;
  }
  return Math.sqrt(difference / size);
}

function squares(a: HostTensor, b: HostTensor): readonly [difference: number, size: number] {
  const [x, y] = [toNumbers(a), toNumbers(b)];
  let [difference, size] = [0, 0];
  for (const [i, value] of y.entries()) {
    difference += (x[i] - value) ** 2;
    size += value * value;
  }
  return [difference, size];
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
