/**
 * @file The interface of a pruning method: it scores units, and gives the parameters by which consumers compensate for
 * removed units.
 */

import { EspalierError } from "../../errors.ts";
import { unscoredUnits } from "../../structure/choice/select.ts";
import type { SelectionRules } from "../../structure/choice/selection-rules.ts";
import type { Removed } from "../../structure/units/removal.ts";
import type { Structure } from "../../structure/units/units.ts";
import type { Edit } from "../../structure/weights/edits.ts";
import { atOnce, type Steps } from "../../tensor/steps.ts";
import { counted } from "../../words/numbers.ts";
import {
  type GivenOptions,
  type InputOf,
  type OptionsOf,
  type OptionTable,
  readOptions,
  writtenOptions,
} from "./options.ts";

/** The input of a method, with its options as given, or as its own code reads them. */
export interface MethodContext<Options extends GivenOptions = GivenOptions> {
  readonly structure: Structure;
  /** The seed of everything random. */
  readonly seed: number;
  /** The method's own options. */
  readonly options: Options;
  /** Groups that will not be pruned need no scores. */
  readonly rules: SelectionRules;
}

/** The result of a method. */
export interface Proposal {
  /**
   * One score per unit, of any scale; the lowest are removed first, unless single weights are judged. Units that the
   * method cannot score have +Infinity, and stay.
   */
  readonly scores: Float64Array;
  /**
   * The loss that the removal of each unit causes (0 or more), in any measure that adds up over units. Where given,
   * units are removed in the order of loss over saving, not in the order of scores.
   */
  readonly losses?: Float64Array;
  /**
   * New parameters for the consumers of removed units, in the original's widths; empty for methods that don't
   * compensate. Not called where single weights are judged, because the removed units are then constant.
   */
  readonly edits: (removed: Removed) => readonly Edit[];
  /**
   * Methods that judge single weights give a score for each element of a constant, by the constant's name; the lowest
   * go first, over all layers. Units that have become superfluous are removed afterwards.
   */
  readonly weightScores?: ReadonlyMap<string, Float64Array>;
  /** Notes for the user, one sentence each. */
  readonly notes: readonly string[];
  /** Warnings that need action, because the scores or the network may be worthless, one sentence each. */
  readonly warnings?: readonly string[];
}

/**
 * The note that units stay because a method cannot score them, with the reason; none where all prunable units are
 * scored.
 */
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

/** The largest number of groups that a note names. */
const mostNamed = 3;

/** One pruning method, found by its name. */
export interface Method {
  readonly name: string;
  readonly summary: string;
  /** The source: paper and section, or author. */
  readonly source: string;
  readonly needs: {
    /** Whether the method needs batch normalization in the network. */
    readonly batchNorm: boolean;
    /** Whether the method needs images, with or without labels. */
    readonly data: boolean;
  };
  readonly options: OptionTable;
  /** Whether, with these options, single weights are removed instead of whole units; absent where this is never so. */
  readonly judgesWeights?: (options: GivenOptions) => boolean;
  /**
   * Throws `USAGE` for options that it does not have, `METHOD_NEEDS_BN` and the like where the network lacks what the
   * method reads.
   */
  readonly propose: (context: MethodContext) => Proposal;
  /** The same step by step; absent where scoring is over at once. */
  readonly proposeInSteps?: ((context: MethodContext) => Steps<Proposal>) | undefined;
  /**
   * Throws what {@link Method.propose} would throw, in a fraction of the time; absent where scoring itself takes no
   * longer.
   */
  readonly requireScorable?: ((context: MethodContext) => void) | undefined;
}

/** A method as its file writes it: its code reads the options of its table, each in its own type. */
export interface MethodDefinition<T extends OptionTable>
  extends Omit<
    Method,
    "judgesWeights" | "options" | "propose" | "proposeInSteps" | "requireScorable"
  > {
  readonly options: T;
  readonly judgesWeights?: (options: OptionsOf<T>) => boolean;
  /** Returns the proposal, or steps that end in it. */
  readonly propose: (context: MethodContext<OptionsOf<T>>) => Proposal | Steps<Proposal>;
  readonly requireScorable?: (context: MethodContext<OptionsOf<T>>) => void;
}

/** The method, which reads and checks the options that it is given by its table. */
export function defineMethod<T extends OptionTable>(
  definition: MethodDefinition<T>,
): Method & { readonly options: T } {
  const { name, options: table, judgesWeights, propose, requireScorable } = definition;
  function* proposeInSteps(context: MethodContext): Steps<Proposal> {
    const begun = propose(withOptions(context));
    return "scores" in begun ? begun : yield* begun;
  }
  const read = (given: GivenOptions) => readOptions(name, table, given);
  const withOptions = (context: MethodContext) => ({ ...context, options: read(context.options) });
  return {
    ...definition,
    judgesWeights: (given) => judgesWeights?.(read(given)) ?? false,
    propose: (context) => atOnce(proposeInSteps(context)),
    proposeInSteps,
    requireScorable: requireScorable && ((context) => requireScorable(withOptions(context))),
  };
}

/** A method with options of its own, as `methods.bn({ mode: "rms" })` gives it. */
export interface ChosenMethod<M = Method> {
  readonly method: M;
  /** The options that were given, in a form that can be written down. */
  readonly options: GivenOptions;
}

/**
 * The function that gives the method with options of its own. It fails with `USAGE` for options that the table does not
 * allow.
 */
export function chooser<T extends OptionTable, M extends Pick<Method, "name"> & { options: T }>(
  method: M,
): (options?: InputOf<M["options"]>) => ChosenMethod<M> {
  return (options = {}) => {
    const given = writtenOptions(options);
    readOptions(method.name, method.options, given);
    return { method, options: given };
  };
}

/** The method, with the options that are given with it or beside it. Fails with `USAGE` where both are given. */
export function chosenOf(
  wanted: Method | ChosenMethod,
  beside: GivenOptions | undefined,
): ChosenMethod {
  if (!("method" in wanted)) return { method: wanted, options: beside ?? {} };
  requireNoneBeside(wanted.method, beside);
  return wanted;
}

/**
 * Fails with `USAGE` where options are given beside a method that has its own, because it is not clear which would
 * count.
 */
export function requireNoneBeside(
  { name }: Pick<Method, "name">,
  beside: GivenOptions | undefined,
): void {
  if (beside === undefined || Object.keys(beside).length === 0) return;
  throw new EspalierError(
    "USAGE",
    `options of the method ${name} are given with it and beside it`,
    { hint: "Give them in one place." },
  );
}

/** The name that leaves the choice of a method to one-shot pruning. */
export const autoMethod = "auto";
