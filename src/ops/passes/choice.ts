/** @file If: one of two bodies runs, as its only input says. */
import type { Node } from "../../ir/graph.ts";

/** Whether a node runs its body `then_branch` or `else_branch`, as a truth value says. */
export function isChoice({ domain, opType }: Node): boolean {
  return domain === "" && opType === "If";
}
