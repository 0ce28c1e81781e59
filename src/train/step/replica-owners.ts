/** @file Which replica owns what of a step: sums, the figures and the state that follow from them. */
import { assert } from "../../errors.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { type Cut, givenBehind } from "./graph-part.ts";
import type { TrainingStep } from "./step.ts";

/**
 * The owner of every sum, figure and state input, by name. What depends on one sum belongs together, the largest parts
 * go first, and each goes to the replica that has least: a function of the step and the number of replicas alone.
 */
export function ownersOf(
  { graph, cuts, state, initial }: TrainingStep,
  replicas: number,
): (name: string) => number {
  const scalars = [...cuts.told, ...cuts.figures];
  const isSum = new Set(cuts.sums.map(({ name }) => name));
  const cut: Cut = {
    graph,
    given: [
      ...cuts.sums,
      ...scalars.map((name) => ({ name, dtype: "float32", shape: [] }) as const),
    ],
  };
  const measuring: Cut = { graph, given: cuts.sums };
  const parts = new Parts();
  for (const { name, shape } of cuts.sums) parts.add(name, sizeOf(shape));
  for (const [input, next] of state) {
    parts.add(input, sizeOf(initial.get(input)?.shape ?? []));
    for (const name of givenBehind(cut, next)) if (isSum.has(name)) parts.join(input, name);
  }
  for (const figure of cuts.figures)
    for (const name of givenBehind(measuring, figure)) parts.join(figure, name);
  const loads = new Array<number>(replicas).fill(0);
  const owners = new Map<string, number>();
  for (const { names, size } of parts.bySize()) {
    const owner = loads.indexOf(Math.min(...loads));
    loads[owner] += size;
    for (const name of names) owners.set(name, owner);
  }
  return (name) => {
    const owner = owners.get(name);
    assert(owner !== undefined, `"${name}" belongs to a replica`);
    return owner;
  };
}

interface Part {
  readonly names: readonly string[];
  readonly size: number;
}

/** Names in parts that can be joined. */
class Parts {
  readonly #partOf = new Map<string, Part>();

  /** A part of its own, unless the name is in one. */
  add(name: string, size: number): void {
    if (!this.#partOf.has(name)) this.#partOf.set(name, { names: [name], size });
  }

  join(a: string, b: string): void {
    this.add(a, 0);
    const [left, right] = [this.#partOf.get(a), this.#partOf.get(b)];
    assert(left !== undefined && right !== undefined, "both names are in a part");
    if (left === right) return;
    const all: Part = { names: [...left.names, ...right.names], size: left.size + right.size };
    for (const name of all.names) this.#partOf.set(name, all);
  }

  /** All parts, the largest first; of one size the one that was begun first. */
  bySize(): readonly Part[] {
    return [...new Set(this.#partOf.values())].sort((a, b) => b.size - a.size);
  }
}
