/**
 * @file What the end of a network may hide from somebody who compares only outputs, and which networks
 * compute with whole numbers.
 */
import type { Node } from "../../ir/graph.ts";
import { operatorFor } from "../index.ts";
import { noMacs } from "../operator/operator.ts";

/** Operators without rules that answer with indices. */
const withoutRules = new Set(["NonMaxSuppression", "Unique"]);

/** Whether the node may give the same for different inputs, so that a fault before it is not seen behind it. */
export function hidesDifferences(node: Node): boolean {
  const operator = operatorFor(node);
  if (operator !== undefined) return operator.hidesDifferences;
  return node.domain === "" && withoutRules.has(node.opType);
}

/** Whether the node multiplies by weights, or is of an operator without rules, which may do so. */
export function isLayer(node: Node): boolean {
  const operator = operatorFor(node);
  return operator === undefined ? !hidesDifferences(node) : operator.macs !== noMacs;
}

/**
 * Whether the node converts between real numbers and whole numbers, or computes with whole numbers. Runtimes
 * have many such operators in domains of their own, for which there are no rules, so the name decides: they
 * follow the names of ONNX.
 */
export function isQuantised({ opType }: Node): boolean {
  return /^(QLinear|Quantize|Dequantize|DynamicQuantize)|Integer$/.test(opType);
}
