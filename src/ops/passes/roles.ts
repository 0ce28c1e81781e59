/**
 * @file What a node is to a pruning method: a linear layer, batch normalization, or something else.
 *
 * Methods may not compare operator types; they ask `roleOf`, and see every linear layer (Conv,
 * ConvTranspose, Gemm, MatMul) as one matrix [O, I, K] per group: outputs, inputs, kernel positions.
 */
import type { Node } from "../../ir/graph.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { attributesOf } from "../operator/attributes.ts";
import { type Window, windowAttributes } from "../windows/window.ts";

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

/** What a node computes, as far as methods must know. */
export type Role =
  | LinearRole
  | BatchNormRole
  | AddRole
  | ProductRole
  | GatherRole
  | { readonly kind: "other" };

const plain = {
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
} as const;

/** The role of a node. Whether a linear layer's weight is constant, the graph must tell. */
export function roleOf(node: Node): Role {
  if (node.domain !== "") return { kind: "other" };
  const raw = attributesOf(node);
  switch (node.opType) {
    case "Conv":
      return { ...plain, group: raw.int("group", 1), window: windowAttributes(raw) };
    case "ConvTranspose":
      // An explicit output_shape moves the pads; leave such layers alone.
      if (raw.has("output_shape")) return { kind: "other" };
      return {
        ...plain,
        group: raw.int("group", 1),
        layout: "inOut",
        window: windowAttributes(raw),
        isTransposed: true,
      };
    case "Gemm":
      if (raw.int("transA", 0) !== 0) return { kind: "other" };
      return {
        ...plain,
        weightFactor: raw.float("alpha", 1),
        biasFactor: raw.float("beta", 1),
        layout: raw.int("transB", 0) !== 0 ? "outIn" : "inOut",
      };
    case "MatMul":
      return { ...plain, biasInput: undefined, layout: "inOut", dataAxis: -1, resultAxis: -1 };
    case "Add":
      return { kind: "add" };
    case "Mul":
      return { kind: "product" };
    case "Gather":
      return { kind: "gather", dataInput: 0, indicesInput: 1, axis: raw.int("axis", 0) };
    case "BatchNormalization":
      if (raw.int("training_mode", 0) !== 0) return { kind: "other" };
      return {
        kind: "batch-norm",
        dataInput: 0,
        scaleInput: 1,
        biasInput: 2,
        meanInput: 3,
        varianceInput: 4,
        epsilon: raw.float("epsilon", 1e-5),
      };
    default:
      return { kind: "other" };
  }
}

/** A linear layer's weight, whatever its stored layout. */
export interface LinearWeight {
  /** Over all groups. */
  readonly outputs: number;
  /** Inputs of one output: those of its group. */
  readonly inputs: number;
  readonly taps: number;
  readonly group: number;
  /** [O, I, K], the weight factor included. */
  readonly values: Float64Array;
}

/** The channel of the data that input `i` of output `o` is. */
export function channelOf(weight: LinearWeight, o: number, i: number): number {
  return Math.floor((o * weight.group) / weight.outputs) * weight.inputs + i;
}

/** The weight as [O, I, K]. A MatMul's weight must be a matrix. */
export function weightOf(role: LinearRole, stored: HostTensor): LinearWeight {
  const dims = weightDims(role, stored.shape);
  const numbers = toNumbers(stored);
  if (role.layout === "outIn" && role.weightFactor === 1) return { ...dims, values: numbers };
  const values = new Float64Array(numbers.length);
  eachWeight(role, dims, (from, to) => {
    values[to] = numbers[from] * role.weightFactor;
  });
  return { ...dims, values };
}

/** The stored form of new values [O, I, K] for a weight. */
export function storedWeight(
  role: LinearRole,
  old: Pick<HostTensor, "dtype" | "shape">,
  values: Float64Array,
): HostTensor {
  const numbers = new Float64Array(values.length);
  eachWeight(role, weightDims(role, old.shape), (stored, at) => {
    numbers[stored] = values[at] / role.weightFactor;
  });
  return tensorOf(old.dtype, old.shape, numbers);
}

function weightDims(role: LinearRole, shape: readonly number[]): Omit<LinearWeight, "values"> {
  const { group, layout } = role;
  const taps = sizeOf(shape.slice(2));
  return layout === "outIn"
    ? { outputs: shape[0], inputs: shape[1], taps, group }
    : { outputs: shape[1] * group, inputs: shape[0] / group, taps, group };
}

