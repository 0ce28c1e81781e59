/** @file The language of gradient rules: graph in, graph out, with every size known. */
import type { Attribute, Node } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** A value of the graph under construction. */
export interface Value {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Attributes as rules write them: whole numbers are ints, others floats (`{kind: "float"}` for 1.0). */
export type AttributeInit = Attribute | number | string | readonly number[];

/**
 * Adds nodes to a graph. Equal nodes are emitted once (nothing is computed twice), types are
 * inferred at once, and all operators are those of the canonical opset.
 */
export interface Emitter {
  /** A node with one output. `undefined` inputs are absent ones. */
  op(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes?: Readonly<Record<string, AttributeInit>>,
  ): Value;
  /** A node with several outputs; `false` stands for an output that is not wanted. */
  ops(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInit>>,
    wanted: readonly boolean[],
  ): readonly (Value | undefined)[];
  constant(tensor: HostTensor): Value;
  /** A rank-0 constant. */
  scalar(value: number, dtype?: DType): Value;
  /** An int64 vector: axes, sizes, pads. */
  ints(values: readonly number[]): Value;
  /** The elements, where they are known before the network runs. */
  known(value: Value): HostTensor | undefined;

  add(a: Value, b: Value): Value;
  sub(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  div(a: Value, b: Value): Value;
  neg(a: Value): Value;
  matmul(a: Value, b: Value): Value;
  transpose(x: Value, permutation: readonly number[]): Value;
  /** `x` itself where it has that shape already. */
  reshape(x: Value, shape: readonly number[]): Value;
  /** Sum over `axes`; `x` itself where there are none. */
  sum(x: Value, axes: readonly number[], keepDims?: boolean): Value;
  /** Broadcasts to `shape`; `x` itself where it has that shape already. */
  expand(x: Value, shape: readonly number[]): Value;
  /** `x` where the condition holds, else `y`. */
  where(condition: Value, x: Value, y: Value): Value;
  /** A tensor that holds one value everywhere. A tensor of one element is a constant in that shape. */
  filled(value: number, shape: readonly number[], dtype?: DType): Value;
}

/** What a gradient rule is given. */
export interface GradientContext<A> {
  readonly attrs: A;
  readonly node: Node;
  readonly emit: Emitter;
  /** `undefined` where the optional input is absent. */
  readonly inputs: readonly (Value | undefined)[];
  /** The node's own outputs, free to use; `undefined` where unnamed. */
  readonly outputs: readonly (Value | undefined)[];
  /** dLoss/dOutput; `undefined` for an output that the loss does not depend on. At least one is there. */
  readonly dy: readonly (Value | undefined)[];
  /** Whether the gradient of this input is needed. Rules must not emit gradients that are not. */
  needs(index: number): boolean;
  /** The input at `index`, which the operator requires. */
  input(index: number): Value;
  /** The first output. */
  output(): Value;
  /** dLoss/dOutput of an operator of one output. */
  gradient(): Value;
}

/** Gives dLoss/dInput for every input that is needed (`undefined` elsewhere, or where it is zero). */
export type GradientRule<A> = (context: GradientContext<A>) => readonly (Value | undefined)[];

/**
 * The gradient of an input that was broadcast: `dy` summed over the axes along which `target` was
 * repeated, in `target`'s shape.
 */
export function unbroadcast(emit: Emitter, dy: Value, target: readonly number[]): Value {
  const lead = dy.shape.length - target.length;
  const isRepeated = (axis: number) => target[axis - lead] === 1 && dy.shape[axis] !== 1;
  const axes = [...dy.shape.keys()].filter((axis) => axis < lead || isRepeated(axis));
  const keepDims = axes.some((axis) => axis >= lead);
  return emit.reshape(emit.sum(dy, axes, keepDims), target);
}

/** Σ over all axes but the channels (axis 1): first the positions, which lie together. */
export function channelSum(emit: Emitter, x: Value): Value {
  const positions = [...x.shape.keys()].slice(2);
  return emit.sum(emit.sum(x, positions), [0]);
}
