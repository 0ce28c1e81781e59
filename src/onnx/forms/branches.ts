/** @file If whose condition is known before the network runs: the branch that is taken, in its place. */
import { type Graph, type Node, newNode } from "../../ir/graph.ts";
import { isChoice } from "../../ops/passes/choice.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { encodeNode } from "../parts/encode.ts";
import { fieldOf, patchMessage, Rope } from "../protobuf/rope.ts";
import {
  attributeProto,
  decode,
  graphProto,
  nodeProto,
  sparseTensorProto,
  tensorProto,
  valueInfoProto,
} from "../protobuf/schema.ts";
import {
  type Renaming,
  renamedNode,
  renamedSparse,
  renamedTensor,
  renamedValueInfo,
} from "./rename.ts";

const noLimit = { fields: Number.POSITIVE_INFINITY };

/**
 * The GraphProto with branches in place of the nodes that always take them; `undefined` where there is no
 * such node. `graph` is what was read of `bytes`. A condition is known where no input can change it, whatever
 * sizes its open axes have.
 */
export function withoutChoices(bytes: Uint8Array, graph: Graph): Rope | undefined {
  const choices = graph.nodes.filter(isChoice);
  if (choices.length === 0) return undefined;
  const { values } = inferTypes(graph);
  const taken = new Map<number, { readonly node: Node; readonly branch: string }>();
  for (const node of choices) {
    const condition = values.get(node.inputs[0]);
    if (condition === undefined || node.origin === undefined) continue;
    const branch = toNumbers(condition)[0] === 0 ? "else_branch" : "then_branch";
    taken.set(node.origin, { node, branch });
  }
  if (taken.size === 0) return undefined;
  let index = 0;
  const moved = new Rope();
  const rope = patchMessage(bytes, (field) => {
    if (!field.holds(1)) return "keep";
    const choice = taken.get(index++);
    if (choice === undefined) return "keep";
    return branchOf(field.value(), choice, moved);
  });
  return rope.append(moved);
}

/** The nodes of the branch that is taken; what else it holds goes to `moved`. */
function branchOf(
  bytes: Uint8Array,
  { node, branch }: { readonly node: Node; readonly branch: string },
  moved: Rope,
): Rope | "keep" {
  const body = decode(nodeProto, bytes, noLimit)
    .attribute.map((attribute) => decode(attributeProto, attribute, noLimit))
    .find(({ name }) => name === branch)?.g;
  if (body === undefined) return "keep";
  const inside = decode(graphProto, body, noLimit);
  const defined = new Set<string>();
  for (const tensor of inside.initializer) defined.add(decode(tensorProto, tensor, noLimit).name);
  for (const sparse of inside.sparseInitializer) {
    const { values } = decode(sparseTensorProto, sparse, noLimit);
    if (values !== undefined) defined.add(decode(tensorProto, values, noLimit).name);
  }
  const computed = new Set<string>();
  for (const inner of inside.node)
    for (const name of decode(nodeProto, inner, noLimit).output) computed.add(name);
  const results = new Map<string, string>();
  const copies = new Rope();
  const prefixed = (name: string) => `${node.name}/${name}`;
  for (const [i, info] of inside.output.entries()) {
    const { name } = decode(valueInfoProto, info, noLimit);
    const result = node.outputs[i] ?? "";
    if (result === "") continue;
    if (computed.has(name) && !results.has(name)) results.set(name, result);
    else {
      const source =
        defined.has(name) || computed.has(name) ? (results.get(name) ?? prefixed(name)) : name;
      const copy = newNode(prefixed(`copy ${i}`), "Identity", [source], result);
      copies.append(fieldOf(1, encodeNode(copy)));
    }
  }
  const isInside = (name: string) => defined.has(name) || computed.has(name);
  const names: Renaming = {
    value: (name) => results.get(name) ?? (name !== "" && isInside(name) ? prefixed(name) : name),
    node: (name) => (name === "" ? "" : prefixed(name)),
    attribute: () => undefined,
  };
  for (const tensor of inside.initializer) moved.field(5, renamedTensor(tensor, names));
  for (const sparse of inside.sparseInitializer) moved.field(15, renamedSparse(sparse, names));
  for (const info of inside.valueInfo) moved.field(13, renamedValueInfo(info, names));
  const rope = new Rope();
  for (const inner of inside.node) rope.field(1, renamedNode(inner, names));
  return rope.append(copies);
}
