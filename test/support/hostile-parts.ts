/** @file The pieces that the hostile files are made of. */
import * as pb from "./protobuf.ts";

/** A Relu node. */
export const relu = (input: string, output: string) => pb.node("Relu", [input], [output]);
/** A model around x → Relu → y, with changes. */
export const model = (parts: pb.GraphParts) => pb.model(pb.relu(parts));
/** An `external_data` entry. */
export const entry = (key: string, value: string) =>
  pb.len(13, pb.join(pb.len(1, key), pb.len(2, value)));
/** A weight of two floats in another file. */
export const external = (...entries: readonly Uint8Array[]) =>
  pb.tensor("w", 1, [2], ...entries, pb.int(14, 1));
/** y = x + w for this tensor w. */
export const weight = (tensor: Uint8Array) =>
  model({ nodes: [pb.node("Add", ["x", "w"], ["y"])], initializers: [tensor] });
/** A weight at an external location. */
export const at = (location: string, ...more: readonly Uint8Array[]) =>
  weight(external(entry("location", location), ...more));
/** Bytes that are all 1. */
export const ones = (count: number) => new Uint8Array(count).fill(1);

/** A graph inside an If inside a graph ..., `depth` times. */
export function nested(depth: number): Uint8Array {
  let body = pb.graph({ nodes: [relu("x", "r")], outputs: [pb.valueInfo("r", [1])] });
  for (let i = 0; i < depth; i++) {
    const branch = pb.attribute("then_branch", 5, pb.len(6, body));
    body = pb.graph({
      nodes: [pb.node("If", ["x"], [`r${i}`], [branch])],
      outputs: [pb.valueInfo(`r${i}`, [1])],
    });
  }
  return body;
}

/** {@link nested}, as a model. */
export function nestedModel(depth: number): Uint8Array {
  const branch = pb.attribute("then_branch", 5, pb.len(6, nested(depth)));
  return model({ nodes: [pb.node("If", ["x"], ["y"], [branch])] });
}

/** A value whose type is `depth` sequences in each other. */
export function nestedType(depth: number): Uint8Array {
  let type = pb.len(1, pb.int(1, 1));
  for (let i = 0; i < depth; i++) type = pb.len(4, pb.len(1, type));
  return model({ values: [pb.join(pb.len(1, "y"), pb.len(2, type))] });
}

/** A shape constant for operators that make tensors of any size. */
export const sizes = (...dims: readonly (number | bigint)[]) =>
  pb.tensor("s", 7, [dims.length], pb.packed(7, dims));
/** A node that makes a tensor m from constants, beside the Relu. */
export const makes = (
  opType: string,
  inputs: readonly string[],
  ...tensors: readonly Uint8Array[]
) => model({ nodes: [pb.node(opType, inputs, ["m"]), relu("x", "y")], initializers: tensors });

/** One operator on x [1, 2, 3, 3], with weights. */
export const operator = (
  opType: string,
  inputs: readonly string[],
  attributes: readonly Uint8Array[],
  ...tensors: readonly Uint8Array[]
) =>
  model({
    nodes: [pb.node(opType, inputs, ["y"], attributes)],
    initializers: tensors,
    inputs: [pb.valueInfo("x", [1, 2, 3, 3])],
    outputs: [pb.valueInfo("y", undefined)],
  });
/** An attribute of whole numbers. */
export const ints = (name: string, ...values: readonly number[]) =>
  pb.attribute(name, 7, pb.packed(8, values));
/** An attribute of one whole number. */
export const int = (name: string, value: number) => pb.attribute(name, 2, pb.int(3, value));

/** Names that other tools stumble over. */
export const oddNames = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "<script>alert(1)</script>",
  "\u001b[31mred",
  "=cmd()",
  "line\nbreak",
  "\u202egnp",
];
