/**
 * @file Weights as places in a table, for training: the places are fixed and the entries are trained, after Han,
 * Mao, Dally (Deep Compression, ICLR 2016, section 3). An entry for zero is padded in front and is no parameter:
 * zeros stay zeros.
 *
 * The gradient of an entry is the sum over the n weights that share it, and a rate that suits weights would be n times
 * too high for it. So the parameter is t = e √n for the entry e: its gradient is that sum over √n, and a step
 *
 *     Δe = Δt / √n = -rate · (1/n) Σ gradients
 *
 * is the mean of the steps that its weights would have taken: the step of all weights, projected on what is shared.
 */
import { assert } from "../../errors.ts";
import { type Constant, constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import type { Codebook } from "../../pack/quantising/codebook.ts";
import { int64Vector, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";

/** A graph whose weights are read out of tables. */
export interface CodebookForm {
  /** A parameter has the name of its weight, and holds t for each entry that is not zero: [entries]. */
  readonly graph: Graph;
  /** Constants that are no parameters, though they could be. */
  readonly fixed: readonly string[];
  /** The form without tables, after training: each weight is what its table then gives. */
  readonly undo: (trained: Graph) => Graph;
}

/** A weight that is read out of a table. */
interface TableWeight {
  readonly weight: Constant;
  readonly parameter: Constant;
  /** 1/√n for each entry. */
  readonly scale: Constant;
  /** Places in the table with a zero in front, in the weight's shape. */
  readonly places: Constant;
  /** Scales the table, pads it, and picks the elements. */
  readonly nodes: readonly [Node, Node, Node];
  /** What the last one computes. */
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
    const counts = new Float64Array(entries.length + 1);
    for (const place of toNumbers(indices)) counts[place]++;
    const roots = entries.map((_, i) => Math.sqrt(Math.max(1, counts[i + 1])));
    const vector = (valueAt: (i: number) => number) =>
      tensorOf(
        "float32",
        [entries.length],
        Float32Array.from(entries, (_, i) => valueAt(i)),
      );
    const parameter = constantOf(
      name,
      vector((i) => entries[i] * roots[i]),
    );
    const scale = constantOf(
      fresh(`${name}.scale`),
      vector((i) => 1 / roots[i]),
    );
    const [scaled, padded] = [fresh(`${name}.scaled`), fresh(`${name}.padded`)];
    const value = fresh(`${name}.read`);
    const nodes = [
      newNode(fresh(`scale ${name}`), "Mul", [name, scale.name], scaled),
      newNode(fresh(`pad ${name}`), "Pad", [scaled, front.name], padded),
      newNode(fresh(`read ${name}`), "Gather", [padded, own.name], value),
    ] as const;
    return [{ weight, parameter, scale, places: own, nodes, value }];
  });
  if (read.length === 0) return { graph, fixed: [], undo: (trained) => trained };
  const added = [
    front,
    ...read.flatMap(({ parameter, scale, places }) => [parameter, scale, places]),
  ];
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
    fixed: read.map(({ scale }) => scale.name),
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
  for (const { weight, scale, places } of read) {
    const parameter = trained.constants.get(weight.name);
    assert(parameter !== undefined, "training keeps its parameters");
    const scales = toNumbers(scale.read());
    const entries = [0, ...toNumbers(parameter.read()).map((t, i) => t * scales[i])];
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
