/** @file The `Ties` interface that an operator's rule calls, for one node. */

import { assert, EspalierError } from "../../errors.ts";
import type { Node } from "../../ir/graph.ts";
import type { AtZero, Ids, TiedTensor, Ties } from "../../ops/operator/operator.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { axisIds, cutBeside, cutLayout, cutMovedApart, cutWhereUnited } from "./cuts.ts";
import type { IdPool } from "./id-pool.ts";
import {
  blockOf,
  jointPositions,
  type Layout,
  ownLayout,
  reshaped,
  reshapedPositions,
  selected,
  transposed,
} from "./layout.ts";
import { NodeRevival } from "./node-revival.ts";
import type { Revived } from "./revival.ts";
import type { Producer, Read } from "./sums.ts";

/** The inputs of a session. */
export interface SessionStart {
  readonly pool: IdPool;
  readonly node: Node;
  readonly attrs: unknown;
  readonly inputs: readonly (
    | { readonly layout: Layout; readonly tensor: TiedTensor; readonly revived: Revived }
    | undefined
  )[];
  readonly outputs: readonly TiedTensor[];
  /** Whether sizes of outputs are known from the file's word alone, which a rule may contradict. */
  readonly isDeclared: boolean;
  /** Which elements of a folded value change with the symbolic dims. */
  readonly dynamicElements: (name: string) => readonly boolean[] | undefined;
  /** Collectors, shared by all nodes. */
  readonly reads: Read[];
  readonly producers: Producer[];
  readonly streams: string[];
}

