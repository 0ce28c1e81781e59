/** @file Lowering against onnxruntime: a changed node of an old opset computes what its canonical form does. */
import { describe, expect, it } from "vitest";
import {
  f32,
  float,
  floats,
  inputFor,
  modelOf,
  type OldForm,
  run,
} from "../../../test/support/old-forms.ts";
import { expectSameElements } from "../../../test/support/one-node.ts";
import type { Graph } from "../../ir/graph.ts";
import { type HostTensor, int64Vector } from "../../tensor/host-tensor.ts";
import { readModel } from "../reading/read.ts";
import { encodeGraph } from "../writing/encode-graph.ts";
import { concatBytes, writeModel } from "../writing/write.ts";

describe("a changed node of an old opset", () => {
  /** Replaces the constant at an input of the only node. */
  function withInput(graph: Graph, input: number, tensor: HostTensor): Graph {
    const [node] = graph.nodes;
    const inputs = [...node.inputs];
    while (inputs.length <= input) inputs.push("");
    inputs[input] = "replaced";
    const origin = { kind: "new" } as const;
    const constants = new Map(graph.constants);
    const { dtype, shape } = tensor;
    constants.set("replaced", { name: "replaced", dtype, shape, read: () => tensor, origin });
    return { ...graph, nodes: [{ ...node, inputs }], constants };
  }

  const changes: readonly { what: string; form: OldForm; input: number; tensor: HostTensor }[] = [
    {
      what: "Split sizes",
      form: {
        op: "Split",
        opset: 11,
        x: [4, 6],
        attributes: { axis: 1, split: [2, 4] },
        outputs: ["float32", "float32"],
      },
      input: 1,
      tensor: int64Vector([5, 1]),
    },
    {
      what: "an implied equal Split, opset 7",
      form: { op: "Split", opset: 7, x: [4, 6], outputs: ["float32", "float32"] },
      input: 1,
      tensor: int64Vector([1, 3]),
    },
    {
      what: "an implied equal Split, opset 13",
      form: { op: "Split", opset: 13, x: [4, 6], outputs: ["float32", "float32"] },
      input: 1,
      tensor: int64Vector([1, 3]),
    },
    {
      what: "an equal Split by num_outputs",
      form: {
        op: "Split",
        opset: 18,
        x: [4, 6],
        attributes: { num_outputs: 2 },
        outputs: ["float32", "float32"],
      },
      input: 1,
      tensor: int64Vector([1, 3]),
    },
    {
      what: "Pad amounts",
      form: { op: "Pad", opset: 9, x: [2, 3], attributes: { pads: [0, 1, 0, 2], value: float(2) } },
      input: 1,
      tensor: int64Vector([0, 3, 0, 0]),
    },
    {
      what: "a Clip bound",
      form: { op: "Clip", opset: 9, x: [2, 3], attributes: { max: float(2) } },
      input: 1,
      tensor: f32([], [0.25]),
    },
    {
      what: "TopK's k",
      form: {
        op: "TopK",
        opset: 9,
        x: [2, 5],
        attributes: { k: 2 },
        outputs: ["float32", "int64"],
      },
      input: 1,
      tensor: int64Vector([3]),
    },
    {
      what: "Upsample's scales",
      form: {
        op: "Upsample",
        opset: 7,
        x: [1, 1, 2, 2],
        attributes: { scales: floats(1, 1, 2, 2) },
      },
      input: 2,
      tensor: f32([4], [1, 1, 3, 3]),
    },
    {
      what: "Slice ends",
      form: { op: "Slice", opset: 9, x: [4, 5], attributes: { starts: [1], ends: [3], axes: [1] } },
      input: 2,
      tensor: int64Vector([5]),
    },
  ];
  it.each(changes)("is written in its old form: $what", async ({ form, input, tensor }) => {
    const model = modelOf(form);
    const changed = withInput(model.graph, input, tensor);
    const x = inputFor(form.x);
    const canonical = new Map(changed.nodes[0].attributes);
    canonical.delete("num_outputs");
    const nodes = [{ ...changed.nodes[0], attributes: canonical }];
    const want = await run(
      encodeGraph({ ...changed, nodes: form.op === "Split" ? nodes : changed.nodes }).chunks,
      x,
    );
    const written = writeModel(model, changed);
    const got = await run(written.chunks, x);
    for (const [i, result] of got.entries()) expectSameElements(result, want[i]);
    const again = readModel(concatBytes(written));
    expect(again.opset).toBe(form.opset);
    const name = again.graph.nodes[0].inputs[input];
    expect(again.graph.constants.get(name)?.read()).toEqual(tensor);
  });

  it("refuses what the old form cannot hold", () => {
    const model = modelOf({
      op: "Slice",
      opset: 9,
      x: [4],
      attributes: { starts: [1], ends: [3] },
    });
    const changed = withInput(model.graph, 4, int64Vector([2]));
    expect(() => writeModel(model, changed)).toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
    );
  });
});
