/** @file Reading: what the graph of the IR looks like, and what is refused. */
import { describe, expect, it } from "vitest";
import * as pb from "../../../test/support/protobuf.ts";
import { constantOf } from "../../ir/graph.ts";
import { verifyGraph } from "../../ir/verify.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { concatBytes, writeModel } from "../writing/write.ts";
import { readModel } from "./read.ts";

const graphOf = (parts: pb.GraphParts, opset = 13) =>
  readModel(pb.model(pb.relu(parts), opset)).graph;
const code = (name: string) => expect.objectContaining({ code: name });

describe("a model", () => {
  it("tells what the file says about itself", () => {
    const model = readModel(
      pb.model(
        pb.relu(),
        13,
        pb.join(
          pb.len(2, "pytorch"),
          pb.len(3, "2.1"),
          pb.len(8, pb.join(pb.len(1, "com.example"), pb.int(2, 3))),
          pb.len(14, pb.join(pb.len(1, "__proto__"), pb.len(2, "v"))),
        ),
      ),
    );
    expect(model).toMatchObject({ opset: 13, irVersion: 7, producer: "pytorch 2.1" });
    expect([...model.opsets]).toEqual([
      ["", 13],
      ["com.example", 3],
    ]);
    expect([...model.metadata]).toEqual([["__proto__", "v"]]);
    expect(model.sizeBytes).toBe(model.file.bytes.length);
  });

  it.each([
    { what: "no bytes at all", bytes: new Uint8Array(), want: "MODEL_NOT_ONNX" },
    { what: "another protobuf", bytes: pb.len(3, "hello"), want: "MODEL_NOT_ONNX" },
    { what: "text", bytes: new TextEncoder().encode("<!doctype html>"), want: "MODEL_TRUNCATED" },
    { what: "no opset", bytes: pb.len(7, pb.relu()), want: "MODEL_UNSUPPORTED" },
    { what: "opset 6", bytes: pb.model(pb.relu(), 6), want: "MODEL_UNSUPPORTED" },
    {
      what: "two versions of one opset",
      bytes: pb.model(pb.relu(), 13, pb.len(8, pb.int(2, 9))),
      want: "MODEL_BAD_GRAPH",
    },
    {
      what: "two graphs",
      bytes: pb.model(pb.relu(), 13, pb.len(7, pb.relu())),
      want: "MODEL_BAD_GRAPH",
    },
  ])("of $what is $want", ({ bytes, want }) => {
    expect(() => readModel(bytes)).toThrow(code(want));
  });

  it("keeps to its limits", () => {
    const bytes = pb.model(pb.relu());
    const read = (limits: object) => () => readModel(bytes, { limits });
    expect(read({ maxBytes: bytes.length - 1 })).toThrow(code("MODEL_TOO_LARGE"));
    expect(read({ maxFields: 10 })).toThrow(code("MODEL_TOO_LARGE"));
    expect(read({ maxBytes: bytes.length, maxFields: 200 })).not.toThrow();
  });
});

