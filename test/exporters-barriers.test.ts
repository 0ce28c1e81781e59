/** @file What Espalier can't look into: bodies of If and Loop, unknown operators, open shapes. */
import { describe, expect, test } from "vitest";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import { checkReplica, Net } from "./exporters.ts";
import * as pb from "./support/protobuf.ts";

/** The reasons of all units of the layer that is the `index`-th with filters. */
function reasonsAt(structure: Structure, index: number): readonly (string | undefined)[] {
  return [...structure.filterAxes[index].units].map((unit) => structure.units[unit].reason);
}

/** A model whose graph has further nodes at its end, and their results as further outputs. */
function withNodes(
  bytes: Uint8Array,
  nodes: readonly Uint8Array[],
  inputs: readonly Uint8Array[],
  outputs: readonly Uint8Array[],
): Model {
  const more = [
    ...nodes.map((node) => pb.len(1, node)),
    ...inputs.map((input) => pb.len(11, input)),
    ...outputs.map((output) => pb.len(12, output)),
  ];
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    const next = (): number => {
      let [value, scale] = [0, 1];
      for (;;) {
        const byte = bytes[at++];
        value += (byte & 0x7f) * scale;
        if (byte < 0x80) return value;
        scale *= 128;
      }
    };
    const key = next();
    const size = next();
    if (key % 8 === 2) at += size;
    // Field 7 of a ModelProto is the graph.
    parts.push(
      key === 7 * 8 + 2
        ? pb.len(7, pb.join(bytes.subarray(at - size, at), ...more))
        : bytes.subarray(start, at),
    );
  }
  return readModel(pb.join(...parts));
}

const body = (name: string, opType: string, ...inputs: string[]) =>
  pb.attribute(
    name,
    5,
    pb.len(
      6,
      pb.graph({
        nodes: [pb.node(opType, inputs, [`${name}_result`])],
        outputs: [pb.valueInfo(`${name}_result`, undefined)],
      }),
    ),
  );

describe("bodies", () => {
  const build = () => {
    const net = new Net(13);
    const first = net.cbr(net.input(), 3, 8);
    const second = net.cbr(first, 8, 6);
    return { first, second, bytes: net.bytes(net.head(net.cbr(second, 6, 5), 5)) };
  };

  test("what an If captures stays; the rest goes", async () => {
    const { first, bytes } = build();
    const node = pb.node(
      "If",
      ["flag"],
      ["chosen"],
      [body("then_branch", "Neg", first), body("else_branch", "Abs", first)],
    );
    const model = () =>
      withNodes(bytes, [node], [pb.valueInfo("flag", [], 9)], [pb.valueInfo("chosen", undefined)]);
    await checkReplica({ name: "If", build: model, units: 6 + 5 });
    expect(reasonsAt(structureOf(model().graph), 0)).toEqual(
      Array.from({ length: 8 }, () => expect.stringContaining("read inside the body of If")),
    );
  });

  test("a size that a body captures is that of the original", async () => {
    const model = () => {
      const net = new Net(13);
      const first = net.cbr(net.input(), 3, 8);
      const told = net.op("Cast", [net.size(first, 1)], { to: 1 });
      const branches = [body("then_branch", "Neg", told), body("else_branch", "Abs", told)];
      return withNodes(
        net.bytes(net.head(net.cbr(first, 8, 6), 6)),
        [pb.node("If", ["flag"], ["chosen"], branches)],
        [pb.valueInfo("flag", [], 9)],
        [pb.valueInfo("chosen", undefined)],
      );
    };
    await checkReplica({ name: "If", build: model, units: 6 });
  });

  test("what a Loop captures, and what it carries, stays", async () => {
    const { first, second, bytes } = build();
    const inner = pb.graph({
      nodes: [
        pb.node("Add", ["state", first], ["next"]),
        pb.node("Identity", ["going"], ["still"]),
      ],
      inputs: [
        pb.valueInfo("step", [], 7),
        pb.valueInfo("going", [], 9),
        pb.valueInfo("state", undefined),
      ],
      outputs: [pb.valueInfo("still", [], 9), pb.valueInfo("next", undefined)],
    });
    const zeros = pb.node("Mul", [first, first], ["start"]);
    const loop = pb.node(
      "Loop",
      ["count", "", "start"],
      ["sum"],
      [pb.attribute("body", 5, pb.len(6, inner))],
    );
    const model = () =>
      withNodes(
        bytes,
        [zeros, loop],
        [pb.valueInfo("count", [], 7)],
        [pb.valueInfo("sum", undefined)],
      );
    await checkReplica({ name: "Loop", build: model, units: 6 + 5 });
    expect(second).not.toBe(first);
  });
});

test("behind an operator of another domain only what has known shapes goes", () => {
  const net = new Net(13);
  const x = net.cbr(net.input(), 3, 8);
  const [odd] = net.b.node("DeformConv", [net.cbr(x, 8, 6)], {}, { domain: "mmdeploy" });
  const { graph } = net.model(net.head(net.cbr(odd, 6, 5), 5));
  const structure = structureOf(graph);
  expect(reasonsAt(structure, 0).every((reason) => reason === undefined)).toBe(true);
  expect(reasonsAt(structure, 1)).toEqual(
    Array.from({ length: 6 }, () => expect.stringContaining("DeformConv")),
  );
});

test("products of whole numbers fix what they touch", () => {
  const net = new Net(13);
  const [scale, zero] = [net.scalar(0.05), net.constant([], [128], "uint8")];
  const x = net.op("QuantizeLinear", [net.cbr(net.cbr(net.input(), 3, 8), 8, 6), scale, zero]);
  const weight = net.constant([5, 6, 1, 1], new Array(30).fill(3), "int8");
  const inputs = [x, scale, zero, weight, scale, net.constant([], [0], "int8"), scale, zero];
  const y = net.op("QLinearConv", inputs);
  const structure = structureOf(net.model(net.op("DequantizeLinear", [y, scale, zero])).graph);
  expect(reasonsAt(structure, 0).every((reason) => reason === undefined)).toBe(true);
  expect(reasonsAt(structure, 1)[0]).toContain("QLinearConv");
});

test("sizes without a name are bound like named ones", async () => {
  await checkReplica({
    name: "unnamed sizes",
    units: 8 + 6,
    dims: {},
    others: [],
    build() {
      const net = new Net(11);
      const x = net.cbr(net.cbr(net.input(["?", 3, "?", "?"]), 3, 8), 8, 6);
      return net.model(
        net.linear(net.reshape(net.op("GlobalAveragePool", [x]), net.size(x, 0), -1), 6, 5),
      );
    },
  });
});

test("an input of unknown rank fixes everything, with a reason", () => {
  const net = new Net(11);
  const x = net.b.input("x", "float32", undefined);
  const { units } = structureOf(net.model(net.head(net.cbr(x, 3, 8), 8)).graph);
  expect(units.every(({ reason }) => reason !== undefined)).toBe(true);
});
