/** @file The interpolation of Resize along one axis, as the matrix that it multiplies with. */
import type { AttributeReader } from "../operator/attributes.ts";
import { range } from "../operator/known.ts";

/** How Resize finds the elements between the elements. ONNX Resize, opset 19. */
export interface Interpolation {
  readonly mode: "nearest" | "linear" | "cubic";
  readonly coordinates: string;
  readonly nearestMode: string;
  readonly cubicCoefficient: number;
  readonly excludesOutside: boolean;
  readonly isAntialiased: boolean;
}

/** Reads the attributes. */
export function interpolationOf(raw: AttributeReader): Interpolation {
  const mode = raw.string("mode", "nearest");
  if (mode !== "nearest" && mode !== "linear" && mode !== "cubic")
    return raw.fail(`mode "${mode}" is not one of nearest, linear, cubic`);
  return {
    mode,
    coordinates: raw.string("coordinate_transformation_mode", "half_pixel"),
    nearestMode: raw.string("nearest_mode", "round_prefer_floor"),
    cubicCoefficient: raw.float("cubic_coeff_a", -0.75),
    excludesOutside: raw.int("exclude_outside", 0) !== 0,
    isAntialiased: raw.int("antialias", 0) !== 0,
  };
}

/** One axis that is resized. */
export interface ResizedAxis {
  readonly input: number;
  readonly output: number;
  /** The scale that the node gives, else output / input, as float32. */
  readonly scale: number;
  /** The part of the axis that tf_crop_and_resize looks at, in [0, 1]. */
  readonly crop: readonly [start: number, end: number];
}

/** An element of the input and its weight. */
type Weighted = readonly [position: number, weight: number];

/**
 * The matrix M [output, input] with Y = M X along the axis, row-major. Rows whose place lies outside
 * the cropped input, where Resize writes a constant, are zero.
 */
export function interpolationMatrix(how: Interpolation, axis: ResizedAxis): Float64Array {
  const matrix = new Float64Array(axis.output * axis.input);
  for (const k of range(axis.output))
    for (const [position, weight] of weightsAt(how, axis, k)) {
      const inside = Math.min(Math.max(position, 0), axis.input - 1);
      matrix[k * axis.input + inside] += weight;
    }
  return matrix;
}

/** The interpolation of Resize in mode linear with half pixels, and all else at its default. */
export const bilinear: Interpolation = {
  mode: "linear",
  coordinates: "half_pixel",
  nearestMode: "round_prefer_floor",
  cubicCoefficient: -0.75,
  excludesOutside: false,
  isAntialiased: false,
};

/** Two neighbours and their weights, for each element of the output. */
export interface Neighbours {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly lowWeight: Float32Array;
  readonly highWeight: Float32Array;
}

/**
 * Where each element of the output lies along an axis that goes from `input` to `output` elements, {@link bilinear}.
 * The last element is its own neighbour, and counts half as each of the two, which gives the rounding of onnxruntime.
 */
export function neighboursAlong(input: number, output: number): Neighbours {
  const axis = { input, output, scale: Math.fround(output / input), crop: [0, 1] } as const;
  const last = input - 1;
  const pairs = range(output).map((k) => {
    const [[low, weight]] = weightsAt(bilinear, axis, k);
    return low === last ? { low, high: last, weight: 0.5 } : { low, high: low + 1, weight };
  });
  return {
    low: Int32Array.from(pairs, ({ low }) => low),
    high: Int32Array.from(pairs, ({ high }) => high),
    lowWeight: Float32Array.from(pairs, ({ weight }) => weight),
    highWeight: Float32Array.from(pairs, ({ weight }) => 1 - weight),
  };
}

/** The element that each place takes in mode nearest without a crop; `undefined` otherwise. */
export function nearestPositions(
  how: Interpolation,
  axis: ResizedAxis,
): readonly number[] | undefined {
  if (how.mode !== "nearest" || how.coordinates === "tf_crop_and_resize") return undefined;
  return range(axis.output).map((k) => {
    const [[position]] = weightsAt(how, axis, k);
    return Math.min(Math.max(position, 0), axis.input - 1);
  });
}