/** Visits every weight: its place as stored, and in [O, I, K]. */
function eachWeight(
  { layout }: LinearRole,
  { outputs, inputs, taps, group }: Omit<LinearWeight, "values">,
  visit: (stored: number, at: number) => void,
): void {
  const perGroup = outputs / group;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      const row = Math.floor(o / perGroup) * inputs + i;
      const pair = layout === "outIn" ? o * inputs + i : row * perGroup + (o % perGroup);
      for (let k = 0; k < taps; k++) visit(pair * taps + k, (o * inputs + i) * taps + k);
    }
  }
}

/** One spatial axis of a convolution, every default filled in. */
export interface SlidingAxis {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before the first position (negative where the input is cropped). */
  readonly before: number;
  readonly input: number;
  readonly output: number;
}

/** The spatial axes of a convolution between tensors of these shapes; none for a matrix product. */
export function slidingAxes(
  { window, isTransposed }: LinearRole,
  shapes: {
    readonly data: readonly number[];
    readonly weight: readonly number[];
    readonly result: readonly number[];
  },
): readonly SlidingAxis[] {
  if (window === undefined) return [];
  return shapes.weight.slice(2).map((kernel, axis) => {
    const stride = window.strides?.[axis] ?? 1;
    const dilation = window.dilations?.[axis] ?? 1;
    const [input, output] = [shapes.data[axis + 2], shapes.result[axis + 2]];
    const extent = dilation * (kernel - 1) + 1;
    const [narrow, wide] = isTransposed ? [input, output] : [output, input];
    const padding = Math.max(0, (narrow - 1) * stride + extent - wide);
    const before =
      window.autoPad === "SAME_UPPER"
        ? Math.floor(padding / 2)
        : window.autoPad === "SAME_LOWER"
          ? Math.ceil(padding / 2)
          : window.autoPad === "VALID"
            ? 0
            : (window.pads?.[axis] ?? 0);
    return { kernel, stride, dilation, before, input, output };
  });
}

/**
 * For each tap, the share of output positions at which it looks inside the map (in a transposed
 * convolution: to which it contributes): what zero padding leaves of a constant input. [K]
 */
export function tapShares(role: LinearRole, axes: readonly SlidingAxis[]): Float64Array {
  let shares = Float64Array.of(1);
  for (const axis of axes) {
    const own = Array.from({ length: axis.kernel }, (_, tap) => {
      let inside = 0;
      const [steps, limit] = role.isTransposed
        ? [axis.input, axis.output]
        : [axis.output, axis.input];
      for (let step = 0; step < steps; step++) {
        const at = step * axis.stride + tap * axis.dilation - axis.before;
        if (at >= 0 && at < limit) inside++;
      }
      return inside / axis.output;
    });
    shares = Float64Array.from([...shares].flatMap((outer) => own.map((share) => outer * share)));
  }
  return shares;
}

/** The function that turns the scores at the end of a network into probabilities. */
export interface SquashingRole {
  readonly kind: "softmax" | "log-softmax" | "sigmoid";
  /** The axis of the classes; `undefined` where every score stands alone. From the end if < 0. */
  readonly axis: number | undefined;
  /** Whether all axes behind that one are classes, too. */
  readonly toEnd: boolean;
}

const squashing: Readonly<Record<string, SquashingRole["kind"]>> = {
  Softmax: "softmax",
  LogSoftmax: "log-softmax",
  Sigmoid: "sigmoid",
};

const rearranging: Readonly<Record<string, Rearrangement>> = {
  Identity: "in-order",
  Reshape: "in-order",
  Flatten: "in-order",
  Squeeze: "in-order",
  Unsqueeze: "in-order",
  Transpose: "transposed",
  Resize: "interpolated",
};

/**
 * How a node holds the elements of its first input: in their order, in another, or as means of neighbours, which are
 * probabilities where those are (but for the overshoot of mode cubic).
 */
export type Rearrangement = "in-order" | "transposed" | "interpolated";

/** How a node holds the elements of its first input, if it does. */
export function rearrangementOf({ domain, opType }: Node): Rearrangement | undefined {
  return domain === "" ? rearranging[opType] : undefined;
}

/** What a node is to a loss, if it squashes scores. */
export function squashingOf(node: Node): SquashingRole | undefined {
  const kind = node.domain === "" ? squashing[node.opType] : undefined;
  if (kind === undefined) return undefined;
  if (kind === "sigmoid") return { kind, axis: undefined, toEnd: false };
  const raw = attributesOf(node);
  const toEnd = raw.int("flatten", 0) === 1;
  return { kind, axis: raw.int("axis", toEnd ? 1 : -1), toEnd };
}
