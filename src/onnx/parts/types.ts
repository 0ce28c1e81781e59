/** @file TypeProto to tensor types. */
import { EspalierError } from "../../errors.ts";
import type { Dim, TensorType } from "../../ir/graph.ts";
import {
  containerTypeProto,
  decode,
  dimensionProto,
  mapTypeProto,
  shapeProto,
  tensorTypeProto,
  typeProto,
  valueInfoProto,
} from "../protobuf/schema.ts";
import { dtypeOf } from "./data-types.ts";
import type { TensorContext } from "./tensor-proto.ts";

/** A declared value. `type` is `undefined` for sequences, maps and undeclared types. */
export interface ValueInfo {
  readonly name: string;
  readonly type: TensorType | undefined;
}

/** Reads a ValueInfoProto; `unknownDim` makes names for sizes that the file leaves open. */
export function readValueInfo(
  bytes: Uint8Array,
  context: TensorContext,
  unknownDim: () => Dim,
): ValueInfo {
  const { name, type } = decode(valueInfoProto, bytes, context.budget);
  return { name, type: type && readType(type, context, unknownDim, 0) };
}

function readType(
  bytes: Uint8Array,
  context: TensorContext,
  unknownDim: () => Dim,
  depth: number,
): TensorType | undefined {
  if (depth > context.limits.maxDepth)
    throw new EspalierError("MODEL_TOO_DEEP", "A value's type is nested too deeply.");
  const { budget } = context;
  const type = decode(typeProto, bytes, budget);
  const inner = [type.sequence, type.optional]
    .map((container) => container && decode(containerTypeProto, container, budget).element)
    .concat(type.map && decode(mapTypeProto, type.map, budget).value);
  for (const element of inner) if (element) readType(element, context, unknownDim, depth + 1);
  if (type.tensor === undefined) return undefined;
  const tensor = decode(tensorTypeProto, type.tensor, budget);
  const dtype = dtypeOf(tensor.elemType);
  if (dtype === undefined) return undefined;
  if (tensor.shape === undefined) return { dtype, shape: undefined };
  const dims = decode(shapeProto, tensor.shape, budget).dim;
  if (dims.length > context.limits.maxRank)
    throw new EspalierError("MODEL_TOO_LARGE", `A value's type has ${dims.length} axes.`);
  const shape = dims.map((dim): Dim => {
    const { value, param } = decode(dimensionProto, dim, budget);
    if (value !== undefined && value >= 0) return value;
    return param === "" || param.startsWith("?") ? unknownDim() : param;
  });
  return { dtype, shape };
}
