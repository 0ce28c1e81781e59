/** @file What becomes of each node, initialiser and declared value of the file when a graph is written. */
import { assert } from "../../errors.ts";
import type { Attribute, Constant, Graph, Node, TensorType } from "../../ir/graph.ts";
import { isStrings } from "../../tensor/host-tensor.ts";
import { type LoweredNode, lowerNode, patchNode } from "../forms/lower.ts";
import type { Model } from "../model.ts";
import { storedOutside } from "../parts/constant-node.ts";
import {
  type ExternalSink,
  encodeAttribute,
  encodeNode,
  encodeTensor,
  patchValueInfo,
} from "../parts/encode.ts";
import { type FieldEdit, fieldOf, patchMessage, Rope } from "../protobuf/rope.ts";
import { attributeProto, decode, valueInfoProto } from "../protobuf/schema.ts";

/** What differs between the graph that was read and the one to write. */
export interface WritePlan {
  readonly model: Model;
  readonly graph: Graph;
  /** The nodes that were read, and those of them that stay, by the index of their NodeProto. */
  readonly before: ReadonlyMap<number, Node>;
  readonly after: ReadonlyMap<number, Node>;
  /** The changed nodes in the form of the file. */
  readonly lowered: ReadonlyMap<Node, LoweredNode>;
  /** New nodes by the index of the NodeProto that they come before; `undefined`: last. */
  readonly newBefore: ReadonlyMap<number | undefined, readonly Node[]>;
  /** Names of the constants in the file, by place; sparse initialisers after the dense. */
  readonly initializerAt: ReadonlyMap<number, string>;
  readonly constantNodeAt: ReadonlyMap<number, string>;
  /** Constants that stay where the file has them. */
  readonly resident: ReadonlySet<string>;
  /** Constants that become initialisers. */
  readonly newConstants: readonly Constant[];
  /** Every value of the graph to write, and of the one that was read. */
  readonly defined: ReadonlySet<string>;
  readonly oldDefined: ReadonlySet<string>;
}

const noLimit = { fields: Number.POSITIVE_INFINITY };

/** Compares `graph` with the one that was read. */
export function writePlanOf(model: Model, graph: Graph): WritePlan {
  const old = model.graph;
  assert(sameList(old.inputs, graph.inputs), "a pass keeps the graph's inputs");
  assert(sameList(old.outputs, graph.outputs), "a pass keeps the graph's outputs");
  const nodes = placeNodes(model, graph);
  const constants = placeConstants(model, graph);
  const isUsed = ({ name }: Constant) => nodes.referenced.has(name) || constants.nowDense.has(name);
  const newConstants = [...graph.constants.values()].filter(
    (constant) => isUsed(constant) && !constants.resident.has(constant.name),
  );
  return {
    model,
    graph,
    before: nodes.before,
    after: nodes.after,
    lowered: nodes.lowered,
    newBefore: nodes.newBefore,
    initializerAt: constants.initializerAt,
    constantNodeAt: constants.constantNodeAt,
    resident: constants.resident,
    newConstants,
    defined: valuesOf(graph),
    oldDefined: valuesOf(old),
  };
}

/** Nodes of the file and of the graph, by what becomes of them. */
interface PlacedNodes extends Pick<WritePlan, "before" | "after" | "lowered" | "newBefore"> {
  /** Values that outputs of the graph and nodes that are written anew refer to. */
  readonly referenced: ReadonlySet<string>;
}

/** Matches the nodes of the graph with those of the file, and brings changed ones into its form. */
function placeNodes(model: Model, graph: Graph): PlacedNodes {
  const old = model.graph;
  const before = new Map(old.nodes.map((node) => [node.origin ?? -1, node]));
  const after = new Map<number, Node>();
  const lowered = new Map<Node, LoweredNode>();
  const newBefore = new Map<number | undefined, readonly Node[]>();
  const referenced = new Set(graph.outputs);
  let pending: Node[] = [];
  for (const node of graph.nodes) {
    for (const name of node.captures) referenced.add(name);
    const original = node.origin === undefined ? undefined : before.get(node.origin);
    if (original === undefined || node.origin === undefined) {
      pending.push(node);
      for (const name of node.inputs) referenced.add(name);
      continue;
    }
    assert(!after.has(node.origin), `node ${node.origin} of the file stays one node`);
    after.set(node.origin, node);
    if (pending.length > 0) newBefore.set(node.origin, pending);
    pending = [];
    const changed = node !== original || readsOtherConstants(node, model, graph);
    const sameOperator = node.opType === original.opType && node.domain === original.domain;
    const form =
      changed && sameOperator
        ? lowerNode(original, node, model.file.lifts.get(node.origin), old, graph)
        : undefined;
    if (form !== undefined) lowered.set(node, form);
    const inputs = form?.inputs ?? (node === original ? [] : node.inputs);
    for (const name of inputs) referenced.add(name);
  }
  newBefore.set(undefined, pending);
  return { before, after, lowered, newBefore, referenced };
}

/** Constants of the file by their places, and what becomes of them. */
interface PlacedConstants extends Pick<WritePlan, "initializerAt" | "constantNodeAt" | "resident"> {
  /** Sparse initialisers that changed: they come back as dense ones. */
  readonly nowDense: ReadonlySet<string>;
}

