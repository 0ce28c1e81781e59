/** @file What a pruning method is: it scores units, and says how consumers make up for what goes. */

import { didYouMean, EspalierError } from "../../errors.ts";
import { counted } from "../../measure/words.ts";
import type { Edit } from "../../structure/edits.ts";
import type { Removed } from "../../structure/removal.ts";
import { unscoredUnits } from "../../structure/select.ts";
import type { SelectionRules } from "../../structure/selection-rules.ts";
import type { Structure } from "../../structure/units.ts";

/** What a method is given. */
export interface MethodContext {
  readonly structure: Structure;
  /** Seeds whatever is random. */
  readonly seed: number;
  /** The method's own options by name, as given; absent ones take their defaults. */
  readonly options: ReadonlyMap<string, string>;
  /** Groups that will not be pruned need no scores. */
  readonly rules: SelectionRules;
}

/** What a method answers. */
export interface Proposal {
  /**
   * One per unit, of any scale; the lowest go first, but where single weights are judged. Units of which the method
   * knows nothing score +Infinity: they are unscored, and stay.
   */
  readonly scores: Float64Array;
  /**
   * What the removal of each unit costs (0 or more), in any measure that adds up over units. Where given,
   * units go in the order of their losses per what is saved, not in that of scores.
   */
  readonly losses?: Float64Array;
  /**
   * New parameters for the consumers of what is removed, in the original's widths; empty for methods
   * that don't compensate. Not asked for where single weights are judged: what goes then is constant.
   */
  readonly edits: (removed: Removed) => readonly Edit[];
  /**
   * Of methods that judge single weights: a score for each element of a constant, by the constant's name; the
   * lowest go first, over all layers. Of units those go then that have become superfluous.
   */
  readonly weightScores?: ReadonlyMap<string, Float64Array>;
  /** What the user should know, one sentence each. */
  readonly notes: readonly string[];
  /** What the user must act on, as the scores or the network may be worth nothing: one sentence each. */
  readonly warnings?: readonly string[];
}

/** That units stay because a method cannot score them, and why; nothing where it has scored all that may go. */
export function unscoredNotes(
  { structure, rules }: Pick<MethodContext, "structure" | "rules">,
  scores: Float64Array,
  why: string,
): readonly string[] {
  const unscored = unscoredUnits(structure, scores, rules);
  if (unscored.length === 0) return [];
  const count = counted(unscored.length, "unit stays", "units stay");
  return [`${count} because ${why} (${groupNames(structure, unscored)})`];
}

/** The groups of some units, the first few by name. */
function groupNames({ units, groups }: Structure, among: readonly number[]): string {
  const ids = [...new Set(among.map((unit) => units[unit].group))].map((at) => groups[at].id);
  const rest = ids.length > mostNamed ? `, and ${ids.length - mostNamed} more` : "";
  return `${ids.slice(0, mostNamed).join(", ")}${rest}`;
}

/** Groups that a note names. */
const mostNamed = 3;

/** An option of a method. */
export interface MethodOption {
  readonly name: string;
  /** What it may be; empty where it is a number, or `auto` where that is the default. */
  readonly values: readonly string[];
  readonly default: string;
  readonly description: string;
}

/** One pruning method, found by its name. */
export interface Method {
  readonly name: string;
  readonly summary: string;
  /** Paper and section, or whose idea it is. */
  readonly source: string;
  readonly needs: {
    /** Batch normalization kept in the network. */
    readonly batchNorm: boolean;
    /** Images, labelled or not. */
    readonly data: boolean;
  };
  readonly options: readonly MethodOption[];
  /** Whether, with these options, single weights go and not whole units; absent where they never do. */
  readonly judgesWeights?: (context: Pick<MethodContext, "options">) => boolean;
  /** Throws `METHOD_NEEDS_BN` and the like where the network lacks what the method reads. */
  readonly propose: (context: MethodContext) => Proposal;
}

/** The name that leaves the choice of a method to one-shot pruning. */
export const autoMethod = "auto";

/** The value of an option, or its default. */
export function optionOf(
  method: Pick<Method, "options">,
  context: Pick<MethodContext, "options">,
  name: string,
): string {
  const option = method.options.find((candidate) => candidate.name === name);
  return context.options.get(name) ?? option?.default ?? "";
}

/**
 * The value of an option that is a number, or its default. Fails with `USAGE` where it is none, below
 * `least`, or not whole where it must be.
 */
export function numberOptionOf(
  method: Pick<Method, "options" | "name">,
  context: Pick<MethodContext, "options">,
  name: string,
  { least, isWhole = false }: { readonly least: number; readonly isWhole?: boolean },
): number {
  const text = optionOf(method, context, name);
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(value) && value >= least && (!isWhole || Number.isInteger(value)))
    return value;
  const kind = isWhole ? "whole number" : "number";
  throw new EspalierError("USAGE", `the option ${name} of ${method.name} is "${text}"`, {
    hint: `Expected a ${kind} of ${least} or more.`,
    data: { option: name, value: text, least },
  });
}

/**
 * Fails with `USAGE` for an option that the method does not have, which would be ignored though a user
 * means something by it, or a value that it does not know.
 */
export function requireOptions(
  method: Pick<Method, "options" | "name">,
  given: ReadonlyMap<string, string>,
): void {
  for (const [name, value] of given) {
    const option = method.options.find((candidate) => candidate.name === name);
    const isAllowed = option && (option.values.length === 0 || option.values.includes(value));
    if (isAllowed) continue;
    const known = method.options.map((candidate) => candidate.name);
    const hint = option
      ? `${didYouMean(value, option.values)}Values are: ${option.values.join(", ")}.`
      : known.length === 0
        ? "It has none."
        : `${didYouMean(name, known)}Its options are: ${known.join(", ")}.`;
    const message = option
      ? `the method ${method.name} has no ${name} "${value}"`
      : `the method ${method.name} has no option "${name}"`;
    throw new EspalierError("USAGE", message, { hint, data: { method: method.name, known } });
  }
}
