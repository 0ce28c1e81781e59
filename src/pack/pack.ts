/** @file `pack`: a model as a file many times smaller, and the very model that will come out of it. */
import { assert, EspalierError } from "../errors.ts";
import { type Model, readModel } from "../onnx/read.ts";
import { type StoredWeight, storedWeights } from "../onnx/stored-weights.ts";
import { concatBytes, writeModel } from "../onnx/write.ts";
import { isFloat } from "../tensor/dtype.ts";
import { type Choice, type Content, type Draft, sumOf } from "./choose.ts";
import { codebookOf } from "./codebook.ts";
import type { Geometry } from "./geometry.ts";
import { largestNumber } from "./number-code.ts";
import { type ParameterKind, parameterKinds } from "./parameters.ts";
import { keepBits, quantise, statisticsOfWeight, stepsAt } from "./quantise.ts";
import { elementsOf } from "./tensor-code.ts";
import { writePack } from "./write-pack.ts";

/** How to pack. Without options: uniform steps of about 8 bits, found without data. */
export interface PackOptions {
  /** Keep every bit of every tensor; the ONNX file that comes out is the one that went in. */
  readonly isLossless?: boolean;
  /**
   * Bits of a weight before entropy coding, in 1 .. 14: for all, or by the name of the constant. 2^bits
   * steps span ±4 root mean squares of an average weight. Default 8.
   */
  readonly bits?: number | ReadonlyMap<string, number>;
  /** Steps by the name of the constant; they win over `bits`, and may name vectors too. */
  readonly steps?: ReadonlyMap<string, number>;
  /** How much error² (in steps²) a bit is worth when codes are chosen. Default 0: nearest codes. */
  readonly lambda?: number;
  /** A table of at most this many values per weight, by k-means, instead of uniform steps. */
  readonly codebook?: number;
  /** A step per index of a weight's first axis, a power of two times the tensor's. Default false. */
  readonly hasRowSteps?: boolean;
}

/** One tensor of a pack. */
export interface PackedTensor {
  /** The constant's name; `undefined` for a tensor in an attribute or subgraph. */
  readonly name: string | undefined;
  readonly shape: readonly number[];
  /** How its support and its values are coded. */
  readonly support: Choice["entry"]["support"];
  readonly values: Choice["entry"]["values"];
  /** The step of its codes; `undefined` where there is none. */
  readonly step: number | undefined;
  /** Share of elements that are not zero. */
  readonly density: number;
  readonly bytesBefore: number;
  /** Bytes in the pack, as a share of its section: not always whole. */
  readonly bytesAfter: number;
}

/** Bytes of a pack by what they are for. They add up to `bytesAfter`. */
export interface PackedParts {
  /** The network without its tensors, and the directory of the pack. */
  readonly structure: number;
  /** Which elements are not zero. */
  readonly supports: number;
  readonly codes: number;
  /** Codebooks and steps of rows. */
  readonly tables: number;
  /** Header, lengths, checksums. */
  readonly framing: number;
}

/** A packed model. */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The ONNX file that `unpack` gives back, byte for byte. Measure this one. */
  readonly unpacked: Uint8Array<ArrayBuffer>;
  /** Bytes of the model, external data included, and of the pack; `ratio` is their quotient. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  readonly ratio: number;
  /** Bits of the whole pack per element of its tensors; 0 where it has none. */
  readonly bitsPerWeight: number;
  readonly parts: PackedParts;
  readonly tensors: readonly PackedTensor[];
}

/** Smaller tensors stay in the structure. */
const leastBytes = 32;
/** A section ends with the tensor that makes it this long, unpacked. */
const sectionBytes = 2 ** 20;
/** Bits behind the leading one that biases, scales and statistics keep. */
const vectorMantissa = 11;

/**
 * Packs a model. External data goes into the pack, which holds one file.
 *
 * Errors: `MODEL_TOO_LARGE` above 2 GB; `USAGE` for options that are out of range, or name no parameter.
 */
