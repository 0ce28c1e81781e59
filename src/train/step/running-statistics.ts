/** @file Running statistics of batch normalization as state of a training step. */

import { assert } from "../../errors.ts";
import type { GraphEmitter } from "../../grad/emitter.ts";
import type { Constant, Node } from "../../ir/graph.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { runningStatistics } from "../../ops/passes/training.ts";
import { type HostTensor, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { bundleOf, emitBundled, emitUnbundled } from "../network/bundles.ts";
import type { Statistics } from "../network/parameters.ts";
import type { BundleInput, StateInputs } from "./state.ts";
import { scaled } from "./step-parts.ts";

/** The statistics of all nodes, end to end. */
export interface StatisticsInputs {
  readonly mean: BundleInput;
  readonly variance: BundleInput;
}

/**
 * Declares the statistics as state; `undefined` where there are none.
 *
 * `parts` are copies for the nodes themselves: onnxruntime's BatchNormalization writes what it gives as
 * running statistics over the memory of those that it was given, whoever else reads them.
 */
export function statisticsInputs(
  emit: GraphEmitter,
  state: StateInputs,
  statistics: readonly Statistics[],
): StatisticsInputs | undefined {
  if (statistics.length === 0) return undefined;
  const means = statistics.map(({ mean }) => mean);
  const variances = statistics.map(({ variance }) => variance);
  const mean = state.bundle("statistics.mean", bundleOf(means));
  const variance = state.bundle("statistics.variance", bundleOf(variances));
  const both = emit.op("Concat", [mean.value, variance.value], { axis: 0 });
  const copies = emitUnbundled(emit, bundleOf([...means, ...variances]), both);
  return {
    mean: { ...mean, parts: copies.slice(0, means.length) },
    variance: { ...variance, parts: copies.slice(means.length) },
  };
}

/** What a step computes that statistics follow. */
export interface Followed {
  readonly statistics: readonly Statistics[];
  /** The nodes as they run in training, by the nodes that they were. */
  readonly forms: ReadonlyMap<Node, Node>;
  readonly values: ReadonlyMap<string, Value>;
  /** A factor of what is emitted; see `StepOptions`. */
  readonly share: number;
}

/**
 * Emits the next statistics, as PyTorch keeps them: m v + (1 - m) b. In training form a node gives the
 * mean and the biased variance b of the batch; with n values per channel the unbiased variance is c b
 * with c = n / (n - 1). Returns what it emitted.
 */
export function updateStatistics(
  emit: GraphEmitter,
  state: StateInputs,
  inputs: StatisticsInputs,
  { statistics, forms, values, share }: Followed,
): readonly Value[] {
  const all = statistics.map(({ node, mean, variance }) => {
    const form = forms.get(node) ?? node;
    const role = runningStatistics(node);
    const x = values.get(form.inputs[0]);
    const batchMean = role && values.get(form.outputs[role.meanOutput]);
    const batchVariance = role && values.get(form.outputs[role.varianceOutput]);
    assert(!!(role && x && batchMean && batchVariance), `"${node.name}" gives its statistics`);
    const count = sizeOf(x.shape) / x.shape[1];
    return {
      mean,
      variance,
      batchMean,
      batchVariance,
      kept: role.momentum,
      correction: count > 1 ? count / (count - 1) : 1,
    };
  });
  const t = algebraOf(emit, inputs.mean.value);
  const update = (
    input: BundleInput,
    constants: readonly Constant[],
    batch: readonly Value[],
    shares: readonly number[],
  ): Value => {
    const kept = perElement(
      constants,
      all.map((one) => one.kept),
    );
    const old = t.mul(input.value, emit.constant(kept));
    const given = emitBundled(
      emit,
      batch.map((value) => t.cast(value)),
    );
    const next = t.add(old, t.mul(given, emit.constant(perElement(constants, shares))));
    const own = scaled(emit, next, share);
    state.update(input.value, own);
    return own;
  };
  const mean = update(
    inputs.mean,
    all.map(({ mean }) => mean),
    all.map(({ batchMean }) => batchMean),
    all.map(({ kept }) => 1 - kept),
  );
  const variance = update(
    inputs.variance,
    all.map(({ variance }) => variance),
    all.map(({ batchVariance }) => batchVariance),
    all.map(({ kept, correction }) => (1 - kept) * correction),
  );
  return [mean, variance];
}

/** One value for all elements of each constant, end to end. */
function perElement(constants: readonly Constant[], values: readonly number[]): HostTensor {
  const all = constants.flatMap(({ shape }, i) => new Array<number>(sizeOf(shape)).fill(values[i]));
  return tensorOf("float32", [all.length], all);
}
