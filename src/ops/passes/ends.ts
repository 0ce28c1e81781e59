/**
 * @file What the end of a network may hide from somebody who compares only outputs, and which networks
 * compute with whole numbers.
 */
import type { Node } from "../../ir/graph.ts";
import { operatorOf } from "../index.ts";
import { noMacs } from "../operator/operator.ts";

/**
 * Operators of which different inputs give the same output: they saturate, round, compare, or answer
 * with indices. Those that no rule speaks of (NonMaxSuppression) are here as well.
 */
const hiding = new Set([
  ...[
    "Sigmoid",
    "HardSigmoid",
    "Softmax",
    "LogSoftmax",
    "Hardmax",
    "Tanh",
    "Softsign",
    "Erf",
    "Clip",
  ],
  ...[
    "Sign",
    "Round",
    "Floor",
    "Ceil",
    "QuantizeLinear",
    "DynamicQuantizeLinear",
    "ThresholdedRelu",
  ],
  ...["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "IsInf", "IsNaN", "Not"],
  ...["ArgMax", "ArgMin", "TopK", "NonMaxSuppression", "NonZero", "OneHot", "Unique", "Where"],
  ...["Cast", "Max", "Min", "Relu"],
]);

/** Whether the node may give the same for different inputs, so that a fault before it is not seen behind it. */
export function hidesDifferences({ domain, opType }: Node): boolean {
  return domain === "" && hiding.has(opType);
}

/** Whether the node has weights that it multiplies with, or does what no rule speaks of. */
export function isLayer(node: Node): boolean {
  const operator = operatorOf(node)?.operator;
  return operator === undefined ? !hidesDifferences(node) : operator.macs !== noMacs;
}

/** Whether the node goes between real numbers and whole ones, or computes with whole ones. */
export function isQuantised({ opType }: Node): boolean {
  return /^(QLinear|Quantize|Dequantize|DynamicQuantize)|Integer$/.test(opType);
}
