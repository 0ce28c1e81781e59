/** @file Recurrent layers, Einsum, DeformConv and products of whole numbers: shapes, cost, gradients. */
import { describe, expect, it } from "vitest";
import { expectGradient, normals } from "../../../test/support/gradient.ts";
import { expectAsOnnxruntime, type OneNode, oneNodeGraph } from "../../../test/support/one-node.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { operatorOf } from "../index.ts";
import { inferTypes } from "../passes/infer.ts";

function tensor(shape: readonly number[], dtype: DType = "float32"): HostTensor {
  const isWhole = dtype !== "float32";
  const values = Array.from({ length: sizeOf(shape) }, (_, i) =>
    isWhole ? (i * 7) % 11 : ((i * 7) % 11) / 4 - 1,
  );
  return tensorOf(dtype, shape, values);
}
const f = (...shape: number[]) => tensor(shape);
const u8 = (...shape: number[]) => tensor(shape, "uint8");
const i8 = (...shape: number[]) => tensor(shape, "int8");
const one = tensorOf("float32", [], [0.5]);

interface Case extends OneNode {
  readonly what: string;
  /** Multiply-accumulates, by hand. */
  readonly macs: number;
}

const hidden = (hidden_size: number) => ({ hidden_size });
const both = { hidden_size: 5, direction: "bidirectional" };
const twoGroups = { group: 2, offset_group: 2, pads: [1, 1, 1, 1] };

// biome-ignore format: a table
const cases: readonly Case[] = [
  { what: "RNN", op: "RNN", inputs: [f(7, 2, 3), f(1, 5, 3), f(1, 5, 5)], attributes: hidden(5), outputs: 2, macs: 7 * 2 * 5 * (3 + 5) },
  { what: "RNN, all inputs", op: "RNN", inputs: [f(7, 2, 3), f(1, 5, 3), f(1, 5, 5), f(1, 10), tensorOf("int32", [2], [7, 4]), f(1, 2, 5)], attributes: hidden(5), outputs: 2, macs: 7 * 2 * 5 * 8 },
  { what: "GRU, both directions", op: "GRU", inputs: [f(7, 2, 3), f(2, 15, 3), f(2, 15, 5)], attributes: both, outputs: 2, macs: 2 * 7 * 2 * 15 * 8 },
  { what: "GRU, last state alone", op: "GRU", inputs: [f(4, 1, 3), f(1, 6, 3), f(1, 6, 2), f(1, 12)], attributes: { ...hidden(2), direction: "reverse" }, outputs: 2, macs: 4 * 6 * 5 },
  { what: "LSTM", op: "LSTM", inputs: [f(7, 2, 3), f(1, 20, 3), f(1, 20, 5), f(1, 40)], attributes: hidden(5), outputs: 3, macs: 7 * 2 * 20 * 8 },
  { what: "LSTM, states and peepholes", op: "LSTM", inputs: [f(7, 2, 3), f(2, 20, 3), f(2, 20, 5), f(2, 40), undefined, f(2, 2, 5), f(2, 2, 5), f(2, 15)], attributes: both, outputs: 3, macs: 2 * 7 * 2 * 20 * 8 },

  { what: "matrices", op: "Einsum", inputs: [f(3, 4), f(4, 5)], attributes: { equation: "ij,jk->ik" }, macs: 60 },
  { what: "implied result", op: "Einsum", inputs: [f(3, 4), f(4, 5)], attributes: { equation: "zb, ba" }, macs: 60 },
  { what: "batches of several axes", op: "Einsum", inputs: [f(2, 6, 3, 4), f(2, 6, 4, 5)], attributes: { equation: "...ij,...jk->...ik" }, macs: 2 * 6 * 60 },
  { what: "attention", op: "Einsum", inputs: [f(2, 3, 5, 4), f(2, 3, 6, 4)], attributes: { equation: "bhqd,bhkd->bhqk" }, macs: 2 * 3 * 5 * 6 * 4 },
  { what: "a sum", op: "Einsum", inputs: [f(2, 3, 4)], attributes: { equation: "bij->b" }, macs: 0 },
  { what: "an outer product", op: "Einsum", inputs: [f(3), f(4)], attributes: { equation: "i,j->ji" }, macs: 0 },
  { what: "a diagonal", op: "Einsum", inputs: [f(3, 3)], attributes: { equation: "ii->i" }, macs: 0 },
  { what: "three operands", op: "Einsum", inputs: [f(2, 3), f(3, 4), f(4, 5)], attributes: { equation: "ij,jk,kl->il" }, macs: 2 * 3 * 4 + 2 * 4 * 5 },

  { what: "ConvInteger", op: "ConvInteger", inputs: [u8(1, 2, 5, 5), u8(3, 2, 3, 3), tensorOf("uint8", [], [3])], attributes: { pads: [1, 1, 1, 1] }, macs: 3 * 25 * 18 },
  { what: "MatMulInteger", op: "MatMulInteger", inputs: [u8(2, 3, 4), u8(4, 5)], macs: 2 * 3 * 5 * 4 },
  { what: "QLinearConv", op: "QLinearConv", inputs: [u8(1, 4, 6, 5), one, u8(), u8(6, 2, 3, 3), one, u8(), one, u8(), tensor([6], "int32")], attributes: { group: 2 }, macs: 6 * 4 * 3 * 18 },
  { what: "QLinearConv, signed", op: "QLinearConv", inputs: [i8(1, 2, 5), one, i8(), i8(3, 2, 3), one, i8(), one, i8()], macs: 3 * 3 * 6 },
  { what: "QLinearMatMul", op: "QLinearMatMul", inputs: [u8(3, 4), one, u8(), u8(4, 5), one, u8(), one, u8()], macs: 60 },

  { what: "DeformConv", op: "DeformConv", inputs: [f(2, 4, 6, 5), f(3, 4, 3, 3), f(2, 18, 4, 3), f(3)], opset: 22, macs: 2 * 3 * 4 * 3 * 36 },
  { what: "DeformConv in groups, masked", op: "DeformConv", inputs: [f(1, 4, 6, 5), f(6, 2, 3, 3), f(1, 36, 6, 5), undefined, f(1, 18, 6, 5)], attributes: twoGroups, opset: 22, macs: 6 * 30 * 18 },
];

