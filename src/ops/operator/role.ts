/**
 * @file The role of an operator: what a node is to a pruning method and to a loss.
 *
 * Methods never compare operator types. They see every linear layer (convolutions and matrix products)
 * as one matrix [O, I, K] per group: outputs, inputs, kernel positions.
 */
import type { NotApplicable } from "./not-applicable.ts";

/** The attributes of a sliding window; `undefined` stands for 1 per axis (strides, dilations) or 0 (pads). */
export interface Window {
  readonly autoPad: "NOTSET" | "SAME_UPPER" | "SAME_LOWER" | "VALID";
  readonly kernel: readonly number[] | undefined;
  readonly strides: readonly number[] | undefined;
  readonly dilations: readonly number[] | undefined;
  /** The padding before each axis, then the padding behind each axis. */
  readonly pads: readonly number[] | undefined;
}

/** y[o] = Σ over i, k of W[o, i, k] x[i] at the place that tap k looks at, + b[o]. */
export interface LinearRole {
  readonly kind: "linear";
  /** Which input of the node holds the data, the weight and the bias. */
  readonly dataInput: number;
  readonly weightInput: number;
  /** A bias may be added there even where the node has none; `undefined` if the operator has none. */
  readonly biasInput: number | undefined;
  /** Axis of the data that is summed over, and of the output that holds the results; from the end if < 0. */
  readonly dataAxis: number;
  readonly resultAxis: number;
  readonly group: number;
  /** The stored weight and bias count this many times (Gemm's alpha and beta). */
  readonly weightFactor: number;
  readonly biasFactor: number;
  /** How the stored weight is laid out; `inOut` also for ConvTranspose's [I, O/group, ...k]. */
  readonly layout: "outIn" | "inOut";
  /** The sliding window, for convolutions only. */
  readonly window: Window | undefined;
  /** True when the window scatters from X to Y (ConvTranspose) rather than gathers. */
  readonly isTransposed: boolean;
}

/** y = (x - mean) / sqrt(variance + epsilon) · scale + bias along axis 1, all by input index. */
export interface BatchNormRole {
  readonly kind: "batch-norm";
  readonly dataInput: 0;
  readonly scaleInput: 1;
  readonly biasInput: 2;
  readonly meanInput: 3;
  readonly varianceInput: 4;
  readonly epsilon: number;
}

/**
 * The data normalised by statistics of the sample itself, whose scale and shift other nodes may hold: the
 * operator has none, or has them for groups of channels only.
 */
export interface SampleNormRole {
  readonly kind: "sample-norm";
}

/** A sum of two tensors with broadcasting: where one is constant, a bias. */
export interface AddRole {
  readonly kind: "add";
}

/** A product of two tensors with broadcasting, element by element. */
export interface ProductRole {
  readonly kind: "product";
}

/** Positions of the data along one axis, in the order of indices. */
export interface GatherRole {
  readonly kind: "gather";
  readonly dataInput: 0;
  readonly indicesInput: 1;
  /** From the end if < 0. */
  readonly axis: number;
}

/** The function that turns the scores at the end of a network into probabilities. */
export interface SquashingRole {
  readonly kind: "squashing";
  readonly squashing: "softmax" | "log-softmax" | "sigmoid";
  /** The axis of the classes; `undefined` where every score stands alone. From the end if < 0. */
  readonly axis: number | undefined;
  /** Whether all axes behind that one are classes, too. */
  readonly toEnd: boolean;
}

/**
 * How a node holds the elements of its first input: in their order, in another, or as means of neighbours, which are
 * probabilities where those are (but for the overshoot of mode cubic).
 */
export type Rearrangement = "in-order" | "transposed" | "interpolated";

/** The elements of the first input in another shape, order or resolution. */
export interface RearrangingRole {
  readonly kind: "rearranging";
  readonly how: Rearrangement;
  /** The input that holds the sizes of the output, element by element in the order of the data. */
  readonly sizesInput: number | undefined;
}

/** What a node computes, as far as methods and losses must know. */
export type Role =
  | LinearRole
  | BatchNormRole
  | SampleNormRole
  | AddRole
  | ProductRole
  | GatherRole
  | SquashingRole
  | RearrangingRole;

/** What an operator is to methods and losses: always the same, by its attributes, or nothing that they know. */
export type RoleFacet<A> = Role | ((attrs: A) => Role | NotApplicable) | NotApplicable;

/** The role of a layer: what {@link LinearRole} says of a matrix [O, I] in input 1, where `own` says nothing else. */
export function linearRole(own: Partial<LinearRole>): LinearRole {
  return {
    kind: "linear",
    dataInput: 0,
    weightInput: 1,
    biasInput: 2,
    dataAxis: 1,
    resultAxis: 1,
    group: 1,
    weightFactor: 1,
    biasFactor: 1,
    layout: "outIn",
    window: undefined,
    isTransposed: false,
    ...own,
  };
}

/** The role of an operator that holds the elements of its input in their order. */
export const inOrder: RearrangingRole = {
  kind: "rearranging",
  how: "in-order",
  sizesInput: undefined,
};

/** The `role` facet of operators that neither methods nor losses treat in a way of their own. */
export const noRole: NotApplicable = { none: "methods and losses take it as any other node" };
