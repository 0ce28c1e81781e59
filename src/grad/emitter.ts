/** @file Builds graphs node by node, with types at once and no node twice. */
import { assert, EspalierError } from "../errors.ts";
import {
  type Attribute,
  type Constant,
  constantOf,
  type Graph,
  type Node,
  type TensorType,
} from "../ir/graph.ts";
import { freshNames } from "../ir/names.ts";
import type { AttributeInit, Emitter, Value } from "../ops/operator/gradient.ts";
import { numericShape } from "../ops/operator/known.ts";
import { type Inference, inferNode } from "../ops/passes/infer.ts";
import type { DType } from "../tensor/dtype.ts";
import {
  bytesOf,
  type HostTensor,
  int64Vector,
  isStrings,
  sizeOf,
  tensorOf,
} from "../tensor/host-tensor.ts";

/** An emitter that grows a graph. `build` gives the graph so far. */
export class GraphEmitter implements Emitter {
  readonly #base: Graph;
  readonly #nodes: Node[];
  readonly #constants: Map<string, Constant>;
  readonly #types: Map<string, TensorType>;
  readonly #known: Map<string, HostTensor>;
  readonly #fresh: (stem: string) => string;
  /** The outputs of nodes by what computes them (`keyOf`). */
  readonly #memo = new Map<string, readonly string[]>();

