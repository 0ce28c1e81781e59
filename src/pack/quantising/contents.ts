/** @file The contents that a pack keeps of each tensor: its bits, or codes for a step or a codebook. */
import { EspalierError } from "../../errors.ts";
import type { StoredWeight } from "../../onnx/reading/stored-weights.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { log2 } from "../../tensor/elementary.ts";
import type { Geometry } from "../coding/geometry.ts";
import { largestNumber } from "../coding/number-code.ts";
import type { Content } from "./choose.ts";
import { codebookOf } from "./codebook.ts";
import type { ParameterKind } from "./parameters.ts";
import { keepBits, quantise, statisticsOfWeight, stepsAt, stepsTolerating } from "./quantise.ts";
import { type Worth, worthwhile } from "./worth.ts";

/** A tensor as it is, or with a short mantissa. */
type ExactContent = Extract<Content, { readonly kind: "exact" }>;

/** How to pack. Without options: uniform steps of about 8 bits, found without data. */
export interface PackOptions {
  /** Keep every bit of every tensor; the ONNX file that comes out is the one that went in. */
  readonly isLossless?: boolean | undefined;
  /**
   * Bits of a weight before entropy coding, in 1 .. 14: for all, or by the name of the constant. 2^bits
   * steps span ±4 root mean squares of an average weight. Biases, scales and statistics keep 4 bits more.
   * Default 8.
   */
  readonly bits?: number | ReadonlyMap<string, number> | undefined;
  /** Steps by the name of the constant; they win over `bits`, and may name vectors too. */
  readonly steps?: ReadonlyMap<string, number> | undefined;
  /**
   * How far off each weight's elements may be, relative to other weights, by the name of the constant: the
   * steps of those named become proportional to it, and keep their `bits` on average. A posterior gives
   * them (`posteriorTolerances`). Default: steps by size and spread of each weight.
   */
  readonly tolerances?: ReadonlyMap<string, number> | undefined;
  /** How much error² (in steps²) a bit is worth when codes are chosen. Default 0: nearest codes. */
  readonly lambda?: number | undefined;
  /**
   * A table per weight instead of uniform steps: at most this many values by k-means over what is not 0, and 0.
   * Every element takes the nearest, which may be 0.
   */
  readonly codebook?: number | undefined;
  /** A step per index of a weight's first axis, a power of two times the tensor's. Default false. */
  readonly hasRowSteps?: boolean | undefined;
}

/**
 * Bits that biases, scales and statistics keep, the leading one among them, beyond those of a weight: their
 * rounding is small beside that of the weights, and takes few bytes where weights take few.
 */
const vectorBitsMore = 4;

export function bytesIn(file: Uint8Array, { start, end }: StoredWeight): Uint8Array {
  return file.subarray(start, end);
}

export function exactContent({ dtype }: StoredWeight, bytes: Uint8Array): ExactContent {
  return { kind: "exact", bytes, isFloat: isFloat(dtype) };
}

/** The contents after quantisation, in the order of `weights`; as they are where that takes no more bytes. */
export function lossyContents(
  file: Uint8Array,
  weights: readonly StoredWeight[],
  kinds: ReadonlyMap<string, ParameterKind>,
  options: PackOptions,
): readonly Worth[] {
  requireOptions(options, kinds);
  const { steps, tolerances, lambda = 0, codebook, hasRowSteps = false } = options;
  const kindOf = ({ name = "" }: StoredWeight) => kinds.get(name);
  const valuesOf = (weight: StoredWeight) => new Float32Array(bytesIn(file, weight).slice().buffer);
  const quantised = weights.filter((weight) => kindOf(weight) === "weight");
  const statistics = quantised.map((weight) => statisticsOfWeight(valuesOf(weight)));
  const found = stepsTolerating(
    statistics,
    stepsAt(
      statistics,
      quantised.map(({ name = "" }) => bitsFor(name, options)),
    ),
    quantised.map(({ name = "" }) => tolerances?.get(name)),
  );
  const stepFor = new Map(quantised.map(({ name = "" }, i) => [name, found[i]]));
  const lossyContent = (weight: StoredWeight): Content => {
    const kind = kindOf(weight);
    const { name = "" } = weight;
    if (kind === undefined) return exactContent(weight, bytesIn(file, weight));
    const values = valuesOf(weight);
    const given = steps?.get(name);
    if (!values.every(Number.isFinite) || (kind === "vector" && given === undefined))
      return exactContent(weight, vectorBytes(values, bitsFor(name, options)));
    if (codebook !== undefined && given === undefined)
      return { kind: "table", ...codebookOf(values, codebook) };
    return stepped(
      values,
      geometryOf(weight),
      given ?? stepFor.get(name) ?? 1,
      lambda,
      hasRowSteps,
    );
  };
  return weights.map((weight) => {
    const exact = exactContent(weight, bytesIn(file, weight));
    if (kindOf(weight) === undefined) return { content: exact, isClose: false };
    return worthwhile(geometryOf(weight), lossyContent(weight), exact);
  });
}

