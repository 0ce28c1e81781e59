/** @file What is left of a network after one-shot pruning: a look at what it answers, next to its unmodified original. */
import {
  type DamageOptions,
  damageOn,
  imageLikeFeeds,
  type OutputDamage,
  type PixelRange,
} from "../measure/equality/damage.ts";
import { kindOf } from "../measure/evaluation/declared-kind.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import type { Feeds } from "../runtime/values.ts";
import type { Pruned } from "./prune.ts";

/** How a pruned network answers, next to its original. */
export interface Damage {
  /** Whether any output has all but lost what the original's said. */
  readonly isDestroyed: boolean;
  /** Where the inputs are from, and how many there were. */
  readonly inputs: "random" | "given";
  readonly samples: number;
  /** Outputs that depend on the input in the original. */
  readonly outputs: readonly OutputDamage[];
  /** Groups of which one unit is left, or as few as the rules allow. */
  readonly atFloor: readonly {
    readonly id: string;
    readonly before: number;
    readonly after: number;
  }[];
}

/** How to look. */
export interface DamageOfPrunedOptions extends Pick<DamageOptions, "threads" | "signal"> {
  /** Inputs to look at, two or more; random ones that resemble images where there are none. */
  readonly feeds?: readonly Feeds[] | undefined;
  /** The least width that was allowed; default 1. */
  readonly minWidth?: number | undefined;
  /** Seed of the random inputs. Default 0. */
  readonly seed?: number | undefined;
}

/** Random inputs of each range of pixels. */
const randomInputs = 8;
const ranges: readonly PixelRange[] = ["normalised", "bytes"];

/**
 * Compares a pruned network with the original that it was made from, compensation and all. Nobody knows what inputs
 * a network expects, so random ones are normalised in one series and bytes in another; the better answers count.
 * Errors: `RUNTIME_FAILED`, `MODEL_UNSUPPORTED`, `ABORTED`.
 *
 * @example
 * const pruned = prune(model, { targets: { macs: 0.5 } });
 * const { isDestroyed, outputs } = await damageOfPruned(model, pruned);
 */
export async function damageOfPruned(
  original: Model,
  { structure, bytes, groups }: Pick<Pruned, "structure" | "bytes" | "groups">,
  { feeds = [], minWidth = 1, seed = 0, ...options }: DamageOfPrunedOptions = {},
): Promise<Damage> {
  const source = writeModel(original);
  const atFloor = groups.filter(({ before, after }) => after < before && after <= minWidth);
  const isGiven = feeds.length > 1;
  const { dims } = structure.analysis;
  const { graph } = original;
  const probabilities = new Set(
    graph.outputs.filter((output) => kindOf(graph, output) === "probabilities"),
  );
  const inputs = isGiven ? "given" : "random";
  const how: DamageOptions = { ...options, probabilities, inputs };
  const tried: (readonly OutputDamage[])[] = [];
  if (isGiven) tried.push(await damageOn(source, bytes, feeds, how));
  else
    for (const range of ranges) {
      const random = imageLikeFeeds(graph, dims, { count: randomInputs, range, seed });
      tried.push(await damageOn(source, bytes, random, how));
    }
  const outputs = tried.reduce((a, b) => (isBetter(b, a) ? b : a));
  return {
    isDestroyed: outputs.some((output) => output.isDestroyed),
    inputs,
    samples: isGiven ? feeds.length : randomInputs,
    outputs,
    atFloor,
  };
}

/** Whether some answers are better than others: fewer outputs are destroyed, or they correlate more. */
function isBetter(some: readonly OutputDamage[], others: readonly OutputDamage[]): boolean {
  const lost = (outputs: readonly OutputDamage[]) =>
    outputs.filter(({ isDestroyed }) => isDestroyed).length;
  const told = (outputs: readonly OutputDamage[]) =>
    outputs.reduce((sum, { correlation }) => sum + correlation / outputs.length, 0);
  if (some.length !== others.length) return some.length > others.length;
  return lost(some) === lost(others) ? told(some) > told(others) : lost(some) < lost(others);
}
