/**
 * @file Optimizers as graph functions: one step of the update, with PyTorch's conventions, in
 * float32. What changes from step to step (the rate, bias corrections) is fed as scalars.
 */
import { EspalierError } from "../../errors.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Emitter, Value } from "../../ops/operator/gradient.ts";

/** What an update works on. */
export interface UpdateContext {
  readonly emit: Emitter;
  readonly parameter: Value;
  readonly gradient: Value;
  /** What is kept for the parameters, in the order of {@link Optimizer.slots}; zeros at the first step. */
  readonly slots: readonly Value[];
  /** The scalars of this step, in the order of {@link Optimizer.scalars}. */
  readonly scalars: readonly Value[];
  /** Weight decay of these parameters. */
  readonly decay: number;
  /** Factor of the learning rate of these parameters. */
  readonly rateFactor: number;
}

/** What an update computes. */
export interface Update {
  readonly parameter: Value;
  readonly slots: readonly Value[];
}

/** One rule for all parameters. */
export interface Optimizer {
  readonly name: string;
  /** Weight decay where no group says otherwise. */
  readonly decay: number;
  /** What is kept for each parameter between steps. */
  readonly slots: readonly string[];
  /** Names of the scalars that are fed at each step. */
  readonly scalars: readonly string[];
  /** The values of the scalars at step 0, 1, ... with this learning rate. */
  readonly scalarsAt: (step: number, rate: number) => readonly number[];
  readonly update: (context: UpdateContext) => Update;
}

/** The optimizer with one scalar more, which it does not read itself but objectives may. */
export function withScalar(
  optimizer: Optimizer,
  name: string,
  valueAt: (step: number) => number,
): Optimizer {
  return {
    ...optimizer,
    scalars: [...optimizer.scalars, name],
    scalarsAt: (step, rate) => [...optimizer.scalarsAt(step, rate), valueAt(step)],
  };
}

/** Options of {@link sgd}. */
export interface SgdOptions {
  /** Default 0.9. */
  readonly momentum?: number | undefined;
  /** Default false. */
  readonly nesterov?: boolean | undefined;
  /** Added to the gradient: decay · parameter. Default 0. */
  readonly decay?: number | undefined;
}

/**
 * Stochastic gradient descent:
 *
 *     g ← g + decay · p        b ← momentum · b + g
 *     p ← p - rate · b         (Nesterov: p - rate · (g + momentum · b))
 */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { momentum = 0.9, nesterov = false, decay = 0 } = options;
  requireRange("momentum", momentum, 0, 1);
  requireRange("decay", decay, 0, Number.POSITIVE_INFINITY);
  const hasBuffer = momentum > 0;
  return {
    name: "sgd",
    decay,
    slots: hasBuffer ? ["momentum"] : [],
    scalars: ["rate"],
    scalarsAt: (_, rate) => [rate],
    update({ emit, parameter, gradient, slots, scalars: [rate], decay, rateFactor }) {
      const t = algebraOf(emit, parameter);
      const step = t.mul(rate, rateFactor);
      const g = decay === 0 ? gradient : t.add(gradient, t.mul(parameter, decay));
      if (!hasBuffer) return { parameter: t.sub(parameter, t.mul(g, step)), slots };
      const buffer = t.add(t.mul(slots[0], momentum), g);
      const direction = nesterov ? t.add(g, t.mul(buffer, momentum)) : buffer;
      return { parameter: t.sub(parameter, t.mul(direction, step)), slots: [buffer] };
    },
  };
}

/** Options of {@link adam} and {@link adamW}. */
export interface AdamOptions {
  /** How slowly the means of g and g² forget; default [0.9, 0.999]. */
  readonly betas?: readonly [number, number] | undefined;
  /** Default 1e-8. */
  readonly epsilon?: number | undefined;
  /** Default 0 for Adam, 0.01 for AdamW. */
  readonly decay?: number | undefined;
}

/**
 * Adam (Kingma and Ba, 2015), with t counted from 1:
 *
 *     g ← g + decay · p        m ← β₁ m + (1 - β₁) g        v ← β₂ v + (1 - β₂) g²
 *     p ← p - rate / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)
 */
export function adam(options: AdamOptions = {}): Optimizer {
  return adamLike("adam", { ...options, decay: options.decay ?? 0 }, false);
}

/**
 * Adam with decoupled decay (Loshchilov and Hutter, 2019): p ← p - rate · decay · p beside the step
 * of {@link adam} without decay.
 */
export function adamW(options: AdamOptions = {}): Optimizer {
  return adamLike("adamw", { ...options, decay: options.decay ?? 0.01 }, true);
}

function adamLike(
  name: string,
  options: AdamOptions & { readonly decay: number },
  isDecoupled: boolean,
): Optimizer {
  const { betas = [0.9, 0.999], epsilon = 1e-8, decay } = options;
  const [beta1, beta2] = betas;
  for (const beta of betas) requireRange("beta", beta, 0, 1);
  requireRange("decay", decay, 0, Number.POSITIVE_INFINITY);
  return {
    name,
    decay,
    slots: ["mean", "square"],
    scalars: ["rate", "step", "root"],
    scalarsAt: (step, rate) => [
      rate,
      rate / (1 - beta1 ** (step + 1)),
      Math.sqrt(1 - beta2 ** (step + 1)),
    ],
    update({ emit, parameter, gradient, slots, scalars: [rate, step, root], decay, rateFactor }) {
      const t = algebraOf(emit, parameter);
      const isCoupled = decay !== 0 && !isDecoupled;
      const g = isCoupled ? t.add(gradient, t.mul(parameter, decay)) : gradient;
      const mean = t.add(t.mul(slots[0], beta1), t.mul(g, 1 - beta1));
      const square = t.add(t.mul(slots[1], beta2), t.mul(t.square(g), 1 - beta2));
      const width = t.add(t.div(t.apply("Sqrt", square), root), epsilon);
      const kept =
        decay !== 0 && isDecoupled
          ? t.mul(parameter, t.sub(1, t.mul(rate, rateFactor * decay)))
          : parameter;
      const change = t.mul(t.div(mean, width), t.mul(step, rateFactor));
      return { parameter: t.sub(kept, change), slots: [mean, square] };
    },
  };
}

function requireRange(name: string, value: number, low: number, below: number): void {
  if (value >= low && value < below) return;
  throw new EspalierError("USAGE", `${name} is ${value}; expected at least ${low}, below ${below}`);
}