/** Values with a short mantissa. */
function vectorBytes(values: Float32Array, weightBits: number): Uint8Array {
  const significant = Math.ceil(weightBits) + vectorBitsMore;
  return new Uint8Array(keepBits(values, significant - 1).buffer);
}

/** Codes for a step, which grows where a code would not fit. */
function stepped(
  values: Float32Array,
  geometry: Geometry,
  wanted: number,
  lambda: number,
  hasRowSteps: boolean,
): Content {
  const { rms, largest } = statisticsOfWeight(values);
  const step = Math.max(Math.fround(wanted), Math.fround(largest / (largestNumber - 1)), 2 ** -126);
  const rows = geometry.count / geometry.row;
  const shifts = hasRowSteps && rms > 0 && rows > 1 ? rowShifts(values, geometry, rms, step) : [];
  const stepOf = (row: number) =>
    shifts.length === 0 ? step : Math.fround(step * 2 ** shifts[row]);
  const codes = quantise(values, geometry.row, stepOf, lambda);
  return { kind: "steps", step, codes, shifts: Int16Array.from(shifts) };
}

/**
 * The power of two nearest to each row's share of the tensor's root mean square, from 1/16 to 4, or one with which
 * the row's largest element still has a code.
 */
function rowShifts(
  values: Float32Array,
  { count, row }: Geometry,
  rms: number,
  step: number,
): readonly number[] {
  return Array.from({ length: count / row }, (_, r) => {
    const own = statisticsOfWeight(values.subarray(r * row, (r + 1) * row));
    if (own.rms === 0) return 0;
    const least = Math.ceil(log2(own.largest / (step * (largestNumber - 1))));
    return Math.max(least, -4, Math.min(2, Math.round(log2(own.rms / rms))));
  });
}

function bitsFor(name: string, { bits = 8 }: PackOptions): number {
  return typeof bits === "number" ? bits : (bits.get(name) ?? 8);
}

function requireOptions(options: PackOptions, kinds: ReadonlyMap<string, ParameterKind>): void {
  const none = new Map<string, number>();
  const { bits = 8, steps = none, tolerances = none, lambda = 0, codebook = 256 } = options;
  const named = typeof bits === "number" ? [] : [...bits.keys()];
  const unknown = [...named, ...steps.keys(), ...tolerances.keys()].filter(
    (name) => !kinds.has(name),
  );
  const isIn = (value: number, least: number, most: number) => value >= least && value <= most;
  const problem =
    unknown.length > 0
      ? `The model has no parameter named ${unknown.map((name) => `"${name}"`).join(", ")}.`
      : !(typeof bits === "number" ? [bits] : [...bits.values()]).every((b) => isIn(b, 1, 14))
        ? "Bits of a weight are from 1 to 14."
        : ![...steps.values()].every((step) => isIn(step, 2 ** -126, 2 ** 100))
          ? "A step is a normal number above 0."
          : ![...tolerances.values()].every((width) => isIn(width, 2 ** -126, 2 ** 100))
            ? "What a weight tolerates is a normal number above 0."
            : !isIn(lambda, 0, 1e6)
              ? "lambda is a number from 0 to 1000000."
              : !(Number.isInteger(codebook) && isIn(codebook, 1, 4096))
                ? "A codebook has from 1 to 4096 values."
                : undefined;
  if (problem === undefined) return;
  throw new EspalierError("USAGE", problem, {
    hint: unknown.length > 0 ? "`inspect` lists the constants and their names." : undefined,
    data: { unknown },
  });
}

export function geometryOf({
  shape,
  dtype,
  start,
  end,
}: StoredWeight): Geometry & { width: number } {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const width = [1, 2, 4, 8].find((bytes) => bytes * size === end - start) ?? 1;
  // Types of less than a byte, and of more than eight, are seen as bytes.
  if (width * size !== end - start || /^complex/.test(dtype))
    return { count: end - start, row: end - start, kernel: 1, width: 1 };
  const row = shape.length < 2 ? size : size / shape[0];
  const kernel = shape.slice(2).reduce((product, dim) => product * dim, 1);
  return { count: size, row, kernel, width };
}