export function pack(model: Model, options: PackOptions = {}): Packed {
  const written = writeModel(model);
  if (written.external !== undefined)
    throw new EspalierError("MODEL_TOO_LARGE", "The model does not fit into one file of 2 GB.");
  const file = concatBytes(written);
  const weights = storedWeights(file, leastBytes);
  const contents = options.isLossless
    ? weights.map((weight) => exact(weight, bytesIn(file, weight)))
    : lossy(file, weights, parameterKinds(readModel(file).graph), options);
  const { structure, drafts } = splitFile(file, weights, contents);
  const { bytes, structureBytes, choices } = writePack(structure, drafts, file.length);
  return {
    ...figuresOf(model, bytes, weights, choices, structureBytes),
    unpacked: rebuilt(file, weights, choices),
  };
}

function bytesIn(file: Uint8Array, { start, end }: StoredWeight): Uint8Array {
  return file.subarray(start, end);
}

function exact({ dtype }: StoredWeight, bytes: Uint8Array): Content {
  return { kind: "exact", bytes, isFloat: isFloat(dtype) };
}

/** The contents after quantisation, in the order of `weights`. */
function lossy(
  file: Uint8Array,
  weights: readonly StoredWeight[],
  kinds: ReadonlyMap<string, ParameterKind>,
  options: PackOptions,
): readonly Content[] {
  requireOptions(options, kinds);
  const { steps, lambda = 0, codebook, hasRowSteps = false } = options;
  const kindOf = ({ name = "" }: StoredWeight) => kinds.get(name);
  const valuesOf = (weight: StoredWeight) => new Float32Array(bytesIn(file, weight).slice().buffer);
  const quantised = weights.filter((weight) => kindOf(weight) === "weight");
  const found = stepsAt(
    quantised.map((weight) => statisticsOfWeight(valuesOf(weight))),
    quantised.map(({ name = "" }) => bitsFor(name, options)),
  );
  const stepFor = new Map(quantised.map(({ name = "" }, i) => [name, found[i]]));
  return weights.map((weight) => {
    const kind = kindOf(weight);
    const { name = "" } = weight;
    if (kind === undefined) return exact(weight, bytesIn(file, weight));
    const values = valuesOf(weight);
    const given = steps?.get(name);
    if (!values.every(Number.isFinite) || (kind === "vector" && given === undefined))
      return exact(weight, new Uint8Array(keepBits(values, vectorMantissa).buffer));
    if (codebook !== undefined && given === undefined)
      return { kind: "table", ...codebookOf(values, codebook) };
    return stepped(
      values,
      geometryOf(weight),
      given ?? stepFor.get(name) ?? 1,
      lambda,
      hasRowSteps,
    );
  });
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
  const shifts = hasRowSteps && rms > 0 && rows > 1 ? rowShifts(values, geometry, rms) : [];
  const stepOf = (row: number) =>
    shifts.length === 0 ? step : Math.fround(step * 2 ** shifts[row]);
  const codes = quantise(values, geometry.row, stepOf, lambda);
  return { kind: "steps", step, codes, shifts: Int32Array.from(shifts) };
}

/** The power of two nearest to each row's share of the tensor's root mean square, from 1/16 to 4. */
function rowShifts(values: Float32Array, { count, row }: Geometry, rms: number): readonly number[] {
  return Array.from({ length: count / row }, (_, r) => {
    const own = statisticsOfWeight(values.subarray(r * row, (r + 1) * row)).rms;
    return own === 0 ? 0 : Math.max(-4, Math.min(2, Math.round(Math.log2(own / rms))));
  });
}

function bitsFor(name: string, { bits = 8 }: PackOptions): number {
  return typeof bits === "number" ? bits : (bits.get(name) ?? 8);
}

