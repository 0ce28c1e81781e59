/** @file Builds graphs from nothing, for networks of our own and for tests. */
import { assert } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";
import {
  type Attribute,
  type Constant,
  constantOf,
  type Graph,
  type Node,
  type Shape,
  type TensorType,
} from "./graph.ts";

/** A value of an attribute as code writes it; see {@link GraphBuilder.node}. */
export type AttributeValue = Attribute | number | string | readonly number[];

/** Names and options of a node. */
export interface NodeOptions {
  /** Output names, or how many to make up. Default: one. */
  readonly outputs?: readonly string[] | number | undefined;
  readonly name?: string | undefined;
  readonly domain?: string | undefined;
}

/**
 * Collects the parts of a graph in topological order.
 *
 * @example
 * const b = new GraphBuilder("net");
 * const x = b.input("x", "float32", ["N", 3, 8, 8]);
 * const w = b.constant("w", tensorOf("float32", [4, 3, 1, 1], values));
 * const [y] = b.node("Conv", [x, w], { kernel_shape: [1, 1] });
 * b.output(y);
 * const graph = b.build();
 */
export class GraphBuilder {
  private readonly name: string;
  private readonly inputs: string[] = [];
  private readonly outputs: string[] = [];
  private readonly nodes: Node[] = [];
  private readonly constants = new Map<string, Constant>();
  private readonly types = new Map<string, TensorType>();
  private readonly taken = new Set<string>();

  constructor(name = "graph") {
    this.name = name;
  }

  /** A graph input. */
  input(name: string, dtype: DType, shape: Shape | undefined): string {
    this.take(name);
    this.inputs.push(name);
    this.types.set(name, { dtype, shape });
    return name;
  }

  /** A constant; without a name it gets one. */
  constant(name: string | undefined, tensor: HostTensor): string {
    const unique = name === undefined ? this.fresh("constant") : this.take(name);
    this.constants.set(unique, constantOf(unique, tensor));
    return unique;
  }

  /**
   * A node; returns its output names. A whole number becomes an int attribute, any other number a
   * float, a list of numbers ints; for floats that happen to be whole give the attribute itself.
   */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
    options: NodeOptions = {},
  ): readonly string[] {
    const { outputs = 1, domain = "" } = options;
    const name = options.name ?? `${opType}_${this.nodes.length}`;
    const names =
      typeof outputs === "number"
        ? Array.from({ length: outputs }, () => this.fresh(name))
        : outputs.map((output) => (output === "" ? "" : this.take(output)));
    const read = new Map<string, Attribute>();
    for (const [key, value] of Object.entries(attributes)) read.set(key, attributeOf(value));
    this.nodes.push({
      name,
      opType,
      domain,
      inputs,
      outputs: names,
      attributes: read,
      captures: [],
      origin: undefined,
    });
    return names;
  }

  /** Declares a value as a graph output, with its type where it is known. */
  output(name: string, type?: TensorType): void {
    this.outputs.push(name);
    if (type !== undefined) this.types.set(name, type);
  }

  /** The graph so far. */
  build(): Graph {
    return {
      name: this.name,
      inputs: [...this.inputs],
      outputs: [...this.outputs],
      nodes: [...this.nodes],
      constants: new Map(this.constants),
      types: new Map(this.types),
    };
  }

  private take(name: string): string {
    assert(name !== "" && !this.taken.has(name), `the value name "${name}" is free`);
    this.taken.add(name);
    return name;
  }

  private fresh(stem: string): string {
    let index = 0;
    while (this.taken.has(`${stem}:${index}`)) index++;
    return this.take(`${stem}:${index}`);
  }
}

function attributeOf(value: AttributeValue): Attribute {
  if (typeof value === "string") return { kind: "string", value };
  if (typeof value === "number")
    return Number.isInteger(value) ? { kind: "int", value } : { kind: "float", value };
  if ("kind" in value) return value;
  return value.every(Number.isInteger) ? { kind: "ints", value } : { kind: "floats", value };
}
