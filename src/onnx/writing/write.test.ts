/** @file Writing: untouched bytes stay, touched ones go back where they stood. */
import { describe, expect, it } from "vitest";
import * as pb from "../../../test/support/protobuf.ts";
import { type Constant, constantOf, type Graph, type Node } from "../../ir/graph.ts";
import { type HostTensor, int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { readModel } from "../reading/read.ts";
import { concatBytes, writeModel } from "./write.ts";

/** Fields that ONNX does not have, at every level, must survive. */
const unknown = pb.len(1000, "kept");
const doc = (text: string) => pb.len(12, text);

const weight = pb.tensor("w", 1, [3, 2], pb.len(4, new Uint8Array(24)), doc("weights"), unknown);
const file = pb.model(
  pb.graph({
    nodes: [
      pb.node(
        "Constant",
        [],
        ["c"],
        [pb.attribute("value", 4, pb.len(5, pb.tensor("", 7, [2], pb.packed(7, [1, 2]), unknown)))],
      ),
      pb.node("Constant", [], ["k"], [pb.attribute("value_ints", 7, pb.packed(8, [3, 4]))]),
      pb.node(
        "Gemm",
        ["x", "w"],
        ["h"],
        [pb.attribute("transB", 2, pb.int(3, 1)), pb.attribute("alpha", 1, pb.float(2, 1))],
        pb.join(pb.len(3, "fc"), pb.len(6, "doc"), unknown),
      ),
      pb.node("Relu", ["h"], ["y"], [], unknown),
    ],
    initializers: [weight, pb.zeros("spare", [1])],
    inputs: [pb.valueInfo("x", ["N", 2]), pb.valueInfo("w", [3, 2])],
    outputs: [pb.valueInfo("y", ["N", 3])],
    values: [pb.join(pb.valueInfo("h", [-1, 3]), unknown), pb.valueInfo("ghost", [1])],
    more: unknown,
  }),
  13,
  pb.join(pb.len(2, "maker"), unknown, pb.len(14, pb.join(pb.len(1, "key"), pb.len(2, "value")))),
  3,
);
const model = readModel(file);

const bytesOf = (graph: Graph) => concatBytes(writeModel(model, graph));
const withConstant = (graph: Graph, name: string, tensor: HostTensor): Graph => {
  const old = graph.constants.get(name);
  const constant: Constant = { ...constantOf(name, tensor), ...(old && { origin: old.origin }) };
  return { ...graph, constants: new Map(graph.constants).set(name, constant) };
};
const withNode = (graph: Graph, name: string, change: Partial<Node>): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => (node.name === name ? { ...node, ...change } : node)),
});
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const count = (bytes: Uint8Array, word: string) => text(bytes).split(word).length - 1;

describe("an untouched model", () => {
  it("is written as the same bytes, without a copy", () => {
    const { chunks } = writeModel(model);
    expect(concatBytes(chunks)).toEqual(file);
    expect(chunks).toHaveLength(1);
    expect(chunks[0].buffer).toBe(file.buffer);
  });

  it("is copied where threads share it, as a Blob takes no such memory", async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(file.length));
    shared.set(file);
    const { chunks } = writeModel(readModel(shared));
    expect(new Uint8Array(await new Blob([...chunks]).arrayBuffer())).toEqual(new Uint8Array(file));
  });

  it("stays so when a pass copies the graph but not its parts", () => {
    const graph = { ...model.graph, nodes: [...model.graph.nodes] };
    expect(bytesOf(graph)).toEqual(file);
  });

  it("keeps lengths that another writer would encode shorter", () => {
    const body = pb.relu();
    const padded = pb.join(
      pb.int(1, 7),
      pb.len(8, pb.int(2, 13)),
      pb.varint(7 * 8 + 2),
      [(body.length & 0x7f) | 0x80, (body.length >> 7) | 0x80, 0],
      body,
    );
    expect(concatBytes(writeModel(readModel(padded)))).toEqual(padded);
  });
});

describe("a known field number with another wire type", () => {
  it("is an unknown field: it stays, and does not count as a node or initialiser", () => {
    const odd = pb.join(pb.int(1, 5), pb.int(5, 6), pb.int(11, 7), pb.int(15, 8));
    const parts = pb.relu({ initializers: [pb.zeros("w", [1])] });
    const bytes = pb.model(pb.join(odd, parts), 13, pb.int(14, 1));
    const read = readModel(bytes);
    expect(concatBytes(writeModel(read))).toEqual(bytes);
    const nodes = read.graph.nodes.map((node) => ({ ...node }));
    expect(concatBytes(writeModel(read, { ...read.graph, nodes }))).toEqual(bytes);
  });
});