function requireOptions(options: PackOptions, kinds: ReadonlyMap<string, ParameterKind>): void {
  const { bits = 8, steps = new Map<string, number>(), lambda = 0, codebook = 256 } = options;
  const named = typeof bits === "number" ? [] : [...bits.keys()];
  const unknown = [...named, ...steps.keys()].filter((name) => !kinds.has(name));
  const isIn = (value: number, least: number, most: number) => value >= least && value <= most;
  const problem =
    unknown.length > 0
      ? `The model has no parameter named ${unknown.map((name) => `"${name}"`).join(", ")}.`
      : !(typeof bits === "number" ? [bits] : [...bits.values()]).every((b) => isIn(b, 1, 14))
        ? "Bits are from 1 to 14."
        : ![...steps.values()].every((step) => isIn(step, 2 ** -126, 2 ** 100))
          ? "A step is a normal number above 0."
          : !isIn(lambda, 0, 1e6)
            ? "lambda is a number of at least 0."
            : !(Number.isInteger(codebook) && isIn(codebook, 1, 4096))
              ? "A codebook has from 1 to 4096 values."
              : undefined;
  if (problem === undefined) return;
  throw new EspalierError("USAGE", problem, {
    hint: "`inspect` lists the constants and their names.",
    data: { unknown },
  });
}

function geometryOf({ shape, dtype, start, end }: StoredWeight): Geometry & { width: number } {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const width = [1, 2, 4, 8].find((bytes) => bytes * size === end - start) ?? 1;
  // Types of less than a byte, and of more than eight, are seen as bytes.
  if (width * size !== end - start || /^complex/.test(dtype))
    return { count: end - start, row: end - start, kernel: 1, width: 1 };
  const row = shape.length < 2 ? size : size / shape[0];
  const kernel = shape.slice(2).reduce((product, dim) => product * dim, 1);
  return { count: size, row, kernel, width };
}

/** The file without its tensors, and each tensor with its place. */
function splitFile(
  file: Uint8Array,
  weights: readonly StoredWeight[],
  contents: readonly Content[],
): { readonly structure: Uint8Array; readonly drafts: readonly Draft[] } {
  const pieces: Uint8Array[] = [];
  const drafts: Draft[] = [];
  let at = 0;
  let filled = sectionBytes;
  for (const [i, weight] of weights.entries()) {
    pieces.push(file.subarray(at, weight.start));
    const beginsSection = filled >= sectionBytes;
    if (beginsSection) filled = 0;
    filled += weight.end - weight.start;
    drafts.push({
      ...geometryOf(weight),
      gap: weight.start - at,
      beginsSection,
      content: contents[i],
    });
    at = weight.end;
  }
  pieces.push(file.subarray(at));
  return { structure: concatBytes(pieces), drafts };
}

/** The file with every tensor as the decoder will build it: from its codes, by the same function. */
function rebuilt(
  file: Uint8Array,
  weights: readonly StoredWeight[],
  choices: readonly Choice[],
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(file);
  for (const [i, { start, end }] of weights.entries()) {
    const elements = elementsOf(choices[i].entry, choices[i].parts);
    assert(elements.length === end - start, "a tensor keeps its size");
    out.set(elements, start);
  }
  return out;
}

function figuresOf(
  model: Model,
  bytes: Uint8Array<ArrayBuffer>,
  weights: readonly StoredWeight[],
  choices: readonly Choice[],
  structure: number,
): Omit<Packed, "unpacked"> {
  const sum = (of: (choice: Choice) => number) =>
    choices.reduce((total, c) => total + of(c), 0) / 8;
  const supports = sum(({ cost }) => cost.support);
  const codes = sum(({ cost }) => cost.codes);
  const tables = sum(({ cost }) => cost.tables);
  const elements = choices.reduce((total, { entry }) => total + entry.count, 0);
  const framing = bytes.length - structure - supports - codes - tables;
  return {
    bytes,
    bytesBefore: model.sizeBytes,
    bytesAfter: bytes.length,
    ratio: model.sizeBytes / bytes.length,
    bitsPerWeight: elements === 0 ? 0 : (8 * bytes.length) / elements,
    parts: { structure, supports, codes, tables, framing },
    tensors: weights.map(({ name, shape, start, end }, i) => {
      const { entry, parts, cost } = choices[i];
      return {
        name,
        shape,
        support: entry.support,
        values: entry.values,
        step: entry.values === "steps" ? entry.step : undefined,
        density: densityOf(parts.mask ?? parts.numbers),
        bytesBefore: end - start,
        bytesAfter: sumOf(cost) / 8,
      };
    }),
  };
}

function densityOf(values: ArrayLike<number>): number {
  if (values.length === 0) return 1;
  let count = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) count++;
  return count / values.length;
}
