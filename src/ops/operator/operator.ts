/**
 * @file What an operator is: one object that answers every question about it.
 *
 * Every facet is there for every operator; absence is a value with a reason. Code outside `ops/`
 * asks these facets and never compares an `opType`.
 */
import type { Attribute, Dim, Node, TensorType } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { AttributeReader } from "./attributes.ts";
import type { GradientRule } from "./gradient.ts";
import type { NotApplicable } from "./not-applicable.ts";
import type { RoleFacet } from "./role.ts";
import type { TrainingFacet } from "./training.ts";

/** An input of a node as shape inference sees it. */
export interface Operand {
  readonly type: TensorType;
  /** The elements, where they are known before the network runs (constants, shape arithmetic). */
  readonly value: HostTensor | undefined;
}

/** What shape inference may look at. */
export interface InferContext<A> {
  readonly attrs: A;
  readonly node: Node;
  /** `undefined` where the optional input is absent. */
  readonly inputs: readonly (Operand | undefined)[];
  /** Number of outputs that the node names. */
  readonly outputCount: number;
  /** The input at `index`, or a typed error that names node and input. */
  required(index: number): Operand;
  /** A fresh name for a size that cannot be known. */
  unknownDim(): Dim;
  /** Throws `MODEL_BAD_SHAPE`, naming the node. */
  fail(message: string): never;
}

/**
 * Computes outputs from known inputs; only for the small tensors of shape arithmetic. Called only
 * when the outputs' sizes are known and small; an input is `undefined` where it is absent or its
 * elements are not known. `inputTypes` serves operators that look at sizes alone, such as Shape.
 */
export type Fold<A> = (
  inputs: readonly (HostTensor | undefined)[],
  attrs: A,
  outputs: readonly TensorType[],
  inputTypes: readonly (TensorType | undefined)[],
) => readonly HostTensor[] | undefined;

/** A tensor as the channel-tie rules see it: every size is known. */
export interface TiedTensor {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The elements, where they are known before the network runs. */
  readonly value: HostTensor | undefined;
  /** True for a constant of the model (an initialiser or `Constant` node), of whatever size. */
  readonly isParameter: boolean;
}

/** Element ids along one axis: `ids[k]` names the unit that index k belongs to. */
export type Ids = Int32Array;

/**
 * Whether an elementwise output is 0 for certain where its inputs hold these numbers, in the order of
 * the inputs; `undefined` stands for a number that is not known.
 */
export type AtZero = (held: readonly (number | undefined)[]) => boolean;

/** The output is 0 where the first input is. */
export const staysZero: AtZero = ([x]) => x === 0;

/** The output may be anything where the inputs are 0. */
export const leavesZero: AtZero = () => false;

/**
 * The language in which an operator says which channels live and die together.
 *
 * Every index of every axis of every tensor has an element id; ids that must go together are united.
 * Outputs start without ids: a rule *defines* them axis by axis (from the ids of inputs, or as a
 * view), and what it does not define gets fresh ids of its own.
 *
 * The invariant to keep: removing the indices of a unit from every tensor must equal zeroing what
 * the contracting operators (`reads`) see of them.
 */
export interface Ties<A> {
  readonly attrs: A;
  readonly node: Node;
  /** `undefined` where the optional input is absent. */
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  input(index: number): TiedTensor;
  output(index?: number): TiedTensor;

  /** The ids along one axis. A split axis is cut to a rectangle first (ids unite as needed). */
  ids(tensor: TiedTensor, axis: number): Ids;
  /** Fresh ids, tied to nothing yet. */
  fresh(count: number): Ids;
  /** Gives an output's axis its ids. */
  define(output: TiedTensor, axis: number, ids: Ids): void;
  /** Unites index by index. Both have the same length. */
  unite(a: Ids, b: Ids): void;
  /** Unites all indices with each other. */
  uniteAll(ids: Ids): void;
  /** Nothing of `ids` may ever be removed, and this is why (a clause that a user reads). */
  fix(ids: Ids, reason: string): void;

