/** @file The operators of a network without a rule, and the units that stay because of them. */
import { type BodyContents, bodyContents, operatorName } from "../../ir/graph.ts";
import { operatorOf } from "../../ops/index.ts";
import { insideReason } from "../analysis/analysis.ts";
import type { Structure } from "./units.ts";

/** An operator without a rule. */
export interface NotUnderstood {
  /** Its type, with its domain where that is not the standard one. */
  readonly operator: string;
  readonly nodes: readonly string[];
  /** Units that must stay because of these nodes; further reasons may hold them, too. */
  readonly units: number;
  /** What lies in the bodies of these nodes. */
  readonly contents: BodyContents;
}

/** The operators without a rule, in the order of the graph. */
export function notUnderstood({ analysis, units }: Structure): readonly NotUnderstood[] {
  const held = new Map<string, number>();
  for (const { reason } of units)
    if (reason !== undefined) held.set(reason, (held.get(reason) ?? 0) + 1);
  const byOperator = new Map<string, NotUnderstood>();
  for (const [node, reason] of analysis.barriers) {
    if (operatorOf(node) !== undefined) continue;
    const operator = operatorName(node);
    const { nodes, units: before, contents } = byOperator.get(operator) ?? nothing(operator);
    const own = bodyContents(node);
    byOperator.set(operator, {
      operator,
      nodes: [...nodes, node.name],
      units: before + (held.get(reason) ?? 0) + (held.get(insideReason(node)) ?? 0),
      contents: {
        nodes: contents.nodes + own.nodes,
        products: contents.products + own.products,
        params: contents.params + own.params,
        parameterBytes: contents.parameterBytes + own.parameterBytes,
      },
    });
  }
  return [...byOperator.values()];
}

function nothing(operator: string): NotUnderstood {
  const contents = { nodes: 0, products: 0, params: 0, parameterBytes: 0 };
  return { operator, nodes: [], units: 0, contents };
}
