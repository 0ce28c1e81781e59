/** @file The default widths keep networks in ONNX Runtime's blocked layout: what it says in a profile, and the rule itself. */
import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../src/ir/builder.ts";
import { operatorTimes } from "../src/measure/latency/operators.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { prune } from "../src/prune/prune.ts";
import type { Rounding } from "../src/structure/choice/selection-rules.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

/** A convolution, a pool, a depthwise convolution beside a dense one, both laid side by side, and a last convolution. */
function network(width: number): Model {
  const b = new GraphBuilder("network");
  const random = randomOf(1, "blocks");
  const pads = [1, 1, 1, 1];
  const conv = (name: string, x: string, filters: number, inputs: number, group = 1) => {
    const shape = [filters, inputs / group, 3, 3];
    const data = random.normals(shape.reduce((a, c) => a * c));
    const weight = b.constant(`${name}.weight`, tensorOf("float32", shape, data));
    return b.node("Conv", [x, weight], { pads, group }, { name })[0];
  };
  const relu = (x: string) => b.node("Relu", [x])[0];
  const x = b.input("x", "float32", [1, 3, 32, 32]);
  const first = relu(conv("first", x, width, 3));
  const [pool] = b.node(
    "MaxPool",
    [first],
    { kernel_shape: [2, 2], strides: [2, 2] },
    { name: "pool" },
  );
  const deep = relu(conv("depthwise", pool, width, width, width));
  const dense = relu(conv("dense", pool, width, width));
  const [both] = b.node("Concat", [deep, dense], { axis: 1 }, { name: "concat" });
  const inner = relu(conv("inner", both, width, 2 * width));
  const weight = tensorOf("float32", [8, width, 1, 1], random.normals(8 * width));
  b.node("Conv", [inner, b.constant("last.weight", weight)], {}, { name: "last", outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: [1, 8, 16, 16] });
  return readModel(concatBytes(encodeGraph(b.build())));
}

const targets = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

function pruned(model: Model, macs: number, roundTo: Rounding = "auto") {
  return prune(model, { method: "magnitude", targets: { macs }, rules: { roundTo } });
}

/** The filters that are left of each convolution. */
function widthsIn({ graph }: ReturnType<typeof pruned>): ReadonlyMap<string, number> {
  return new Map(
    graph.nodes.flatMap(({ name, inputs }) => {
      const weight = graph.constants.get(inputs[1] ?? "");
      return weight === undefined ? [] : [[name, weight.shape[0]]];
    }),
  );
}

describe("the default widths", () => {
  it("are whole blocks where a pool, a depthwise convolution or a concatenation reads them", () => {
    const model = network(24);
    const inner: number[] = [];
    for (const target of targets) {
      const widths = widthsIn(pruned(model, target));
      for (const name of ["first", "depthwise", "dense"])
        expect([name, (widths.get(name) ?? 1) % 8]).toEqual([name, 0]);
      inner.push(widths.get("inner") ?? 0);
    }
    // A dense convolution pads, and is cut as finely as before.
    expect(inner.every((width) => width % 4 === 0)).toBe(true);
  });

  it("are free of blocks where the original's are none", () => {
    const model = network(20);
    const left = targets.flatMap((target) => [...widthsIn(pruned(model, target)).values()]);
    expect(left.some((width) => width % 8 !== 0)).toBe(true);
  });

  // ONNX Runtime has a blocked layout on these processors.
  it.skipIf(process.arch !== "x64")(
    "make ONNX Runtime change the layout no more often than before (skipped beside x64)",
    async () => {
      // From 128 channels on, widths are whole blocks of 16, too, which other processors have.
      const model = network(192);
      const reordersAfter = async (macs: number, roundTo: Rounding) => {
        const { graph, bytes } = pruned(model, macs, roundTo);
        const times = await operatorTimes(
          { graph: model.graph, source: model, medianMs: 1 },
          { graph, source: bytes.chunks, medianMs: 1 },
          { threads: 1, seconds: 0.05 },
        );
        const inserted = times.filter((operator) => operator.isInserted);
        const sum = (side: "before" | "after") =>
          inserted.reduce((total, { count }) => total + count[side], 0);
        return { before: sum("before"), after: sum("after") };
      };
      const widths = [...widthsIn(pruned(model, 0.8)).values()].slice(0, -1);
      expect(widths.filter((width) => width % 16 !== 0)).toEqual([]);
      const rounded = await reordersAfter(0.8, "auto");
      expect(rounded.after).toBeLessThanOrEqual(rounded.before);
      const free = await reordersAfter(0.8, 1);
      expect(free.after).toBeGreaterThan(free.before);
    },
  );
});