  /**
   * This node sums over `axis` of `tensor`: a removed index contributes zero there, by the zeros of a
   * parameter that it is multiplied with, or because it holds 0; where neither is sure, the axis is
   * fixed. A call for a parameter beside an activation has no effect. In a product of constants alone, nothing that is
   * summed over may go.
   */
  reads(tensor: TiedTensor, axis: number): void;
  /** `axis` of this parameter makes channels (a filter axis). A call for an activation has no effect. */
  produces(tensor: TiedTensor, axis: number): void;

  /** The node adds up its inputs: the channels that branches share there are a residual stream. */
  stream(output: TiedTensor): void;

  /** Output is `input` in a new shape, same row-major order. */
  reshape(output: TiedTensor, input: TiedTensor): void;
  /** Output axis i is input axis `permutation[i]`. */
  transpose(output: TiedTensor, input: TiedTensor, permutation: readonly number[]): void;
  /** Output is `input` at `indices` along `axis`; all other axes as they are. */
  select(output: TiedTensor, input: TiedTensor, axis: number, indices: ArrayLike<number>): void;
  /** Output is `input` at one `index` along `axis`, which vanishes; all other axes as they are. */
  pick(output: TiedTensor, input: TiedTensor, axis: number, index: number): void;
  /**
   * Outputs have the broadcast shape of the inputs, and every element depends on the same place of
   * each input alone: all ids line up.
   */
  elementwise(outputs: readonly TiedTensor[], inputs: readonly TiedTensor[], atZero: AtZero): void;
  /**
   * What is 0 in the inputs is not 0 in this output. Elementwise outputs say so by `atZero`; all
   * others are taken to keep zeros, as sums, products, moves and windows do.
   */
  revives(output: TiedTensor): void;

  /**
   * Input `index` holds sizes: its element k is the size of axis `axes[k]` of `output` (-1 for an
   * element that sets no size that could change). The network stays exact when that axis gets
   * narrower, because the element is a constant that can be rewritten, or follows by itself;
   * else the axis is fixed.
   */
  sizesFrom(index: number, output: TiedTensor, axes: readonly number[]): void;
}

/** How widths changed, for `shrink`. */
export interface ShrinkContext<A> {
  readonly attrs: A;
  readonly node: Node;
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  /** The kept indices along one axis of an input or output of this node, ascending. */
  kept(tensor: TiedTensor, axis: number): readonly number[];
  /** The shape after removal. */
  shapeOf(tensor: TiedTensor): readonly number[];
}

/** What `shrink` asks for. Parameters that carry ids are cut without being asked. */
export interface Shrunk {
  /** Attributes to replace; `undefined` takes one away. */
  readonly attributes?: ReadonlyMap<string, Attribute | undefined>;
  /** Constant inputs to replace, by input index; an absent optional input may be added. */
  readonly inputs?: ReadonlyMap<number, HostTensor>;
  /** The node becomes `Gather(input, indices)` along `axis`, with these positions of the shrunk input. */
  readonly gather?: { readonly axis: number; readonly indices: readonly number[] };
  /** The only output is multiplied by this number behind the node. */
  readonly factor?: number;
}

/** Per-channel mean and variance of a tensor's elements over data and positions, by axis 1. */
export interface Moments {
  /** [C] */
  readonly mean: Float64Array;
  /** [C] */
  readonly variance: Float64Array;
  /** Set where the value is a function, place by place, of another one of the same shape. */
  readonly origin?: Origin;
}

/** The value that another one is a function of, place by place: what activations of several nodes start from. */
export interface Origin {
  /** Counts as Gaussian; has no origin itself. */
  readonly source: Moments;
  readonly f: (x: number, channel: number) => number;
  /** Whether f is linear, so that its values are Gaussian as well. */
  readonly isLinear: boolean;
  /** Where f has kinks. */
  readonly kinks: (channel: number) => readonly number[];
}