/** One node's rule at work. `finish` completes what the rule left open. */
export class TieSession implements Ties<unknown> {
  readonly attrs: unknown;
  readonly node: Node;
  readonly inputs: readonly (TiedTensor | undefined)[];
  readonly outputs: readonly TiedTensor[];
  readonly #start: SessionStart;
  readonly #layouts = new Map<TiedTensor, Layout>();
  /** Ids that a rule defined for outputs that are no views, by axis. */
  readonly #defined = new Map<TiedTensor, (Ids | undefined)[]>();
  /** Inputs that were only moved: their joint blocks may stay joint. */
  readonly #moved = new Set<TiedTensor>();
  /** What `sizesFrom` asked for; it is answered when the layouts of all outputs are known. */
  readonly #sizes: {
    readonly sizes: TiedTensor;
    readonly output: TiedTensor;
    readonly axes: readonly number[];
  }[] = [];
  readonly #revival: NodeRevival;

  constructor(start: SessionStart) {
    this.#start = start;
    this.attrs = start.attrs;
    this.node = start.node;
    this.inputs = start.inputs.map((input) => input?.tensor);
    this.outputs = start.outputs;
    this.#revival = new NodeRevival({
      node: start.node,
      inputs: start.inputs.map(
        (input) => input && { tensor: input.tensor, revived: input.revived },
      ),
      layoutOf: (tensor) => this.layoutOf(tensor),
      isShared: (a, axisOfA, b, axisOfB) => this.#isShared(a, axisOfA, b, axisOfB),
    });
    for (const input of start.inputs) if (input) this.#layouts.set(input.tensor, input.layout);
  }

  input(index: number): TiedTensor {
    const tensor = this.inputs[index];
    assert(tensor !== undefined, `${this.node.opType} has an input ${index}`);
    return tensor;
  }

  output(index = 0): TiedTensor {
    const tensor = this.outputs[index];
    assert(tensor !== undefined, `${this.node.opType} has an output ${index}`);
    return tensor;
  }

  layoutOf(tensor: TiedTensor): Layout {
    const layout = this.#layouts.get(tensor);
    assert(layout !== undefined, `"${tensor.name}" has a layout`);
    return layout;
  }

  outputLayout(index: number): Layout {
    return this.layoutOf(this.output(index));
  }

  ids(tensor: TiedTensor, axis: number): Ids {
    const defined = this.#defined.get(tensor)?.[axis];
    if (defined) return defined;
    if (!this.#layouts.has(tensor)) {
      const fresh = this.fresh(tensor.shape[axis]);
      this.define(tensor, axis, fresh);
      return fresh;
    }
    return axisIds(this.#start.pool, this.layoutOf(tensor), axis);
  }

  fresh(count: number): Ids {
    return this.#start.pool.fresh(count);
  }

  define(output: TiedTensor, axis: number, ids: Ids): void {
    this.#require(
      ids.length === output.shape[axis],
      `${ids.length} ids for axis ${axis} of [${output.shape.join(", ")}]`,
    );
    const defined = this.#defined.get(output) ?? output.shape.map(() => undefined);
    defined[axis] = ids;
    this.#defined.set(output, defined);
  }

  unite(a: Ids, b: Ids): void {
    this.#require(a.length === b.length, `unites ${a.length} with ${b.length} ids`);
    for (let i = 0; i < a.length; i++) this.#start.pool.unite(a[i], b[i]);
  }

  uniteAll(ids: Ids): void {
    for (const id of ids) this.#start.pool.unite(ids[0], id);
  }

  fix(ids: Ids, reason: string): void {
    for (const id of ids) this.#start.pool.fix(id, reason);
  }

  reads(tensor: TiedTensor, axis: number): void {
    if (tensor.isParameter) {
      // Zeros of an activation beside the parameter are enough. Nobody masks a sum over constants alone.
      const isComputed = this.inputs.every((input) => input === undefined || input.isParameter);
      if (isComputed) this.fix(this.ids(tensor, axis), "summed up in a weight that is computed");
      return;
    }
    this.#start.reads.push({ node: this.node, input: this.inputs.indexOf(tensor), axis });
    this.#revival.sum(tensor, axis);
  }

  produces(tensor: TiedTensor, axis: number): void {
    if (!tensor.isParameter) return;
    this.#start.producers.push({ node: this.node, input: this.inputs.indexOf(tensor), axis });
  }

  stream(output: TiedTensor): void {
    const branches = this.inputs.filter((input) => input && !input.isParameter);
    if (branches.length > 1) this.#start.streams.push(output.name);
  }

  reshape(output: TiedTensor, input: TiedTensor): void {
    const { shape } = output;
    this.#require(
      sizeOf(shape) === sizeOf(input.shape),
      `a reshape of [${input.shape.join(", ")}] to [${shape.join(", ")}]`,
    );
    const layout = this.layoutOf(input);
    this.#view(output, input, reshapedPositions(layout, shape), () => reshaped(layout, shape));
  }

  transpose(output: TiedTensor, input: TiedTensor, permutation: readonly number[]): void {
    const layout = this.layoutOf(input);
    this.#view(output, input, jointPositions(layout), () => transposed(layout, permutation));
  }

  select(output: TiedTensor, input: TiedTensor, axis: number, indices: ArrayLike<number>): void {
    const size = input.shape[axis];
    this.#require(
      Array.from(indices).every((index) => index >= 0 && index < size),
      `selects outside an axis of ${size}`,
    );
    const layout = this.layoutOf(input);
    const positions = Math.ceil((jointPositions(layout) / size) * indices.length);
    this.#view(output, input, positions, () => selected(layout, axis, indices));
  }

  // The index of an axis of its own must stay; that of a split channel axis stands for one of several runs.
  pick(output: TiedTensor, input: TiedTensor, axis: number, index: number): void {
    const layout = this.layoutOf(input);
    if (blockOf(layout, axis).axes.length > 1) {
      this.#view(output, input, jointPositions(layout), () =>
        reshaped(selected(layout, axis, [index]), output.shape),
      );
      return;
    }
    this.fix(this.ids(input, axis).slice(index, index + 1), "picked by its index");
    for (let i = 0; i < output.shape.length; i++)
      this.define(output, i, this.ids(input, i < axis ? i : i + 1));
  }

  revives(output: TiedTensor): void {
    this.#revival.revives(output);
  }

  elementwise(outputs: readonly TiedTensor[], inputs: readonly TiedTensor[], atZero: AtZero): void {
    for (const output of outputs) this.#revival.formula(output, inputs, atZero);
    for (const input of inputs) cutLayout(this.#start.pool, this.layoutOf(input));
    for (const output of outputs) {
      const rank = output.shape.length;
      for (let axis = 0; axis < rank; axis++) {
        const meeting = inputs.filter(({ shape }) => {
          const at = axis - (rank - shape.length);
          return at >= 0 && shape[at] === output.shape[axis];
        });
        const lists = meeting.map((x) => this.ids(x, axis - (rank - x.shape.length)));
        const [first = this.fresh(output.shape[axis]), ...others] = lists;
        for (const ids of others) this.unite(first, ids);
        this.define(output, axis, first);
      }
    }
  }

  sizesFrom(index: number, output: TiedTensor, axes: readonly number[]): void {
    this.#sizes.push({ sizes: this.input(index), output, axes });
  }

  /** Inputs that hold sizes. */
  get sizeInputs(): ReadonlySet<number> {
    return new Set(this.#sizes.map(({ sizes }) => this.inputs.indexOf(sizes)));
  }

  /** Cuts what was not merely moved, and gives undefined output axes ids of their own. */
  finish(): void {
    for (const input of this.inputs)
      if (input && !this.#moved.has(input)) cutLayout(this.#start.pool, this.layoutOf(input));
    for (const output of this.outputs) {
      if (this.#layouts.has(output)) continue;
      const defined = this.#defined.get(output);
      const ids = output.shape.map((size, axis) => defined?.[axis] ?? this.fresh(size));
      this.#layouts.set(output, ownLayout({ name: output.name, shape: output.shape, ids }));
    }
    this.#fixComputedSizes();
    this.#revival.settle(this.outputs);
    for (const { tensor, axis } of this.#revival.sumsThatCount())
      this.fix(
        this.ids(tensor, axis),
        `under ${this.node.opType}: adds to a sum even where its own weights are 0`,
      );
  }

  /** Axes whose size is computed while the network runs stay as wide as they are. */
  #fixComputedSizes(): void {
    for (const { sizes, output, axes } of this.#sizes) {
      const dynamic = this.#start.dynamicElements(sizes.name);
      const computed = axes.filter(
        (axis, element) => axis >= 0 && !(sizes.isParameter && dynamic?.[element] !== true),
      );
      const layout = this.layoutOf(output);
      cutBeside(this.#start.pool, layout, computed);
      for (const axis of computed) {
        const ids = axisIds(this.#start.pool, layout, axis);
        this.fix(ids, "its size is computed while the network runs");
      }
    }
  }

  /** The axes of an input or (when finished) an output along which dead channels hold something. */
  revivedIn(tensor: TiedTensor): Revived {
    return this.#revival.of(tensor);
  }

  /** Whether any index of one axis goes with one of the other axis. */
  #isShared(a: TiedTensor, axisOfA: number, b: TiedTensor, axisOfB: number): boolean {
    const { pool } = this.#start;
    const roots = new Set<number>();
    for (const id of this.ids(a, axisOfA)) roots.add(pool.find(id));
    return this.ids(b, axisOfB).some((id) => roots.has(pool.find(id)));
  }

  /** What a rule takes for granted: our own bug where it does not hold, unless the file said otherwise. */
  #require(condition: boolean, what: string): void {
    if (condition) return;
    const { opType, name } = this.node;
    assert(this.#start.isDeclared, `${opType} "${name}" fits its shapes: ${what}`);
    const declared = this.outputs.map((output) => `"${output.name}" [${output.shape.join(", ")}]`);
    throw new EspalierError(
      "MODEL_BAD_SHAPE",
      `${opType} node "${name}": the file declares ${declared.join(", ")}, which its inputs do not give (${what})`,
      {
        hint: "Remove the declared shapes between the nodes (value_info), or let the exporter infer them anew.",
        data: { node: name, opType },
      },
    );
  }

  /**
   * Output is a view of the input that lists `positions` over several axes. Where those are too many to
   * follow, nothing of the two may go.
   */
  #view(output: TiedTensor, input: TiedTensor, positions: number, make: () => Layout): void {
    if (!this.#start.pool.takePositions(positions)) {
      for (const tensor of [input, output])
        for (const axis of tensor.shape.keys())
          this.fix(this.ids(tensor, axis), "rearranged in more positions than are followed");
      return;
    }
    const layout = make();
    this.#require(
      layout.shape.length === output.shape.length &&
        layout.shape.every((size, axis) => size === output.shape[axis]),
      `a view of [${layout.shape.join(", ")}] for [${output.shape.join(", ")}]`,
    );
    this.#layouts.set(output, layout);
    this.#moved.add(input);
    this.#revival.view(output, input);
    cutWhereUnited(this.#start.pool, layout);
    cutMovedApart(this.#start.pool, layout, this.layoutOf(input));
  }
}
