/** @file Names for what a pass adds, and patterns of names. */
import type { Dim, Graph, Shape } from "./graph.ts";

/** A function that gives names which neither the graph nor an earlier call uses. */
export function freshNames(graph: Graph): (stem: string) => string {
  const taken = new Set([
    ...graph.inputs,
    ...graph.outputs,
    ...graph.constants.keys(),
    ...graph.types.keys(),
  ]);
  for (const node of graph.nodes) {
    taken.add(node.name);
    for (const name of [...node.inputs, ...node.outputs, ...node.captures]) taken.add(name);
  }
  return (stem) => {
    let name = stem;
    for (let i = 1; taken.has(name); i++) name = `${stem}_${i}`;
    taken.add(name);
    return name;
  };
}

/** The prefix, with more before it where the name of a constant begins with it: no constant's name has the result. */
export function freePrefix({ constants }: Graph, prefix: string): string {
  const names = [...constants.keys()];
  let free = prefix;
  while (names.some((name) => name.startsWith(free))) free = `espalier/${free}`;
  return free;
}

/**
 * The shapes of a network's inputs with a name for every size that is left open without one: `x_2` for
 * axis 2 of x. This is the one place where such sizes are named, so that they have the same name wherever
 * a network is read. `taken` are the names that sizes of outputs have.
 */
export function nameOpenSizes(
  inputs: readonly { readonly name: string; readonly shape: Shape | undefined }[],
  taken: Iterable<Dim>,
): readonly (Shape | undefined)[] {
  const isNameless = (dim: Dim) => typeof dim === "string" && (dim === "" || dim.startsWith("?"));
  const named = new Set([...taken, ...inputs.flatMap(({ shape }) => shape ?? [])]);
  return inputs.map(({ name, shape }) =>
    shape?.map((dim, axis) => {
      if (!isNameless(dim)) return dim;
      let own = `${name}_${axis}`;
      while (named.has(own)) own += "'";
      named.add(own);
      return own;
    }),
  );
}

/** A test of names against a pattern in which `*` stands for anything. */
export function globMatcher(pattern: string): (name: string) => boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`, "s");
  return (name) => expression.test(name);
}
