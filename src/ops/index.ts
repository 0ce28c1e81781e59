/** @file The registry: every operator that Espalier understands, by its type. */
import type { Node } from "../ir/graph.ts";
import { axisOperators } from "./axes/along-axis.ts";
import { reductionOperators } from "./axes/reduce.ts";
import { binaryOperators } from "./elementwise/binary.ts";
import { passingOperators } from "./elementwise/passing.ts";
import { unaryOperators } from "./elementwise/unary.ts";
import { generatingOperators } from "./generators/generators.ts";
import { noiseOperators } from "./generators/noise.ts";
import { concat } from "./movement/concat.ts";
import { blockOperators } from "./movement/depth-space.ts";
import { repeatOperators } from "./movement/expand.ts";
import { gatherOperators } from "./movement/gather.ts";
import { pad } from "./movement/pad.ts";
import { reshapeOperators } from "./movement/reshape.ts";
import { slice } from "./movement/slice.ts";
import { split } from "./movement/split.ts";
import { transpose } from "./movement/transpose.ts";
import { batchNormalization } from "./norms/batch-norm.ts";
import { normOperators } from "./norms/norms.ts";
import { normalizingOperators } from "./norms/softmax.ts";
import { attributesOf } from "./operator/attributes.ts";
import { noMacs, type Operator } from "./operator/operator.ts";
import { einsum } from "./products/einsum.ts";
import { matrixOperators } from "./products/matmul.ts";
import { recurrentOperators } from "./products/recurrent.ts";
import { quantizeOperators } from "./quantised/quantize.ts";
import { wholeProductOperators } from "./quantised/whole-products.ts";
import { resizeOperators } from "./resize/resize.ts";
import { conv } from "./windows/conv.ts";
import { convTranspose } from "./windows/conv-transpose.ts";
import { deformConv } from "./windows/deform-conv.ts";
import { poolOperators } from "./windows/pools.ts";

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

/** The operator of a node, or `undefined` for an operator we do not know. */
export function operatorFor({
  domain,
  opType,
}: Pick<Node, "domain" | "opType">): Operator | undefined {
  return domain === "" ? byType.get(opType) : undefined;
}

/** Whether nodes of a type convolve or multiply matrices, so that they cost multiply-accumulates. */
export function multiplies(node: Pick<Node, "domain" | "opType">): boolean {
  const operator = operatorFor(node);
  return operator !== undefined && operator.macs !== noMacs;
}

/** The operator of a node with its attributes read, or `undefined` for an operator we do not know. */
export function operatorOf(node: Node): BoundOperator | undefined {
  const operator = operatorFor(node);
  return operator && { operator, attrs: operator.attributes(attributesOf(node)) };
}
