/**
 * @file Weights that are 0 when training begins and stay so. Their gradients are masked, so that neither the
 * step nor the optimizer's memory of them ever leaves 0; the norm of all gradients does not count them.
 * The mask is what the network itself says at the start: a resumed run has the same.
 */
import type { GraphEmitter } from "../../grad/emitter.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { type Bundle, bundled } from "../network/bundles.ts";

/** The gradient of a bundle, 0 where the bundle itself begins as 0. */
export function withoutZeros(emit: GraphEmitter, bundle: Bundle, gradient: Value): Value {
  const values = toNumbers(bundled(bundle));
  const mask = tensorOf(
    "float32",
    bundle.shape,
    values.map((value) => (value === 0 ? 0 : 1)),
  );
  return algebraOf(emit, gradient).mul(gradient, emit.constant(mask));
}