describe("a changed constant", () => {
  it("goes back to its initialiser, with its documentation and unknown fields", () => {
    const tensor = tensorOf("float32", [2, 2], [1, 2, 3, 4]);
    const bytes = bytesOf(withConstant(model.graph, "w", tensor));
    const again = readModel(bytes);
    expect(again.graph.constants.get("w")?.read()).toEqual(tensor);
    expect(again.graph.constants.get("w")?.origin).toEqual({
      kind: "initializer",
      index: 0,
      isDefault: false,
    });
    expect(count(bytes, "weights")).toBe(1);
    expect(count(bytes, "kept")).toBe(count(file, "kept"));
    // Its declaration as an input follows: [3, 2] appears as a type no more.
    expect(count(bytes, text(pb.valueInfo("w", [2, 2])))).toBe(1);
    expect(count(bytes, text(pb.valueInfo("w", [3, 2])))).toBe(0);
  });

  it.each(["c", "k"])("goes back to its Constant node: %s", (name) => {
    const tensor = int64Vector([7, 8, 9]);
    const bytes = bytesOf(withConstant(model.graph, name, tensor));
    const constant = readModel(bytes).graph.constants.get(name);
    expect(constant?.read()).toEqual(tensor);
    expect(constant?.origin).toEqual(model.graph.constants.get(name)?.origin);
    expect(count(bytes, "kept")).toBe(count(file, "kept"));
  });

  it("that is gone is dropped, with its declaration", () => {
    const constants = new Map(model.graph.constants);
    for (const name of ["spare", "c"]) constants.delete(name);
    const again = readModel(bytesOf({ ...model.graph, constants }));
    expect([...again.graph.constants.keys()].sort()).toEqual(["k", "w"]);
  });

  it("that is new becomes an initialiser, and an input where the IR version asks for it", () => {
    const added = withConstant(model.graph, "bias", tensorOf("float32", [3], [1, 2, 3]));
    const bytes = bytesOf(withNode(added, "fc", { inputs: ["x", "w", "bias"] }));
    const { graph } = readModel(bytes);
    expect(graph.nodes[0].inputs).toEqual(["x", "w", "bias"]);
    expect(graph.constants.get("bias")?.read().data).toEqual(Float32Array.of(1, 2, 3));
    expect(count(bytes, text(pb.len(11, pb.valueInfo("bias", [3]))))).toBe(1);
    const unused = withConstant(model.graph, "unused", int64Vector([1]));
    expect(bytesOf(unused)).toEqual(file);
  });
});

describe("a changed node", () => {
  it("keeps its documentation, unknown fields and other attributes", () => {
    const fc = model.graph.nodes[0];
    const attributes = new Map(fc.attributes).set("transB", { kind: "int", value: 0 });
    attributes.delete("alpha");
    attributes.set("beta", { kind: "float", value: 0.5 });
    const bytes = bytesOf(withNode(model.graph, "fc", { attributes }));
    const [node] = readModel(bytes).graph.nodes;
    expect(node.name).toBe("fc");
    expect([...node.attributes]).toEqual([
      ["transB", { kind: "int", value: 0 }],
      ["beta", { kind: "float", value: 0.5 }],
    ]);
    expect(count(bytes, "kept")).toBe(count(file, "kept"));
    expect(count(bytes, "doc")).toBe(1);
  });

  it("may become another operator", () => {
    const changed = withConstant(model.graph, "i", int64Vector([0]));
    const graph = withNode(changed, "fc", {
      opType: "Gather",
      inputs: ["x", "i"],
      attributes: new Map([["axis", { kind: "int", value: 1 }]]),
    });
    const [node] = readModel(bytesOf(graph)).graph.nodes;
    expect(node).toMatchObject({ name: "fc", opType: "Gather", inputs: ["x", "i"] });
    expect([...node.attributes.keys()]).toEqual(["axis"]);
  });

  it("that is new stands before the next one of the file", () => {
    const [fc, relu] = model.graph.nodes;
    const made: Node = {
      name: "made",
      opType: "Identity",
      domain: "",
      inputs: ["h"],
      outputs: ["h2"],
      attributes: new Map(),
      captures: [],
      origin: undefined,
    };
    const last: Node = { ...made, name: "last", inputs: ["h2"], outputs: ["unread"] };
    const nodes = [fc, made, { ...relu, inputs: ["h2"] }, last];
    const again = readModel(bytesOf({ ...model.graph, nodes })).graph;
    expect(again.nodes.map((node) => node.name)).toEqual(["fc", "made", "Relu#4", "last"]);
    expect(again.nodes[2].inputs).toEqual(["h2"]);
  });

  it("that is gone is dropped, with the declarations of what it wrote", () => {
    const [, relu] = model.graph.nodes;
    const nodes = [{ ...relu, inputs: ["x"] }];
    const types = new Map(model.graph.types);
    types.delete("h");
    const bytes = bytesOf({ ...model.graph, nodes, types });
    expect(readModel(bytes).graph.nodes).toHaveLength(1);
    expect(count(bytes, text(pb.len(1, "h")))).toBe(0);
    expect(count(bytes, "ghost")).toBe(1);
  });
});

