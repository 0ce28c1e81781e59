/**
 * @file Removing units from a graph: the smaller network, exactly.
 *
 * Invariant: the result computes what the original computes with zeros where the removed channels were
 * read (`masks.ts`).
 */
import { assert } from "../../errors.ts";
import { constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { operatorOf } from "../../ops/index.ts";
import type { Shrunk } from "../../ops/operator/operator.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import type { DType } from "../../tensor/dtype.ts";
import {
  type HostTensor,
  int64Vector,
  takeGrid,
  tensorOf,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import { type Operands, useKey } from "../analysis/analysis.ts";
import { asSelection, type Layout } from "../analysis/layout.ts";
import type { Selection } from "../analysis/selections.ts";
import {
  isVirtual,
  keptAlong,
  losesAnything,
  type Removed,
  shapeAfter,
  withDependants,
} from "../units/removal.ts";
import type { Structure } from "../units/units.ts";
import { ConstantVersions, unchanged } from "./constant-versions.ts";
import { checkedAfter, typesAfter, withoutNewlyDead } from "./graph-after.ts";
import { ComputedSizes, isSameValue } from "./recomputed.ts";

/** The graph without the removed units. Nodes and constants that don't change stay the same objects. */
export function removeUnits(structure: Structure, removed: Removed): Graph {
  if (!removed.includes(1)) return structure.analysis.graph;
  assert(withDependants(structure, removed) === removed, "features go with their channels");
  return new Surgery(structure, removed).run();
}

class Surgery {
  readonly #structure: Structure;
  readonly #removed: Removed;
  readonly #graph: Graph;
  readonly #fresh: (stem: string) => string;
  readonly #constants: ConstantVersions;
  readonly #nodes: Node[] = [];
  readonly #sizes: ComputedSizes;

  constructor(structure: Structure, removed: Removed) {
    this.#structure = structure;
    this.#removed = removed;
    this.#graph = structure.analysis.graph;
    this.#fresh = freshNames(this.#graph);
    this.#constants = new ConstantVersions(this.#fresh);
    this.#sizes = new ComputedSizes(structure, removed, {
      fresh: this.#fresh,
      constant: (stem, tensor) => this.#constants.add(stem, tensor),
      node: (node) => this.#nodes.push(node),
      original: (name) => this.#asIs(name),
    });
  }

  run(): Graph {
    const { graph } = this.#structure.analysis;
    // Captured constants and outputs that are constants must stay as they are under their names.
    const pinned = new Set([...graph.outputs, ...graph.nodes.flatMap((node) => node.captures)]);
    for (const [name, constant] of graph.constants)
      if (pinned.has(name)) this.#constants.nameOf(constant, unchanged(constant));
    for (const node of graph.nodes) this.#rewrite(node);
    // Constants that nothing reads were there before; they stay.
    const used = new Set([...graph.nodes.flatMap((node) => node.inputs), ...pinned]);
    for (const [name, constant] of graph.constants)
      if (!used.has(name)) this.#constants.keep(name, constant);
    const nodes = withoutNewlyDead(this.#nodes, graph);
    const live = new Set(nodes.flatMap((node) => [...node.inputs, ...node.captures]));
    const constants = this.#constants.all(
      graph.constants,
      (name) => !used.has(name) || live.has(name) || pinned.has(name),
      (name) => live.has(name),
    );
    const types = typesAfter(this.#structure, this.#removed, nodes, this.#constants);
    return checkedAfter(this.#structure, this.#removed, { ...graph, nodes, constants, types });
  }

  #rewrite(node: Node): void {
    const { analysis } = this.#structure;
    const operands = analysis.operands.get(node);
    if (operands === undefined) {
      this.#emit(
        node,
        this.#renamed(
          node,
          node.inputs.map((name) => this.#settled(node, name)),
        ),
      );
      return;
    }
    const layouts = operands.outputs.map((tensor) => operands.layoutOf(tensor));
    const isFromVirtual = operands.inputs.some(
      (tensor) => tensor && this.#isVirtual(operands.layoutOf(tensor)),
    );
    if (isFromVirtual || layouts.some((layout) => this.#isVirtual(layout))) {
      for (const [i, layout] of layouts.entries())
        if (!this.#isVirtual(layout)) this.#gatherFromBase(node.outputs[i], layout);
      return;
    }
    const shrunk = this.#shrink(node, operands);
    const selection = analysis.selections.get(node);
    const inputs = node.inputs.map((name, i) => {
      const tensor = operands.inputs[i];
      if (tensor === undefined) return name;
      if (selection?.input === i) return this.#selected(node, selection);
      const value = shrunk.inputs?.get(i);
      if (value !== undefined) return this.#resized(name, value);
      return this.#graph.constants.has(name)
        ? this.#cut(name, node, i, operands.layoutOf(tensor))
        : this.#settled(node, name);
    });
    if (shrunk.gather) {
      const { axis, indices } = shrunk.gather;
      this.#emitGather(node.outputs[0], inputs[0], axis, indices, node.name);
      return;
    }
    for (const [i, value] of shrunk.inputs ?? []) {
      if (i < inputs.length && inputs[i] !== "") continue;
      while (inputs.length < i) inputs.push("");
      inputs[i] = this.#constants.add(`${node.outputs[0]}_input_${i}`, value);
    }
    const attributes = new Map(node.attributes);
    for (const [name, attribute] of shrunk.attributes ?? []) {
      if (attribute) attributes.set(name, attribute);
      else attributes.delete(name);
    }
    const rewritten = this.#renamed({ ...node, attributes }, inputs);
    if (shrunk.factor !== undefined) {
      this.#emitScaled(rewritten, shrunk.factor, operands.outputs[0].dtype);
      return;
    }
    this.#emit(node, rewritten, shrunk.attributes !== undefined);
  }

  /** The node, and behind it a product with `factor` under the name of its output. */
  #emitScaled(node: Node, factor: number, dtype: DType): void {
    const [output] = node.outputs;
    const unscaled = this.#fresh(`${output}_unscaled`);
    const name = this.#constants.add(`${output}_factor`, tensorOf(dtype, [], [factor]));
    this.#nodes.push({ ...node, outputs: [unscaled] });
    this.#nodes.push(newNode(this.#fresh(`Mul_${output}`), "Mul", [unscaled, name], output));
  }

  #shrink(node: Node, operands: Operands): Shrunk {
    const bound = operatorOf(node);
    assert(bound !== undefined, "a node with operands has an operator");
    const { shrink } = bound.operator;
    if (typeof shrink !== "function") return {};
    const touched = [...operands.inputs, ...operands.outputs].some(
      (tensor) =>
        tensor && losesAnything(this.#structure, this.#removed, operands.layoutOf(tensor)),
    );
    if (!touched) return {};
    return shrink({
      attrs: bound.attrs,
      node,
      inputs: operands.inputs,
      outputs: operands.outputs,
      kept: (tensor, axis) =>
        keptAlong(this.#structure, this.#removed, operands.layoutOf(tensor), axis),
      shapeOf: (tensor) => shapeAfter(this.#structure, this.#removed, operands.layoutOf(tensor)),
    });
  }

  /** The name under which a node reads `name` when nothing about it may change. */
  #asIs(name: string): string {
    const constant = this.#graph.constants.get(name);
    return constant ? this.#constants.nameOf(constant, unchanged(constant)) : name;
  }

  /** The name under which a node reads its input, cut to what is kept. */
  #cut(name: string, node: Node, input: number, layout: Layout): string {
    const constant = this.#graph.constants.get(name);
    if (constant === undefined) return name;
    assert(
      layout.base.name === useKey(name, constant.shape, node, input),
      "a constant's layout is its own",
    );
    const kept = layout.shape.map((size, axis) => {
      const list = keptAlong(this.#structure, this.#removed, layout, axis);
      return list.length < size ? list : undefined;
    });
    if (kept.every((list) => list === undefined))
      return this.#constants.nameOf(constant, unchanged(constant));
    const shape = constant.shape.map((size, axis) => kept[axis]?.length ?? size);
    return this.#constants.nameOf(constant, {
      signature: kept.map((list) => list?.join(",") ?? "*").join("|"),
      make: () => ({
        ...constant,
        shape,
        read: () => takeGrid(constant.read(), kept),
      }),
    });
  }

  /** The name of a size input with new contents; elements that the run computes stay dynamic. */
  #resized(name: string, value: HostTensor): string {
    const constant = this.#graph.constants.get(name);
    if (constant === undefined) return this.#sizes.resized(name, value);
    if (isSameValue(this.#structure.analysis.inference.values.get(name), value))
      return this.#constants.nameOf(constant, unchanged(constant));
    return this.#constants.nameOf(constant, {
      signature: `=${value.data.join(",")}`,
      make: () => ({ ...constantOf(name, value, constant.origin) }),
    });
  }

  /**
   * The name under which a node reads a value that shape arithmetic computes. What is no size of its
   * own, such as a count that divides a sum, must be what the original network computes.
   */
  #settled(node: Node, name: string): string {
    const { analysis } = this.#structure;
    const { values } = analysis.inference;
    if (this.#graph.constants.has(name)) return this.#asIs(name);
    if (node.outputs.every((output) => output === "" || values.has(output))) return name;
    const layout = analysis.layouts.get(name);
    if (layout && losesAnything(this.#structure, this.#removed, layout)) return name;
    return this.#sizes.original(name);
  }

  /** The name under which a node reads what it selects. */
  #selected(node: Node, { value, axis, layout }: Selection): string {
    const kept = (other: Layout) => keptAlong(this.#structure, this.#removed, other, axis);
    const { layouts } = this.#structure.analysis;
    const read = layouts.get(value);
    assert(read !== undefined, "what a layer selects from has a layout");
    const earlier = this.#earlierSelection(value, axis);
    const isSame = [read, layout].every((each) => kept(each).length === each.shape[axis]);
    if (isSame && !earlier?.isNarrower) return this.#settled(node, value);
    const placeOf = new Map(kept(read).map((index, place) => [index, place]));
    const places = kept(layout).map((index) => {
      const place = placeOf.get(index);
      assert(place !== undefined, "what a layer selects is there");
      return place;
    });
    const source = earlier?.source ?? value;
    const width = earlier?.width ?? placeOf.size;
    const indices = earlier ? places.map((place) => earlier.indices[place]) : places;
    if (indices.length === width && indices.every((index, place) => index === place)) return source;
    const name = earlier?.node.name ?? this.#fresh(`${node.name}/inputs`);
    if (earlier) this.#nodes.splice(this.#nodes.indexOf(earlier.node), 1);
    const output = this.#fresh(`${source}_selected`);
    this.#emitGather(output, source, axis, indices, name);
    return output;
  }

  /** The Gather that computes `value` for one node alone, as it is after the removal. */
  #earlierSelection(value: string, axis: number) {
    const { graph, layouts } = this.#structure.analysis;
    const node = this.#nodes.find(({ outputs }) => outputs[0] === value);
    const role = node && roleOf(node);
    const isOnly =
      !graph.outputs.includes(value) &&
      graph.nodes.filter((one) => [...one.inputs, ...one.captures].includes(value)).length === 1;
    if (!node || role?.kind !== "gather" || !isOnly) return undefined;
    const source = node.inputs[role.dataInput];
    const constant = this.#constants.get(node.inputs[role.indicesInput]);
    const layout = layouts.get(source);
    if (constant?.shape.length !== 1 || layout?.shape.length !== 2) return undefined;
    if ((role.axis + 2) % 2 !== axis) return undefined;
    const width = keptAlong(this.#structure, this.#removed, layout, axis).length;
    const indices = [...toNumbers(constant.read())].map((k) => (k < 0 ? k + width : k));
    return { node, source, width, indices, isNarrower: width < layout.shape[axis] };
  }

  #gatherFromBase(output: string, layout: Layout): void {
    const selection = asSelection(layout);
    assert(selection !== undefined, "chains of joint views end as a selection from their base");
    const { base } = layout;
    if (selection === "everything") {
      this.#nodes.push(newNode(this.#fresh(`Identity_${output}`), "Identity", [base.name], output));
      return;
    }
    const { axis, indices } = selection;
    const baseLayout = this.#structure.analysis.layouts.get(base.name);
    assert(baseLayout !== undefined, "the base of a joint view is a computed value");
    const position = new Map(
      keptAlong(this.#structure, this.#removed, baseLayout, axis).map((index, at) => [index, at]),
    );
    const kept = keptAlong(this.#structure, this.#removed, layout, axis).map((index) => {
      const at = position.get(indices[index]);
      assert(at !== undefined, "what a view keeps, its base keeps");
      return at;
    });
    this.#emitGather(output, base.name, axis, kept, this.#fresh(`Gather_${output}`));
  }

  #emitGather(
    output: string,
    input: string,
    axis: number,
    indices: readonly number[],
    name: string,
  ): void {
    const constant = this.#constants.add(`${output}_indices`, int64Vector(indices));
    const attributes = new Map([["axis", { kind: "int" as const, value: axis }]]);
    this.#nodes.push({ ...newNode(name, "Gather", [input, constant], output), attributes });
  }

  #renamed(node: Node, inputs: readonly string[]): Node {
    return inputs.some((name, i) => name !== node.inputs[i]) ? { ...node, inputs } : node;
  }

  #emit(original: Node, rewritten: Node, hasNewAttributes = false): void {
    const isSame = rewritten.inputs === original.inputs && !hasNewAttributes;
    this.#nodes.push(isSame ? original : rewritten);
  }

  #isVirtual(layout: Layout): boolean {
    return isVirtual(this.#structure, this.#removed, layout);
  }
}