describe("a graph's values", () => {
  it("have types with numbers, symbols and fresh names for open sizes", () => {
    const { types } = graphOf({
      inputs: [pb.valueInfo("x", ["N", -1, 3, "?", "?7"])],
      outputs: [pb.valueInfo("y", undefined)],
    });
    expect(types.get("x")).toEqual({ dtype: "float32", shape: ["N", "x_1", 3, "x_3", "x_4"] });
    expect(types.get("y")).toEqual({ dtype: "float32", shape: undefined });
  });

  it("that are initialisers and inputs are constants alone", () => {
    const { inputs, constants, types } = graphOf({
      nodes: [pb.node("Add", ["x", "w"], ["y"])],
      inputs: [pb.valueInfo("x", [1, 2]), pb.valueInfo("w", [2])],
      initializers: [pb.zeros("w", [2])],
    });
    expect(inputs).toEqual(["x"]);
    expect([...constants.keys()]).toEqual(["w"]);
    expect(types.has("w")).toBe(false);
  });

  it("may be an output and a constant, or an output and an input", () => {
    const { outputs } = graphOf({
      initializers: [pb.zeros("w", [2])],
      outputs: [pb.valueInfo("w", [2]), pb.valueInfo("x", [1, 2])],
    });
    expect(outputs).toEqual(["w", "x"]);
  });

  const t = pb.len(5, pb.tensor("", 1, [1], pb.float(4, 2.5)));
  it.each([
    { form: "value", a: pb.attribute("value", 4, t), want: ["float32", [1], [2.5]] },
    {
      form: "value_float",
      a: pb.attribute("value_float", 1, pb.float(2, 2.5)),
      want: ["float32", [], [2.5]],
    },
    {
      form: "value_floats",
      a: pb.attribute("value_floats", 6, pb.float(7, 1), pb.float(7, 2)),
      want: ["float32", [2], [1, 2]],
    },
    {
      form: "value_int",
      a: pb.attribute("value_int", 2, pb.int(3, -(2n ** 62n))),
      want: ["int64", [], [-(2n ** 62n)]],
    },
    { form: "value_int of 0", a: pb.attribute("value_int", 2), want: ["int64", [], [0n]] },
    {
      form: "value_ints",
      a: pb.attribute("value_ints", 7, pb.packed(8, [1, -2])),
      want: ["int64", [2], [1n, -2n]],
    },
    {
      form: "value_string",
      a: pb.attribute("value_string", 3, pb.len(4, "hi")),
      want: ["string", [], ["hi"]],
    },
    {
      form: "value_strings",
      a: pb.attribute("value_strings", 8, pb.len(9, "a"), pb.len(9, "b")),
      want: ["string", [2], ["a", "b"]],
    },
  ])("come from Constant nodes: $form", ({ a, want }) => {
    const { nodes, constants } = graphOf({
      nodes: [pb.node("Constant", [], ["c"], [a]), pb.node("Relu", ["x"], ["y"])],
    });
    expect(nodes.map((node) => node.opType)).toEqual(["Relu"]);
    const constant = constants.get("c");
    const tensor = constant?.read();
    expect([constant?.dtype, constant?.shape]).toEqual(want.slice(0, 2));
    expect([tensor?.dtype, tensor?.shape, [...(tensor?.data ?? [])]]).toEqual(want);
    expect(constant?.origin).toEqual({ kind: "constant-node", node: 0 });
  });

  const sparse = (dims: number[], places: number[], at: number[], values: number[]) =>
    pb.join(
      pb.len(1, pb.tensor("s", 1, [values.length], ...values.map((v) => pb.float(4, v)))),
      pb.len(2, pb.tensor("", 7, places, pb.packed(7, at))),
      ...dims.map((dim) => pb.int(3, dim)),
    );
  const sparseGraph = (bytes: Uint8Array) =>
    graphOf({ nodes: [pb.node("Add", ["x", "s"], ["y"])], more: pb.len(15, bytes) });

  it.each([
    { what: "linear indices", bytes: sparse([2, 3], [2], [1, 5], [7, 8]) },
    { what: "an index per axis", bytes: sparse([2, 3], [2, 2], [0, 1, 1, 2], [7, 8]) },
  ])("stored sparsely are read as dense: $what", ({ bytes }) => {
    const constant = sparseGraph(bytes).constants.get("s");
    expect(constant).toMatchObject({ dtype: "float32", shape: [2, 3] });
    expect(constant?.read().data).toEqual(Float32Array.of(0, 7, 0, 0, 0, 8));
  });

  it.each([
    { what: "an index outside", bytes: sparse([2, 3], [1], [6], [7]), want: "MODEL_BAD_TENSOR" },
    {
      what: "a negative index",
      bytes: sparse([2, 3], [1, 2], [0, -1], [7]),
      want: "MODEL_BAD_TENSOR",
    },
    {
      what: "more than anybody needs",
      bytes: sparse([2 ** 15, 2 ** 15], [1], [6], [7]),
      want: "MODEL_UNSUPPORTED",
    },
  ])("stored sparsely are refused when read: $what", ({ bytes, want }) => {
    const { constants } = sparseGraph(bytes);
    expect(() => constants.get("s")?.read()).toThrow(code(want));
  });

  it("stored sparsely come back dense when they change", () => {
    const bytes = pb.model(
      pb.relu({
        nodes: [pb.node("Add", ["x", "s"], ["y"])],
        more: pb.len(15, sparse([2], [1], [1], [5])),
      }),
    );
    const model = readModel(bytes);
    expect(concatBytes(writeModel(model))).toEqual(bytes);
    const constants = new Map(model.graph.constants);
    const tensor = tensorOf("float32", [2], [3, 4]);
    constants.set("s", constantOf("s", tensor));
    const again = readModel(concatBytes(writeModel(model, { ...model.graph, constants })));
    expect(again.graph.constants.get("s")?.read()).toEqual(tensor);
    expect(again.file.denseCount).toBe(1);
  });
});

