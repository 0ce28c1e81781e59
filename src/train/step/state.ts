/** @file The state of a training step: inputs whose next values the step itself computes. */
import type { GraphEmitter } from "../../grad/emitter.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import { type Bundle, bundled, emitUnbundled, unbundled } from "../network/bundles.ts";

/** A bundle of constants that became state. */
export interface BundleInput {
  readonly bundle: Bundle;
  readonly value: Value;
  /** The constants, cut out of the bundle, in its order. */
  readonly parts: readonly Value[];
}

/** Collects the state inputs of a step. All are float32. */
export class StateInputs {
  readonly #emit: GraphEmitter;
  readonly #next = new Map<string, string>();
  readonly #initial = new Map<string, HostTensor>();
  readonly #bundles = new Map<string, Bundle>();

  constructor(emit: GraphEmitter) {
    this.#emit = emit;
  }

  /** An input that starts as zeros. */
  zeros(stem: string, shape: readonly number[]): Value {
    return this.#declare(stem, { dtype: "float32", shape, data: new Float32Array(sizeOf(shape)) });
  }

  /** An input that holds constants of the network. */
  bundle(stem: string, bundle: Bundle): BundleInput {
    const value = this.#declare(stem, bundled(bundle));
    this.#bundles.set(value.name, bundle);
    return { bundle, value, parts: emitUnbundled(this.#emit, bundle, value) };
  }

  /** Says what a state input is at the next step. */
  update(input: Value, next: Value): void {
    this.#next.set(input.name, next.name);
  }

  /** State inputs, each with the output that computes its next value. */
  get outputs(): ReadonlyMap<string, string> {
    return this.#next;
  }

  /** The first value of each. */
  get initial(): ReadonlyMap<string, HostTensor> {
    return this.#initial;
  }

  /** Inputs that hold constants of the network. */
  get bundleInputs(): readonly string[] {
    return [...this.#bundles.keys()];
  }

  /** The network's constants out of a state, by name. */
  unbundle(state: ReadonlyMap<string, HostTensor>): ReadonlyMap<string, HostTensor> {
    const constants = new Map<string, HostTensor>();
    for (const [input, bundle] of this.#bundles) {
      const tensor = state.get(input);
      if (tensor === undefined) continue;
      for (const [name, value] of unbundled(bundle, tensor)) constants.set(name, value);
    }
    return constants;
  }

  #declare(stem: string, initial: HostTensor): Value {
    const value = this.#emit.input(stem, initial.dtype, initial.shape);
    this.#initial.set(value.name, initial);
    return value;
  }
}
