/** @file The coarsest pack whose loss stays within a tolerance: searched on `select`, measured on `test`. */
import type { Dataset } from "../data/dataset.ts";
import type { ExamineOptions } from "../measure/evaluate.ts";
import {
  examine,
  type MeasuredMetric,
  metricOf,
  type PairedDrop,
  pairedDrop,
} from "../measure/outcomes.ts";
import type { Model } from "../onnx/read.ts";
import { concatBytes, writeModel } from "../onnx/write.ts";
import type { PackOptions } from "../pack/contents.ts";
import { type Packed, pack, quantised } from "../pack/pack.ts";
import { largestWithin } from "./rounds/search.ts";

/** How to search. */
export interface PackWithinOptions extends Omit<ExamineOptions, "split" | "onProgress"> {
  /** The drop of the metric on `select` that is allowed, such as 0.005. */
  readonly maxDrop: number;
  /** What else holds of all candidates; their bits are searched. */
  readonly pack?: Omit<PackOptions, "bits" | "steps" | "codebook" | "isLossless">;
  /** Called after every candidate. */
  readonly onCandidate?: (candidate: PackCandidate) => void;
}

/** One try. */
export interface PackCandidate {
  readonly bits: number;
  /** On `select`. */
  readonly drop: number;
  readonly isWithin: boolean;
}

/** A pack, and what it costs in accuracy. */
export interface PackedWithin {
  readonly packed: Packed;
  /** Bits of its weights before entropy coding; `undefined` where only a lossless pack was within. */
  readonly bits: number | undefined;
  readonly candidates: readonly PackCandidate[];
  /** On `test`: of the original, and of the very file that unpacking gives. */
  readonly baseline: MeasuredMetric;
  readonly result: MeasuredMetric;
  readonly drop: PairedDrop;
}

/** Candidates go from 10 bits down to 1, a quarter of a bit at a time. */
const mostBits = 10;
const candidatesPerBit = 4;
const candidateCount = (mostBits - 1) * candidatesPerBit + 1;
/** Where the search begins: near 5 bits, which most networks bear. */
const firstTried = (mostBits - 5) * candidatesPerBit + 1;

/**
 * Packs a model with the fewest bits whose drop on `select` is at most `maxDrop`, and without loss where
 * no candidate is within. The drop on `test`, which the search never saw, comes with its interval; it is
 * measured, not certified. Fails as `pack` and `examine`.
 */
export async function packWithin(
  model: Model,
  dataset: Dataset,
  { maxDrop, pack: shared, onCandidate, ...examineOptions }: PackWithinOptions,
): Promise<PackedWithin> {
  const original = concatBytes(writeModel(model));
  const run = (bytes: Uint8Array, split: "select" | "test") =>
    examine(bytes, dataset, { ...examineOptions, split });
  const select = await run(original, "select");
  const candidates: PackCandidate[] = [];
  const isWithin = async (k: number): Promise<boolean> => {
    const bits = bitsOf(k);
    const outcomes = await run(quantised(model, { ...shared, bits }), "select");
    const { drop } = pairedDrop(select, outcomes, { level: 0.025 });
    const candidate = { bits, drop, isWithin: drop <= maxDrop };
    candidates.push(candidate);
    onCandidate?.(candidate);
    return candidate.isWithin;
  };
  const { k } = await largestWithin(candidateCount, isWithin, { start: firstTried });
  const bits = k === 0 ? undefined : bitsOf(k);
  const packed = pack(model, bits === undefined ? { isLossless: true } : { ...shared, bits });
  const [before, after] = [await run(original, "test"), await run(packed.unpacked, "test")];
  return {
    packed,
    bits,
    candidates,
    baseline: metricOf(before),
    result: metricOf(after),
    drop: pairedDrop(before, after, { level: 0.025 }),
  };
}

/** Candidate k of 1, 2, ...: milder ones first. */
function bitsOf(k: number): number {
  return mostBits - (k - 1) / candidatesPerBit;
}
