/** @file `pack`: a model as a file many times smaller, and the very model that will come out of it. */
import { assert, EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../onnx/model.ts";
import { readModel } from "../onnx/reading/read.ts";
import { type StoredWeight, storedWeights } from "../onnx/reading/stored-weights.ts";
import { concatBytes, writeModel } from "../onnx/writing/write.ts";
import { atOnce, inTurns, type StepOptions, type Steps } from "../tensor/steps.ts";
import type { SupportForm } from "./coding/support-code.ts";
import { leastTensor } from "./file/container.ts";
import type { ValueForm } from "./file/directory.ts";
import { elementsOf } from "./file/tensor-code.ts";
import { type Choice, type Content, type Draft, simplest, sumOf } from "./quantising/choose.ts";
import {
  bytesIn,
  exactContent,
  geometryOf,
  lossyContents,
  type PackOptions,
} from "./quantising/contents.ts";
import { parameterKinds } from "./quantising/parameters.ts";
import { type WrittenPack, writePack } from "./write-pack.ts";

/** One tensor of a pack. */
export interface PackedTensor {
  /** The constant's name; `undefined` for a tensor in an attribute or subgraph. */
  readonly name: string | undefined;
  readonly shape: readonly number[];
  /** The coding of its support and its values. */
  readonly support: SupportForm;
  readonly values: ValueForm;
  /** The step of its codes; `undefined` where there is none. */
  readonly step: number | undefined;
  /** Share of elements that are not zero. */
  readonly density: number;
  readonly bytesBefore: number;
  /** Bytes in the pack, as a share of its section: not always whole. */
  readonly bytesAfter: number;
  /** The bytes by what they are for. */
  readonly parts: Pick<PackedParts, "supports" | "codes" | "tables">;
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

/** A section ends with the tensor that makes it this long, unpacked. */
const sectionBytes = 2 ** 20;

/**
 * Packs a model. External data goes into the pack, which holds one file. A pack is never larger than one
 * that keeps every bit: each tensor is quantised only where that saves bytes, and none where it saves none.
 *
 * Errors: `MODEL_TOO_LARGE` above 2 GB; `USAGE` for options that are out of range, or name no parameter.
 */
export function pack(model: Model, options: PackOptions = {}): Packed {
  return atOnce(packSteps(model, options));
}

/** What `packAsync` is asked for. */
export interface PackAsyncOptions extends PackOptions, StepOptions {}

/**
 * As {@link pack}, with the same bytes, and a turn of the event loop before each tensor: a page or a worker stays
 * alive, hears of progress and can stop it. Errors: as `pack`, and `ABORTED`.
 */
export async function packAsync(model: Model, options: PackAsyncOptions = {}): Promise<Packed> {
  return inTurns(packSteps(model, options), options);
}

function* packSteps(model: Model, options: PackOptions): Steps<Packed> {
  yield { step: "quantising", done: 0, total: 1 };
  const { file, weights, contents, isClose } = contentsOf(model, options);
  const writtenWith = (all: readonly Content[]) => {
    const { structure, drafts } = splitFile(file, weights, all);
    return writePack(structure, drafts, file.length);
  };
  const lossy = yield* writtenWith(contents);
  const whole = isClose ? yield* writtenWith(exactContents(file, weights)) : lossy;
  const written = whole.bytes.length <= lossy.bytes.length ? whole : lossy;
  const { bytes, choices } = written;
  const unpacked = rebuilt(file, weights, choices);
  return { bytes, unpacked, ...figuresOf(model, weights, written, unpacked) };
}

/**
 * The ONNX file that would come out of the pack, without packing: much faster, for trying options.
 * Errors as {@link pack}.
 */
export function quantised(model: Model, options: PackOptions = {}): Uint8Array<ArrayBuffer> {
  const { file, weights, contents } = contentsOf(model, options);
  const { drafts } = splitFile(file, weights, contents);
  return rebuilt(file, weights, drafts.map(simplest));
}

/** Codes of a weight: for a step, or places in a table. */
export type WeightCodes = Exclude<Content, { readonly kind: "exact" }>;

/**
 * The codes that a pack would hold, by the name of the weight. What is kept as it is, or only shortened,
 * is not among them. Errors as {@link pack}.
 */
export function codesOf(model: Model, options: PackOptions = {}): ReadonlyMap<string, WeightCodes> {
  const { weights, contents } = contentsOf(model, options);
  const codes = new Map<string, WeightCodes>();
  for (const [i, { name = "" }] of weights.entries()) {
    const content = contents[i];
    if (content.kind !== "exact") codes.set(name, content);
  }
  return codes;
}

interface Contents {
  /** The model in one file. */
  readonly file: Uint8Array;
  readonly weights: readonly StoredWeight[];
  /** The contents that the pack keeps of each weight. */
  readonly contents: readonly Content[];
  /** Whether a pack that keeps every bit may be as small. */
  readonly isClose: boolean;
}

function contentsOf(model: Model, options: PackOptions): Contents {
  const file = options.isLossless ? inOneFile(model, model.graph) : quantisableFile(model);
  const weights = storedWeights(file, leastTensor);
  if (options.isLossless)
    return { file, weights, contents: exactContents(file, weights), isClose: false };
  const found = lossyContents(file, weights, parameterKinds(readModel(file).graph), options);
  return {
    file,
    weights,
    contents: found.map(({ content }) => content),
    isClose: found.some((one) => one.isClose),
  };
}

/**
 * The file whose weights are quantised: as it is, or written out where it does not hold the weights that its
 * layers read, but computes them.
 */
function quantisableFile(model: Model): Uint8Array<ArrayBuffer> {
  const file = inOneFile(model, model.graph);
  const stored = new Set(storedWeights(file, 0).map(({ name }) => name));
  const isStored = [...parameterKinds(model.graph).keys()].every((name) => stored.has(name));
  return isStored ? file : inOneFile(model, { ...model.graph });
}

function inOneFile(model: Model, graph: Graph): Uint8Array<ArrayBuffer> {
  const written = writeModel(model, graph);
  if (written.external === undefined) return concatBytes(written);
  throw new EspalierError("MODEL_TOO_LARGE", "The model does not fit into one file of 2 GB.");
}

function exactContents(file: Uint8Array, weights: readonly StoredWeight[]): readonly Content[] {
  return weights.map((weight) => exactContent(weight, bytesIn(file, weight)));
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
  choices: readonly Pick<Choice, "entry" | "parts">[],
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
  weights: readonly StoredWeight[],
  { bytes, structureBytes: structure, choices }: WrittenPack,
  unpacked: Uint8Array,
): Omit<Packed, "bytes" | "unpacked"> {
  const sum = (bitsOf: (choice: Choice) => number) =>
    choices.reduce((total, c) => total + bitsOf(c), 0) / 8;
  const supports = sum(({ cost }) => cost.support);
  const codes = sum(({ cost }) => cost.codes);
  const tables = sum(({ cost }) => cost.tables);
  const elements = choices.reduce((total, { entry }) => total + entry.count, 0);
  const framing = bytes.length - structure - supports - codes - tables;
  return {
    bytesBefore: model.sizeBytes,
    bytesAfter: bytes.length,
    ratio: model.sizeBytes / bytes.length,
    bitsPerWeight: elements === 0 ? 0 : (8 * bytes.length) / elements,
    parts: { structure, supports, codes, tables, framing },
    tensors: weights.map(({ name, shape, start, end }, i) => {
      const { entry, cost } = choices[i];
      return {
        name,
        shape,
        support: entry.support,
        values: entry.values,
        step: entry.values === "steps" ? entry.step : undefined,
        density: densityOf(unpacked.subarray(start, end), entry.width),
        bytesBefore: end - start,
        bytesAfter: sumOf(cost) / 8,
        parts: { supports: cost.support / 8, codes: cost.codes / 8, tables: cost.tables / 8 },
      };
    }),
  };
}

/** Share of the elements, `width` bytes each, that have a bit set. */
function densityOf(bytes: Uint8Array, width: number): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i += width) {
    let bits = 0;
    for (let k = i; k < i + width; k++) bits |= bytes[k];
    if (bits !== 0) count++;
  }
  return (count * width) / bytes.length;
}
