/** @file Convolutions whose numbers of channels suit more execution providers. */
import { constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { attributesOf } from "../operator/attributes.ts";
import { inferTypes } from "./infer.ts";

/**
 * The graph with channels of zeros added in front of convolutions that onnxruntime's WebGPU provider
 * computes wrongly (1.30: `xCh / 4` in `conv2d_mm.cc` where it reads three channels at a time). These
 * have one group, a number of input channels above 3 that is a multiple of 3 and not of 4, and a
 * number of output channels that is a multiple of 4. Both operands get channels up to a multiple of 4.
 */
export function withPaddedConvolutions(graph: Graph): Graph {
  const { types } = inferTypes(graph);
  const fresh = freshNames(graph);
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.flatMap((node): readonly Node[] => {
    const shape = types.get(node.inputs[1])?.shape;
    if (shape === undefined || !isMiscomputed(node, shape)) return [node];
    const [x, weight, ...rest] = node.inputs;
    const y = node.outputs[0];
    const pads = fresh(`${y}:pads`);
    // Pads lists the zeros before all axes, then those behind all axes: only the channels get some, behind.
    const sizes = new Array<number>(2 * shape.length).fill(0);
    sizes[shape.length + 1] = 4 - (Number(shape[1]) % 4);
    constants.set(pads, constantOf(pads, tensorOf("int64", [sizes.length], sizes)));
    const [wideX, wideWeight] = ["input", "weight"].map((stem) => fresh(`${y}:${stem}`));
    return [
      newNode(fresh(`${node.name}:Pad`), "Pad", [x, pads], wideX),
      newNode(fresh(`${node.name}:Pad`), "Pad", [weight, pads], wideWeight),
      { ...node, inputs: [wideX, wideWeight, ...rest], origin: undefined },
    ];
  });
  return nodes.length === graph.nodes.length ? graph : { ...graph, nodes, constants };
}

function isMiscomputed(node: Node, [outputs, inputs]: readonly (number | string)[]): boolean {
  if (node.domain !== "" || node.opType !== "Conv") return false;
  if (typeof outputs === "string" || typeof inputs === "string") return false;
  if (attributesOf(node).int("group", 1) !== 1) return false;
  return inputs > 3 && inputs % 3 === 0 && inputs % 4 !== 0 && outputs % 4 === 0;
}
