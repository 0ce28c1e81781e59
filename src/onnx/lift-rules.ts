/** @file How each operator's older forms become the canonical one. */
import type { Attribute, Node } from "../ir/graph.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import type { DTypes } from "./dtypes.ts";

/** An input of the canonical form: an input of the old one by index, an attribute, or nothing. */
export type LiftedInput =
  | number
  | "absent"
  | {
      readonly attribute: string;
      readonly form: "int" | "ints" | "float" | "floats";
      /** `undefined` when the old node has no such attribute. */
      readonly tensor: HostTensor | undefined;
    };

/** What differs in the canonical form. */
export interface LiftChange {
  readonly opType?: string;
  readonly inputs?: readonly LiftedInput[];
  readonly attributes?: ReadonlyMap<string, Attribute>;
}

/** The change that makes a node of `opset` canonical; `undefined` when it is already. */
export type LiftRule = (node: Node, opset: number, dtypeOf: DTypes) => LiftChange | undefined;

/** By operator type. */
export const liftRules: ReadonlyMap<string, LiftRule> = new Map();
