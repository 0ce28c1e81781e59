/** @file The agreement of a network's answers with its original's after one-shot pruning. */
import { type DamageOptions, type OutputDamage, withAnswers } from "../measure/equality/damage.ts";
import { kindOf } from "../measure/evaluation/declared-kind.ts";
import {
  imageLikeFeeds,
  KnownImages,
  type PixelRange,
} from "../measure/inputs/image-like-feeds.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import type { Feeds } from "../runtime/values.ts";
import { type Pruned, partsOf } from "./pruned.ts";

/** The answers of a pruned network, compared with its original's. */
export interface Damage {
  /** Whether any output has lost most of what the original's said. */
  readonly isDestroyed: boolean;
  /** Where the inputs are from, and how many there were. */
  readonly inputs: "random" | "given";
  readonly samples: number;
  /** The range of the pixels, where the inputs are random. */
  readonly range?: PixelRange;
  /** Outputs that depend on the input in the original. */
  readonly outputs: readonly OutputDamage[];
  /** Groups of which one unit is left, or as few as the rules allow. */
  readonly atFloor: readonly {
    readonly id: string;
    readonly before: number;
    readonly after: number;
  }[];
}

/** Options of the comparison. */
export interface DamageOfPrunedOptions extends Pick<DamageOptions, "threads" | "signal"> {
  /** Inputs to look at, two or more; random ones that resemble images where there are none. */
  readonly feeds?: readonly Feeds[] | undefined;
  /** The least width that was allowed; default 1. */
  readonly minWidth?: number | undefined;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number | undefined;
}

/** Random inputs, and fewer where running a network takes long: so many multiply-accumulates for all. */
const randomInputs = { least: 8, most: 32, macs: 16e9 } as const;
/** Inputs of each range that tell which one it is. */
const fewestTries = 4;
/**
 * How many times as much answers must depend on inputs from 0 to 255. The factor stands between networks that take
 * normalised inputs, where it is at most about 1, and those that take bytes: over 10 for the two that were measured.
 */
const convincing = 2;

/**
 * Compares a pruned network with the original that it was made from, compensation and all. Without images it looks at
 * random ones that resemble photographs. The range of pixels that a network expects is not known: random pixels lie
 * around 0, or in 0 to 255 where the original's answers depend far more on such inputs. Errors: `RUNTIME_FAILED`,
 * `MODEL_UNSUPPORTED`, `ABORTED`.
 *
 * @example
 * const pruned = prune(model, { targets: { macs: 0.5 } });
 * const { isDestroyed, outputs } = await damageOfPruned(model, pruned);
 */
export async function damageOfPruned(
  original: Model,
  pruned: Pruned,
  { feeds = [], minWidth = 1, seed = 0, ...options }: DamageOfPrunedOptions = {},
): Promise<Damage> {
  const { bytes, groups, before } = pruned;
  const source = writeModel(original);
  const { graph } = original;
  const probabilities = new Set(
    graph.outputs.filter((output) => kindOf(graph, output) === "probabilities"),
  );
  const how: DamageOptions = { ...options, probabilities };
  const atFloor = groups.filter(({ before, after }) => after < before && after <= minWidth);
  const conclude = (outputs: readonly OutputDamage[]) => ({
    isDestroyed: outputs.some((output) => output.isDestroyed),
    outputs,
    atFloor,
  });
  return withAnswers(source, bytes, how, async ({ damageOn, dependenceOn }) => {
    if (feeds.length > 1) {
      const outputs = await damageOn(feeds, "given");
      return { inputs: "given", samples: feeds.length, ...conclude(outputs) };
    }
    const { least, most, macs } = randomInputs;
    const samples = Math.max(least, Math.min(most, Math.floor(macs / before.macs)));
    const { dims } = partsOf(pruned).structure.analysis;
    const known = new KnownImages();
    const random = (range: PixelRange, count: number) =>
      imageLikeFeeds(graph, dims, { count, range, seed, known });
    const tries = Math.max(fewestTries, Math.floor(samples / 4));
    const told = (range: PixelRange) => dependenceOn(random(range, tries));
    const range =
      (await told("bytes")) >= convincing * (await told("normalised")) ? "bytes" : "normalised";
    const outputs = await damageOn(random(range, samples));
    return { inputs: "random", samples, range, ...conclude(outputs) };
  });
}
