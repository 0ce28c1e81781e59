/**
 * @file Weights that the network reads rounded while training moves them unrounded. The gradient with respect
 * to the rounded weight is taken for that of the weight itself: the straight-through estimator (Bengio,
 * Leonard, Courville, 2013). A weight thus gathers small changes until they make a step.
 */
import type { Emitter, Value } from "../../ops/operator/gradient.ts";

/**
 * step · round(weight / step), ties to even, in the weight's shape: what a pack with this step gives back
 * (`src/pack/quantising/quantise.ts`), bit for bit but for the sign of zeros. Zeros stay zeros.
 */
export function emitRounded(emit: Emitter, weight: Value, step: number): Value {
  const width = emit.scalar(step, weight.dtype);
  return emit.mul(emit.op("Round", [emit.div(weight, width)]), width);
}
