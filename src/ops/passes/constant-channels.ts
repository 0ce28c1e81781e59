/** @file Channels that hold one number whatever the data, followed through a node as its operator says. */
import type { Node } from "../../ir/graph.ts";
import { operatorOf } from "../index.ts";
import type { ConstantChannels, ConstantContext } from "../operator/operator.ts";

/** The constant channels of a node's first output; `undefined` where nothing is known of them. */
export function constantChannels(
  node: Node,
  known: Omit<ConstantContext<unknown>, "attrs" | "node">,
): ConstantChannels | undefined {
  const { inputs, outputs, channels, constant } = known;
  const bound = operatorOf(node);
  const rule = bound?.operator.constantChannels;
  const hasChannels = inputs[0] !== undefined && outputs[0] !== undefined;
  if (bound === undefined || typeof rule !== "function" || !hasChannels) return undefined;
  if (outputs[0].shape.length < 2) return undefined;
  return rule({ attrs: bound.attrs, node, inputs, outputs, channels, constant });
}
