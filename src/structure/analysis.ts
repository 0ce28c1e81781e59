/**
 * @file Which channels live and die together: element ids for every axis of every tensor.
 *
 * Walks the graph once and lets each operator's `ties` facet unite ids. What comes out is the raw
 * material of units and groups (`units.ts`), of surgery and of the masks that verification inserts.
 */
import { type Graph, type Node, producersOf } from "../ir/graph.ts";
import { operatorOf } from "../ops/index.ts";
import type { Inference } from "../ops/infer.ts";
import type { TiedTensor } from "../ops/operator.ts";
import { bitsOf } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import { sizeOf } from "../tensor/host-tensor.ts";
import { bindDims, dynamicElements } from "./bound-sizes.ts";
import { IdPool } from "./id-pool.ts";
import { type Base, elementIds, type Layout, ownLayout } from "./layout.ts";
import { type Selection, selectionAt } from "./selections.ts";
import { cutLayout, TieSession } from "./tie-session.ts";

/** A node sums over one axis of one of its inputs: where a removed channel stops being seen. */
export interface Read {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
}

/** A parameter axis that makes channels: one filter per index. */
export interface Producer {
  readonly node: Node;
  readonly input: number;
  readonly axis: number;
  /** True where it makes none, but selects what its layer reads: see `selections.ts`. */
  readonly isSelection?: true;
}

/** What one walk over the graph finds out. */
export interface Analysis {
  readonly graph: Graph;
  /** Sizes that symbolic dims were bound to. */
  readonly dims: ReadonlyMap<string, number>;
  readonly inference: Inference;
  readonly pool: IdPool;
  /** Layouts of computed values and graph inputs, by name. */
  readonly layouts: ReadonlyMap<string, Layout>;
  /** Layouts of constants: one for a weight, one for each use of a vector (see `useKey`). */
  readonly parameters: ReadonlyMap<string, Layout>;
  readonly reads: readonly Read[];
  readonly producers: readonly Producer[];
  /** Outputs of nodes that add up branches: their channels are residual streams. */
  readonly streams: readonly string[];
  /** Whether selections of what layers read were asked for, and where they stand. */
  readonly selectsInputs: boolean;
  readonly selections: ReadonlyMap<Node, Selection>;
  /** For each node, the tensors its facets see; absent for nodes that are barriers as a whole. */
  readonly operands: ReadonlyMap<Node, Operands>;
  /** Which elements of a value that shape arithmetic computes change with the symbolic dims. */
  readonly dynamicElements: (name: string) => readonly boolean[] | undefined;
}

/** The inputs and outputs of one node with their layouts. */
export interface Operands {
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  readonly layoutOf: (tensor: TiedTensor) => Layout;
  /** Inputs that hold sizes, which `shrink` rewrites. */
  readonly sizeInputs: ReadonlySet<number>;
}

/** How `analyze` sees a graph; an `Analysis` itself says how another graph is to be seen likewise. */
export interface AnalyzeOptions {
  /** Sizes for symbolic dims by name; others are chosen by `bindDims`. */
  readonly dims?: ReadonlyMap<string, number>;
  /** Whether layers may select what they read of inputs and of flattened maps. Default: they may not. */
  readonly selectsInputs?: boolean;
}

/**
 * Analyses a graph. Never refuses a graph for an operator that it doesn't know or a shape that only
 * the run would tell: such nodes are barriers, and what they touch is fixed with that reason.
 */
