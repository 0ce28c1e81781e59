/** @file What stands beside nodes and weights in a file: kept where it is true, gone where it would not be. */
import { describe, expect, it } from "vitest";
import * as pb from "../../../test/support/protobuf.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { readModel } from "../reading/read.ts";
import { concatBytes, writeModel } from "./write.ts";

const entry = (key: string, value: string) => pb.join(pb.len(1, key), pb.len(2, value));
/** TensorAnnotation. */
const annotation = (tensor: string, parameters: Readonly<Record<string, string>>) =>
  pb.join(
    pb.len(1, tensor),
    ...Object.entries(parameters).map(([key, value]) => pb.len(2, entry(key, value))),
  );
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const holds = (bytes: Uint8Array, part: Uint8Array) => text(bytes).includes(text(part));

/** y = relu(x w): w is [2, 3], scales of one and of three numbers that no node reads, annotations. */
function file(annotations: readonly Uint8Array[], more: Uint8Array = new Uint8Array()) {
  return pb.model(
    pb.graph({
      nodes: [pb.node("MatMul", ["x", "w"], ["h"]), pb.node("Relu", ["h"], ["y"])],
      initializers: [pb.zeros("w", [2, 3]), pb.zeros("one", []), pb.zeros("three", [3])],
      inputs: [pb.valueInfo("x", ["N", 2])],
      outputs: [pb.valueInfo("y", ["N", -1])],
      more: pb.join(...annotations.map((bytes) => pb.len(14, bytes))),
    }),
    13,
    more,
  );
}

/** The graph with these constants cut to zeros of other sizes, or gone. */
function cut(graph: Graph, sizes: Readonly<Record<string, readonly number[] | undefined>>): Graph {
  const constants = new Map(graph.constants);
  for (const [name, shape] of Object.entries(sizes)) {
    const origin = constants.get(name)?.origin;
    if (shape === undefined) constants.delete(name);
    else {
      const size = shape.reduce((product, dim) => product * dim, 1);
      const zeros = tensorOf("float32", shape, new Float64Array(size));
      constants.set(name, constantOf(name, zeros, origin));
    }
  }
  return { ...graph, constants };
}

describe("a quantisation annotation with several parameters", () => {
  const both = { SCALE_TENSOR: "one", ZERO_POINT_TENSOR: "one" };
  it.each([
    { what: "an untouched model", about: annotation("h", both), sizes: {}, stays: true },
    { what: "numbers beside a cut tensor", about: annotation("h", both), stays: true },
    {
      what: "a vector beside a tensor that was cut with it",
      about: annotation("h", { SCALE_TENSOR: "three", ZERO_POINT_TENSOR: "one" }),
      sizes: { w: [2, 2], three: [2] },
      stays: true,
    },
    {
      what: "a vector of the old length",
      about: annotation("h", { SCALE_TENSOR: "three", ZERO_POINT_TENSOR: "one" }),
      stays: false,
    },
    {
      what: "a vector of the old length, of a weight",
      about: annotation("w", { SCALE_TENSOR: "three", ZERO_POINT_TENSOR: "three" }),
      stays: false,
    },
    {
      what: "a tensor that is gone",
      about: annotation("three", both),
      sizes: { three: undefined },
      stays: false,
    },
    {
      what: "a scale that is gone",
      about: annotation("y", { SCALE_TENSOR: "one", ZERO_POINT_TENSOR: "three" }),
      sizes: { one: undefined },
      stays: false,
    },
    {
      what: "words that name no tensor, as QONNX writes them",
      about: annotation("h", { finn_datatype: "INT4", tensor_layout: "N, C" }),
      stays: true,
    },
  ])("of $what stays: $stays", ({ about, sizes = { w: [2, 2] }, stays }) => {
    const bytes = file([annotation("y", { finn_datatype: "INT8" }), about]);
    const model = readModel(bytes);
    const written = concatBytes(writeModel(model, cut(model.graph, sizes)));
    expect(holds(written, about)).toBe(stays);
    expect(holds(written, annotation("y", { finn_datatype: "INT8" }))).toBe(true);
  });
});

describe("metadata of a part that is written anew", () => {
  const twice = (field: number, part: string) =>
    pb.join(pb.len(field, entry(part, "one")), pb.len(field, entry(part, "two")));

  it("stays with all its entries: of a node, a weight, a value, a graph, and a model", () => {
    const bytes = pb.model(
      pb.graph({
        nodes: [
          pb.node("MatMul", ["x", "w"], ["h"], [], twice(9, "of the node")),
          pb.node("Relu", ["h"], ["y"]),
        ],
        initializers: [pb.join(pb.zeros("w", [2, 3]), twice(16, "of the weight"))],
        inputs: [pb.valueInfo("x", ["N", 2])],
        outputs: [pb.valueInfo("y", ["N", -1])],
        values: [pb.join(pb.valueInfo("h", ["N", 3]), twice(4, "of the value"))],
        more: pb.join(twice(16, "of the graph"), pb.len(10, "the graph's documentation")),
      }),
      13,
      pb.join(twice(14, "of the model"), pb.len(26, pb.len(1, "of the devices"))),
    );
    const model = readModel(bytes);
    const { graph } = model;
    const types = new Map(graph.types).set("h", { dtype: "float32", shape: ["N", 2] });
    const nodes = graph.nodes.map((node) => ({ ...node, inputs: [...node.inputs].reverse() }));
    const written = text(
      concatBytes(writeModel(model, { ...cut({ ...graph, nodes }, { w: [2, 2] }), types })),
    );
    for (const part of ["node", "weight", "value", "graph", "model"])
      expect(written.split(`of the ${part}`)).toHaveLength(3);
    expect(written).toContain("the graph's documentation");
    expect(written).toContain("of the devices");
  });
});

describe("a training graph in the file", () => {
  const training = pb.len(20, pb.len(2, pb.relu()));

  it("stays as long as all weights have the shapes that it was made for", () => {
    const model = readModel(file([], training));
    const spread = { ...model.graph, nodes: model.graph.nodes.map((node) => ({ ...node })) };
    expect(holds(concatBytes(writeModel(model, spread)), training)).toBe(true);
    const narrower = writeModel(model, cut(model.graph, { w: [2, 2] }));
    expect(holds(concatBytes(narrower), training)).toBe(false);
  });
});