  /** Starts from a graph whose types are `inference`'s; sizes must all be known where rules look. */
  constructor(base: Graph, inference: Inference) {
    this.#base = base;
    this.#nodes = [...base.nodes];
    this.#constants = new Map(base.constants);
    this.#types = new Map(inference.types);
    this.#known = new Map(inference.values);
    this.#fresh = freshNames(base);
    for (const { domain, opType, inputs, outputs, attributes } of base.nodes) {
      const key = keyOf(opType, inputs, attributes, outputs.map(Boolean));
      if (domain === "" && !this.#memo.has(key)) this.#memo.set(key, outputs);
    }
  }

  /** All nodes so far. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  dtypeOf(name: string): DType {
    const type = this.#types.get(name);
    assert(type !== undefined, `"${name}" is a value of the graph`);
    return type.dtype;
  }

  /**
   * An existing value.
   * @throws EspalierError `MODEL_UNSUPPORTED` where a size is not known before the network runs.
   */
  value(name: string): Value {
    const shape = numericShape(this.#types.get(name)?.shape);
    if (shape === undefined)
      throw new EspalierError(
        "MODEL_UNSUPPORTED",
        `the size of "${name}" is not known before the network runs`,
        { hint: "Give the sizes of all inputs." },
      );
    return { name, dtype: this.dtypeOf(name), shape };
  }

  /** A new graph input. */
  input(stem: string, dtype: DType, shape: readonly number[]): Value {
    const name = this.#fresh(stem);
    this.#types.set(name, { dtype, shape });
    this.#inputs.push(name);
    return { name, dtype, shape };
  }
  readonly #inputs: string[] = [];

  /** The base graph with everything emitted, and other outputs. */
  build(outputs: readonly string[]): Graph {
    const inputs = [...this.#base.inputs, ...this.#inputs];
    const ports = new Set([...inputs, ...outputs]);
    const types = new Map([...this.#types].filter(([name]) => ports.has(name)));
    return {
      ...this.#base,
      inputs,
      outputs,
      nodes: this.#nodes,
      constants: this.#constants,
      types,
    };
  }

  op(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInit>> = {},
  ): Value {
    const [output] = this.ops(opType, inputs, attributes, [true]);
    assert(output !== undefined, "a wanted output is there");
    return output;
  }

  ops(
    opType: string,
    inputs: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, AttributeInit>>,
    wanted: readonly boolean[],
  ): readonly (Value | undefined)[] {
    const names = inputs.map((input) => input?.name ?? "");
    const read = new Map(Object.entries(attributes).map(([k, init]) => [k, attributeOf(init)]));
    const key = keyOf(opType, names, read, wanted);
    const outputs = this.#memo.get(key) ?? this.#append(opType, names, read, wanted);
    this.#memo.set(key, outputs);
    return outputs.map((name) => (name === "" ? undefined : this.value(name)));
  }

  #append(
    opType: string,
    inputs: readonly string[],
    attributes: ReadonlyMap<string, Attribute>,
    wanted: readonly boolean[],
  ): readonly string[] {
    const name = this.#fresh(opType);
    const outputs = wanted.map((isWanted, i) => (isWanted ? this.#fresh(`${name}:${i}`) : ""));
    const node: Node = {
      name,
      opType,
      domain: "",
      inputs,
      outputs,
      attributes,
      captures: [],
      origin: undefined,
    };
    const inferred = inferNode(node, this.#types, this.#known, () => "?");
    assert(inferred !== undefined, `${opType} is an operator that we know`);
    for (const [i, output] of outputs.entries()) {
      if (output === "") continue;
      this.#types.set(output, inferred.types[i]);
      const known = inferred.values?.[i];
      if (known !== undefined) this.#known.set(output, known);
    }
    this.#nodes.push(node);
    return outputs;
  }

  constant(tensor: HostTensor): Value {
    const { dtype, shape, data } = tensor;
    assert(!isStrings(data), "constants that passes make hold numbers");
    const isSmall = data.byteLength <= 1024;
    const key = isSmall ? `constant ${dtype} [${shape.join()}] ${bytesOf(data).join()}` : undefined;
    const existing = key === undefined ? undefined : this.#memo.get(key)?.[0];
    if (existing !== undefined) return this.value(existing);
    const name = this.#fresh("constant");
    this.#constants.set(name, constantOf(name, tensor));
    this.#types.set(name, { dtype, shape });
    this.#known.set(name, tensor);
    if (key !== undefined) this.#memo.set(key, [name]);
    return { name, dtype, shape };
  }

  scalar(value: number, dtype: DType = "float32"): Value {
    return this.constant(tensorOf(dtype, [], [value]));
  }

  ints(values: readonly number[]): Value {
    return this.constant(int64Vector(values));
  }

  known(value: Value): HostTensor | undefined {
    return this.#known.get(value.name);
  }

  add(a: Value, b: Value): Value {
    return this.op("Add", [a, b]);
  }

  sub(a: Value, b: Value): Value {
    return this.op("Sub", [a, b]);
  }

  mul(a: Value, b: Value): Value {
    return this.op("Mul", [a, b]);
  }

  div(a: Value, b: Value): Value {
    return this.op("Div", [a, b]);
  }

  neg(a: Value): Value {
    return this.op("Neg", [a]);
  }

  matmul(a: Value, b: Value): Value {
    return this.op("MatMul", [a, b]);
  }

  transpose(x: Value, permutation: readonly number[]): Value {
    const isIdentity = permutation.every((axis, i) => axis === i);
    return isIdentity ? x : this.op("Transpose", [x], { perm: permutation });
  }

  reshape(x: Value, shape: readonly number[]): Value {
    if (isSameShape(x.shape, shape)) return x;
    return this.op("Reshape", [x, this.ints(shape)]);
  }

  sum(x: Value, axes: readonly number[], keepDims = false): Value {
    const shape = x.shape.flatMap((size, axis) => {
      if (!axes.includes(axis)) return [size];
      return keepDims ? [1] : [];
    });
    // Axes of size 1 need no sum.
    if (axes.every((axis) => x.shape[axis] === 1)) return this.reshape(x, shape);
    return this.op("ReduceSum", [x, this.ints(axes)], { keepdims: keepDims ? 1 : 0 });
  }

  expand(x: Value, shape: readonly number[]): Value {
    return isSameShape(x.shape, shape) ? x : this.op("Expand", [x, this.ints(shape)]);
  }

  where(condition: Value, x: Value, y: Value): Value {
    return this.op("Where", [condition, x, y]);
  }

  filled(value: number, shape: readonly number[], dtype: DType = "float32"): Value {
    if (sizeOf(shape) === 1) return this.reshape(this.scalar(value, dtype), shape);
    const tensor = tensorOf(dtype, [1], [value]);
    return this.op("ConstantOfShape", [this.ints(shape)], {
      value: { kind: "tensor", value: tensor },
    });
  }
}

function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** What makes two nodes compute the same. */
function keyOf(
  opType: string,
  inputs: readonly string[],
  attributes: ReadonlyMap<string, Attribute>,
  wanted: readonly boolean[],
): string {
  const sorted = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([opType, inputs, sorted, wanted], (_, value: unknown) => {
    if (ArrayBuffer.isView(value)) return String(value);
    // JSON knows neither infinities nor -0.
    return typeof value === "number" && !Object.is(value, value | 0) ? `${value} float` : value;
  });
}

function attributeOf(init: AttributeInit): Attribute {
  if (typeof init === "string") return { kind: "string", value: init };
  if (typeof init === "number")
    return Number.isInteger(init) ? { kind: "int", value: init } : { kind: "float", value: init };
  if ("kind" in init) return init;
  return init.every(Number.isInteger)
    ? { kind: "ints", value: init }
    : { kind: "floats", value: init };
}
