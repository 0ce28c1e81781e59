/** @file What a node is to a pruning method and to a loss, as its operator says. */
import type { Node } from "../../ir/graph.ts";
import { operatorFor } from "../index.ts";
import { attributesOf } from "../operator/attributes.ts";
import type { Rearrangement, Role, SquashingRole } from "../operator/role.ts";

/** A node that methods and losses take as any other. */
export interface OtherRole {
  readonly kind: "other";
}

/** The role of a node. Whether a linear layer's weight is constant, the graph must tell. */
export function roleOf(node: Node): Role | OtherRole {
  const operator = operatorFor(node);
  if (operator === undefined) return { kind: "other" };
  // Attributes are read only where the role depends on them.
  const { role } = operator;
  const own = typeof role === "function" ? role(operator.attributes(attributesOf(node))) : role;
  return "none" in own ? { kind: "other" } : own;
}

/** How a node holds the elements of its first input, if it does. */
export function rearrangementOf(node: Node): Rearrangement | undefined {
  const role = roleOf(node);
  return role.kind === "rearranging" ? role.how : undefined;
}

/** The input of a node that holds the sizes of its output, element by element in the order of the data. */
export function shapeInput(node: Node): number | undefined {
  const role = roleOf(node);
  return role.kind === "rearranging" ? role.sizesInput : undefined;
}

/** What a node is to a loss, if it squashes scores. */
export function squashingOf(node: Node): SquashingRole | undefined {
  const role = roleOf(node);
  return role.kind === "squashing" ? role : undefined;
}
