/** @file Walks a graph and finds the type of every value, and the elements of the small known ones. */
import { type ErrorCode, EspalierError } from "../../errors.ts";
import {
  type Constant,
  type Dim,
  type Graph,
  isDefault,
  type Node,
  type TensorType,
} from "../../ir/graph.ts";
import { shapeFault } from "../../ir/sizes.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import { operatorOf } from "../index.ts";
import { numericShape } from "../operator/known.ts";
import type { InferContext, Operand } from "../operator/operator.ts";

/** Values of more elements than this are never read or computed during inference. */
export const maxFoldedElements = 65_536;

/** The number of elements that one inference computes at most; further values stay unknown. */
const maxFoldedInAll = 2 ** 20;

/** What the caller knows beyond the graph. */
export interface InferOptions {
  /** Sizes of symbolic dimensions, by name. */
  readonly dims?: ReadonlyMap<string, number> | undefined;
  /** Known values of graph inputs. */
  readonly inputs?: ReadonlyMap<string, HostTensor> | undefined;
  /** Types that replace the declared ones of graph inputs; their sizes also bind declared symbols. */
  readonly inputTypes?: ReadonlyMap<string, TensorType> | undefined;
}

/** What is known of every value of a graph. */
export interface Inference {
  /** An entry for every value: inputs, constants and outputs of nodes. */
  readonly types: ReadonlyMap<string, TensorType>;
  /** Constants and computed values of at most {@link maxFoldedElements} elements. */
  readonly values: ReadonlyMap<string, HostTensor>;
  /** Values with sizes that no rule gives and that the file declares. */
  readonly declared: ReadonlySet<string>;
  /** Nodes without a rule. */
  readonly unknown: readonly Node[];
}

/**
 * Infers types in node order. Throws `MODEL_BAD_SHAPE`, `MODEL_TOO_LARGE` or `MODEL_BAD_ATTRIBUTE`, naming
 * the node or value.
 *
 * A size that nobody knows gets a name of its own (`?0`, `?1`, ...), so that equal names mean equal
 * sizes. Declared types of values between the nodes only fill what inference leaves open.
 */
export function inferTypes(graph: Graph, options: InferOptions = {}): Inference {
  let count = 0;
  const unknownDim = () => `?${count++}`;
  const { symbols, declaredHold } = boundSymbols(graph, options);
  const types = new Map<string, TensorType>();
  const values = new Map<string, HostTensor>(options.inputs);
  const declared = new Set<string>();
  const unknown: Node[] = [];
  let folded = 0;

  const bind = ({ dtype, shape }: TensorType): TensorType => ({
    dtype,
    shape: shape?.map((dim) => boundDim(dim, symbols) ?? unknownDim()),
  });

  for (const name of graph.inputs) {
    const type = givenType(name, options) ?? graph.types.get(name);
    const bound = bind(type ?? { dtype: "float32", shape: undefined });
    requireSizes(name, bound, "Input");
    types.set(name, bound);
  }
  for (const constant of graph.constants.values()) {
    const { name, dtype, shape, read } = constant;
    types.set(name, { dtype, shape });
    if (isKnownAhead(constant)) values.set(name, read());
  }

  const declaredType = (name: string): TensorType | undefined => {
    const type = graph.types.get(name);
    if (type === undefined) return undefined;
    const bound = bind(declaredHold ? type : { dtype: type.dtype, shape: undefined });
    requireSizes(name, bound, "Value");
    return bound;
  };
  for (const node of graph.nodes) {
    const inferred = inferNode(
      node,
      types,
      values,
      unknownDim,
      folded < maxFoldedInAll ? undefined : 0,
    );
    if (inferred === undefined) unknown.push(node);
    const guess = types.get(node.inputs[0])?.dtype ?? "float32";
    for (const [i, name] of node.outputs.entries()) {
      if (name === "") continue;
      const stated = declaredType(name);
      const type = inferred?.types[i];
      const refined = type ? refine(type, stated) : (stated ?? open(guess));
      if (refined.shape !== type?.shape) declared.add(name);
      types.set(name, refined);
      const value = inferred?.values?.[i];
      if (value === undefined) continue;
      values.set(name, value);
      folded += sizeOf(value.shape);
    }
  }
  return { types, values, declared, unknown };
}

/** The sizes of symbols, and whether all sizes that the inputs declare are those that are given. */
function boundSymbols(graph: Graph, options: InferOptions) {
  const symbols = new Map(options.dims);
  let declaredHold = true;
  for (const name of graph.inputs) {
    const given = givenType(name, options);
    const declared = graph.types.get(name)?.shape;
    if (given?.shape === undefined || declared === undefined) continue;
    for (const [axis, dim] of declared.entries()) {
      const size = given.shape[axis];
      if (typeof dim === "string" && typeof size === "number") symbols.set(dim, size);
      if (typeof dim === "number" && size !== dim) declaredHold = false;
    }
  }
  return { symbols, declaredHold };
}

