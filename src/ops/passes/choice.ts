/** @file The operator If, which runs one of two bodies and for which there are no rules. */
import type { Node } from "../../ir/graph.ts";

/** Whether a node runs its body `then_branch` or its body `else_branch`, depending on a truth value. */
export function isChoice({ domain, opType }: Node): boolean {
  return domain === "" && opType === "If";
}
