/** @file What `prune` gives, and what it is made of, for the functions that take it back. */
import { EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { ModelBytes } from "../onnx/model.ts";
import type { Plan } from "../structure/plan.ts";
import type { Removed } from "../structure/units/removal.ts";
import type { Structure } from "../structure/units/units.ts";
import type { Edit } from "../structure/weights/edits.ts";
import type { Zeros } from "../structure/weights/zeros.ts";

/** The cost figures of one side. */
export interface Figures {
  readonly params: number;
  readonly macs: number;
  readonly sizeBytes: number;
}

/** How many features a layer reads, where it selects them. */
export interface SelectedInputs {
  /** Node name. */
  readonly layer: string;
  readonly before: number;
  readonly after: number;
}

/** A target that lies below what the rules and the method allow. */
export interface MissedTarget {
  /** `macs`, `params`, `bytes`, `density` or `latency`. */
  readonly target: string;
  /** The share that was asked for. */
  readonly asked: number;
  /** The share that is left. */
  readonly reached: number;
}

/** A missed target as a note. */
export function describeMissed({ target, asked, reached }: MissedTarget): string {
  return (
    `the target \`${target}\` ${asked} is out of reach: ${reached.toFixed(3)} is the least that the rules ` +
    "and the method allow"
  );
}

/** The result of `prune`. */
export interface Pruned {
  readonly method: string;
  /** Why this method was taken, where nobody named one. */
  readonly methodReason?: string;
  /** The smaller network; patched from the original. */
  readonly graph: Graph;
  readonly bytes: ModelBytes;
  readonly plan: Plan;
  readonly before: Figures;
  readonly after: Figures;
  /** Units per group. */
  readonly groups: readonly {
    readonly id: string;
    readonly before: number;
    readonly after: number;
  }[];
  /** Layers that select what they read: features that they read, which costs no MACs. */
  readonly selected: readonly SelectedInputs[];
  /** False when the targets lie below what may be removed; the most that may was removed then. */
  readonly isReached: boolean;
  /** The targets that what was removed does not meet. */
  readonly missed: readonly MissedTarget[];
  /** What a user should know, one sentence each; options stand in backticks. */
  readonly notes: readonly string[];
}

/** What a pruned network was made of. */
export interface PrunedParts {
  /** Of the original. */
  readonly structure: Structure;
  readonly removed: Removed;
  /** Weights that became 0, those that were it before included. */
  readonly zeros: Zeros;
  readonly edits: readonly Edit[];
}

/** The parts lie under a key that no other module has, so that nobody comes to rely on them by accident. */
const partsKey = Symbol("parts");

interface WithParts extends Pruned {
  readonly [partsKey]: PrunedParts;
}

/** A pruned network that {@link partsOf} knows the parts of; so are copies of it by spread. */
export function withParts(pruned: Pruned, parts: PrunedParts): Pruned {
  const whole: WithParts = { ...pruned, [partsKey]: parts };
  return whole;
}

/**
 * What a pruned network was made of. Fails with `USAGE` for one that `prune` did not make, or that was sent from another
 * thread.
 */
export function partsOf(pruned: Pruned): PrunedParts {
  if (hasParts(pruned)) return pruned[partsKey];
  throw new EspalierError("USAGE", "the pruned network does not know what it was made from", {
    hint: "Give what `prune` returned, or check the files with `verifyByPlan`.",
  });
}

function hasParts(pruned: Pruned): pruned is WithParts {
  return partsKey in pruned;
}
