/** @file Names and order: every value defined once and before it is read, all offenders at once. */
import { EspalierError } from "../../errors.ts";
import type { Node } from "../../ir/graph.ts";

/** Something wrong with a name. */
interface Offence {
  readonly name: string;
  readonly problem: string;
}

/** Throws `MODEL_BAD_GRAPH` unless every name is defined once and every read name is defined. */
export function checkNames(
  inputs: readonly string[],
  constants: readonly string[],
  nodes: readonly Node[],
  outputs: readonly string[],
): void {
  const offences: Offence[] = [];
  const defined = new Map<string, string>();
  const define = (name: string, by: string) => {
    const earlier = defined.get(name);
    if (name === "") offences.push({ name, problem: `${by} has an empty name` });
    else if (earlier !== undefined)
      offences.push({ name, problem: `"${name}" is both ${earlier} and ${by}` });
    else defined.set(name, by);
  };
  for (const name of inputs) define(name, "a graph input");
  for (const name of constants) define(name, "a constant");
  for (const node of nodes)
    for (const name of node.outputs)
      if (name !== "") define(name, `an output of node "${node.name}"`);
  const require = (name: string, by: string) => {
    if (name !== "" && !defined.has(name))
      offences.push({ name, problem: `"${name}", read by ${by}, is never defined` });
  };
  for (const node of nodes)
    for (const name of [...node.inputs, ...node.captures]) require(name, `node "${node.name}"`);
  const seen = new Set<string>();
  for (const name of outputs) {
    if (name === "") offences.push({ name, problem: "a graph output has an empty name" });
    if (seen.has(name)) offences.push({ name, problem: `"${name}" is a graph output twice` });
    seen.add(name);
    require(name, "the graph's outputs");
  }
  if (outputs.length === 0) offences.push({ name: "", problem: "the graph has no outputs" });
  refuse(offences);
}

function refuse(offences: readonly Offence[]): void {
  if (offences.length === 0) return;
  const shown = offences.slice(0, 8).map((offence) => offence.problem);
  if (offences.length > shown.length) shown.push(`and ${offences.length - shown.length} more`);
  throw new EspalierError("MODEL_BAD_GRAPH", `The graph is not valid: ${shown.join("; ")}.`, {
    data: { offences: offences.slice(0, 1000) },
  });
}

/**
 * The nodes so that each comes after what it reads; the order of the file where that is already so.
 * Names must have been checked. Throws `MODEL_BAD_GRAPH` naming the nodes of a cycle.
 */
export function sortNodes(nodes: readonly Node[]): readonly Node[] {
  const producer = new Map<string, number>();
  for (const [i, node] of nodes.entries())
    for (const name of node.outputs) if (name !== "") producer.set(name, i);
  const needs = nodes.map((node) =>
    [...node.inputs, ...node.captures]
      .map((name) => producer.get(name))
      .filter((index) => index !== undefined),
  );
  if (needs.every((list, i) => list.every((index) => index < i))) return nodes;

  const sorted: Node[] = [];
  const state = new Uint8Array(nodes.length); // 0 new, 1 on the stack, 2 done
  const nextNeed = new Uint32Array(nodes.length);
  for (let root = 0; root < nodes.length; root++) {
    const stack = state[root] === 0 ? [root] : [];
    while (stack.length > 0) {
      const at = stack[stack.length - 1];
      state[at] = 1;
      const need = needs[at][nextNeed[at]++];
      if (need === undefined) {
        state[at] = 2;
        sorted.push(nodes[at]);
        stack.pop();
      } else if (state[need] === 1) refuseCycle(stack.slice(stack.indexOf(need)), nodes);
      else if (state[need] === 0) stack.push(need);
    }
  }
  return sorted;
}

function refuseCycle(cycle: readonly number[], nodes: readonly Node[]): never {
  const names = cycle.map((index) => nodes[index].name);
  const shown = names.slice(0, 8).map((name) => `"${name}"`);
  throw new EspalierError(
    "MODEL_BAD_GRAPH",
    `The graph has a cycle through ${shown.join(", ")}${names.length > 8 ? ", ..." : ""}.`,
    { data: { nodes: names.slice(0, 1000) } },
  );
}