describe("changed types", () => {
  it("are rewritten in the sizes that differ", () => {
    const types = new Map(model.graph.types);
    const open = types.get("h")?.shape?.[0] ?? "";
    types.set("h", { dtype: "float32", shape: [open, 2] });
    types.set("y", { dtype: "float32", shape: ["N", 2] });
    const bytes = bytesOf({ ...model.graph, types });
    expect(count(bytes, text(pb.valueInfo("h", [-1, 2])))).toBe(1);
    expect(count(bytes, text(pb.valueInfo("y", ["N", 2])))).toBe(1);
    expect(count(bytes, text(pb.valueInfo("x", ["N", 2])))).toBe(1);
    expect(bytes.length).toBe(file.length);
  });

  it("may name a size, or leave it open", () => {
    const types = new Map(model.graph.types);
    types.set("y", { dtype: "float32", shape: ["batch", "?9"] });
    const shape = readModel(bytesOf({ ...model.graph, types })).graph.types.get("y")?.shape;
    expect(shape).toEqual(["batch", expect.stringMatching(/^\?/)]);
  });
});

describe("metadata", () => {
  it("is added and replaced, and the rest of the file stays", () => {
    const metadata = new Map([
      ["key", "other"],
      ["new", "entry"],
    ]);
    const bytes = concatBytes(writeModel(model, model.graph, { metadata }));
    expect([...readModel(bytes).metadata]).toEqual([...metadata]);
    const { graph } = model;
    expect(count(bytes, "kept")).toBe(count(file, "kept"));
    expect(readModel(bytes).graph.nodes).toEqual(graph.nodes);
  });
});

describe("external data", () => {
  const big = tensorOf(
    "float32",
    [32, 16],
    Float32Array.from({ length: 512 }, (_, i) => i),
  );
  const source = (bytes: Uint8Array) => ({
    sizeOf: () => bytes.length,
    read: (_: string, offset: number, length: number) => bytes.slice(offset, offset + length),
  });

  it("holds large weights on request, and reads back", () => {
    const graph = withConstant(model.graph, "w", big);
    const options = { externalData: true, externalLocation: "net.onnx.data" };
    const written = writeModel(model, graph, options);
    const { external } = written;
    expect(external).toMatchObject({ location: "net.onnx.data", byteLength: 2048 });
    expect(() => concatBytes(written)).toThrow("two files");
    const [small, data] = [concatBytes(written.chunks), concatBytes(external?.chunks ?? [])];
    expect(() => readModel(small)).toThrow(expect.objectContaining({ code: "EXTERNAL_DATA_OFF" }));
    const again = readModel(small, { externalData: source(data) });
    expect(again.graph.constants.get("w")?.read()).toEqual(big);
    expect(again.sizeBytes).toBe(small.length + 2048);
    // Written without being asked for two files, everything is in one again.
    const whole = concatBytes(writeModel(again));
    expect(readModel(whole).graph.constants.get("w")?.read()).toEqual(big);
  });

  const entry = (key: string, value: string) =>
    pb.len(13, pb.join(pb.len(1, key), pb.len(2, value)));
  const location = entry("location", "d");
  it.each([
    { what: "an unknown key", entries: [location, entry("mode", "w")] },
    { what: "a key twice", entries: [location, location] },
    { what: "no location", entries: [entry("offset", "0")] },
    { what: "a negative offset", entries: [location, entry("offset", "-4")] },
    { what: "an offset in words", entries: [location, entry("offset", "0x10")] },
    { what: "an offset behind the end", entries: [location, entry("offset", "8")] },
    { what: "a length that is not the tensor's", entries: [location, entry("length", "4")] },
    { what: "a length behind the end", entries: [location, entry("length", "800")] },
  ])("is refused with $what", ({ entries }) => {
    const tensor = pb.tensor("w", 1, [2], ...entries, pb.int(14, 1));
    const bytes = pb.model(pb.relu({ initializers: [tensor] }));
    expect(() => readModel(bytes, { externalData: source(new Uint8Array(12)) })).toThrow(
      expect.objectContaining({ code: "EXTERNAL_DATA_BAD" }),
    );
  });

  it("is refused inside subgraphs, whose tensors are never rewritten", () => {
    const tensor = pb.tensor("w", 1, [2], location, pb.int(14, 1));
    const body = pb.graph({ initializers: [tensor], nodes: [pb.node("Relu", ["w"], ["r"])] });
    const nodes = [pb.node("If", ["x"], ["y"], [pb.attribute("then_branch", 5, pb.len(6, body))])];
    const bytes = pb.model(pb.relu({ nodes }));
    expect(() => readModel(bytes)).toThrow(expect.objectContaining({ code: "EXTERNAL_DATA_OFF" }));
    expect(() => readModel(bytes, { externalData: source(new Uint8Array(12)) })).toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
    );
  });
});
