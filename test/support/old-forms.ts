/** @file One node of an old opset, read and run, for the tests of lifting and lowering. */
import { type AttributeValue, GraphBuilder } from "../../src/ir/builder.ts";
import type { Model } from "../../src/onnx/model.ts";
import { readModel } from "../../src/onnx/reading/read.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { withSession } from "../../src/runtime/session.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

/** A node of an old opset whose first input is fed. */
export interface OldForm {
  readonly op: string;
  readonly opset: number;
  /** Shape of the data input. */
  readonly x: readonly number[];
  /** Constant inputs behind it. */
  readonly constants?: readonly HostTensor[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly outputs?: readonly DType[];
}

/** A float attribute that may be whole. */
export const float = (value: number): AttributeValue => ({ kind: "float", value });
/** Float attributes that may be whole. */
export const floats = (...value: number[]): AttributeValue => ({ kind: "floats", value });
/** A float32 tensor. */
export const f32 = (shape: readonly number[], values: readonly number[]) =>
  tensorOf("float32", shape, values);

/** The model of one such node, read. */
export function modelOf(form: OldForm): Model {
  const { op, opset, x, constants = [], attributes, outputs = ["float32"] } = form;
  const builder = new GraphBuilder("old");
  builder.input("x", "float32", x);
  const names = constants.map((tensor) => builder.constant(undefined, tensor));
  const results = builder.node(op, ["x", ...names], attributes, { outputs: outputs.length });
  for (const [i, name] of results.entries())
    builder.output(name, { dtype: outputs[i], shape: undefined });
  return readModel(concatBytes(encodeGraph(builder.build(), { opset, irVersion: 4 })));
}

/** What onnxruntime computes for `x`, in the order of the outputs. */
export async function run(
  bytes: readonly Uint8Array[],
  x: HostTensor,
): Promise<readonly HostTensor[]> {
  const options = { optimization: "disabled", threads: 1 } as const;
  return withSession(bytes, options, async (session) => [
    ...(await session.run(new Map([["x", x]]))).values(),
  ]);
}

/** Seeded normal numbers. */
export function inputFor(shape: readonly number[]): HostTensor {
  const data = randomOf(1, "lift").normals(sizeOf(shape));
  return { dtype: "float32", shape, data };
}