describe("a graph's nodes", () => {
  it("come in topological order, stable where the file is sorted already", () => {
    const { nodes } = graphOf({
      nodes: [
        pb.node("Add", ["b", "c"], ["y"]),
        pb.node("Relu", ["a"], ["b"]),
        pb.node("Tanh", ["x"], ["a"]),
        pb.node("Abs", ["x"], ["c"]),
      ],
    });
    expect(nodes.map((node) => node.opType)).toEqual(["Tanh", "Relu", "Abs", "Add"]);
    expect(nodes.map((node) => node.origin)).toEqual([2, 1, 3, 0]);
  });

  it("sort in a chain of 50,000 that stands backwards", () => {
    const chain = Array.from({ length: 50_000 }, (_, i) =>
      pb.node("Relu", [i === 49_999 ? "x" : `v${i + 1}`], [i === 0 ? "y" : `v${i}`]),
    );
    const { nodes } = graphOf({ nodes: chain });
    expect(nodes.at(-1)?.origin).toBe(0);
  });

  it("have unique names", () => {
    const named = (name: string, input: string, output: string) =>
      pb.node("Relu", [input], [output], [], pb.len(3, name));
    const { nodes } = graphOf({
      nodes: [
        named("n", "x", "a"),
        named("n", "a", "b"),
        named("Relu#3", "b", "c"),
        pb.node("Relu", ["c"], ["y"]),
      ],
    });
    expect(nodes.map((node) => node.name)).toEqual(["n#0", "n#1", "Relu#3", "Relu#3'"]);
  });

  it("know what their bodies read from outside, through all levels", () => {
    const inner = pb.graph({
      nodes: [pb.node("Add", ["x", "deep"], ["i"])],
      outputs: [pb.valueInfo("i", [1])],
    });
    const body = pb.graph({
      nodes: [
        pb.node("Mul", ["local", "a"], ["m"]),
        pb.node("If", ["m"], ["r"], [pb.attribute("then_branch", 5, pb.len(6, inner))]),
      ],
      initializers: [pb.zeros("deep", [1])],
      inputs: [pb.valueInfo("local", [1])],
      outputs: [pb.valueInfo("r", [1]), pb.valueInfo("b", [1])],
    });
    const { nodes } = graphOf({
      nodes: [
        pb.node("Relu", ["x"], ["a"]),
        pb.node("Relu", ["x"], ["b"]),
        pb.node("Loop", ["", "", "x"], ["y"], [pb.attribute("body", 5, pb.len(6, body))]),
      ],
    });
    expect(nodes[2].captures).toEqual(["a", "x", "b"]);
    expect(nodes[2].inputs).toEqual(["", "", "x"]);
    const contents = { nodes: 3, products: 0, params: 1, parameterBytes: 4 };
    expect(nodes[2].attributes.get("body")).toEqual({ kind: "opaque", what: "graph", contents });
  });

  it("read attributes of every kind", () => {
    const { nodes } = graphOf({
      nodes: [
        pb.node(
          "Custom",
          ["x"],
          ["y"],
          [
            pb.attribute("i", 2, pb.int(3, -5)),
            pb.attribute("big", 2, pb.int(3, 2n ** 63n - 1n)),
            pb.attribute("f", 1, pb.float(2, 0.5)),
            pb.attribute("s", 3, pb.len(4, "t")),
            pb.attribute("is", 7, pb.int(8, 1), pb.packed(8, [2, -3])),
            pb.attribute("fs", 6, pb.float(7, 1.5)),
            pb.attribute("ss", 8, pb.len(9, "p"), pb.len(9, "q")),
            pb.attribute("none", 7),
            pb.join(pb.len(1, "untyped"), pb.packed(8, [4])),
          ],
          pb.len(7, "com.example"),
        ),
      ],
    });
    expect(nodes[0]).toMatchObject({ opType: "Custom", domain: "com.example" });
    expect([...nodes[0].attributes]).toEqual([
      ["i", { kind: "int", value: -5 }],
      ["big", { kind: "int", value: 2 ** 53 }],
      ["f", { kind: "float", value: 0.5 }],
      ["s", { kind: "string", value: "t" }],
      ["is", { kind: "ints", value: [1, 2, -3] }],
      ["fs", { kind: "floats", value: [1.5] }],
      ["ss", { kind: "strings", value: ["p", "q"] }],
      ["none", { kind: "ints", value: [] }],
      ["untyped", { kind: "ints", value: [4] }],
    ]);
  });

  it("of the domain ai.onnx are standard operators", () => {
    const { nodes } = graphOf({ nodes: [pb.node("Relu", ["x"], ["y"], [], pb.len(7, "ai.onnx"))] });
    expect(nodes[0].domain).toBe("");
  });
});

