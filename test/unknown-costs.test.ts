/** @file Layers whose cost nobody knows are named, and no target that they belong to is called reached. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { outcomeOf } from "../src/compress/record/outcome-record.ts";
import { GraphBuilder } from "../src/ir/builder.ts";
import type { Graph } from "../src/ir/graph.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { prune } from "../src/prune/prune.ts";
import { costOf } from "../src/structure/cost/cost.ts";
import { inspect } from "../src/structure/inspect.ts";
import { notUnderstood } from "../src/structure/units/not-understood.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { int64Vector, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import * as pb from "./support/protobuf.ts";

/** Weights of this shape. */
function weights(...shape: number[]) {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return tensorOf("float32", shape, randomOf(size, "weights").normals(size));
}

type Between = (b: GraphBuilder, x: string) => string;

/** Two convolutions 3x3 of 8 filters on 6 x 6, something, and two more; the last has 4 filters. */
function network(between: Between, declares = false): Graph {
  const b = new GraphBuilder("net");
  const conv = (x: string, from: number, to: number, name: string) => {
    const w = b.constant(undefined, weights(to, from, 3, 3));
    const [y] = b.node("Conv", [x, w], { pads: [1, 1, 1, 1] }, { name });
    return b.node("Relu", [y])[0];
  };
  const x = b.input("x", "float32", [1, 3, 6, 6]);
  const middle = between(b, conv(conv(x, 3, 8, "a"), 8, 8, "b"));
  b.output(conv(conv(middle, 8, 8, "c"), 8, 4, "d"));
  const graph = b.build();
  if (!declares) return graph;
  const type = { dtype: "float32", shape: [1, 8, 6, 6] } as const;
  return { ...graph, types: new Map(graph.types).set(middle, type) };
}

const modelOf = (graph: Graph) => readModel(concatBytes(encodeGraph(graph)));
const onPlanes = 36 * 9;
/** The multiply-accumulates of the first two convolutions, and of all four. */
const [ofTwo, ofFour] = [onPlanes * (3 + 8) * 8, onPlanes * ((3 + 8 + 8) * 8 + 8 * 4)];

const custom: Between = (b, x) =>
  b.node("Sharpen", [x], {}, { domain: "my.ops", name: "sharpen" })[0];
const fused: Between = (b, x) => {
  const w = b.constant(undefined, weights(8, 8, 1, 1));
  return b.node("FusedConv", [x, w], {}, { domain: "com.microsoft", name: "fused" })[0];
};
/** To a shape that is only known at run time. */
const reshaped: Between = (b, x) => {
  const [places] = b.node("NonZero", [x]);
  const [count] = b.node("Gather", [b.node("Shape", [places])[0], one(b)]);
  const [nothing] = b.node("Mul", [count, zero(b)]);
  const [shape] = b.node("Add", [nothing, whole(b)]);
  return b.node("Reshape", [x, shape], {}, { name: "reshape" })[0];
};
const one = (b: GraphBuilder) => b.constant(undefined, int64Vector([1]));
const zero = (b: GraphBuilder) => b.constant(undefined, int64Vector([0, 0, 0, 0]));
const whole = (b: GraphBuilder) => b.constant(undefined, int64Vector([1, 8, 6, 6]));

describe("layers behind what has no shape", () => {
  it.each([
    { what: "an operator of another domain", between: custom, uncounted: ["c", "d"] },
    { what: "one with weights", between: fused, uncounted: ["fused", "c", "d"] },
  ])("are named, and a target is not called reached: $what", ({ between, uncounted }) => {
    const model = modelOf(network(between));
    const inspection = inspect(model);
    expect(inspection.macs).toBe(ofTwo);
    expect(inspection.uncounted.map(({ name }) => name)).toEqual(uncounted);
    const pruned = prune(model, { method: "magnitude", targets: { macs: 0.7 } });
    expect(pruned.after.macs / pruned.before.macs).toBeLessThanOrEqual(0.7);
    expect(pruned.isReached).toBe(false);
    const words = pruned.notes.join("\n");
    expect(words).toMatch(/cannot be said: those of \d layers are not known/);
    for (const name of uncounted) expect(words).toContain(`"${name}"`);
    expect(prune(model, { method: "magnitude", targets: { params: 0.7 } }).isReached).toBe(true);
  });

  it("count where the file declares the shape", () => {
    const model = modelOf(network(custom, true));
    expect(inspect(model)).toMatchObject({ macs: ofFour, uncounted: [] });
    const pruned = prune(model, { method: "magnitude", targets: { macs: 0.7 } });
    expect(pruned.isReached).toBe(true);
    expect(pruned.after.macs / ofFour).toBeLessThanOrEqual(0.7);
  });

  it("count, but not the operator of another domain that has weights", () => {
    const { macs, uncounted } = inspect(modelOf(network(fused, true)));
    expect(macs).toBe(ofFour);
    expect(uncounted).toEqual([{ name: "fused", operator: "com.microsoft.FusedConv" }]);
  });

  it("are told of by every command, with exit code 3 where they leave a target open", async () => {
    const folder = await emptyFolder();
    const [net, small] = ["net.onnx", "small.onnx"].map((name) => join(folder, name));
    await writeFile(net, concatBytes(encodeGraph(network(reshaped))));
    const shown = await espalier(["inspect", net]);
    expect(shown.out.replace(/\s+/g, " ")).toContain("without Conv c, Conv d: not known");
    const argv = ["prune", net, "-o", small, "--macs", "0.7", "--method", "magnitude"];
    const pruned = await espalier([...argv, "--json"]);
    expect(pruned.exitCode).toBe(3);
    const { isReached, notes, verification } = JSON.parse(pruned.out);
    expect([isReached, verification.passed]).toEqual([false, true]);
    expect(notes.join()).toContain('Conv "c", Conv "d"');
    expect(pruned.err.replace(/\s+/g, " ")).toContain("cannot be said");
  });
});

