/** @file Along which axes of one node's tensors dead channels hold something, and which sums that touches. */

import type { Node } from "../../ir/graph.ts";
import type { AtZero, TiedTensor } from "../../ops/operator/operator.ts";
import type { Layout } from "./layout.ts";
import {
  type Held,
  nothingRevived,
  type Revived,
  revivedByFormula,
  revivedElsewhere,
  revivedInView,
} from "./revival.ts";

/** The node, and what the session of its rule knows of the tensors. */
export interface RevivalStart {
  readonly node: Node;
  readonly inputs: readonly (
    | { readonly tensor: TiedTensor; readonly revived: Revived }
    | undefined
  )[];
  readonly layoutOf: (tensor: TiedTensor) => Layout;
  /** Whether any index of one axis goes with one of the other axis. */
  readonly isShared: (a: TiedTensor, axisOfA: number, b: TiedTensor, axisOfB: number) => boolean;
}

/** One axis that the node sums over. */
interface SummedAxis {
  readonly tensor: TiedTensor;
  readonly axis: number;
}

/** Collects what the rule of a node says of zeros; `settle` draws the conclusions for its outputs. */
export class NodeRevival {
  readonly #start: RevivalStart;
  readonly #inputs: readonly (TiedTensor | undefined)[];
  /** How outputs came about, where a rule said it: by a formula per element, or as a view. */
  readonly #formulas = new Map<
    TiedTensor,
    { readonly inputs: readonly TiedTensor[]; readonly atZero: AtZero }
  >();
  readonly #views = new Map<TiedTensor, TiedTensor>();
  readonly #revives = new Set<TiedTensor>();
  readonly #revived = new Map<TiedTensor, Revived>();
  readonly #sums: SummedAxis[] = [];

  constructor(start: RevivalStart) {
    this.#start = start;
    this.#inputs = start.inputs.map((input) => input?.tensor);
    for (const input of start.inputs) if (input) this.#revived.set(input.tensor, input.revived);
  }

  /** The output is computed from the inputs element by element. */
  formula(output: TiedTensor, inputs: readonly TiedTensor[], atZero: AtZero): void {
    this.#formulas.set(output, { inputs, atZero });
  }

  /** The output shows elements of the input. */
  view(output: TiedTensor, input: TiedTensor): void {
    this.#views.set(output, input);
  }

  /** Zeros in the inputs are not zeros in the output. */
  revives(output: TiedTensor): void {
    this.#revives.add(output);
  }

  /** The node sums over an axis. */
  sum(tensor: TiedTensor, axis: number): void {
    this.#sums.push({ tensor, axis });
  }

  /** Finds the revived axes of the outputs, whose layouts are known by now. */
  settle(outputs: readonly TiedTensor[]): void {
    for (const output of outputs) this.#revived.set(output, this.#revivedAxes(output));
  }

  /** The revived axes of an input or, once settled, of an output. */
  of(tensor: TiedTensor): Revived {
    return this.#revived.get(tensor) ?? nothingRevived;
  }

  /**
   * The sums that dead channels add to. A sum over an axis takes nothing from a dead channel if one of its factors
   * is 0 there: a weight that goes with the channel, or a tensor that is not revived.
   */
  *sumsThatCount(): Iterable<SummedAxis> {
    const { isShared } = this.#start;
    for (const { tensor, axis } of this.#sums) {
      if (!this.of(tensor).has(axis)) continue;
      const hasWeight = this.#inputs.some(
        (other) =>
          other?.isParameter && other.shape.some((_, at) => isShared(other, at, tensor, axis)),
      );
      const hasZeros = this.#sums.some(
        (other) =>
          other.tensor !== tensor &&
          !this.of(other.tensor).has(other.axis) &&
          isShared(other.tensor, other.axis, tensor, axis),
      );
      if (!hasWeight && !hasZeros) yield { tensor, axis };
    }
  }

  #revivedAxes(output: TiedTensor): Revived {
    const { node, layoutOf, isShared } = this.#start;
    const held = (tensor: TiedTensor): Held => {
      return { tensor, index: this.#inputs.indexOf(tensor), revived: this.of(tensor) };
    };
    const formula = this.#formulas.get(output);
    if (formula) {
      const inputs = formula.inputs.map(held);
      return revivedByFormula(node, output.shape, inputs, formula.atZero);
    }
    const seen = this.#views.get(output);
    if (seen) return revivedInView(layoutOf(output), layoutOf(seen), this.of(seen));
    return revivedElsewhere({
      node,
      shape: output.shape,
      inputs: this.#inputs.flatMap((input) => (input ? [held(input)] : [])),
      revives: this.#revives.has(output),
      isShared: (input, at, axis) => isShared(input, at, output, axis),
    });
  }
}
