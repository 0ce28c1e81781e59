/** @file Runs one node through onnxruntime and through our inference, for the operator tests. */
import { expect } from "vitest";
import { type AttributeValue, GraphBuilder } from "../../src/ir/builder.ts";
import { canonicalOpset, type Graph, type TensorType } from "../../src/ir/graph.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { type Inference, inferTypes } from "../../src/ops/passes/infer.ts";
import { withSession } from "../../src/runtime/session.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { type HostTensor, isStrings, toNumbers } from "../../src/tensor/host-tensor.ts";

/** A node and its inputs. */
export interface OneNode {
  readonly op: string;
  /** `undefined` where an optional input is absent. */
  readonly inputs: readonly (HostTensor | undefined)[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Number of outputs; default 1. */
  readonly outputs?: number;
  /** Default {@link canonicalOpset}. */
  readonly opset?: number;
}

interface OneNodeGraph {
  readonly graph: Graph;
  readonly feeds: ReadonlyMap<string, HostTensor>;
}

/** The graph of one node, whose inputs are graph inputs of the given shapes. */
export function oneNodeGraph({ op, inputs, attributes, outputs = 1 }: OneNode): OneNodeGraph {
  const builder = new GraphBuilder("one node");
  const feeds = new Map<string, HostTensor>();
  const names = inputs.map((input, i) => {
    if (input === undefined) return "";
    const name = builder.input(`x${i}`, input.dtype, input.shape);
    feeds.set(name, input);
    return name;
  });
  for (const name of builder.node(op, names, attributes, { outputs })) builder.output(name);
  return { graph: builder.build(), feeds };
}

/** What onnxruntime computes, in the order of the outputs. */
export async function runOneNode(node: OneNode): Promise<readonly HostTensor[]> {
  const { graph, feeds } = oneNodeGraph(node);
  // onnxruntime wants the element types of outputs; their shapes it finds itself.
  const { types } = inferTypes(graph, { inputs: feeds });
  const typed = new Map(graph.types);
  for (const name of graph.outputs)
    typed.set(name, { dtype: types.get(name)?.dtype ?? "float32", shape: undefined });
  const { chunks } = encodeGraph(
    { ...graph, types: typed },
    { opset: node.opset ?? canonicalOpset },
  );
  return withSession(chunks, { optimization: "disabled", threads: 1 }, async (session) => {
    const results = await session.run(feeds);
    return graph.outputs.flatMap((name) => results.get(name) ?? []);
  });
}

/**
 * Checks inference and folding against onnxruntime: with known inputs every type is exact and folded
 * values agree; without, or with symbolic or unknown shapes, nothing that is said is wrong.
 */
export async function expectAsOnnxruntime(node: OneNode): Promise<void> {
  const { graph, feeds } = oneNodeGraph(node);
  const results = await runOneNode(node);
  expect(results).toHaveLength(graph.outputs.length);

  const known = inferTypes(graph, { inputs: feeds });
  for (const [i, name] of graph.outputs.entries()) {
    const { dtype, shape } = results[i];
    expect(known.types.get(name)).toEqual({ dtype, shape });
    const value = known.values.get(name);
    if (value !== undefined) expectSameElements(value, results[i]);
  }

  const symbols = ({ dtype, shape }: HostTensor, input: string): TensorType => ({
    dtype,
    shape: shape.map((_, axis) => `${input}_${axis}`),
  });
  const unranked = ({ dtype }: HostTensor): TensorType => ({ dtype, shape: undefined });
  for (const hide of [(tensor: HostTensor): TensorType => tensor, symbols, unranked]) {
    const inputTypes = new Map<string, TensorType>();
    for (const [name, { dtype, shape, data }] of feeds)
      inputTypes.set(name, dropData(hide({ dtype, shape, data }, name)));
    expectConsistent(inferTypes(graph, { inputTypes }), graph, results);
  }
}

const dropData = ({ dtype, shape }: TensorType): TensorType => ({ dtype, shape });

/** Nothing that inference says contradicts the results. */
function expectConsistent(
  { types }: Inference,
  graph: Graph,
  results: readonly HostTensor[],
): void {
  for (const [i, name] of graph.outputs.entries()) {
    const type = types.get(name);
    expect(type?.dtype).toBe(results[i].dtype);
    if (type?.shape === undefined) continue;
    expect(type.shape).toHaveLength(results[i].shape.length);
    for (const [axis, dim] of type.shape.entries())
      if (typeof dim === "number") expect(dim).toBe(results[i].shape[axis]);
  }
}

/** The same elements: exactly for whole numbers, to single precision for floats. */
export function expectSameElements(got: HostTensor, want: HostTensor): void {
  expect([got.dtype, got.shape]).toEqual([want.dtype, want.shape]);
  if (!isFloat(got.dtype) || isStrings(got.data)) {
    expect(got.data).toEqual(want.data);
    return;
  }
  const [a, b] = [toNumbers(got), toNumbers(want)];
  expect(a).toHaveLength(b.length);
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue;
    expect(Math.abs(a[i] - b[i])).toBeLessThanOrEqual(2e-6 * (1 + Math.abs(b[i])));
  }
}