describe("a network with nothing to count", () => {
  /** y = x times w in both branches. */
  const branch = pb.graph({
    nodes: [pb.node("MatMul", ["x", "w"], ["r"])],
    initializers: [pb.zeros("w", [2, 2])],
    outputs: [pb.valueInfo("r", [1, 2])],
  });
  const inBranches = readModel(
    pb.model(
      pb.graph({
        nodes: [
          pb.node(
            "If",
            ["which"],
            ["y"],
            [
              pb.attribute("then_branch", 5, pb.len(6, branch)),
              pb.attribute("else_branch", 5, pb.len(6, branch)),
            ],
          ),
        ],
        inputs: [pb.valueInfo("which", [], 9), pb.valueInfo("x", [1, 2])],
        outputs: [pb.valueInfo("y", [1, 2])],
      }),
    ),
  );
  const plain = new GraphBuilder("plain");
  plain.output(plain.node("Relu", [plain.input("x", "float32", [1, 4])])[0]);

  it("says where its layers are, and counts their weights", () => {
    const { uncounted, params } = costOf(inBranches.graph, new Map());
    expect(uncounted).toEqual([{ name: "If#0", operator: "If" }]);
    expect(params).toBe(8);
    const [found] = notUnderstood(structureOf(inBranches.graph));
    expect(found).toMatchObject({ operator: "If", contents: { nodes: 2, products: 2, params: 8 } });
  });

  it.each([
    { what: "all in branches", model: inBranches, targets: { macs: 0.5 }, words: 'If "If#0"' },
    {
      what: "no weights",
      model: modelOf(plain.build()),
      targets: { params: 0.5 },
      words: "no layer",
    },
    {
      what: "no products",
      model: modelOf(plain.build()),
      targets: { macs: 0.5 },
      words: "no layer",
    },
  ])("refuses a share of it: $what", ({ model, targets, words }) => {
    const run = () => prune(model, { method: "magnitude", targets });
    expect(run).toThrow(expect.objectContaining({ code: "TARGET_INVALID" }));
    expect(run).toThrow(words);
  });

  it("leaves shares of whole-number products at 1, and says that nothing may go", () => {
    const b = new GraphBuilder("whole");
    const w = b.constant("w", tensorOf("uint8", [4, 4], new Float64Array(16).fill(3)));
    b.output(b.node("MatMulInteger", [b.input("x", "uint8", [2, 4]), w])[0]);
    const pruned = prune(modelOf(b.build()), { method: "magnitude", targets: { macs: 0.5 } });
    expect(pruned).toMatchObject({ isReached: false, before: { macs: 32 }, after: { macs: 32 } });
    expect(pruned.notes.join("\n")).toContain("no layer whose channels could be removed");
    expect(pruned.notes.join("\n")).toContain("MatMulInteger");
    expect(pruned.notes.join("\n")).not.toContain("NaN");
  });
});

describe("units beside an operator that is not understood", () => {
  it("are counted under its full name", () => {
    const structure = structureOf(network(custom, true));
    const [found] = notUnderstood(structure);
    expect(found).toMatchObject({ operator: "my.ops.Sharpen", nodes: ["sharpen"], units: 8 });
    const pruned = prune(modelOf(network(custom, true)), {
      method: "magnitude",
      targets: { macs: 0.9 },
    });
    expect(pruned.notes).toContain(
      "my.ops.Sharpen (1 node) is not understood: 8 units stay because of it.",
    );
  });
});

describe("a compression", () => {
  it("is not called reached where the cost of a layer is not known", () => {
    const settings = { targets: { macs: 0.5 } } as Parameters<typeof outcomeOf>[0];
    const choice = { round: 1, isCertified: false, words: "" };
    const shares = { macs: 0.4, params: 0.4, bytes: 0.4, density: 1, latency: 1 };
    const uncounted = [{ name: "c", operator: "Conv" }];
    const found = outcomeOf(settings, choice, false, { shares, rounds: [], uncounted });
    expect(found.isReached).toBe(false);
    expect(found.words).toContain("cannot be said");
    expect(found.words).not.toContain("met");
    const all = outcomeOf(settings, choice, false, { shares, rounds: [], uncounted: [] });
    expect(all).toMatchObject({ isReached: true, words: "All targets are met." });
  });
});
