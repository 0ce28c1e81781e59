/** @file Which constants of a network are its parameters, which its running statistics, and their groups. */
import { EspalierError } from "../../errors.ts";
import { type Constant, constantOf, type Graph, type Node } from "../../ir/graph.ts";
import { freshNames, globMatcher } from "../../ir/names.ts";
import { runningStatistics, trainedInputs } from "../../ops/passes/training.ts";
import { writtenNorms } from "../../ops/passes/written-norms.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** What holds for the parameters whose names match. The first group that matches counts. */
export interface ParameterGroup {
  /** A name, or a pattern in which `*` stands for anything. */
  readonly match: string;
  /** Weight decay instead of the optimizer's. */
  readonly decay?: number;
  /** Factor of the learning rate; default 1. */
  readonly rateFactor?: number;
  /** The parameters stay as they are. */
  readonly isFrozen?: boolean;
}

/** Groups of parameters that stay as they are, by name or pattern. */
export function frozen(matches: readonly string[]): readonly ParameterGroup[] {
  return matches.map((match) => ({ match, isFrozen: true }));
}

/** A constant that training changes. */
export interface Parameter {
  readonly constant: Constant;
  /** Weight decay; `undefined` for that of the optimizer. */
  readonly decay: number | undefined;
  readonly rateFactor: number;
}

/**
 * The parameters among the constants that `nodes` read, in the order of their first use: float
 * tensors where an operator has its weights, and scales and shifts per channel right behind such an
 * operator, behind noise, or in and behind a normalisation that is written out. Frozen ones are left out.
 *
 * Errors: `PATTERN_UNMATCHED` for a group that names no parameter.
 */
export function parametersOf(
  graph: Graph,
  nodes: readonly Node[],
  groups: readonly ParameterGroup[] = [],
): readonly Parameter[] {
  const matchers = groups.map((group) => ({ group, matches: globMatcher(group.match), count: 0 }));
  const parameters: Parameter[] = [];
  const constants = trainedConstants(graph, nodes);
  for (const constant of constants) {
    const found = matchers.filter(({ matches }) => matches(constant.name));
    for (const matcher of found) matcher.count++;
    const { decay, rateFactor = 1, isFrozen = false } = found[0]?.group ?? {};
    if (!isFrozen) parameters.push({ constant, decay, rateFactor });
  }
  const unmatched = matchers.find(({ count }) => count === 0);
  if (unmatched === undefined) return parameters;
  const { match } = unmatched.group;
  const known = [...constants].map(({ name }) => name);
  throw new EspalierError("PATTERN_UNMATCHED", `no parameter matches "${match}"`, {
    hint: `The parameters are ${listOf(known)}; \`*\` stands for any characters.`,
    data: { pattern: match, known },
  });
}

/** The first names, and how many more there are. */
function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 8);
  const rest = names.length - shown.length;
  return `${shown.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}

function trainedConstants(graph: Graph, nodes: readonly Node[]): ReadonlySet<Constant> {
  const origins = constantOrigins(graph, nodes);
  const found = new Set<Constant>();
  const norms = writtenNorms(nodes, (name) => origins.has(name));
  /** Values that a layer with weights, a norm or a source of noise computed, up to scales and shifts. */
  const layered = new Set<string>(norms.normalised);
  const trained = (name: string | undefined, isWanted: (constant: Constant) => boolean) => {
    const constants = (origins.get(name ?? "") ?? []).filter(isWanted);
    for (const constant of constants) found.add(constant);
    return constants.length > 0;
  };
  for (const node of nodes) {
    const { weights, affine, isNoise } = trainedInputs(node);
    for (const name of node.inputs) if (norms.affine.has(name)) trained(name, isPerChannel);
    const isLayer = weights.map((index) => trained(node.inputs[index], isTensor)).includes(true);
    const isBehind = affine.some((index) => layered.has(node.inputs[index]));
    const isShifted =
      isBehind && affine.map((index) => trained(node.inputs[index], isPerChannel)).includes(true);
    if (isLayer || isShifted || isNoise) layered.add(node.outputs[0]);
  }
  return found;
}

/** The constants behind each value that depends on no input, through whatever nodes. */
function constantOrigins(
  graph: Graph,
  nodes: readonly Node[],
): ReadonlyMap<string, readonly Constant[]> {
  const origins = new Map<string, readonly Constant[]>();
  for (const constant of graph.constants.values()) origins.set(constant.name, [constant]);
  for (const { inputs, outputs } of nodes) {
    const named = inputs.filter((name) => name !== "");
    if (named.length === 0 || !named.every((name) => origins.has(name))) continue;
    const all = new Set(named.flatMap((name) => origins.get(name) ?? []));
    for (const name of outputs) if (name !== "") origins.set(name, [...all]);
  }
  return origins;
}

function isTensor({ dtype, shape }: Constant): boolean {
  return isFloat(dtype) && shape.length > 0;
}

function isPerChannel(constant: Constant): boolean {
  return isTensor(constant) && constant.shape.filter((size) => size !== 1).length === 1;
}

/** The running statistics of one node, each a constant that nothing else reads. */
export interface Statistics {
  readonly node: Node;
  readonly mean: Constant;
  readonly variance: Constant;
}

/**
 * The graph with running statistics that each belong to one node: shared constants, and values that
 * nodes compute from constants, become constants of their own. `known` gives the elements of a value
 * where they do not depend on the inputs.
 */
export function ownStatistics(
  graph: Graph,
  known: (name: string) => HostTensor | undefined,
): Graph {
  const fresh = freshNames(graph);
  const constants = new Map(graph.constants);
  const reads = new Map<string, number>();
  for (const node of graph.nodes)
    for (const name of [...node.inputs, ...node.captures])
      reads.set(name, (reads.get(name) ?? 0) + 1);
  const nodes = graph.nodes.map((node) => {
    const role = runningStatistics(node);
    if (role === undefined) return node;
    let inputs = node.inputs;
    for (const index of [role.meanInput, role.varianceInput]) {
      const name = node.inputs[index];
      if (graph.constants.has(name) && reads.get(name) === 1) continue;
      const tensor = graph.constants.get(name)?.read() ?? known(name);
      if (tensor === undefined) continue;
      const own = fresh(name);
      constants.set(own, constantOf(own, tensor));
      inputs = inputs.with(index, own);
    }
    return inputs === node.inputs ? node : { ...node, inputs };
  });
  return nodes.every((node, i) => node === graph.nodes[i]) ? graph : { ...graph, nodes, constants };
}

/** The nodes with running statistics that are constants, which they are after {@link ownStatistics}. */
export function statisticsOf(graph: Graph, nodes: readonly Node[]): readonly Statistics[] {
  return nodes.flatMap((node) => {
    const role = runningStatistics(node);
    const mean = role && graph.constants.get(node.inputs[role.meanInput]);
    const variance = role && graph.constants.get(node.inputs[role.varianceInput]);
    return mean && variance ? [{ node, mean, variance }] : [];
  });
}

/** The graph with other elements in some constants; types, places and all else stay. */
export function withWeights(graph: Graph, weights: ReadonlyMap<string, HostTensor>): Graph {
  const constants = new Map(graph.constants);
  for (const [name, tensor] of weights) {
    const old = graph.constants.get(name);
    if (old !== undefined) constants.set(name, { ...old, read: () => tensor });
  }
  return { ...graph, constants };
}
