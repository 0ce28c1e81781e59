/**
 * @file Finds the channels that must be removed together: element ids for every axis of every tensor.
 *
 * Walks the graph once and lets each operator's `ties` facet unite ids. The result is the basis of units and groups
 * (`units.ts`), of surgery, and of the masks that verification inserts.
 */

import { type Graph, type Node, operatorName, producersOf } from "../../ir/graph.ts";
import { type BoundOperator, operatorOf } from "../../ops/index.ts";
import type { TiedTensor } from "../../ops/operator/operator.ts";
import type { Inference } from "../../ops/passes/infer.ts";
import { bitsOf } from "../../tensor/dtype.ts";
import { bindDims, dynamicElements } from "./bound-sizes.ts";
import { cutLayout } from "./cuts.ts";
import { IdPool } from "./id-pool.ts";
import { elementIds, type Layout, ownLayout } from "./layout.ts";
import { knownShape, obstacleOf, outputShapes } from "./obstacles.ts";
import { nothingRevived, type Revived } from "./revival.ts";
import { type Selection, selectionAt } from "./selections.ts";
import type { Producer, Read } from "./sums.ts";
import { TieSession } from "./tie-session.ts";

/** The result of one walk over the graph. */
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
  /** Whether layers may select their inputs, and the places of these selections. */
  readonly selectsInputs: boolean;
  readonly selections: ReadonlyMap<Node, Selection>;
  /** The tensors that the facets of a node see, by node; absent for nodes that are barriers as a whole. */
  readonly operands: ReadonlyMap<Node, Operands>;
  /** Nodes that are barriers as a whole, and why: the reason of what they fix. */
  readonly barriers: ReadonlyMap<Node, string>;
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
  readonly dims?: ReadonlyMap<string, number> | undefined;
  /** Whether layers may select what they read of inputs and of flattened maps. Default: they may not. */
  readonly selectsInputs?: boolean | undefined;
}

/**
 * Analyses a graph. Never refuses a graph for an operator that it doesn't know or a shape that only
 * the run would tell: such nodes are barriers, and what they touch is fixed with that reason.
 */
export function analyze(graph: Graph, options: AnalyzeOptions = {}): Analysis {
  const { selectsInputs = false } = options;
  const { dims, inference } = bindDims(graph, options.dims ?? new Map());
  const walk = new Walk(graph, inference, dynamicElements(graph, dims, inference), selectsInputs);
  for (const name of graph.inputs) walk.enter(name);
  for (const node of graph.nodes) walk.pass(node);
  for (const name of graph.outputs) walk.leave(name);
  const { pool, layouts, parameters, reads, producers, streams, selections, operands } = walk;
  const { barriers } = walk;
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
    barriers,
    dynamicElements: walk.dynamicElements,
  };
}

/** The walk over a graph, and what it has found out so far; see {@link Analysis} for the fields. */
class Walk {
  readonly pool = new IdPool();
  readonly layouts = new Map<string, Layout>();
  readonly parameters = new Map<string, Layout>();
  readonly reads: Read[] = [];
  readonly producers: Producer[] = [];
  readonly streams: string[] = [];
  readonly selections = new Map<Node, Selection>();
  readonly operands = new Map<Node, Operands>();
  readonly barriers = new Map<Node, string>();
  readonly dynamicElements: Analysis["dynamicElements"];
  readonly #graph: Graph;
  readonly #inference: Inference;
  readonly #selectsInputs: boolean;
  readonly #makers: ReadonlyMap<string, Node>;
  /** Constants, and values computed from constants alone. */
  readonly #fromConstants: ReadonlySet<string>;
  /** Axes of values along which a channel without numbers of its own holds something: `revival.ts`. */
  readonly #revived = new Map<string, Revived>();
  /** Values of shape arithmetic that were fixed already. */
  readonly #measured = new Set<string>();

  constructor(
    graph: Graph,
    inference: Inference,
    dynamic: Analysis["dynamicElements"],
    selectsInputs: boolean,
  ) {
    this.#graph = graph;
    this.#inference = inference;
    this.dynamicElements = dynamic;
    this.#selectsInputs = selectsInputs;
    this.#makers = producersOf(graph);
    this.#fromConstants = constantNames(graph);
  }

