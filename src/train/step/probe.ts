/** @file Which value is not finite: a step that looks at all of them, run only once something is wrong. */
import type { GraphEmitter } from "../../grad/emitter.ts";
import type { Graph } from "../../ir/graph.ts";
import { withoutDead } from "../../ir/live.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { isFloat } from "../../tensor/dtype.ts";

/** A value to look at, and how to call it. */
export interface Suspect {
  readonly what: string;
  readonly value: Value;
}

/** A graph that tells where the first value is that is not finite. */
export interface Probe {
  /** The inputs of the training step. */
  readonly graph: Graph;
  /** A float32 vector with one element per suspect: 0 where all its elements are finite, else NaN. */
  readonly output: string;
  /** What each element speaks of, in the order in which the step computes them. */
  readonly suspects: readonly string[];
}

/** Builds the probe of a step that `emit` holds. */
export function emitProbe(emit: GraphEmitter, suspects: readonly Suspect[]): Probe {
  const floats = suspects.filter(({ value }) => isFloat(value.dtype) && !value.shape.includes(0));
  const zeros = floats.map(({ value }) => {
    const x = value.dtype === "float32" ? value : emit.op("Cast", [value], { to: 1 });
    // 0 · x is NaN for an infinite or undefined x alone.
    const zero = emit.mul(x, emit.scalar(0));
    return emit.reshape(emit.op("ReduceSum", [zero], { keepdims: 0 }), [1]);
  });
  const all = zeros.length === 1 ? zeros[0] : emit.op("Concat", zeros, { axis: 0 });
  return {
    graph: withoutDead(emit.build([all.name])),
    output: all.name,
    suspects: floats.map(({ what }) => what),
  };
}
