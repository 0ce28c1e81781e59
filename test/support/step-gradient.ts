/** @file The gradients that a training step follows, against finite differences with its noise held. */
import { expect } from "vitest";
import { constantOf, type Graph } from "../../src/ir/graph.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { openTrainer } from "../../src/runtime/trainer.ts";
import type { Feeds } from "../../src/runtime/values.ts";
import { tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";
import type { TrainingStep } from "../../src/train/step/step.ts";
import { runSteps } from "./training.ts";

/** The losses of the first steps of a new session, with a learning rate that changes nothing. */
export async function lossesOf(
  step: TrainingStep,
  feeds: Feeds,
  count = 1,
): Promise<readonly number[]> {
  const { state, initial, guard, graph } = step;
  const trainer = await openTrainer(encodeGraph(graph).chunks, {
    state,
    initial,
    guard,
    threads: 1,
  });
  try {
    const losses: number[] = [];
    for (let at = 0; at < count; at++) {
      const all = new Map([...structuredClone(feeds), ...step.scalars(at, 0)]);
      const { results } = await trainer.step(all, [step.loss]);
      const loss = results.get(step.loss);
      if (loss === undefined) throw new Error(`step ${at} has no loss`);
      losses.push(toNumbers(loss)[0]);
    }
    return losses;
  } finally {
    await trainer.close();
  }
}

/**
 * Expects the first step of `build(graph)` by plain gradient descent to be that of finite differences
 * along one random direction for each of `names`. A new session draws the same noise.
 */
export async function expectHeldGradients(
  build: (graph: Graph) => TrainingStep,
  graph: Graph,
  feeds: Feeds,
  names: readonly string[],
  { step: h = 2 ** -7, tolerance = 5e-3 } = {},
): Promise<void> {
  const [after] = await runSteps(build(graph), [1], () => feeds);
  for (const name of names) {
    const old = graph.constants.get(name);
    if (old === undefined) throw new Error(`no constant ${name}`);
    const before = toNumbers(old.read());
    const direction = [...randomOf(name).normals(before.length)];
    const terms = before.map((value, i) => (value - (after.get(name)?.[i] ?? 0)) * direction[i]);
    const slope = terms.reduce((sum, term) => sum + term, 0);
    const lossAt = async (size: number) => {
      const values = before.map((value, i) => value + size * direction[i]);
      const changed = constantOf(name, tensorOf(old.dtype, old.shape, values));
      const step = build({ ...graph, constants: new Map(graph.constants).set(name, changed) });
      return (await lossesOf(step, feeds))[0];
    };
    const [up, down] = [await lossAt(h), await lossAt(-h)];
    const scale = Math.sqrt(terms.reduce((sum, term) => sum + term ** 2, 0));
    const rounding = (2 ** -22 * (Math.abs(up) + Math.abs(down))) / h;
    const error = Math.abs((up - down) / (2 * h) - slope);
    expect(error, name).toBeLessThan(tolerance * scale + rounding);
  }
}