  /** An input of the graph stays unchanged. */
  enter(name: string): void {
    const shape = knownShape(this.#inference, name);
    const layout = shape && this.#own(name, shape);
    if (layout === undefined) return;
    this.#fixAll(layout, "an input of the network");
    this.layouts.set(name, layout);
  }

  /** A node ties its inputs and outputs by its rule; without one, or without shapes, it is a barrier. */
  pass(node: Node): void {
    const bound = operatorOf(node);
    const inputs = node.inputs.map((_, i) => this.#layoutFor(node, i));
    if (bound === undefined) {
      this.#close(node, inputs, "is not an operator that Espalier knows");
      return;
    }
    const outputs = outputShapes(node, this.#inference);
    const obstacle = obstacleOf({
      graph: this.#graph,
      node,
      inference: this.#inference,
      inputs,
      outputs,
      fromConstants: this.#fromConstants,
      takeIndices: (count) => this.pool.takeIndices(count),
    });
    if (obstacle !== undefined) this.#close(node, inputs, obstacle);
    else this.#tie(node, bound, inputs, outputs);
  }

  /** Channels that reach an output of the graph stay, and so do channels from which its size is computed. */
  leave(name: string): void {
    this.#fixMeasured(name, "its size reaches an output of the network");
    const layout = this.layouts.get(name);
    if (layout === undefined) return;
    cutLayout(this.pool, layout);
    for (const block of layout.blocks)
      for (const id of elementIds(this.pool, block, layout.base))
        this.pool.fix(id, "reaches an output of the network");
  }

  /** A barrier: everything that the node touches is fixed. */
  #close(node: Node, inputs: readonly (Layout | undefined)[], why: string): void {
    const reason = `${operatorName(node)} "${node.name}" ${why}`;
    this.barriers.set(node, reason);
    for (const layout of inputs) if (layout) this.#fixAll(layout, reason);
    for (const name of node.captures) {
      const inside = insideReason(node);
      const layout = this.layouts.get(name);
      if (layout) this.#fixAll(layout, inside);
      this.#fixMeasured(name, `a size ${inside}`);
    }
    for (const name of node.outputs) {
      const shape = knownShape(this.#inference, name);
      const layout = name === "" || shape === undefined ? undefined : this.#own(name, shape);
      if (layout === undefined) continue;
      this.#fixAll(layout, reason);
      this.layouts.set(name, layout);
    }
  }

  /** Lets the rule of the node's operator unite ids; a selection stands between it and what it reads. */
  #tie(
    node: Node,
    { operator, attrs }: BoundOperator,
    layouts: readonly (Layout | undefined)[],
    shapes: readonly (readonly number[] | undefined)[],
  ): void {
    const { pool, reads, producers, streams, dynamicElements } = this;
    const { values, declared } = this.#inference;
    const inputs = this.#withSelection(node, layouts);
    const session = new TieSession({
      pool,
      node,
      attrs,
      dynamicElements,
      reads,
      producers,
      streams,
      inputs: node.inputs.map((name, i) => {
        const layout = inputs[i];
        if (layout === undefined) return undefined;
        const isParameter = this.#fromConstants.has(name) || values.has(name);
        const revived = this.#revived.get(name) ?? nothingRevived;
        return { layout, tensor: this.#tensor(name, layout.shape, isParameter), revived };
      }),
      outputs: node.outputs.map((name, i) => this.#tensor(name, shapes[i] ?? [], false)),
      isDeclared: node.outputs.some((name) => declared.has(name)),
    });
    operator.ties(session);
    session.finish();
    for (const [i, name] of node.outputs.entries()) {
      if (name === "") continue;
      this.layouts.set(name, session.outputLayout(i));
      this.#revived.set(name, session.revivedIn(session.output(i)));
    }
    this.operands.set(node, {
      inputs: session.inputs,
      outputs: session.outputs,
      layoutOf: (own) => session.layoutOf(own),
      sizeInputs: session.sizeInputs,
    });
  }

  /** The layouts that a node reads: that of a selection, where one may stand before it. */
  #withSelection(
    node: Node,
    inputs: readonly (Layout | undefined)[],
  ): readonly (Layout | undefined)[] {
    if (!this.#selectsInputs) return inputs;
    const selection = selectionAt({
      graph: this.#graph,
      node,
      pool: this.pool,
      layouts: this.layouts,
      maker: this.#makers.get(node.inputs[0]),
    });
    if (selection === undefined) return inputs;
    this.selections.set(node, selection);
    this.producers.push({ node, ...selection.weight, isSelection: true });
    return inputs.map((layout, i) => (i === selection.input ? selection.layout : layout));
  }

  #tensor(name: string, shape: readonly number[], isParameter: boolean): TiedTensor {
    const { types, values } = this.#inference;
    const dtype = types.get(name)?.dtype ?? "float32";
    return { name, dtype, shape, value: values.get(name), isParameter };
  }

  /** A layout of fresh ids; `undefined` where there would be too many. */
  #own(name: string, shape: readonly number[]): Layout | undefined {
    if (!this.pool.takeIndices(shape.reduce((sum, size) => sum + size, 0))) return undefined;
    return ownLayout({ name, shape, ids: shape.map((size) => this.pool.fresh(size)) });
  }

  #layoutFor(node: Node, index: number): Layout | undefined {
    const name = node.inputs[index];
    const constant = this.#graph.constants.get(name);
    if (constant === undefined) return this.layouts.get(name);
    const key = useKey(name, constant.shape, node, index);
    let layout = this.parameters.get(key);
    if (layout === undefined) {
      layout = this.#own(key, constant.shape);
      if (layout === undefined) return undefined;
      if (bitsOf[constant.dtype] < 8)
        this.#fixAll(layout, `"${name}" holds packed ${constant.dtype}, which cannot be cut`);
      this.parameters.set(key, layout);
    }
    return layout;
  }

  #fixAll({ base }: Layout, reason: string): void {
    for (const ids of base.ids) for (const id of ids) this.pool.fix(id, reason);
  }

  /** Shape arithmetic with this result must not change, so the axes that it measures keep their widths. */
  #fixMeasured(name: string, reason: string): void {
    const { values } = this.#inference;
    const node = this.#makers.get(name);
    if (node === undefined || !values.has(name) || this.#measured.has(name)) return;
    this.#measured.add(name);
    for (const input of node.inputs) {
      const layout = values.has(input) ? undefined : this.layouts.get(input);
      if (layout) this.#fixAll(layout, reason);
      else this.#fixMeasured(input, reason);
    }
  }
}

/** The reason why values that a node's bodies read by name are fixed. */
export function insideReason(node: Node): string {
  return `read inside the body of ${operatorName(node)} "${node.name}"`;
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