/** A declared size with what its symbol stands for; `undefined` for one that nobody knows. */
function boundDim(dim: Dim, symbols: ReadonlyMap<string, number>): Dim | undefined {
  if (typeof dim === "number") return dim;
  return symbols.get(dim) ?? (dim.startsWith("?") ? undefined : dim);
}

/** Whether the elements of a constant are used: it is small, and no size or index that a caller may feed instead. */
function isKnownAhead(constant: Constant): boolean {
  const isKnown = isFloat(constant.dtype) || !isDefault(constant);
  return isKnown && sizeOf(constant.shape) <= maxFoldedElements;
}

function givenType(name: string, { inputs, inputTypes }: InferOptions): TensorType | undefined {
  return inputs?.get(name) ?? inputTypes?.get(name);
}

function requireSizes(name: string, { shape }: TensorType, what: "Input" | "Value"): void {
  const fault = shape && shapeFault(shape);
  if (fault === undefined) return;
  throw new EspalierError(fault.code, `${what} "${name}" ${fault.problem}.`, {
    data: { tensor: name, shape },
  });
}

const open = (dtype: TensorType["dtype"]): TensorType => ({ dtype, shape: undefined });

/** What is inferred, with sizes that nobody knows taken from the declaration if it fits. */
function refine({ dtype, shape }: TensorType, declared: TensorType | undefined): TensorType {
  const other = declared?.shape;
  if (shape === undefined) return { dtype, shape: other };
  if (other?.length !== shape.length) return { dtype, shape };
  const fits = shape.every((dim, i) => typeof dim === "string" || agrees(dim, other[i]));
  if (!fits) return { dtype, shape };
  if (!shape.some(isOpen)) return { dtype, shape };
  return { dtype, shape: shape.map((dim, i) => (isOpen(dim) ? other[i] : dim)) };
}

const isOpen = (dim: Dim): boolean => typeof dim === "string" && dim.startsWith("?");
const agrees = (a: Dim, b: Dim): boolean => typeof b === "string" || a === b;

/** The outputs of one node. */
export interface InferredNode {
  readonly types: readonly TensorType[];
  readonly values: readonly HostTensor[] | undefined;
}

/**
 * Types and known values of a node's outputs; `undefined` where there is no rule. Only values of
 * at most `mostElements` elements are computed.
 */
export function inferNode(
  node: Node,
  types: ReadonlyMap<string, TensorType>,
  values: ReadonlyMap<string, HostTensor>,
  unknownDim: () => Dim,
  mostElements = maxFoldedElements,
): InferredNode | undefined {
  const bound = operatorOf(node);
  if (bound === undefined) return undefined;
  const { operator, attrs } = bound;
  const refuse = (code: ErrorCode, message: string, cause?: unknown): never => {
    throw new EspalierError(code, `${node.opType} node "${node.name}": ${message}`, {
      data: { node: node.name, opType: node.opType },
      cause,
    });
  };
  const fail = (message: string, cause?: unknown) => refuse("MODEL_BAD_SHAPE", message, cause);
  const inputs = node.inputs.map((name): Operand | undefined => {
    if (name === "") return undefined;
    const type = types.get(name) ?? fail(`its input "${name}" is computed nowhere before it`);
    return { type, value: values.get(name) };
  });
  const context: InferContext<unknown> = {
    attrs,
    node,
    inputs,
    outputCount: node.outputs.length,
    required: (index) => inputs[index] ?? fail(`input ${index} is missing`),
    unknownDim,
    fail,
  };
  try {
    const outputs = operator.infer(context);
    if (outputs.length < node.outputs.length && node.outputs.slice(outputs.length).some(Boolean))
      fail(`names ${node.outputs.length} outputs, the operator has ${outputs.length}`);
    for (const [i, { shape }] of outputs.entries()) {
      const fault = shape && shapeFault(shape);
      if (fault) refuse(fault.code, `output ${i} ${fault.problem}`);
    }
    if (typeof operator.fold !== "function" || !outputs.every((one) => isSmall(one, mostElements)))
      return { types: outputs, values: undefined };
    const folded = operator.fold(
      inputs.map((input) => input?.value),
      attrs,
      outputs,
      inputs.map((input) => input?.type),
    );
    return { types: outputs, values: folded };
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    return fail(`its inputs or attributes do not fit together (${String(error)})`, error);
  }
}

/** Whether all sizes are known and few enough elements come out. */
function isSmall({ shape }: TensorType, mostElements: number): boolean {
  const sizes = numericShape(shape);
  return sizes !== undefined && sizeOf(sizes) <= mostElements;
}