/** What the moment rules may look at. Statistics live on axis 1 of each tensor (axis 0 is the batch). */
export interface MomentContext<A> {
  readonly attrs: A;
  readonly node: Node;
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  /** Moments of an input, or `undefined` where they are unknown or it is a constant. They have no origin. */
  moments(index: number): Moments | undefined;
  /**
   * The moments of an input with their origin, for rules that work place by place and whose results may have one. Two
   * inputs are given as one object only where they hold the same elements in the same places.
   */
  elements(index: number): Moments | undefined;
  /** The elements of a constant input as numbers. */
  numbers(index: number): Float64Array | undefined;
}

/** By index along axis 1: what a channel holds at every place, or NaN where that depends on the data. */
export type ConstantChannels = Float64Array;

/** What the rules for constant channels may look at. Every output has an axis 1. */
export interface ConstantContext<A> {
  readonly attrs: A;
  readonly node: Node;
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  /** The constant channels of an input that is computed; `undefined` where nothing is known of it. */
  channels(index: number): ConstantChannels | undefined;
  /** An input that is a constant. */
  constant(index: number): HostTensor | undefined;
}

/** How gradients pass through an operator; `notDifferentiable` says why none does. */
export type GradientFacet<A = unknown> =
  | { readonly rule: GradientRule<A> }
  | { readonly notDifferentiable: string };

/** An operator of the canonical opset, whole. */
export interface Operator<A = unknown> {
  readonly opType: string;
  /** One line for `docs/ops.md`: what it computes, in the notation of the ONNX operator page. */
  readonly summary: string;
  readonly attributes: (raw: AttributeReader) => A;
  /** Types of all outputs. Throws `MODEL_BAD_SHAPE` where the inputs do not fit together. */
  readonly infer: (context: InferContext<A>) => readonly TensorType[];
  readonly fold: Fold<A> | NotApplicable;
  readonly ties: (ties: Ties<A>) => void;
  readonly shrink: ((context: ShrinkContext<A>) => Shrunk) | NotApplicable;
  /** Expected output statistics from input statistics (assuming Gaussian inputs), for data-free methods. */
  readonly moments:
    | ((context: MomentContext<A>) => readonly (Moments | undefined)[])
    | NotApplicable;
  /**
   * Multiply-accumulates for known shapes. Counted are the products of convolutions and matrices
   * alone, padding included and biases not, as papers and profilers do; all else counts 0.
   */
  readonly macs: (context: MacsContext<A>) => number;
  readonly gradient: GradientFacet<A>;
  /** What the operator is to pruning methods and losses, with the layout of its weight. */
  readonly role: RoleFacet<A>;
  /** Which inputs are trained, which hold running statistics, and how the operator runs in training. */
  readonly training: TrainingFacet<A>;
  /** What channels of the first output hold whatever the data, from such channels of the inputs. */
  readonly constantChannels:
    | ((context: ConstantContext<A>) => ConstantChannels | undefined)
    | NotApplicable;
  /**
   * Whether different inputs commonly give the same output (it saturates, rounds, compares, or answers
   * with indices), so that a fault before the node may not be seen behind it.
   */
  readonly hidesDifferences: boolean;
}

/** What the MAC rule may look at. */
export interface MacsContext<A> {
  readonly attrs: A;
  readonly inputs: readonly (readonly number[] | undefined)[];
  readonly outputs: readonly (readonly number[])[];
}

/** Declares an operator. The attribute type is inferred, so that all facets agree on it. */
export function defineOp<A>(operator: Operator<A>): Operator {
  // The registry holds operators of every attribute type; `attributes` of the same object makes
  // what its other facets receive, so erasing the type here is sound.
  return operator as unknown as Operator;
}

/** The `macs` facet of operators that multiply nothing or negligibly little. */
export const noMacs = (): number => 0;

/** The `shrink` facet of operators that hold no sizes of their own. */
export const followsInputs: NotApplicable = {
  none: "holds no sizes; its outputs follow its inputs",
};

/** The `moments` facet of operators through which no statistics are propagated. */
export const noMoments: NotApplicable = { none: "no closed form; statistics stop here" };

/** The `fold` facet of operators that never compute shapes. */
export const notFolded: NotApplicable = { none: "not part of shape arithmetic" };
