/** @file Networks that are written out on reading are pruned and verified; weights that are inputs, too, stay what they are. */

import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../src/ir/builder.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { inferTypes } from "../src/ops/passes/infer.ts";
import { prune } from "../src/prune/prune.ts";
import { partsOf } from "../src/prune/pruned.ts";
import { verifyPruned } from "../src/prune/verify.ts";
import { withSession } from "../src/runtime/session.ts";
import { int64Vector, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import * as pb from "./support/protobuf.ts";

const random = randomOf(11, "weights");
const sizeOf = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);
const normal = (...shape: number[]) => tensorOf("float32", shape, random.normals(sizeOf(shape)));

/** Three convolutions whose weights are normalised in the graph. */
function normalised(): Uint8Array {
  const b = new GraphBuilder("normalised");
  let x = b.input("x", "float32", [1, 3, 6, 6]);
  const axes = b.constant("axes", int64Vector([1, 2, 3]));
  for (const [i, [from, to]] of [
    [3, 8],
    [8, 8],
    [8, 4],
  ].entries()) {
    const v = b.constant(`v${i}`, normal(to, from, 3, 3));
    const [norm] = b.node("ReduceL2", [v, axes]);
    const [scale] = b.node("Div", [b.constant(`g${i}`, normal(to, 1, 1, 1)), norm]);
    const [w] = b.node("Mul", [v, scale]);
    const [conv] = b.node("Conv", [x, w], { pads: [1, 1, 1, 1] }, { name: `conv${i}` });
    [x] = i === 2 ? [conv] : b.node("Relu", [conv]);
  }
  b.output(x, { dtype: "float32", shape: [1, 4, 6, 6] });
  return concatBytes(encodeGraph(b.build()));
}

const floats = (name: string, shape: readonly number[]) =>
  pb.tensor(name, 1, shape, pb.len(9, pb.raw(Float32Array.from(random.normals(sizeOf(shape))))));

/** Dense layers 6 → 8 → 8 → 3, each a call of one function. */
function called(): Uint8Array {
  const layer = pb.len(
    25,
    pb.join(
      pb.len(1, "Layer"),
      ...["x", "w", "b"].map((name) => pb.len(4, name)),
      pb.len(5, "y"),
      pb.len(7, pb.node("Gemm", ["x", "w", "b"], ["h"])),
      pb.len(7, pb.node("Relu", ["h"], ["y"])),
      pb.len(9, pb.join(pb.len(1, ""), pb.int(2, 17))),
      pb.len(10, "my"),
    ),
  );
  const call = (x: string, i: number, y: string) =>
    pb.node("Layer", [x, `w${i}`, `b${i}`], [y], [], pb.join(pb.len(3, `l${i}`), pb.len(7, "my")));
  return pb.model(
    pb.graph({
      nodes: [call("x", 0, "h0"), call("h0", 1, "h1"), call("h1", 2, "y")],
      initializers: [
        [6, 8],
        [8, 8],
        [8, 3],
      ].flatMap(([from, to], i) => [floats(`w${i}`, [from, to]), floats(`b${i}`, [to])]),
      inputs: [pb.valueInfo("x", [1, 6])],
      outputs: [pb.valueInfo("y", [1, 3])],
    }),
    17,
    pb.join(pb.len(8, pb.join(pb.len(1, "my"), pb.int(2, 1))), layer),
    8,
  );
}

/** A dense layer in the branch that is always taken, between two others. */
function chosen(): Uint8Array {
  const branch = (w: string) =>
    pb.len(
      6,
      pb.graph({
        nodes: [pb.node("MatMul", ["h0", w], ["m"]), pb.node("Relu", ["m"], ["r"])],
        initializers: [floats(w, [8, 8])],
        outputs: [pb.valueInfo("r", [1, 8])],
      }),
    );
  return pb.model(
    pb.graph({
      nodes: [
        pb.node("MatMul", ["x", "w0"], ["h0"]),
        pb.node(
          "If",
          ["yes"],
          ["h1"],
          [
            pb.attribute("then_branch", 5, branch("w1")),
            pb.attribute("else_branch", 5, branch("other")),
          ],
        ),
        pb.node("MatMul", ["h1", "w2"], ["y"]),
      ],
      initializers: [
        floats("w0", [6, 8]),
        floats("w2", [8, 3]),
        pb.tensor("yes", 9, [], pb.packed(5, [1])),
      ],
      inputs: [pb.valueInfo("x", [1, 6])],
      outputs: [pb.valueInfo("y", [1, 3])],
    }),
    17,
    [],
    8,
  );
}

/** A file in which one activation became another. */
function wrongly(bytes: Uint8Array): Uint8Array {
  const changed = Buffer.from(bytes);
  const opType = Buffer.from(pb.len(4, "Relu"));
  changed.set(pb.len(4, "Ceil"), changed.indexOf(opType));
  return new Uint8Array(changed);
}