describe("shape and cost", () => {
  it.each(cases)("of $op: $what", async ({ macs, ...node }) => {
    await expectAsOnnxruntime(node);
    const { graph, feeds } = oneNodeGraph(node);
    const { types } = inferTypes(graph, { inputs: feeds });
    const [made] = graph.nodes;
    const bound = operatorOf(made);
    const shapes = (names: readonly string[]) =>
      names.map((name) => types.get(name)?.shape?.filter((dim) => typeof dim === "number"));
    const outputs = shapes(made.outputs).map((shape) => shape ?? []);
    const context = { attrs: bound?.attrs, inputs: shapes(made.inputs), outputs };
    expect(bound?.operator.macs(context)).toBe(macs);
  });

  it("of nothing, where inputs do not fit together", () => {
    const wrong: readonly OneNode[] = [
      { op: "GRU", inputs: [f(7, 2, 3), f(1, 15, 4), f(1, 15, 5)], attributes: hidden(5) },
      { op: "LSTM", inputs: [f(7, 2, 3), f(1, 15, 3), f(1, 20, 5)], attributes: hidden(5) },
      { op: "RNN", inputs: [f(7, 3), f(1, 5, 3), f(1, 5, 5)], attributes: hidden(5) },
      { op: "Einsum", inputs: [f(3, 4), f(5, 6)], attributes: { equation: "ij,jk->ik" } },
      { op: "Einsum", inputs: [f(3, 4)], attributes: { equation: "ijk->i" } },
      { op: "Einsum", inputs: [f(3, 4)], attributes: { equation: "ij,jk->ik" } },
      { op: "Einsum", inputs: [f(3, 4)], attributes: { equation: "ij->k" } },
      { op: "MatMulInteger", inputs: [u8(3, 4), u8(5, 6)] },
      { op: "ConvInteger", inputs: [u8(1, 2, 5, 5), u8(3, 4, 3, 3)] },
      { op: "DeformConv", inputs: [f(1, 4, 6, 5), f(6, 3, 3, 3), f(1, 18, 4, 3)] },
    ];
    for (const node of wrong) {
      const { graph, feeds } = oneNodeGraph(node);
      const infer = () => inferTypes(graph, { inputs: feeds });
      expect(infer, JSON.stringify(node.attributes)).toThrow(
        expect.objectContaining({ code: "MODEL_BAD_SHAPE" }),
      );
    }
  });
});

describe("the gradient of Einsum", () => {
  const x = (...shape: number[]) => normals(shape, "float64");
  // biome-ignore format: a table
  const rows: readonly (readonly [equation: string, inputs: readonly HostTensor[]])[] = [
    ["ij,jk->ik", [x(3, 4), x(4, 5)]],
    ["bhqd,bhkd->bhqk", [x(2, 2, 3, 4), x(2, 2, 5, 4)]],
    ["...ij,...jk->...ik", [x(2, 3, 4), x(2, 4, 5)]],
    ["bchw,oc->bohw", [x(2, 3, 2, 2), x(4, 3)]],
    ["bij->b", [x(2, 3, 4)]],
    ["ij,k->i", [x(3, 4), x(2)]],
    ["ij,jk,kl->il", [x(2, 3), x(3, 4), x(4, 2)]],
  ];
  it.each(rows)("%s", (equation, inputs) => expectGradient("Einsum", inputs, { equation }));
});
