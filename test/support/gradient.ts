/**
 * @file Gradients against central differences, on onnxruntime: the harness of all gradient tests.
 *
 * The loss is Σ r · y over all float outputs with fixed random r, summed in float64 on our side. Its
 * derivative along a random direction v is compared with ⟨gradient, v⟩; the error, beyond what
 * rounding explains, is relative to the root of Σ (gradient · v)², the size that the sum has when its
 * terms are independent.
 */
import { expect } from "vitest";
import { GraphEmitter } from "../../src/grad/emitter.ts";
import { emitGradients } from "../../src/grad/reverse.ts";
import { type AttributeValue, GraphBuilder } from "../../src/ir/builder.ts";
import { canonicalOpset, type Graph } from "../../src/ir/graph.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import type { Value } from "../../src/ops/operator/gradient.ts";
import { inferTypes } from "../../src/ops/passes/infer.ts";
import { type Session, withSession } from "../../src/runtime/session.ts";
import { type DType, isFloat } from "../../src/tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

type Tensors = ReadonlyMap<string, HostTensor>;

/** How strict the comparison is, and where it looks. */
export interface GradientOptions {
  /** Largest relative error; default 5e-3, or 1e-6 where all that is differentiated is float64. */
  readonly tolerance?: number;
  /** Largest step along the direction; default 2e-2, or 1e-3 for float64. */
  readonly step?: number;
  /** For operators younger than the canonical opset. */
  readonly opset?: number;
}

/** What {@link expectGradient} may be told about the node. */
export interface NodeGradientOptions extends GradientOptions {
  /** Number of outputs that the node names; default 1. */
  readonly outputs?: number;
  /** The outputs that the loss reads; default all floats. */
  readonly through?: readonly number[];
  /** The inputs to check; default all floats. All other inputs are constants of the graph. */
  readonly check?: readonly number[];
}

/**
 * Checks the gradients of one node.
 *
 * @example
 * await expectGradient("Softmax", [normals([2, 5])], { axis: 1 });
 * await expectGradient("Reshape", [normals([2, 6]), int64Vector([3, 4])]);
 */
export async function expectGradient(
  opType: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  options: NodeGradientOptions = {},
): Promise<void> {
  const { graph, at } = nodeGraph(opType, inputs, attributes, options);
  await expectGraphGradient(graph, at, options);
}

/**
 * The gradients of Σ y for one node, by input: for what closed forms say of kinks and ties. Inputs
 * that are not checked have none.
 */
export async function nodeGradients(
  opType: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  options: NodeGradientOptions = {},
): Promise<readonly (readonly number[] | undefined)[]> {
  const { graph, at } = nodeGraph(opType, inputs, attributes, options);
  const ones = ({ dtype, shape }: Value) => tensorOf(dtype, shape, Array(sizeOf(shape)).fill(1));
  const { derive } = differentiable(graph, at, ones);
  const gradients = await runGradients(derive([...at.keys()]), at);
  return inputs.map((_, i) => {
    const gradient = gradients.get(`x${i}`);
    return gradient && [...toNumbers(gradient)];
  });
}

function nodeGraph(
  opType: string,
  inputs: readonly (HostTensor | undefined)[],
  attributes: Readonly<Record<string, AttributeValue>>,
  { outputs = 1, through, check }: NodeGradientOptions,
): { readonly graph: Graph; readonly at: Tensors } {
  const b = new GraphBuilder("gradient");
  const at = new Map<string, HostTensor>();
  const names = inputs.map((tensor, i) => {
    if (tensor === undefined) return "";
    if (!(check?.includes(i) ?? isFloat(tensor.dtype))) return b.constant(`x${i}`, tensor);
    at.set(b.input(`x${i}`, tensor.dtype, tensor.shape), tensor);
    return `x${i}`;
  });
  const made = b.node(opType, names, attributes, { outputs });
  for (const [i, name] of made.entries()) if (through?.includes(i) ?? true) b.output(name);
  return { graph: b.build(), at };
}

/**
 * Checks the gradients of a graph with respect to the tensors `at`, each by itself: inputs, or
 * constants of the graph, whose values they replace. `feeds` are the inputs that stay as they are.
 */
