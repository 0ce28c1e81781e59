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

/** Whether the node has weights that it multiplies with, or does what no rule speaks of. */
export function isLayer(node: Node): boolean {
  const operator = operatorFor(node);
  return operator === undefined ? !hidesDifferences(node) : operator.macs !== noMacs;
}

/**
 * Whether the node goes between real numbers and whole ones, or computes with whole ones. Runtimes have
 * many such operators in domains of their own, so that the name decides: ONNX and its kin all name them so.
 */
export function isQuantised({ opType }: Node): boolean {
  return /^(QLinear|Quantize|Dequantize|DynamicQuantize)|Integer$/.test(opType);
}
