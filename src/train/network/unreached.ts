/** @file The weights of a network that training leaves as they are because no gradient reaches them. */

import type { Constant, Graph } from "../../ir/graph.ts";
import { multiplies, operatorOf } from "../../ops/index.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { counted } from "../../words/numbers.ts";
import { type ParameterGroup, parametersOf } from "./parameters.ts";

/** Names that are listed before the rest is only counted. */
const namesShown = 6;

/**
 * The weights, in the order of their first use, that are neither trained nor frozen: parameters of layers
 * that the output does not depend on, and matrices of operators that have no parameters to train.
 */
export function untrainedWeights(
  network: Graph,
  groups: readonly ParameterGroup[],
  trained: ReadonlySet<string>,
): readonly string[] {
  const all = new Set(parametersOf(network, network.nodes).map(({ constant }) => constant.name));
  const unfrozen = new Set(
    parametersOf(network, network.nodes, groups).map(({ constant }) => constant.name),
  );
  const isFrozen = (name: string) => all.has(name) && !unfrozen.has(name);
  const names = network.nodes.flatMap((node) => {
    const isLayer = operatorOf(node) === undefined || multiplies(node);
    return node.inputs.filter((name) => {
      const constant = network.constants.get(name);
      return all.has(name) || (isLayer && constant !== undefined && isMatrix(constant));
    });
  });
  return [...new Set(names)].filter((name) => !trained.has(name) && !isFrozen(name));
}

function isMatrix({ dtype, shape }: Constant): boolean {
  return isFloat(dtype) && shape.filter((size) => size > 1).length >= 2;
}

/** A sentence that says which weights stay as they are; `undefined` where all are trained. */
export function untrainedWarning(names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const rest = names.length - namesShown;
  const shown = names.slice(0, namesShown).map((name) => `"${name}"`);
  const list = `${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
  const what = counted(names.length, "weight stays as it is", "weights stay as they are");
  return `${what}, because no gradient reaches them from the loss: ${list}.`;
}
