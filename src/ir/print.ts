/** @file A graph as text, one line a node, for people and for test failures. */
import type { Attribute, Constant, Graph, Node, TensorType } from "./graph.ts";

/** The whole graph: inputs, constants, nodes, outputs. */
export function printGraph(graph: Graph): string {
  const typed = (name: string) => `${name}: ${printType(graph.types.get(name))}`;
  return [
    `graph ${graph.name} (${graph.inputs.map(typed).join(", ")})`,
    ...[...graph.constants.values()].map((constant) => `  ${printConstant(constant)}`),
    ...graph.nodes.map((node) => `  ${printNode(node)}`),
    `  return ${graph.outputs.map(typed).join(", ")}`,
  ].join("\n");
}

/** `y = Conv(x, w) {group: 1}  # name`. */
function printNode(node: Node): string {
  const operator = node.domain === "" ? node.opType : `${node.domain}.${node.opType}`;
  const show = (names: readonly string[]) => names.map((name) => name || "_").join(", ");
  const attributes = [...node.attributes]
    .map(([name, value]) => `${name}: ${printAttribute(value)}`)
    .join(", ");
  const captures = node.captures.length > 0 ? ` captures ${show(node.captures)}` : "";
  return (
    `${show(node.outputs)} = ${operator}(${show(node.inputs)})` +
    `${attributes === "" ? "" : ` {${attributes}}`}${captures}  # ${node.name}`
  );
}

/** `float32 [N, 3, 32, 32]`; `?` where nothing is known. */
function printType(type: TensorType | undefined): string {
  if (type === undefined) return "?";
  return `${type.dtype} ${type.shape === undefined ? "?" : `[${type.shape.join(", ")}]`}`;
}

function printConstant(constant: Constant): string {
  return `${constant.name} = constant ${printType(constant)}  # ${constant.origin.kind}`;
}

function printAttribute(attribute: Attribute): string {
  switch (attribute.kind) {
    case "int":
    case "float":
      return String(attribute.value);
    case "string":
      return JSON.stringify(attribute.value);
    case "ints":
    case "floats":
      return `[${shorten(attribute.value).join(", ")}]`;
    case "strings":
      return JSON.stringify(shorten(attribute.value));
    case "tensor":
      return printType(attribute.value);
    default:
      return `<${attribute.what}>`;
  }
}

function shorten<T>(values: readonly T[]): readonly (T | string)[] {
  return values.length <= 8 ? values : [...values.slice(0, 7), `... ${values.length}`];
}
