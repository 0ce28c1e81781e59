/** @file Linear layers as matrices: against onnxruntime, layer by layer and tap by tap. */
import { describe, expect, it } from "vitest";
import { type AttributeValue, GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { withSession } from "../../runtime/session.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import {
  channelOf,
  slidingAxes,
  storedWeight,
  tapShares,
  weightOf,
} from "../operator/linear-layer.ts";
import type { LinearRole } from "../operator/role.ts";
import { roleOf } from "./roles.ts";

interface Case {
  readonly title: string;
  readonly op: "Conv" | "ConvTranspose" | "Gemm" | "MatMul";
  readonly data: readonly number[];
  readonly weight: readonly number[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
}

const cases: readonly Case[] = [
  {
    title: "3x3, padded",
    op: "Conv",
    data: [2, 3, 6, 5],
    weight: [4, 3, 3, 3],
    attributes: { pads: [1, 1, 1, 1] },
  },
  {
    title: "strided, dilated, unequal pads",
    op: "Conv",
    data: [1, 2, 9, 8],
    weight: [3, 2, 3, 2],
    attributes: { pads: [2, 0, 1, 1], strides: [2, 1], dilations: [2, 3] },
  },
  {
    title: "SAME_UPPER, stride 2",
    op: "Conv",
    data: [1, 2, 7, 6],
    weight: [2, 2, 3, 2],
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  },
  {
    title: "SAME_LOWER, stride 2",
    op: "Conv",
    data: [1, 2, 7, 6],
    weight: [2, 2, 4, 3],
    attributes: { auto_pad: "SAME_LOWER", strides: [2, 2] },
  },
  {
    title: "VALID",
    op: "Conv",
    data: [1, 2, 7, 6],
    weight: [2, 2, 3, 3],
    attributes: { auto_pad: "VALID" },
  },
  {
    title: "grouped",
    op: "Conv",
    data: [1, 4, 5, 5],
    weight: [6, 2, 3, 3],
    attributes: { group: 2, pads: [1, 1, 1, 1] },
  },
  {
    title: "depthwise with multiplier",
    op: "Conv",
    data: [1, 3, 5, 5],
    weight: [6, 1, 3, 3],
    attributes: { group: 3 },
  },
  { title: "1-D", op: "Conv", data: [2, 3, 11], weight: [2, 3, 4], attributes: { pads: [1, 2] } },
  {
    title: "stride 2",
    op: "ConvTranspose",
    data: [1, 3, 4, 5],
    weight: [3, 2, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 0, 0, 1] },
  },
  {
    title: "output padding, dilated",
    op: "ConvTranspose",
    data: [1, 2, 4, 4],
    weight: [2, 3, 2, 3],
    attributes: { strides: [3, 2], dilations: [2, 1], output_padding: [1, 1] },
  },
  {
    title: "grouped",
    op: "ConvTranspose",
    data: [1, 4, 4, 4],
    weight: [4, 3, 2, 2],
    attributes: { group: 2, strides: [2, 2] },
  },
  { title: "plain", op: "Gemm", data: [3, 4], weight: [4, 5] },
  {
    title: "transposed weight and alpha",
    op: "Gemm",
    data: [3, 4],
    weight: [5, 4],
    attributes: { transB: 1, alpha: { kind: "float", value: 0.5 } },
  },
  { title: "of matrices", op: "MatMul", data: [3, 4], weight: [4, 5] },
];

function graphOf({ op, data, attributes }: Case, weight: HostTensor): Graph {
  const b = new GraphBuilder();
  const x = b.input("x", "float32", data);
  const [y] = b.node(op, [x, b.constant("w", weight)], { ...attributes }, { outputs: ["y"] });
  b.output(y, { dtype: "float32", shape: undefined });
  return b.build();
}

async function run(graph: Graph, x: HostTensor): Promise<HostTensor> {
  const out = await withSession(concatBytes(encodeGraph(graph)), {}, (session) =>
    session.run(new Map([["x", x]])),
  );
  return [...out.values()][0];
}

function linear(graph: Graph): LinearRole {
  const role = roleOf(graph.nodes[0]);
  if (role.kind !== "linear") throw new Error(`${role.kind} is no linear layer`);
  return role;
}

function normals(shape: readonly number[], key: string): HostTensor {
  return tensorOf("float32", shape, randomOf(3, key).normals(sizeOf(shape)));
}

