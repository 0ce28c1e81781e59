/** @file What a model file may ask of us before we refuse it: limits checked before allocation. */

import { maxRank } from "../../ir/sizes.ts";

/** Upper bounds; every one is checked before memory is taken. */
export interface Limits {
  /** Bytes of the model file itself. protobuf ends at 2 GiB. */
  readonly maxBytes: number;
  /** Elements of one tensor. */
  readonly maxElements: number;
  /** Fields that become objects or strings: nodes, names, attributes, dims. */
  readonly maxFields: number;
  /** Nesting of subgraphs, types and groups. */
  readonly maxDepth: number;
  /** Axes of one tensor. */
  readonly maxRank: number;
}

/** Generous for every network that exists, small for a machine. */
export const defaultLimits: Limits = {
  maxBytes: 2 ** 31,
  maxElements: 2 ** 31,
  maxFields: 1_500_000,
  maxDepth: 100,
  maxRank,
};

/** The longest attribute list, and the largest tensor attribute in bytes, that becomes an array. */
export const maxAttributeBytes = 1_000_000;