export async function expectGraphGradient(
  graph: Graph,
  at: Tensors,
  options: GradientOptions = {},
  feeds: Tensors = new Map(),
): Promise<void> {
  const errors = await gradientErrors(graph, at, options, feeds);
  const isDouble = [...at.values()].every(({ dtype }) => dtype === "float64");
  const { tolerance = isDouble ? 1e-6 : 5e-3 } = options;
  const wrong = [...errors].filter(([, { error }]) => !(error <= tolerance));
  expect(Object.fromEntries(wrong)).toEqual({});
  expect(errors.size).toBe(at.size);
}

/** How far a gradient is from the differences. */
export interface GradientError {
  readonly error: number;
  readonly derived: number;
  readonly measured: number;
}

/** The errors behind {@link expectGraphGradient}, by name. What has no gradient counts as zero. */
export async function gradientErrors(
  graph: Graph,
  at: Tensors,
  options: GradientOptions = {},
  feeds: Tensors = new Map(),
): Promise<ReadonlyMap<string, GradientError>> {
  const projection = ({ name, dtype, shape }: Value) => normals(shape, dtype, `onto ${name}`);
  const { forward, projections, derive } = differentiable(graph, at, projection, feeds);
  // Alone, an input must not bring along what only the others need.
  for (const name of at.keys()) expectNothingDead(forward, derive([name]));
  const all = derive([...at.keys()]);
  expectNothingDead(forward, all);

  const point = new Map([...feeds, ...at]);
  const { opset = canonicalOpset } = options;
  const gradients = await runGradients(all, point, opset);
  return withSession(encodeGraph(forward, { opset }).chunks, { threads: 1 }, async (session) => {
    const errors = new Map<string, GradientError>();
    for (const [name, tensor] of at) {
      const gradient = gradients.get(name);
      if (gradient)
        expect([name, gradient.dtype, gradient.shape]).toEqual([name, tensor.dtype, tensor.shape]);
      const v = toNumbers(normals(tensor.shape, "float64", `along ${name}`));
      const isDouble = tensor.dtype === "float64";
      const step = options.step ?? (isDouble ? 1e-3 : 2e-2);
      // What the last bits of Y, some of them lost on the way, make of the differences.
      const precision = isDouble ? 2 ** -49 : 2 ** -20;
      const loss = (t: number) =>
        lossAt(session, projections, new Map([...point, [name, moved(tensor, v, t)]]));
      const measured = await slope(async (t) => (await loss(t)).value, step);
      const terms = gradient ? toNumbers(gradient).map((g, i) => g * v[i]) : new Float64Array();
      const derived = total(terms);
      const size = Math.max(rootSumSquare(terms), Math.abs(measured), Number.MIN_VALUE);
      const rounding = (precision * (await loss(0)).size) / step;
      const error = Math.max(0, Math.abs(derived - measured) - rounding) / size;
      errors.set(name, { error, derived, measured });
    }
    return errors;
  });
}

interface Differentiable {
  /** The graph with `at` as inputs and only float outputs. */
  readonly forward: Graph;
  readonly projections: Tensors;
  derive(wrt: readonly string[]): Derived;
}

function differentiable(
  graph: Graph,
  at: Tensors,
  projection: (output: Value) => HostTensor,
  feeds: Tensors = new Map(),
): Differentiable {
  const open = withInputs(graph, at);
  const inference = inferTypes(open, { inputTypes: new Map([...feeds, ...at]) });
  const forward = {
    ...open,
    types: new Map([...open.types, ...inference.types]),
    outputs: open.outputs.filter((name) => isFloat(inference.types.get(name)?.dtype ?? "bool")),
  };
  const values = new GraphEmitter(forward, inference);
  const projections = new Map(
    forward.outputs.map((name) => [name, projection(values.value(name))]),
  );
  const derive = (wrt: readonly string[]) => gradientGraph(forward, inference, projections, wrt);
  return { forward, projections, derive };
}

/** The gradients by the names of what they belong to. */
async function runGradients(
  { graph, gradients }: Derived,
  feeds: Tensors,
  opset: number = canonicalOpset,
): Promise<Tensors> {
  const { chunks } = encodeGraph(graph, { opset });
  const results = await withSession(chunks, { threads: 1 }, (session) => session.run(feeds));
  const found = new Map<string, HostTensor>();
  for (const [name, value] of gradients) {
    const result = results.get(value.name);
    if (result) found.set(name, result);
  }
  return found;
}

/** The derivative at 0, by central differences at `step` and half of it (Richardson). */
async function slope(f: (t: number) => Promise<number>, step: number): Promise<number> {
  const central = async (h: number) => ((await f(h)) - (await f(-h))) / (2 * h);
  return (4 * (await central(step / 2)) - (await central(step))) / 3;
}