/** The layer by its definition over [O, I, K]: taps gather (or scatter) at the sliding positions. */
function byDefinition(role: LinearRole, x: HostTensor, w: HostTensor, result: readonly number[]) {
  const weight = weightOf(role, w);
  const axes = slidingAxes(role, { data: x.shape, weight: w.shape, result });
  const [batch, channels, ...from] = x.shape;
  const to = result.slice(2);
  const data = toNumbers(x);
  const out = new Float64Array(sizeOf(result));
  const unravel = (index: number, shape: readonly number[]) => {
    const place: number[] = [];
    for (let axis = shape.length - 1, rest = index; axis >= 0; axis--) {
      place[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    return place;
  };
  const ravel = (place: readonly number[], shape: readonly number[]) =>
    place.every((p, i) => p >= 0 && p < shape[i])
      ? place.reduce((index, p, i) => index * shape[i] + p, 0)
      : undefined;
  const [steps, other] = role.isTransposed ? [from, to] : [to, from];
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < weight.outputs; o++)
      for (let i = 0; i < weight.inputs; i++)
        for (let k = 0; k < weight.taps; k++)
          for (let step = 0; step < sizeOf(steps); step++) {
            const tap = unravel(
              k,
              axes.map(({ kernel }) => kernel),
            );
            const place = unravel(step, steps).map(
              (p, axis) =>
                p * axes[axis].stride + tap[axis] * axes[axis].dilation - axes[axis].before,
            );
            const at = ravel(place, other);
            if (at === undefined) continue;
            const [read, write] = role.isTransposed ? [step, at] : [at, step];
            const c = channelOf(weight, o, i);
            out[(n * weight.outputs + o) * sizeOf(to) + write] +=
              weight.values[(o * weight.inputs + i) * weight.taps + k] *
              data[(n * channels + c) * sizeOf(from) + read];
          }
  return out;
}

describe("a linear layer as a matrix", () => {
  it.each(cases)("computes what onnxruntime computes: $op, $title", async (test) => {
    const [x, w] = [normals(test.data, "x"), normals(test.weight, "w")];
    const graph = graphOf(test, w);
    const y = await run(graph, x);
    const want = toNumbers(y);
    const got = byDefinition(linear(graph), x, w, y.shape);
    expect(got.length).toBe(want.length);
    for (const [i, value] of got.entries()) expect(value).toBeCloseTo(want[i], 4);
  });

  it.each(cases)("is stored back as it was: $op, $title", (test) => {
    const w = normals(test.weight, "w");
    const role = linear(graphOf(test, w));
    expect(storedWeight(role, w, weightOf(role, w).values)).toEqual(w);
  });
});

describe("border shares", () => {
  // The mean over positions of what a single tap makes of a map of ones is that tap's share.
  it.each(cases.filter(({ attributes }) => attributes?.group === undefined))(
    "are what onnxruntime makes of ones: $op, $title",
    async (test) => {
      const taps = sizeOf(test.weight.slice(2));
      const ones = tensorOf("float32", test.data, new Float32Array(sizeOf(test.data)).fill(1));
      for (let tap = 0; tap < taps; tap++) {
        // Weight 1 from input 0 to output 0 at one tap.
        const values = new Float32Array(sizeOf(test.weight));
        values[tap] = 1;
        const w = tensorOf("float32", test.weight, values);
        const graph = graphOf(test, w);
        const role = linear(graph);
        const y = await run(graph, ones);
        const positions = sizeOf(y.shape.slice(2));
        const mean =
          toNumbers(y)
            .slice(0, positions)
            .reduce((sum, v) => sum + v, 0) / positions;
        const axes = slidingAxes(role, { data: test.data, weight: test.weight, result: y.shape });
        expect(tapShares(role, axes)[tap] * role.weightFactor).toBeCloseTo(mean, 6);
      }
    },
  );
});

describe("roles", () => {
  it.each([
    ["Relu", {}, "other"],
    ["Add", {}, "add"],
    ["BatchNormalization", {}, "batch-norm"],
    ["BatchNormalization", { training_mode: 1 }, "other"],
    ["Gemm", { transA: 1 }, "other"],
    ["ConvTranspose", { output_shape: [9, 9] }, "other"],
  ] as const)("of %s %o is %s", (op, attributes, kind) => {
    const b = new GraphBuilder();
    b.node(op, ["x", "w"], attributes);
    expect(roleOf(b.build().nodes[0]).kind).toBe(kind);
  });

  it("of an operator of another domain is other", () => {
    const b = new GraphBuilder();
    b.node("Conv", ["x", "w"], {}, { domain: "com.example" });
    expect(roleOf(b.build().nodes[0]).kind).toBe("other");
  });
});