function placeConstants(model: Model, graph: Graph): PlacedConstants {
  const initializerAt = new Map<number, string>();
  const constantNodeAt = new Map<number, string>();
  const resident = new Set<string>();
  const nowDense = new Set<string>();
  for (const constant of model.graph.constants.values()) {
    const { name, origin } = constant;
    const now = graph.constants.get(name);
    if (origin.kind === "initializer") {
      initializerAt.set(origin.index, name);
      const isSparse = origin.index >= model.file.denseCount;
      if (isSparse && now !== undefined && now !== constant) {
        nowDense.add(name);
        continue;
      }
    } else if (origin.kind === "constant-node") constantNodeAt.set(origin.node, name);
    else continue;
    if (now !== undefined) resident.add(name);
  }
  return { initializerAt, constantNodeAt, resident, nowDense };
}

/** Every value that a graph defines. */
function valuesOf(graph: Graph): ReadonlySet<string> {
  const values = new Set([...graph.inputs, ...graph.constants.keys()]);
  for (const node of graph.nodes) for (const name of node.outputs) values.add(name);
  return values;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

/** True when a constant that the old form holds as an attribute changed under the same name. */
function readsOtherConstants(node: Node, model: Model, graph: Graph): boolean {
  if (node.origin === undefined || !model.file.lifts.has(node.origin)) return false;
  return node.inputs.some((name) => model.graph.constants.get(name) !== graph.constants.get(name));
}

/** What becomes of NodeProto number `index`, with the new nodes that come before it. */
export function editNode(plan: WritePlan, index: number, bytes: Uint8Array): FieldEdit {
  const constant = plan.constantNodeAt.get(index);
  if (constant !== undefined) return editConstantNode(plan, constant, bytes);
  const before = plan.before.get(index);
  const after = plan.after.get(index);
  if (before === undefined || after === undefined) return "drop";
  const added = plan.newBefore.get(index) ?? [];
  const form = plan.lowered.get(after) ?? { inputs: after.inputs, attributes: new Map() };
  const isChanged = plan.lowered.has(after) || after !== before;
  if (added.length === 0 && !isChanged) return "keep";
  const rope = new Rope();
  for (const node of added) rope.field(1, encodeNode(node));
  return rope.field(1, isChanged ? patchNode(bytes, before, after, form) : bytes);
}

function editConstantNode(plan: WritePlan, name: string, bytes: Uint8Array): FieldEdit {
  const constant = plan.graph.constants.get(name);
  if (constant === undefined) return "drop";
  const isSame = constant === plan.model.graph.constants.get(name);
  if (isSame && !storedOutside(bytes)) return "keep";
  let done = false;
  const tensor = constant.read();
  const patched = patchMessage(bytes, (field) => {
    if (!field.holds(5)) return "keep";
    const attribute = field.value();
    const message = decode(attributeProto, attribute, noLimit);
    if (!/^(sparse_)?value(_\w+)?$/.test(message.name)) return "keep";
    if (done) return "drop";
    done = true;
    if (message.name === "value")
      return fieldOf(
        5,
        patchMessage(attribute, (inner) =>
          inner.holds(5) ? fieldOf(5, encodeTensor(tensor, "", inner.value())) : "keep",
        ),
      );
    // Another element type or rank no longer fits value_ints and the like; `value` holds anything.
    const value: Attribute = { kind: "tensor", value: tensor };
    return fieldOf(5, encodeAttribute("value", value));
  });
  return fieldOf(1, patched);
}

/** What becomes of initialiser number `index`. */
export function editInitializer(
  plan: WritePlan,
  index: number,
  bytes: Uint8Array,
  external: ExternalSink | undefined,
): FieldEdit {
  const name = plan.initializerAt.get(index);
  const constant = name === undefined ? undefined : plan.graph.constants.get(name);
  if (constant === undefined) return "drop";
  const isSame = constant === plan.model.graph.constants.get(constant.name);
  const stays = external === undefined && !plan.model.file.external.has(constant.name);
  if (isSame && stays) return "keep";
  const tensor = constant.read();
  if (isSame && isStrings(tensor.data)) return "keep";
  return fieldOf(5, encodeTensor(tensor, constant.name, bytes, external));
}

/** What becomes of an entry of input (11), output (12) or value_info (13). */
export function editValueInfo(plan: WritePlan, field: number, bytes: Uint8Array): FieldEdit {
  const { name } = decode(valueInfoProto, bytes, noLimit);
  const { model, graph } = plan;
  // A declaration of a value that the file itself never defined is none of our business.
  if (!plan.defined.has(name)) return plan.oldDefined.has(name) ? "drop" : "keep";
  const before = model.graph.types.get(name) ?? typeOfConstant(model.graph, name);
  const after = graph.types.get(name) ?? typeOfConstant(graph, name);
  if (before === undefined || before === after) return "keep";
  if (after === undefined) {
    assert(field === 13, `the type of "${name}" stays declared`);
    return "drop";
  }
  if (sameType(before, after)) return "keep";
  return fieldOf(field, patchValueInfo(bytes, before, after));
}

function typeOfConstant(graph: Graph, name: string): TensorType | undefined {
  const constant = graph.constants.get(name);
  return constant && { dtype: constant.dtype, shape: constant.shape };
}

function sameType(a: TensorType, b: TensorType): boolean {
  if (a.dtype !== b.dtype || (a.shape === undefined) !== (b.shape === undefined)) return false;
  const [x, y] = [a.shape ?? [], b.shape ?? []];
  return x.length === y.length && x.every((dim, i) => dim === y[i]);
}