interface Loss {
  readonly value: number;
  /** Root of the sum of the squares of its terms. */
  readonly size: number;
}

async function lossAt(session: Session, projections: Tensors, feeds: Tensors): Promise<Loss> {
  const results = await session.run(feeds);
  const terms = [...projections].flatMap(([name, projection]) => {
    const result = results.get(name);
    const y = result ? toNumbers(result) : new Float64Array();
    return [...toNumbers(projection).map((r, i) => r * y[i])];
  });
  return { value: total(terms), size: rootSumSquare(terms) };
}

interface Derived {
  readonly graph: Graph;
  readonly loss: Value;
  readonly gradients: ReadonlyMap<string, Value>;
}

function gradientGraph(
  graph: Graph,
  inference: ReturnType<typeof inferTypes>,
  projections: Tensors,
  wrt: readonly string[],
): Derived {
  const emit = new GraphEmitter(graph, inference);
  const terms = [...projections].map(([name, projection]) => {
    const y = emit.value(name);
    return emit.op("ReduceSum", [emit.mul(y, emit.constant(projection))], { keepdims: 0 });
  });
  const loss = terms.reduce((a, b) => emit.add(a, b));
  const gradients = emitGradients(emit, loss, wrt);
  const outputs = new Set([...gradients.values()].map(({ name }) => name));
  return { graph: emit.build([...outputs]), loss, gradients };
}

/** Every node that was emitted must serve the loss or a gradient. */
function expectNothingDead(forward: Graph, { graph, loss }: Derived): void {
  const used = new Set([...graph.outputs, loss.name]);
  const isForward = new Set(forward.nodes);
  const dead = [...graph.nodes].reverse().filter((node) => {
    const isUsed = node.outputs.some((name) => used.has(name));
    if (isUsed) for (const name of node.inputs) used.add(name);
    return !isUsed && !isForward.has(node);
  });
  expect(dead.map(({ opType, name }) => `${opType} "${name}" serves nothing`)).toEqual([]);
}

/** The graph with these constants as inputs. */
function withInputs(graph: Graph, at: Tensors): Graph {
  const constants = new Map(graph.constants);
  const types = new Map(graph.types);
  const added = [...at.keys()].filter((name) => constants.delete(name));
  for (const name of added) {
    const tensor = at.get(name);
    if (tensor) types.set(name, { dtype: tensor.dtype, shape: tensor.shape });
  }
  return { ...graph, constants, types, inputs: [...graph.inputs, ...added] };
}

function moved(x: HostTensor, v: Float64Array, t: number): HostTensor {
  const values = toNumbers(x).map((value, i) => value + t * v[i]);
  return tensorOf(x.dtype, x.shape, values);
}

type Numbers = Float64Array | readonly number[];

const total = (values: Numbers): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
};

const rootSumSquare = (values: Numbers): number => {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
};

/** Standard normal numbers. */
export function normals(
  shape: readonly number[],
  dtype: DType = "float32",
  seed: string | number = 0,
): HostTensor {
  const random = randomOf(seed, "gradient test");
  return tensorOf(dtype, shape, Float64Array.from({ length: sizeOf(shape) }, random.normal));
}

/** Numbers between `low` and `high`, none within `margin` of a kink. */
export function uniforms(
  shape: readonly number[],
  low: number,
  high: number,
  options: {
    readonly dtype?: DType;
    readonly seed?: string | number;
    readonly kinks?: readonly number[] | undefined;
    readonly margin?: number;
  } = {},
): HostTensor {
  const { dtype = "float32", seed = 0, kinks = [], margin = 0.15 } = options;
  const random = randomOf(seed, "gradient test");
  const draw = (): number => {
    for (;;) {
      const x = low + (high - low) * random.uniform();
      if (kinks.every((kink) => Math.abs(x - kink) >= margin)) return x;
    }
  };
  return tensorOf(dtype, shape, Float64Array.from({ length: sizeOf(shape) }, draw));
}

/** Numbers of which no two are closer than `gap`, in random order around 0: for maxima. */
export function distinct(
  shape: readonly number[],
  gap = 0.25,
  dtype: DType = "float32",
  seed: string | number = 0,
): HostTensor {
  const count = sizeOf(shape);
  const order = randomOf(seed, "gradient test").permutation(count);
  return tensorOf(
    dtype,
    shape,
    Float64Array.from(order, (i) => gap * (i - (count - 1) / 2)),
  );
}
