/** @file Convolutions in blocked layout against the plain ones, on onnxruntime. */
import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/gradient.ts";
import { type AttributeValue, GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { verifyGraph } from "../../ir/verify.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { findBlockSize } from "../../runtime/block-size.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { blockedDomain, paysOff, withBlockedConvolutions } from "./blocked.ts";

const block = await findBlockSize();
/** Where onnxruntime has no such kernels there is nothing to compare. */
const hasKernels = block !== undefined;

type Attributes = Readonly<Record<string, AttributeValue>>;

/** A convolution as a graph of its inputs. */
function convolution(
  shapes: readonly (readonly number[])[],
  attributes: Attributes = {},
  dtype: "float32" | "float64" = "float32",
): { readonly graph: Graph; readonly feeds: Feeds } {
  const b = new GraphBuilder("convolution");
  const names = shapes.map((shape, i) => b.input(`x${i}`, dtype, shape));
  b.node("Conv", names, attributes, { outputs: ["y"] });
  b.output("y");
  return {
    graph: b.build(),
    feeds: new Map(shapes.map((shape, i) => [`x${i}`, normals(shape, dtype, i)])),
  };
}

const always = () => true;
const run = (graph: Graph, feeds: Feeds, options: SessionOptions = {}) =>
  withSession(encodeGraph(graph, { isForThisMachine: true }).chunks, options, (session) =>
    session.run(feeds),
  );

/** The largest difference from the first, over the first's largest value. */
function relativeError(expected: Feeds, actual: Feeds): number {
  const errors = [...expected].map(([name, tensor]) => {
    const other = actual.get(name);
    if (other === undefined || other.shape.join() !== tensor.shape.join()) return Number.NaN;
    const [a, b] = [toNumbers(tensor), toNumbers(other)];
    const largest = (values: Float64Array) => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    return largest(a.map((value, i) => value - b[i])) / largest(a);
  });
  return Math.max(...errors);
}

describe.runIf(hasKernels)("computes what the plain convolution does", () => {
  const same: Attributes = { pads: [1, 1, 1, 1], kernel_shape: [3, 3] };
  it.each<{ x: number[]; w: number[]; bias?: boolean; attributes?: Attributes }>([
    { x: [2, 16, 7, 7], w: [16, 16, 3, 3], attributes: same },
    { x: [3, 32, 5, 6], w: [48, 32, 3, 3], attributes: same, bias: true },
    { x: [2, 64, 4, 4], w: [32, 64, 3, 3], attributes: same },
    // Widths that fill no block.
    { x: [2, 7, 9, 9], w: [16, 7, 3, 3], attributes: same },
    { x: [2, 13, 6, 5], w: [5, 13, 3, 3], attributes: same, bias: true },
    { x: [2, 20, 6, 6], w: [33, 20, 3, 3], attributes: same },
    { x: [2, 27, 6, 6], w: [2, 27, 3, 3], attributes: same, bias: true },
    { x: [1, 50, 4, 4], w: [17, 50, 3, 3], attributes: same },
    { x: [2, 1, 8, 8], w: [3, 1, 5, 5] },
    // Windows.
    { x: [2, 16, 8, 8], w: [32, 16, 3, 3], attributes: { ...same, strides: [2, 2] } },
    { x: [2, 16, 9, 7], w: [16, 16, 3, 3], attributes: { pads: [0, 1, 2, 1] } },
    { x: [2, 16, 9, 9], w: [16, 16, 3, 3], attributes: { dilations: [2, 3], pads: [2, 3, 2, 3] } },
    { x: [2, 16, 9, 7], w: [16, 16, 4, 3], attributes: { auto_pad: "SAME_LOWER" } },
    { x: [2, 16, 7, 7], w: [16, 16, 1, 1], bias: true },
    { x: [2, 20, 12, 12], w: [50, 20, 5, 5] },
    { x: [1, 16, 9, 9], w: [16, 16, 7, 7], attributes: { pads: [3, 3, 3, 3] } },
    { x: [2, 16, 5, 5], w: [16, 16, 1, 3], attributes: { pads: [0, 1, 0, 1] } },
  ])("$x, $w, bias $bias, $attributes", async ({ x, w, bias = false, attributes }) => {
    const shapes = bias ? [x, w, [w[0]]] : [x, w];
    const { graph, feeds } = convolution(shapes, attributes);
    const blocked = withBlockedConvolutions(graph, block ?? 16, always);
    verifyGraph(blocked);
    expect(blocked.nodes.map(({ domain }) => domain)).toContain(blockedDomain);
    const expected = await run(graph, feeds);
    for (const options of [{ threads: 1 }, { threads: 2, optimization: "disabled" } as const])
      expect(relativeError(expected, await run(blocked, feeds, options))).toBeLessThan(2e-6);
  });

  it("the same bytes again, and with two threads", async () => {
    const { graph, feeds } = convolution(
      [
        [4, 27, 16, 16],
        [24, 27, 3, 3],
      ],
      same,
    );
    const blocked = withBlockedConvolutions(graph, block ?? 16, always);
    const results = [];
    for (const threads of [1, 1, 2]) results.push(await run(blocked, feeds, { threads }));
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe("the pass", () => {
  it("lays out once what several convolutions read", () => {
    const b = new GraphBuilder("shared");
    b.input("x", "float32", [1, 20, 4, 4]);
    for (const name of ["v", "w"]) b.input(name, "float32", [24, 20, 3, 3]);
    const outputs = [
      b.node("Conv", ["x", "v"])[0],
      b.node("Conv", ["x", "w"])[0],
      b.node("Conv", ["x", "w"], { pads: [1, 1, 1, 1] })[0],
    ];
    for (const name of outputs) b.output(name);
    const { nodes } = withBlockedConvolutions(b.build(), 16, always);
    const count = (opType: string) => nodes.filter((node) => node.opType === opType).length;
    expect(["ReorderInput", "Conv", "Pad", "Transpose"].map(count)).toEqual([1, 3, 2, 4]);
  });

  it.each<[string, Graph]>([
    [
      "in groups",
      convolution(
        [
          [1, 32, 5, 5],
          [32, 16, 3, 3],
        ],
        { group: 2 },
      ).graph,
    ],
    [
      "depthwise",
      convolution(
        [
          [1, 16, 5, 5],
          [16, 1, 3, 3],
        ],
        { group: 16 },
      ).graph,
    ],
    [
      "along one axis",
      convolution([
        [1, 16, 9],
        [16, 16, 3],
      ]).graph,
    ],
    [
      "over volumes",
      convolution([
        [1, 16, 5, 5, 5],
        [16, 16, 3, 3, 3],
      ]).graph,
    ],
    [
      "in float64",
      convolution(
        [
          [1, 16, 5, 5],
          [16, 16, 3, 3],
        ],
        {},
        "float64",
      ).graph,
    ],
  ])("leaves convolutions %s as they are", (_, graph) => {
    expect(withBlockedConvolutions(graph, 16, always)).toBe(graph);
  });

  it("leaves convolutions of unknown size as they are", () => {
    const b = new GraphBuilder("open");
    b.input("x", "float32", ["N", 16, 5, 5]);
    b.input("w", "float32", [16, 16, 3, 3]);
    b.output(b.node("Conv", ["x", "w"])[0]);
    const graph = b.build();
    expect(withBlockedConvolutions(graph, 16, always)).toBe(graph);
  });

  it("makes what no model file may hold", () => {
    const { graph } = convolution([
      [1, 16, 5, 5],
      [16, 16, 3, 3],
    ]);
    const blocked = withBlockedConvolutions(graph, 16, always);
    expect(() => encodeGraph(blocked)).toThrow("stays on its machine");
    const model = readModel(concatBytes(encodeGraph(graph)));
    expect(() => writeModel(model, blocked)).toThrow("stays on its machine");
  });
});

// As measured; see the table in blocked.ts.
describe("pays off", () => {
  it.each<
    [batch: number, channels: number, size: number, filters: number, kernel: number, boolean]
  >([
    [64, 16, 32, 16, 3, true],
    [64, 64, 8, 64, 3, true],
    [64, 256, 8, 256, 3, true],
    [64, 512, 2, 512, 3, true],
    [8, 32, 128, 32, 3, true],
    [64, 32, 16, 32, 5, true],
    [64, 9, 32, 16, 3, true],
    [64, 16, 32, 5, 3, true],
    [64, 27, 16, 32, 3, true],
    [64, 40, 8, 40, 3, true],
    [64, 50, 8, 64, 3, true],
    [1, 16, 32, 16, 3, true],
    [64, 512, 4, 512, 3, false],
    [8, 512, 8, 512, 3, false],
    [2, 512, 4, 512, 3, false],
    [8, 256, 4, 256, 3, false],
    [64, 64, 32, 64, 1, false],
    [64, 3, 32, 64, 3, false],
    [64, 5, 32, 16, 3, false],
    [64, 22, 16, 22, 3, false],
    [64, 100, 16, 100, 3, false],
    [8, 20, 128, 20, 3, false],
    [8, 40, 64, 40, 3, false],
    [64, 20, 8, 50, 5, false],
  ])(
    "%i x [%i, %i²], %i filters of %i²: %s",
    (batch, channels, size, filters, kernel, expected) => {
      const [square, window] = [size, kernel].map((side) => [side, side]);
      const sizes = { batch, channels, filters, kernel: window, output: square };
      expect(paysOff(sizes, 16)).toBe(expected);
    },
  );
});
