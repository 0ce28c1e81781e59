/** @file Reads a node's attributes with types, defaults and errors that name the node. */
import { EspalierError } from "../../errors.ts";
import type { Attribute, Node } from "../../ir/graph.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** Typed access to the attributes of one node. Wrong types and missing ones are `MODEL_BAD_ATTRIBUTE`. */
export interface AttributeReader {
  readonly node: Node;
  has(name: string): boolean;
  int(name: string, fallback?: number): number;
  float(name: string, fallback?: number): number;
  string(name: string, fallback?: string): string;
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  strings(name: string): readonly string[] | undefined;
  tensor(name: string): HostTensor | undefined;
  /** Throws `MODEL_BAD_ATTRIBUTE`. */
  fail(message: string): never;
}

/** A reader over `node.attributes`. */
export function attributesOf(node: Node): AttributeReader {
  const fail = (message: string): never => {
    throw new EspalierError(
      "MODEL_BAD_ATTRIBUTE",
      `${node.opType} node "${node.name}": ${message}`,
      {
        data: { node: node.name, opType: node.opType },
      },
    );
  };
  function find<K extends Attribute["kind"]>(name: string, kind: K) {
    const attribute = node.attributes.get(name);
    if (attribute === undefined) return undefined;
    if (attribute.kind !== kind) fail(`attribute "${name}" is ${attribute.kind}, expected ${kind}`);
    return attribute as Extract<Attribute, { kind: K }>; // the line above has checked it
  }
  const required = (name: string): never => fail(`attribute "${name}" is missing`);
  return {
    node,
    fail,
    has: (name) => node.attributes.has(name),
    int: (name, fallback) => find(name, "int")?.value ?? fallback ?? required(name),
    float: (name, fallback) => find(name, "float")?.value ?? fallback ?? required(name),
    string: (name, fallback) => find(name, "string")?.value ?? fallback ?? required(name),
    ints: (name) => find(name, "ints")?.value,
    floats: (name) => find(name, "floats")?.value,
    strings: (name) => find(name, "strings")?.value,
    tensor: (name) => find(name, "tensor")?.value,
  };
}
