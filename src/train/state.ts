/** @file The state of a training step: inputs whose next values the step itself computes. */
import type { GraphEmitter } from "../grad/emitter.ts";
import type { Value } from "../ops/gradient.ts";
import { type HostTensor, sizeOf } from "../tensor/host-tensor.ts";
import { emitUnpacked, type Pack, packed, unpacked } from "./packing.ts";

/** A pack of constants that became state. */
export interface PackInput {
  readonly pack: Pack;
  readonly value: Value;
  /** The constants, cut out of the pack, in its order. */
  readonly parts: readonly Value[];
}

/** Collects the state inputs of a step. All are float32. */
export class StateInputs {
  readonly #emit: GraphEmitter;
  readonly #next = new Map<string, string>();
  readonly #initial = new Map<string, HostTensor>();
  readonly #packs = new Map<string, Pack>();

  constructor(emit: GraphEmitter) {
    this.#emit = emit;
  }

  /** An input that starts as zeros. */
  zeros(stem: string, shape: readonly number[]): Value {
    return this.#declare(stem, { dtype: "float32", shape, data: new Float32Array(sizeOf(shape)) });
  }

  /** An input that holds constants of the network. */
  pack(stem: string, pack: Pack): PackInput {
    const value = this.#declare(stem, packed(pack));
    this.#packs.set(value.name, pack);
    return { pack, value, parts: emitUnpacked(this.#emit, pack, value) };
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
  get packInputs(): readonly string[] {
    return [...this.#packs.keys()];
  }

  /** The network's constants out of a state, by name. */
  unpack(state: ReadonlyMap<string, HostTensor>): ReadonlyMap<string, HostTensor> {
    const constants = new Map<string, HostTensor>();
    for (const [input, pack] of this.#packs) {
      const tensor = state.get(input);
      if (tensor === undefined) continue;
      for (const [name, value] of unpacked(pack, tensor)) constants.set(name, value);
    }
    return constants;
  }

  #declare(stem: string, initial: HostTensor): Value {
    const value = this.#emit.input(stem, initial.dtype, initial.shape);
    this.#initial.set(value.name, initial);
    return value;
  }
}
