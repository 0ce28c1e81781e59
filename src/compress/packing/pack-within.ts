/** @file The coarsest pack whose loss stays within a tolerance: searched on `select`, measured on `test`. */
import type { Dataset } from "../../data/dataset.ts";
import type { OutcomeOptions } from "../../measure/evaluation/options.ts";
import { measureOutcomes, pairedDropAsync } from "../../measure/outcomes/outcomes.ts";
import type { Model } from "../../onnx/model.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { pack, quantised } from "../../pack/pack.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import type { TrainOptions } from "../../train/loop/options.ts";
import { requireTunable } from "../../train/loop/tune-quantised.ts";
import { largestWithin } from "../rounds/search.ts";
import { type MeasuredPack, measuredPack } from "./measured-pack.ts";
import { type PackAt, searchTuned } from "./pack-tuned.ts";

/** The settings of the search. */
export interface PackWithinOptions extends Omit<OutcomeOptions, "split" | "onProgress"> {
  /** The drop of the metric on `select` that is allowed, such as 0.005. */
  readonly maxDrop: number;
  /** Further pack options of all candidates; their bits are searched. */
  readonly pack?: Omit<PackOptions, "bits" | "steps" | "codebook" | "isLossless"> | undefined;
  /**
   * Goes on with fewer bits where rounding alone would lose too much: each candidate is tuned under its own
   * rounding. Default: no tuning.
   */
  readonly tuning?: TrainOptions | undefined;
  /** Called after every candidate. */
  readonly onCandidate?: ((candidate: PackCandidate) => void) | undefined;
}

/** One try. */
export interface PackCandidate {
  readonly bits: number;
  /** Whether the network was tuned under this rounding. */
  readonly isTuned: boolean;
  /** On `select`. */
  readonly drop: number;
  readonly isWithin: boolean;
}

/** The pack that was chosen. */
export interface PackedWithin extends MeasuredPack {
  /** Bits of its weights before entropy coding; `undefined` where only a lossless pack was within. */
  readonly bits: number | undefined;
  readonly candidates: readonly PackCandidate[];
}

/** Candidates go from 10 bits down to 1, a quarter of a bit at a time. */
const mostBits = 10;
const leastBits = 1;
const candidatesPerBit = 4;
const candidateCount = (mostBits - leastBits) * candidatesPerBit + 1;
/** Where the search begins: near 5 bits, which most networks bear. */
const firstTried = (mostBits - 5) * candidatesPerBit + 1;

/**
 * Packs a model with the fewest bits whose drop on `select` is at most `maxDrop`, and without loss where
 * no candidate is within; with `tuning`, what is smaller yet after tuning. The drop on `test`, which the
 * search never saw, comes with its interval; it is measured, not certified. Fails as `pack`, `measureOutcomes` and,
 * with `tuning`, `train`.
 */
export async function packWithin(
  model: Model,
  dataset: Dataset,
  { maxDrop, pack: shared = {}, tuning, onCandidate, ...outcomeOptions }: PackWithinOptions,
): Promise<PackedWithin> {
  if (tuning !== undefined) requireTunable(shared);
  const run = (bytes: Uint8Array) =>
    measureOutcomes(bytes, dataset, { ...outcomeOptions, split: "select" });
  const select = await run(concatBytes(writeModel(model)));
  const candidates: PackCandidate[] = [];
  const judge = async (bits: number, unpacked: Uint8Array, isTuned: boolean): Promise<boolean> => {
    const { signal } = outcomeOptions;
    const { drop } = await pairedDropAsync(select, await run(unpacked), { level: 0.025, signal });
    const candidate = { bits, isTuned, drop, isWithin: drop <= maxDrop };
    candidates.push(candidate);
    onCandidate?.(candidate);
    return candidate.isWithin;
  };
  const { k } = await largestWithin(
    candidateCount,
    (k) => judge(bitsOf(k), quantised(model, { ...shared, bits: bitsOf(k) }), false),
    { start: firstTried },
  );
  const bits = k === 0 ? undefined : bitsOf(k);
  const untuned: PackAt = {
    packed: pack(model, bits === undefined ? { isLossless: true } : { ...shared, bits }),
    bits,
  };
  const chosen =
    tuning === undefined
      ? untuned
      : await searchTuned(dataset, {
          model,
          untuned,
          above: bits ?? mostBits,
          least: leastBits,
          shared,
          tuning,
          isWithin: (tried, unpacked) => judge(tried, unpacked, true),
        });
  const measured = await measuredPack(model, chosen.packed, dataset, outcomeOptions);
  return { ...measured, bits: chosen.bits, candidates };
}

/** Candidate k of 1, 2, ...: milder ones first. */
function bitsOf(k: number): number {
  return mostBits - (k - 1) / candidatesPerBit;
}
