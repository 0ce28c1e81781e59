/** @file A linear layer as a matrix [O, I, K]: its weight in that form and back, and what its window sees of a map. */
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import type { LinearRole } from "./role.ts";

/** A linear layer's weight, whatever its stored layout. */
export interface LinearWeight {
  /** The number of outputs, over all groups. */
  readonly outputs: number;
  /** The number of inputs of one output, which are those of its group. */
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
  if (role.layout === "outIn" && role.weightFactor === 1)
    return tensorOf(old.dtype, old.shape, values);
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