function weightsAt(how: Interpolation, axis: ResizedAxis, k: number): readonly Weighted[] {
  const last = axis.input - 1;
  const x = placeOf(how, axis, k);
  const isCropped = how.coordinates === "tf_crop_and_resize";
  if (isCropped && (x < 0 || x > last)) return [];
  if (how.mode === "nearest") return [[nearest(how.nearestMode, x), 1]];
  if (how.isAntialiased && axis.scale < 1) return smoothed(how, axis, x);
  if (how.mode === "linear") {
    const inside = Math.min(Math.max(x, 0), last);
    const low = Math.floor(inside);
    return [
      [low, low + 1 - inside],
      [low + 1, inside - low],
    ];
  }
  const low = Math.floor(x);
  const taps = range(4, low - 1).map((p): Weighted => [p, cubic(how, p - x)]);
  return how.excludesOutside ? normalized(taps.filter(([p]) => p >= 0 && p <= last)) : taps;
}

/** The place of output element k on the input's axis, in float32 as runtimes compute it. */
function placeOf({ coordinates }: Interpolation, axis: ResizedAxis, k: number): number {
  const { input, output, scale, crop } = axis;
  const f = Math.fround;
  const halfPixel = () => f(f(f(k + 0.5) / scale) - 0.5);
  if (scale === 1 && coordinates !== "tf_crop_and_resize") return k;
  switch (coordinates) {
    case "asymmetric":
      return f(k / scale);
    case "align_corners":
      return output === 1 ? 0 : f(f(k * (input - 1)) / (output - 1));
    case "pytorch_half_pixel":
      return output > 1 ? halfPixel() : 0;
    case "tf_half_pixel_for_nn":
      return f(f(k + 0.5) / scale);
    case "half_pixel_symmetric": {
      const adjustment = f(output / f(scale * input));
      const offset = f((input / 2) * f(1 - adjustment));
      return f(f(offset + f(f(k + 0.5) / scale)) - 0.5);
    }
    case "tf_crop_and_resize": {
      const [start, end] = crop;
      if (output === 1) return f(0.5 * (start + end) * (input - 1));
      return f(f(start * (input - 1)) + f(f(k * (end - start) * (input - 1)) / (output - 1)));
    }
    default:
      return halfPixel();
  }
}

function nearest(mode: string, x: number): number {
  switch (mode) {
    case "floor":
      return Math.floor(x);
    case "ceil":
      return Math.ceil(x);
    case "round_prefer_ceil":
      return Math.floor(x + 0.5);
    default:
      return Math.ceil(x - 0.5);
  }
}

/** Antialiasing: the filter is as much wider as the output is smaller, and its weights add up to 1. */
function smoothed(how: Interpolation, axis: ResizedAxis, x: number): readonly Weighted[] {
  const { scale, input } = axis;
  const reach = (how.mode === "linear" ? 1 : 2) / scale;
  const from = Math.floor(x + 0.5 - reach + 0.5);
  const to = Math.floor(x + 0.5 + reach + 0.5);
  const filter = (d: number) =>
    how.mode === "linear" ? Math.max(0, 1 - Math.abs(d)) : cubic(how, d);
  const all = range(to - from, from).map((p): Weighted => [p, filter((p - x) * scale)]);
  return normalized(how.excludesOutside ? all.filter(([p]) => p >= 0 && p < input) : all);
}

function normalized(taps: readonly Weighted[]): readonly Weighted[] {
  const sum = taps.reduce((total, [, weight]) => total + weight, 0);
  return taps.map(([position, weight]): Weighted => [position, weight / sum]);
}

/** The cubic convolution kernel (Keys 1981) at a distance. */
function cubic({ cubicCoefficient: a }: Interpolation, distance: number): number {
  const d = Math.abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}
