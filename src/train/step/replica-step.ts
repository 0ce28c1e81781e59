/**
 * @file A training step cut for replicas. Each computes gradients on its share of a batch; the sums of all shares are
 * those of the batch, and what follows from a sum is computed by one replica, to which it belongs:
 *
 *     share    samples, parameters → summands of gradients, statistics and the loss
 *     measure  sums that belong to the replica → the square of each gradient's norm
 *     update   these sums, all squares, the loss → guard, the next values of what belongs to the replica
 *
 * The step is cut as a graph, whatever it computes: losses, penalties, optimizers and roundings need not know of it.
 */
import { assert } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import type { ReplicaExchange } from "../../runtime/protocol.ts";
import { type RandomKey, randomOf } from "../../tensor/random.ts";
import { type Cut, partOf, renamed, type Wanted } from "./graph-part.ts";
import { withOwnNoise } from "./replica-noise.ts";
import { ownersOf } from "./replica-owners.ts";
import type { TrainingStep } from "./step.ts";

/** The graphs of one replica. */
export interface ReplicaGraphs {
  readonly share: Graph;
  /** `undefined` where nothing is to be measured. */
  readonly measure: Graph | undefined;
  readonly update: Graph;
}

/** A step as replicas take it. */
export interface ReplicaStep {
  readonly replicas: readonly ReplicaGraphs[];
  readonly exchange: ReplicaExchange;
}

/** The samples of each replica, as even as can be. */
export function sharesOf(batchSize: number, replicas: number): readonly number[] {
  const [least, more] = [Math.floor(batchSize / replicas), batchSize % replicas];
  return Array.from({ length: replicas }, (_, i) => least + (i < more ? 1 : 0));
}

/**
 * Cuts the steps of all shares, built with the same options but for the size of the batch and `share`. Noise that
 * is drawn for samples has a stream of its own in each replica; noise of weights is the same in all, as in one session.
 */
export function replicaStep(steps: readonly TrainingStep[], noiseSeed: RandomKey): ReplicaStep {
  const [first] = steps;
  const { told, figures } = first.cuts;
  const sums = unique(first.cuts.sums);
  const summands = [...sums, ...told.map(scalarNamed)];
  const cut: Cut = { graph: first.graph, given: [...summands, ...figures.map(scalarNamed)] };
  const ownerOf = ownersOf(first, steps.length);
  const next = nextValues(first, sums);
  const shares = steps.map((step, i) => {
    const own = [...unique(step.cuts.sums).map(({ name }) => name), ...step.cuts.told];
    assert(own.length === summands.length, "the shares of a batch compute the same values");
    const graph = renamed(step.graph, new Map(own.map((name, k) => [name, summands[k].name])));
    const share = partOf({ graph, given: [] }, summands.map(itself));
    const random = randomOf(noiseSeed, "replica", i);
    return i === 0 ? share : withOwnNoise(share, samplesOf(step), random);
  });
  const read = new Set(shares.flatMap(({ inputs }) => inputs));
  return {
    replicas: shares.map((share, owner): ReplicaGraphs => {
      const measured = figures.filter((name) => ownerOf(name) === owner);
      const updated = [...next].flatMap(([input, value]) =>
        ownerOf(input) === owner ? [value] : [],
      );
      const guard: Value = { name: first.guard, dtype: "bool", shape: [] };
      return {
        share,
        measure:
          measured.length === 0
            ? undefined
            : partOf({ graph: first.graph, given: sums }, measured.map(scalarNamed).map(itself)),
        update: partOf(cut, [itself(guard), ...updated]),
      };
    }),
    exchange: {
      sums: sums.map(({ name, shape }) => ({ name, shape, owner: ownerOf(name) })),
      told,
      figures: figures.map((name) => ({ name, owner: ownerOf(name) })),
      state: new Map(
        [...next].map(([input, { name }]) => [
          input,
          { owner: ownerOf(input), next: name, isShared: read.has(input) },
        ]),
      ),
    },
  };
}

/** The next value of each state input; a sum that is one itself has another name then. */
function nextValues(
  { graph, state, initial }: TrainingStep,
  sums: readonly Value[],
): ReadonlyMap<string, Wanted> {
  const fresh = freshNames(graph);
  return new Map(
    [...state].map(([input, name]) => {
      const { shape = [] } = initial.get(input) ?? {};
      const isSum = sums.some((sum) => sum.name === name);
      const value: Value = { name, dtype: "float32", shape };
      return [input, { name: isSum ? fresh(`${name}:sum`) : name, value }];
    }),
  );
}

/** The inputs that hold samples and their targets. */
function samplesOf({ graph, state, scalars }: TrainingStep): readonly string[] {
  const others = new Set([...state.keys(), ...scalars(0, 1).keys()]);
  return graph.inputs.filter((name) => !others.has(name));
}

/** Each value once: what two parameters have the same gradient of is one value. */
function unique(values: readonly Value[]): readonly Value[] {
  return [...new Map(values.map((value) => [value.name, value])).values()];
}

function scalarNamed(name: string): Value {
  return { name, dtype: "float32", shape: [] };
}

function itself(value: Value): Wanted {
  return { name: value.name, value };
}