describe("a network that is written out", () => {
  it.each([
    { what: "weights normalised in the graph", bytes: normalised(), units: 16 },
    { what: "layers in functions", bytes: called(), units: 16 },
    { what: "a layer in a branch", bytes: chosen(), units: 16 },
  ])("loses channels, and computes what it must: $what", async ({ bytes, units }) => {
    const model = readModel(bytes);
    const pruned = prune(model, { method: "magnitude", targets: { params: 0.6 } });
    const { structure } = partsOf(pruned);
    expect(structure.units.filter(({ reason }) => reason === undefined)).toHaveLength(units);
    expect(pruned.isReached).toBe(true);
    // The masked original that the result must equal, and the original itself where nothing goes.
    const { passed, checks } = await verifyPruned(model, pruned, { threads: 1 });
    expect(passed).toBe(true);
    expect(checks.some(({ name }) => name.startsWith("written out"))).toBe(true);
    // Were it written out wrongly, that would show.
    const wrong = { ...model, file: { ...model.file, original: wrongly(bytes) } };
    expect((await verifyPruned(wrong, pruned, { threads: 1 })).passed).toBe(false);
    const small = readModel(concatBytes(pruned.bytes));
    expect(small.graph.nodes.map(({ opType }) => opType)).not.toContain("If");
    await withSession(concatBytes(pruned.bytes), { threads: 1 }, async ({ inputs }) => {
      expect(inputs).toHaveLength(1);
    });
  });
});

describe("a weight that is an input, too", () => {
  const network = (irVersion: number) =>
    readModel(
      pb.model(
        pb.graph({
          nodes: [
            pb.node("MatMul", ["x", "w0"], ["h"]),
            pb.node("Relu", ["h"], ["a"]),
            pb.node("MatMul", ["a", "w1"], ["m"]),
            pb.node("Reshape", ["m", "shape"], ["y"]),
          ],
          initializers: [
            floats("w0", [6, 8]),
            floats("w1", [8, 4]),
            pb.tensor("shape", 7, [2], pb.packed(7, [2, 2])),
          ],
          inputs: [
            pb.valueInfo("x", [1, 6]),
            pb.valueInfo("w0", [6, 8]),
            pb.valueInfo("shape", [2], 7),
          ],
          outputs: [pb.valueInfo("y", undefined)],
        }),
        13,
        [],
        irVersion,
      ),
    );

  it("may be fed from IR version 4 on: its sizes, indices and conditions are not known then", () => {
    expect(inferTypes(network(3).graph).types.get("y")?.shape).toEqual([2, 2]);
    const { types, values } = inferTypes(network(8).graph);
    expect(types.get("y")?.shape?.filter((dim) => typeof dim === "number") ?? []).toEqual([]);
    expect(values.has("shape")).toBe(false);
  });

  it("stays an input after pruning, and who feeds it is told of its new shape", async () => {
    const model = network(8);
    const pruned = prune(model, { method: "magnitude", targets: { params: 0.6 } });
    expect(pruned.notes.join()).toContain(
      '1 weight is listed as inputs, too, and narrower now ("w0")',
    );
    const w0 = pruned.graph.constants.get("w0");
    const width = w0?.shape[1] ?? 0;
    expect(width).toBeLessThan(8);
    const bytes = Buffer.from(concatBytes(pruned.bytes));
    expect(bytes.includes(Buffer.from(pb.len(11, pb.valueInfo("w0", [6, width]))))).toBe(true);
    expect(bytes.includes(Buffer.from(pb.len(11, pb.valueInfo("shape", [2], 7))))).toBe(true);
    expect((await verifyPruned(model, pruned, { threads: 1 })).passed).toBe(true);
    expect(
      prune(network(3), { method: "magnitude", targets: { params: 0.6 } }).notes.join(),
    ).not.toContain("listed as inputs");
  });

  it("is no condition that would be the same always", () => {
    const body = (opType: string) =>
      pb.len(
        6,
        pb.graph({ nodes: [pb.node(opType, ["x"], ["r"])], outputs: [pb.valueInfo("r", [1, 2])] }),
      );
    const bytes = (isListed: boolean) =>
      pb.model(
        pb.relu({
          nodes: [
            pb.node(
              "If",
              ["c"],
              ["y"],
              [
                pb.attribute("then_branch", 5, body("Relu")),
                pb.attribute("else_branch", 5, body("Neg")),
              ],
            ),
          ],
          initializers: [pb.tensor("c", 9, [], pb.packed(5, [1]))],
          inputs: [pb.valueInfo("x", [1, 2]), ...(isListed ? [pb.valueInfo("c", [], 9)] : [])],
        }),
        17,
        [],
        8,
      );
    expect(readModel(bytes(false)).graph.nodes[0].opType).toBe("Relu");
    expect(readModel(bytes(true)).graph.nodes[0].opType).toBe("If");
  });
});