export function analyze(graph: Graph, options: AnalyzeOptions = {}): Analysis {
  const { selectsInputs = false } = options;
  const { dims, inference } = bindDims(graph, options.dims ?? new Map());
  const dynamic = dynamicElements(graph, dims, inference);
  const pool = new IdPool();
  const layouts = new Map<string, Layout>();
  const parameters = new Map<string, Layout>();
  const reads: Read[] = [];
  const producers: Producer[] = [];
  const streams: string[] = [];
  const operands = new Map<Node, Operands>();
  const selections = new Map<Node, Selection>();
  const fromConstants = constantNames(graph);
  const makers = producersOf(graph);

  const own = (name: string, shape: readonly number[]): Layout => {
    const base: Base = { name, shape, ids: shape.map((size) => pool.fresh(size)) };
    return ownLayout(base);
  };
  const fixAll = (layout: Layout, reason: string): void => {
    for (const ids of layout.base.ids) for (const id of ids) pool.fix(id, reason);
  };
  const layoutFor = (node: Node, index: number): Layout | undefined => {
    const name = node.inputs[index];
    const constant = graph.constants.get(name);
    if (constant === undefined) return layouts.get(name);
    const key = useKey(name, constant.shape, node, index);
    let layout = parameters.get(key);
    if (layout === undefined) {
      layout = own(key, constant.shape);
      if (bitsOf[constant.dtype] < 8)
        fixAll(layout, `"${name}" holds packed ${constant.dtype}, which cannot be cut`);
      parameters.set(key, layout);
    }
    return layout;
  };

  const measured = new Set<string>();
  /** Shape arithmetic with this result must not change: what it measures stays as it is. */
  const fixMeasured = (name: string, reason: string): void => {
    const node = makers.get(name);
    if (node === undefined || !inference.values.has(name) || measured.has(name)) return;
    measured.add(name);
    for (const input of node.inputs) {
      const layout = inference.values.has(input) ? undefined : layouts.get(input);
      if (layout) fixAll(layout, reason);
      else fixMeasured(input, reason);
    }
  };

  for (const name of graph.inputs) {
    const shape = knownShape(inference, name);
    if (shape === undefined) continue;
    const layout = own(name, shape);
    fixAll(layout, "an input of the network");
    layouts.set(name, layout);
  }

  for (const node of graph.nodes) {
    const bound = operatorOf(node);
    const inputs = node.inputs.map((_, i) => layoutFor(node, i));
    const outputShapes = node.outputs.map((name) => knownShape(inference, name));
    const isWhole =
      bound !== undefined &&
      node.captures.length === 0 &&
      node.inputs.every(
        (name, i) =>
          name === "" || (inputs[i] && (sizeOf(inputs[i].shape) > 0 || fromConstants.has(name))),
      ) &&
      node.outputs.every((name, i) => {
        const shape = outputShapes[i];
        return name === "" || (shape !== undefined && sizeOf(shape) > 0);
      });
    if (!isWhole) {
      const reason = bound
        ? `${node.opType} "${node.name}" has a shape that is only known at run time`
        : `${node.opType} "${node.name}" is not an operator that Espalier knows`;
      for (const layout of inputs) if (layout) fixAll(layout, reason);
      for (const name of node.captures) {
        const inside = `read inside the body of ${node.opType} "${node.name}"`;
        const layout = layouts.get(name);
        if (layout) fixAll(layout, inside);
        fixMeasured(name, `a size ${inside}`);
      }
      for (const [i, name] of node.outputs.entries()) {
        const shape = outputShapes[i];
        if (name === "" || shape === undefined) continue;
        const layout = own(name, shape);
        fixAll(layout, reason);
        layouts.set(name, layout);
      }
      continue;
    }
    const selection = selectsInputs
      ? selectionAt({ graph, node, pool, layouts, maker: makers.get(node.inputs[0]) })
      : undefined;
    if (selection !== undefined) {
      selections.set(node, selection);
      inputs[selection.input] = selection.layout;
      producers.push({ node, ...selection.weight, isSelection: true });
    }
    const session = new TieSession({
      pool,
      node,
      attrs: bound.attrs,
      inputs: node.inputs.map((name, i) => {
        const layout = inputs[i];
        if (layout === undefined) return undefined;
        const value = inference.values.get(name);
        const isParameter = fromConstants.has(name) || value !== undefined;
        return { layout, tensor: tiedTensor(name, inference, layout.shape, value, isParameter) };
      }),
      outputs: node.outputs.map((name, i) =>
        tiedTensor(name, inference, outputShapes[i] ?? [], inference.values.get(name), false),
      ),
      dynamicElements: dynamic,
      reads,
      producers,
      streams,
    });
    bound.operator.ties(session);
    session.finish();
    for (const [i, name] of node.outputs.entries())
      if (name !== "") layouts.set(name, session.outputLayout(i));
    operands.set(node, {
      inputs: session.inputs,
      outputs: session.outputs,
      layoutOf: (tensor) => session.layoutOf(tensor),
      sizeInputs: session.sizeInputs,
    });
  }

  for (const name of graph.outputs) {
    fixMeasured(name, "its size reaches an output of the network");
    const layout = layouts.get(name);
    if (layout === undefined) continue;
    cutLayout(pool, layout);
    for (const block of layout.blocks)
      for (const id of elementIds(pool, block, layout.base))
        pool.fix(id, "reaches an output of the network");
  }
  return {
    graph,
    dims,
    inference,
    pool,
    layouts,
    parameters,
    reads,
    producers,
    streams,
    selectsInputs,
    selections,
    operands,
    dynamicElements: dynamic,
  };
}

/**
 * The key under which a constant's layout is kept. Tensors with two axes or more are weights: sharing
 * one ties all its users. Vectors and scalars are shared mostly because exporters merge equal ones, so
 * each use gets its own, and surgery clones the constant where uses end up different.
 */
export function useKey(name: string, shape: readonly number[], node: Node, input: number): string {
  const isWeight = shape.filter((size) => size > 1).length >= 2;
  return isWeight ? name : `${name}\u0000${node.name}\u0000${input}`;
}

/** The shape of a value when every size is known. */
export function knownShape(inference: Inference, name: string): readonly number[] | undefined {
  const shape = inference.types.get(name)?.shape;
  if (shape === undefined) return undefined;
  const sizes: number[] = [];
  for (const dim of shape) {
    if (typeof dim === "string") return undefined;
    sizes.push(dim);
  }
  return sizes;
}

function tiedTensor(
  name: string,
  inference: Inference,
  shape: readonly number[],
  value: HostTensor | undefined,
  isParameter: boolean,
): TiedTensor {
  const type = inference.types.get(name);
  return { name, dtype: type?.dtype ?? "float32", shape, value, isParameter };
}

/** Constants, and values computed from constants alone. */
function constantNames(graph: Graph): ReadonlySet<string> {
  const names = new Set(graph.constants.keys());
  for (const node of graph.nodes) {
    const isConstant =
      node.captures.length === 0 &&
      node.inputs.length > 0 &&
      node.inputs.every((name) => name === "" || names.has(name));
    if (isConstant) for (const name of node.outputs) names.add(name);
  }
  return names;
}
