/**
 * @file Weights as places in a table, for training: the places are fixed and the entries are the parameters,
 * so that an entry's gradient is the sum over the weights that share it (Han, Mao, Dally, Deep Compression,
 * ICLR 2016, section 3). An entry for zero is padded in front and is no parameter: zeros stay zeros.
 */
import { assert } from "../errors.ts";
import { type Constant, constantOf, type Graph, type Node, newNode } from "../ir/graph.ts";
import { freshNames } from "../ir/names.ts";
import type { Codebook } from "../pack/codebook.ts";
import { int64Vector, tensorOf, toNumbers } from "../tensor/host-tensor.ts";

/** A graph whose weights are read out of tables. */
export interface CodebookForm {
  /** A table has the name of its weight, and holds what is not zero: [entries]. */
  readonly graph: Graph;
  /** The form without tables, after training: each weight is what its table then gives. */
  readonly undo: (trained: Graph) => Graph;
}

/** A weight that is read out of a table. */
interface TableWeight {
  readonly weight: Constant;
  readonly table: Constant;
  /** Places in the table with a zero in front, in the weight's shape. */
  readonly places: Constant;
  /** Pads the table, and picks the elements. */
  readonly nodes: readonly [Node, Node];
  /** What the second one computes. */
  readonly value: string;
}

/** Reads weights out of codebooks; a weight without one, or that is zero everywhere, stays as it is. */
export function withCodebooks(
  graph: Graph,
  codebooks: ReadonlyMap<string, Codebook>,
): CodebookForm {
  const fresh = freshNames(graph);
  const front = constantOf(fresh("front"), int64Vector([1, 0]));
  const read = [...codebooks].flatMap(([name, { table, places }]): readonly TableWeight[] => {
    const weight = graph.constants.get(name);
    const entries = table.filter((value) => value !== 0);
    if (weight === undefined || entries.length === 0) return [];
    const zero = table.indexOf(0);
    const indices = int64Vector(Array.from(places, (place) => placeBehind(zero, place)));
    const own = constantOf(fresh(`${name}.places`), { ...indices, shape: weight.shape });
    const [padded, value] = [fresh(`${name}.padded`), fresh(`${name}.read`)];
    const pad = newNode(fresh(`pad ${name}`), "Pad", [name, front.name], padded);
    const pick = newNode(fresh(`read ${name}`), "Gather", [padded, own.name], value);
    const tensor = tensorOf("float32", [entries.length], entries);
    const parts = { weight, table: constantOf(name, tensor), places: own };
    return [{ ...parts, nodes: [pad, pick], value }];
  });
  if (read.length === 0) return { graph, undo: (trained) => trained };
  const added = [front, ...read.flatMap(({ table, places }) => [table, places])];
  const names = new Map(read.map(({ weight, value }) => [weight.name, value]));
  return {
    graph: {
      ...graph,
      constants: new Map([...graph.constants, ...added.map((own) => [own.name, own] as const)]),
      nodes: [
        ...read.flatMap(({ nodes }) => nodes),
        ...graph.nodes.map((node) => withInputs(node, names)),
      ],
    },
    undo: (trained) => withoutTables(trained, read, added),
  };
}

/** A place in the table [0, ...entries that are not zero], out of one in ascending order. */
function placeBehind(zero: number, place: number): number {
  if (place === zero) return 0;
  return place < zero ? place + 1 : place;
}

function withoutTables(
  trained: Graph,
  read: readonly TableWeight[],
  added: readonly Constant[],
): Graph {
  const constants = new Map(trained.constants);
  for (const { name } of added) constants.delete(name);
  for (const { weight, places } of read) {
    const table = trained.constants.get(weight.name);
    assert(table !== undefined, "training keeps its parameters");
    const entries = [0, ...toNumbers(table.read())];
    const elements = Array.from(toNumbers(places.read()), (place) => entries[place]);
    const tensor = tensorOf("float32", weight.shape, elements);
    constants.set(weight.name, { ...weight, read: () => tensor });
  }
  const names = new Map(read.map(({ weight, value }) => [value, weight.name]));
  const made = new Set(read.flatMap(({ nodes }) => nodes.map(({ name }) => name)));
  const nodes = trained.nodes.filter(({ name }) => !made.has(name));
  return { ...trained, constants, nodes: nodes.map((node) => withInputs(node, names)) };
}

function withInputs(node: Node, names: ReadonlyMap<string, string>): Node {
  if (!node.inputs.some((name) => names.has(name))) return node;
  return { ...node, inputs: node.inputs.map((name) => names.get(name) ?? name) };
}
