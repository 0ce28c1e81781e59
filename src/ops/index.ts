/** @file The registry: every operator that Espalier understands, by its type. */
import type { Node } from "../ir/graph.ts";
import { attributesOf } from "./attributes.ts";
import { binaryOperators } from "./binary.ts";
import { concat } from "./concat.ts";
import { conv } from "./conv.ts";
import type { Operator } from "./operator.ts";
import { passingOperators } from "./passing.ts";
import { unaryOperators } from "./unary.ts";

const families: readonly (readonly Operator[])[] = [
  [concat, conv],
  unaryOperators,
  binaryOperators,
  passingOperators,
];

/** All operators, sorted by type. */
export const operators: readonly Operator[] = families
  .flat()
  .sort((a, b) => (a.opType < b.opType ? -1 : 1));

const byType: ReadonlyMap<string, Operator> = new Map(operators.map((op) => [op.opType, op]));

/** An operator together with the attributes of one node. */
export interface BoundOperator {
  readonly operator: Operator;
  readonly attrs: unknown;
}

/** The operator of a node with its attributes read, or `undefined` for an operator we do not know. */
export function operatorOf(node: Node): BoundOperator | undefined {
  const operator = node.domain === "" ? byType.get(node.opType) : undefined;
  return operator && { operator, attrs: operator.attributes(attributesOf(node)) };
}
