/** @file Running statistics of batch normalization as state of a training step. */

import { assert } from "../errors.ts";
import type { GraphEmitter } from "../grad/emitter.ts";
import type { Constant, Node } from "../ir/graph.ts";
import { algebraOf } from "../ops/algebra.ts";
import type { Value } from "../ops/gradient.ts";
import { runningStatistics } from "../ops/training.ts";
import { type HostTensor, sizeOf, tensorOf } from "../tensor/host-tensor.ts";
import { emitPacked, packOf } from "./packing.ts";
import type { Statistics } from "./parameters.ts";
import type { PackInput, StateInputs } from "./state.ts";

/** The statistics of all nodes, end to end. */
export interface StatisticsInputs {
  readonly mean: PackInput;
  readonly variance: PackInput;
}

/** Declares the statistics as state; `undefined` where there are none. */
export function statisticsInputs(
  state: StateInputs,
  statistics: readonly Statistics[],
): StatisticsInputs | undefined {
  if (statistics.length === 0) return undefined;
  return {
    mean: state.pack("statistics.mean", packOf(statistics.map(({ mean }) => mean))),
    variance: state.pack("statistics.variance", packOf(statistics.map((own) => own.variance))),
  };
}

/**
 * Emits the next statistics, as PyTorch keeps them. onnxruntime takes the biased variance b of the
 * batch and gives r = m v + (1 - m) b; with n values per channel the unbiased variance is c b with
 * c = n / (n - 1), so the next value is c r + (1 - c) m v.
 */
export function updateStatistics(
  emit: GraphEmitter,
  state: StateInputs,
  inputs: StatisticsInputs,
  statistics: readonly Statistics[],
  forms: ReadonlyMap<Node, Node>,
  values: ReadonlyMap<string, Value>,
): void {
  const all = statistics.map(({ node }) => {
    const form = forms.get(node) ?? node;
    const role = runningStatistics(form);
    const x = values.get(form.inputs[0]);
    const mean = role && values.get(form.outputs[role.meanOutput]);
    const variance = role && values.get(form.outputs[role.varianceOutput]);
    assert(!!(role && x && mean && variance), `"${node.name}" computes statistics in training`);
    return { role, x, mean, variance };
  });
  const t = algebraOf(emit, inputs.variance.value);
  state.update(
    inputs.mean.value,
    emitPacked(
      emit,
      all.map(({ mean }) => t.cast(mean)),
    ),
  );
  const biased = emitPacked(
    emit,
    all.map(({ variance }) => t.cast(variance)),
  );
  const constants = statistics.map(({ variance }) => variance);
  const correction = all.map(({ x }) => {
    const count = sizeOf(x.shape) / x.shape[1];
    return count > 1 ? count / (count - 1) : 1;
  });
  const scaled = t.mul(biased, emit.constant(perElement(constants, correction)));
  const share = all.map(({ role }, i) => (1 - correction[i]) * role.momentum);
  const kept = t.mul(inputs.variance.value, emit.constant(perElement(constants, share)));
  state.update(inputs.variance.value, t.add(scaled, kept));
}

/** One value for all elements of each constant, end to end. */
function perElement(constants: readonly Constant[], values: readonly number[]): HostTensor {
  const all = constants.flatMap(({ shape }, i) => new Array<number>(sizeOf(shape)).fill(values[i]));
  return tensorOf("float32", [all.length], all);
}
