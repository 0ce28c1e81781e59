/** @file Packs of networks that were tuned under their own quantisation: one as asked, or ever smaller ones. */
import type { Dataset } from "../../data/dataset.ts";
import type { OutcomeOptions } from "../../measure/evaluation/options.ts";
import type { Model } from "../../onnx/model.ts";
import { type Packed, pack, quantised } from "../../pack/pack.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import type { TrainOptions } from "../../train/loop/options.ts";
import { type TunedQuantised, tuneQuantised } from "../../train/loop/tune-quantised.ts";
import { largestWithin } from "../rounds/search.ts";
import { type MeasuredPack, measuredPack } from "./measured-pack.ts";

/** The settings of tuning and measuring. */
export interface PackTunedOptions extends Omit<OutcomeOptions, "split" | "onProgress"> {
  /** What the pack keeps; neither `isLossless`, `lambda` nor `hasRowSteps`. */
  readonly pack?: PackOptions | undefined;
  readonly tuning: TrainOptions;
}

/** A pack of a tuned network, and the drop that it causes. */
export interface PackedTuned extends MeasuredPack {
  readonly training: TunedQuantised["training"];
}

/**
 * Packs a model after tuning it under the quantisation of `pack`: with its weights rounded to the steps of
 * the pack, or with the entries of its codebooks trained. The best epoch on `select` is packed, or the start
 * where it is better, and its drop on `test` comes with an interval; it is measured, not certified. Fails as
 * `pack`, `train` and `measureOutcomes`.
 */
export async function packTuned(
  model: Model,
  dataset: Dataset,
  { pack: packing = {}, tuning, ...outcomeOptions }: PackTunedOptions,
): Promise<PackedTuned> {
  const tuned = await tuneQuantised(model, dataset, packing, tuning);
  const packed = pack(tuned.model, tuned.options);
  const measured = await measuredPack(model, packed, dataset, outcomeOptions);
  return { ...measured, training: tuned.training };
}

/** A pack, and the bits of its weights before entropy coding; `undefined` without rounding. */
export interface PackAt {
  readonly packed: Packed;
  readonly bits: number | undefined;
}

/** The starting point of tuned candidates, and the way to judge them. */
export interface TunedSearch {
  readonly model: Model;
  /** The coarsest pack without tuning, and the bits that come before the first candidate. */
  readonly untuned: PackAt;
  readonly above: number;
  readonly least: number;
  readonly shared: PackOptions;
  readonly tuning: TrainOptions;
  /** Whether the model that a candidate unpacks to loses little enough. */
  readonly isWithin: (bits: number, unpacked: Uint8Array<ArrayBuffer>) => Promise<boolean>;
}

/** Tuned candidates lie half a bit apart, and the first saves a whole one. */
const candidatesPerBit = 2;
const firstTried = 2;

/**
 * The smallest pack of those within: with fewer and fewer bits, each network tuned on from the last one that
 * was within; `untuned` where none is smaller.
 */
export async function searchTuned(dataset: Dataset, search: TunedSearch): Promise<PackAt> {
  const { untuned, above, least, shared, tuning, isWithin } = search;
  const count = Math.max(0, Math.floor((above - least) * candidatesPerBit));
  let model = search.model;
  let best: PackAt = untuned;
  let own = tuning;
  const tryOut = async (k: number): Promise<boolean> => {
    const bits = above - k / candidatesPerBit;
    const tuned = await tuneQuantised(model, dataset, { ...shared, bits }, own);
    // One warning about a network that was trained on `select` is enough.
    own = { ...tuning, checksMemorisation: false };
    if (!(await isWithin(bits, quantised(tuned.model, tuned.options)))) return false;
    model = tuned.model;
    const packed = pack(tuned.model, tuned.options);
    if (packed.bytesAfter < best.packed.bytesAfter) best = { packed, bits };
    return true;
  };
  await largestWithin(count, tryOut, { start: firstTried });
  return best;
}
