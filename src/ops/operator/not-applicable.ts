/** @file How an operator says that a facet does not apply to it. */

/** A facet that does not apply, and why. */
export interface NotApplicable {
  readonly none: string;
}
