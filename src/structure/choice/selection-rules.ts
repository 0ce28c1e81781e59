/** @file The rules of a selection: the groups that may lose units, and the widths that may be left. */

import type { CostTable } from "../timing/cost-table.ts";

/** The rules that a user may give. */
export interface SelectionRules {
  /**
   * Widths of filter axes come out as multiples of this (or as they were); `auto` takes for convolutions the
   * multiples that engines compute without waste. Default 1 here; `prune` and `compress` take `auto`.
   */
  readonly roundTo?: Rounding | undefined;
  /** A cost table by whose times `auto` chooses the widths that layers may keep, instead of fixed multiples. */
  readonly costs?: CostTable | undefined;
  /** No axis of any tensor gets narrower than this (or than it was). At least 1. */
  readonly minWidth?: number | undefined;
  /** Group id or layer patterns (`*` matches anything) of the groups to prune; all when absent. */
  readonly only?: readonly string[] | undefined;
  /** Patterns of groups to leave alone; `stream` means every residual stream. */
  readonly except?: readonly string[] | undefined;
}

/** Multiples that widths come out as: a number, or `auto` for those that suit each width. */
export type Rounding = number | "auto";
