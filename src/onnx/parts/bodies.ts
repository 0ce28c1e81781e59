/** @file What lies in the bodies of an attribute (the branches of If, a Loop's body), counted. */
import type { BodyContents } from "../../ir/graph.ts";
import { multiplies } from "../../ops/index.ts";
import { bitsOf, isWeightType } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { AttributeMessage } from "../protobuf/schema.ts";
import { attributeProto, decode, graphProto, nodeProto, tensorProto } from "../protobuf/schema.ts";
import { dtypeOf } from "./data-types.ts";

const noLimit = { fields: Number.POSITIVE_INFINITY };

/** The contents of all bodies of an attribute that was validated; `undefined` where it has none. */
export function contentsOf({ g, graphs }: AttributeMessage): BodyContents | undefined {
  const bodies = g === undefined ? graphs : [g, ...graphs];
  if (bodies.length === 0) return undefined;
  const total = { nodes: 0, products: 0, params: 0, parameterBytes: 0 };
  const countTensor = (bytes: Uint8Array): void => {
    const { dataType, dims } = decode(tensorProto, bytes, noLimit);
    const dtype = dtypeOf(dataType);
    if (dtype === undefined || !isWeightType(dtype)) return;
    total.params += sizeOf(dims);
    total.parameterBytes += (sizeOf(dims) * bitsOf[dtype]) / 8;
  };
  const countGraph = (bytes: Uint8Array): void => {
    const { node, initializer } = decode(graphProto, bytes, noLimit);
    initializer.forEach(countTensor);
    for (const nodeBytes of node) {
      const { opType, domain, attribute } = decode(nodeProto, nodeBytes, noLimit);
      total.nodes++;
      if (multiplies({ opType, domain: domain === "ai.onnx" ? "" : domain })) total.products++;
      for (const attributeBytes of attribute) {
        const inner = decode(attributeProto, attributeBytes, noLimit);
        if (inner.t !== undefined) countTensor(inner.t);
        for (const body of inner.g === undefined ? inner.graphs : [inner.g]) countGraph(body);
      }
    }
  };
  bodies.forEach(countGraph);
  return total;
}
