/** @file The registry: every operator that Espalier understands, by its type. */
import type { Node } from "../ir/graph.ts";
import { axisOperators } from "./along-axis.ts";
import { attributesOf } from "./attributes.ts";
import { batchNormalization } from "./batch-norm.ts";
import { binaryOperators } from "./binary.ts";
import { concat } from "./concat.ts";
import { conv } from "./conv.ts";
import { convTranspose } from "./conv-transpose.ts";
import { deformConv } from "./deform-conv.ts";
import { blockOperators } from "./depth-space.ts";
import { einsum } from "./einsum.ts";
import { repeatOperators } from "./expand.ts";
import { gatherOperators } from "./gather.ts";
import { generatingOperators } from "./generators.ts";
import { matrixOperators } from "./matmul.ts";
import { noiseOperators } from "./noise.ts";
import { normOperators } from "./norms.ts";
import { noMacs, type Operator } from "./operator.ts";
import { pad } from "./pad.ts";
import { passingOperators } from "./passing.ts";
import { poolOperators } from "./pools.ts";
import { quantizeOperators } from "./quantize.ts";
import { recurrentOperators } from "./recurrent.ts";
import { reductionOperators } from "./reduce.ts";
import { reshapeOperators } from "./reshape.ts";
import { resizeOperators } from "./resize.ts";
import { slice } from "./slice.ts";
import { normalizingOperators } from "./softmax.ts";
import { split } from "./split.ts";
import { transpose } from "./transpose.ts";
import { unaryOperators } from "./unary.ts";
import { wholeProductOperators } from "./whole-products.ts";

const families: readonly (readonly Operator[])[] = [
  [batchNormalization, concat, conv, convTranspose, deformConv, einsum],
  [pad, slice, split, transpose],
  blockOperators,
  gatherOperators,
  matrixOperators,
  noiseOperators,
  normOperators,
  poolOperators,
  quantizeOperators,
  recurrentOperators,
  repeatOperators,
  reshapeOperators,
  resizeOperators,
  unaryOperators,
  binaryOperators,
  passingOperators,
  reductionOperators,
  axisOperators,
  normalizingOperators,
  generatingOperators,
  wholeProductOperators,
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

/** Whether nodes of a type convolve or multiply matrices, so that they cost multiply-accumulates. */
export function multiplies({ domain, opType }: Pick<Node, "domain" | "opType">): boolean {
  const operator = domain === "" ? byType.get(opType) : undefined;
  return operator !== undefined && operator.macs !== noMacs;
}

/** The operator of a node with its attributes read, or `undefined` for an operator we do not know. */
export function operatorOf(node: Node): BoundOperator | undefined {
  const operator = node.domain === "" ? byType.get(node.opType) : undefined;
  return operator && { operator, attrs: operator.attributes(attributesOf(node)) };
}