describe("a graph that is none", () => {
  const relu = (input: string, output: string) => pb.node("Relu", [input], [output]);
  it.each([
    {
      what: "a cycle",
      nodes: [relu("b", "a"), relu("a", "b"), relu("a", "y")],
      says: /cycle.*"Relu#0"/,
    },
    { what: "a node that reads itself", nodes: [relu("y", "y")], says: /cycle/ },
    { what: "a name never defined", nodes: [relu("q", "y")], says: /"q".*never defined/ },
    { what: "a name defined twice", nodes: [relu("x", "y"), relu("x", "y")], says: /"y" is both/ },
    {
      what: "an input that a node writes",
      nodes: [relu("x", "x"), relu("x", "y")],
      says: /"x" is both/,
    },
    {
      what: "a capture never defined",
      nodes: [
        pb.node(
          "If",
          ["x"],
          ["y"],
          [pb.attribute("then_branch", 5, pb.len(6, pb.graph({ nodes: [relu("ghost", "r")] })))],
        ),
      ],
      says: /"ghost"/,
    },
    { what: "several at once", nodes: [relu("p", "y"), relu("q", "y")], says: /"p".*"q"|"y".*"p"/ },
  ])("is refused: $what", ({ nodes, says }) => {
    expect(() => graphOf({ nodes })).toThrow(code("MODEL_BAD_GRAPH"));
    expect(() => graphOf({ nodes })).toThrow(says);
  });

  it.each([
    {
      what: "two initialisers of one name",
      parts: { initializers: [pb.zeros("w", [1]), pb.zeros("w", [1])] },
    },
    { what: "an initialiser that a node writes", parts: { initializers: [pb.zeros("y", [1])] } },
    {
      what: "an output twice",
      parts: { outputs: [pb.valueInfo("y", [1]), pb.valueInfo("y", [1])] },
    },
    { what: "no outputs", parts: { outputs: [] } },
    { what: "an input twice", parts: { inputs: [pb.valueInfo("x", [1]), pb.valueInfo("x", [1])] } },
    {
      what: "an input without a name",
      parts: { inputs: [pb.valueInfo("", [1]), pb.valueInfo("x", [1])] },
    },
    {
      what: "a name that is not UTF-8",
      parts: { more: pb.len(1, pb.join(pb.len(1, [0xff, 0xfe]), pb.len(4, "Relu"))) },
    },
  ])("is refused: $what", ({ parts }) => {
    expect(() => graphOf(parts)).toThrow(code("MODEL_BAD_GRAPH"));
  });

  it("lists all offenders as data", () => {
    let data: unknown;
    try {
      graphOf({ nodes: [relu("p", "y"), relu("q", "z")] });
    } catch (error) {
      data = error;
    }
    expect(data).toMatchObject({ data: { offences: [{ name: "p" }, { name: "q" }] } });
  });

  it("is never what readModel returns", () => {
    verifyGraph(graphOf({ nodes: [relu("a", "y"), relu("x", "a")] }));
  });
});
