/**
 * @file Where the elements of tensors stand in the bytes of a model, as far as they stand there in one
 * piece: raw data, and packed lists of floats. Whoever replaces these bytes by others of the same
 * length changes nothing else of the file.
 */
import type { DType } from "../../tensor/dtype.ts";
import { dtypeOf } from "../parts/data-types.ts";
import { storedBytes } from "../parts/tensor-proto.ts";
import {
  attributeProto,
  decode,
  graphProto,
  modelProto,
  nodeProto,
  tensorProto,
} from "../protobuf/schema.ts";
import { FieldCursor, WireType } from "../protobuf/wire.ts";
import { isConstantNode } from "./read-graph.ts";

/** The elements of one tensor in a file, little-endian and row by row. */
export interface StoredWeight {
  /** The constant's name in the main graph; `undefined` for tensors elsewhere. */
  readonly name: string | undefined;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Place of the first byte, and one past the last. */
  readonly start: number;
  readonly end: number;
}

const noLimit = { fields: Number.POSITIVE_INFINITY };

/** The stored weights of at least `leastBytes` bytes in a model that `readModel` accepts, in order. */
export function storedWeights(model: Uint8Array, leastBytes: number): readonly StoredWeight[] {
  const found: StoredWeight[] = [];
  const visitTensor = (bytes: Uint8Array, name: string | undefined): void => {
    const { dataType, dims } = decode(tensorProto, bytes, noLimit);
    const dtype = dtypeOf(dataType);
    const elements = elementsIn(bytes);
    if (dtype === undefined || dtype === "string" || elements === undefined) return;
    if (elements.length < leastBytes || elements.length !== storedBytes(dtype, dims)) return;
    const start = elements.byteOffset - model.byteOffset;
    found.push({ name, dtype, shape: dims, start, end: start + elements.length });
  };
  const visitNode = (bytes: Uint8Array, isMain: boolean): void => {
    const node = decode(nodeProto, bytes, noLimit);
    const constant = isMain && isConstantNode(node) ? node.output[0] : undefined;
    for (const attributeBytes of node.attribute) {
      const { name, t, tensors, g, graphs } = decode(attributeProto, attributeBytes, noLimit);
      if (t !== undefined) visitTensor(t, name === "value" ? constant : undefined);
      for (const tensor of tensors) visitTensor(tensor, undefined);
      for (const graph of g === undefined ? graphs : [g, ...graphs]) visitGraph(graph, false);
    }
  };
  const visitGraph = (bytes: Uint8Array, isMain: boolean): void => {
    const graph = decode(graphProto, bytes, noLimit);
    for (const node of graph.node) visitNode(node, isMain);
    for (const tensor of graph.initializer)
      visitTensor(tensor, isMain ? decode(tensorProto, tensor, noLimit).name : undefined);
  };
  const { graph } = decode(modelProto, model, noLimit);
  if (graph !== undefined) visitGraph(graph, true);
  return found.sort((a, b) => a.start - b.start);
}

/** The content of raw_data, float_data or double_data, if one field of the tensor holds it all. */
function elementsIn(tensor: Uint8Array): Uint8Array | undefined {
  const cursor = new FieldCursor(tensor);
  let elements: Uint8Array | undefined;
  while (cursor.next()) {
    if (![4, 9, 10].includes(cursor.number)) continue;
    if (elements !== undefined || cursor.wireType !== WireType.LengthDelimited) return undefined;
    elements = cursor.value();
  }
  return elements;
}
