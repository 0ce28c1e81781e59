/**
 * @file How exporters write networks: pieces for reduced replicas, and the check that each must pass.
 *
 * The check: random removal at several strengths equals masking, at two optimisation levels of
 * onnxruntime, after writing and reading again, and at other batch and image sizes than those that
 * the analysis was bound to.
 */

import { expect } from "vitest";
import { type AttributeValue, GraphBuilder } from "../src/ir/builder.ts";
import { compareModels } from "../src/measure/equality/compare.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { finishPruning, referenceFor } from "../src/prune/prune.ts";
import { partsOf } from "../src/prune/pruned.ts";
import { placesOf } from "../src/structure/change/places.ts";
import { selectUnits } from "../src/structure/choice/select.ts";
import { costModel } from "../src/structure/cost/cost.ts";
import { type Structure, structureOf } from "../src/structure/units/units.ts";
import type { DType } from "../src/tensor/dtype.ts";
import { int64Vector, sizeOf, tensorOf } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

/** A float attribute that may be whole. */
export const float = (value: number): AttributeValue => ({ kind: "float", value });
/** A list of float attributes that may be whole. */
export const floats = (...value: number[]): AttributeValue => ({ kind: "floats", value });

/** How a convolution differs from 3x3 with padding 1, one group and a bias. */
interface ConvOptions {
  readonly k?: number;
  readonly stride?: number;
  readonly pad?: number;
  readonly group?: number;
  readonly bias?: boolean;
  /** Number of spatial axes. */
  readonly rank?: number;
}

/** Writes nodes as exporters of a given opset do, with seeded weights. */
export class Net {
  readonly b = new GraphBuilder("net");
  readonly random = randomOf(7, "exporters");
  readonly opset: number;

  constructor(opset = 17) {
    this.opset = opset;
  }

  input(shape: readonly (number | string)[] = ["N", 3, "H", "W"], name = "x"): string {
    return this.b.input(name, "float32", shape);
  }

  op(opType: string, inputs: readonly string[], attributes?: Record<string, AttributeValue>) {
    return this.b.node(opType, inputs, attributes)[0];
  }

  /** As `op`, with several outputs. */
  ops(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue>,
    outputs: number,
  ): readonly string[] {
    return this.b.node(opType, inputs, attributes, { outputs });
  }

  constant(shape: readonly number[], values: readonly number[], dtype: DType = "float32"): string {
    return this.b.constant(undefined, tensorOf(dtype, shape, values));
  }

  normal(shape: readonly number[], scale = 1, mean = 0): string {
    const values = Array.from({ length: sizeOf(shape) }, () => mean + scale * this.random.normal());
    return this.constant(shape, values);
  }

  ints(...values: number[]): string {
    return this.b.constant(undefined, int64Vector(values));
  }

  scalar(value: number): string {
    return this.constant([], [value]);
  }

  /** A whole number as a `Constant` node, as PyTorch writes indices. */
  index(value: number): string {
    const tensor = tensorOf("int64", [], [value]);
    return this.op("Constant", [], { value: { kind: "tensor", value: tensor } });
  }

  conv(x: string, inputs: number, filters: number, options: ConvOptions = {}): string {
    const { k = 3, stride = 1, pad = k >> 1, group = 1, bias = true, rank = 2 } = options;
    const all = (value: number, count = rank) => Array.from({ length: count }, () => value);
    const fanIn = (inputs / group) * k ** rank;
    const weight = this.normal([filters, inputs / group, ...all(k)], 1 / Math.sqrt(fanIn));
    const attributes = {
      kernel_shape: all(k),
      strides: all(stride),
      pads: all(pad, 2 * rank),
      dilations: all(1),
      group,
    };
    const own = bias ? [this.normal([filters], 0.3)] : [];
    return this.op("Conv", [x, weight, ...own], attributes);
  }

  batchNorm(x: string, channels: number): string {
    return this.op("BatchNormalization", [
      x,
      this.normal([channels], 0.2, 1),
      this.normal([channels], 0.3),
      this.normal([channels], 0.3),
      this.constant(
        [channels],
        Array.from({ length: channels }, () => 0.5 + this.random.uniform()),
      ),
    ]);
  }

  relu(x: string): string {
    return this.op("Relu", [x]);
  }

  /** Convolution without bias, batch normalization, rectifier. */
  cbr(x: string, inputs: number, filters: number, options: ConvOptions = {}): string {
    const y = this.conv(x, inputs, filters, { bias: false, ...options });
    return this.relu(this.batchNorm(y, filters));
  }

  /** The last layer: two outputs that are network outputs. */
  head(x: string, inputs: number): string {
    return this.conv(x, inputs, 2, { k: 1, pad: 0 });
  }

  linear(x: string, inputs: number, outputs: number): string {
    const weight = this.normal([outputs, inputs], 1 / Math.sqrt(inputs));
    return this.op("Gemm", [x, weight, this.normal([outputs], 0.3)], {
      alpha: float(1),
      beta: float(1),
      transB: 1,
    });
  }

  /** A size of `x` as a scalar: Shape, Gather. */
  size(x: string, axis: number): string {
    return this.op("Gather", [this.op("Shape", [x]), this.index(axis)], { axis: 0 });
  }

  unsqueeze(x: string, ...axes: number[]): string {
    return this.opset < 13
      ? this.op("Unsqueeze", [x], { axes })
      : this.op("Unsqueeze", [x, this.ints(...axes)]);
  }

  squeeze(x: string, ...axes: number[]): string {
    return this.opset < 13
      ? this.op("Squeeze", [x], { axes })
      : this.op("Squeeze", [x, this.ints(...axes)]);
  }

  reduce(opType: string, x: string, axes: readonly number[], keepdims = 1): string {
    const isInput = this.opset >= (opType === "ReduceSum" ? 13 : 18);
    return isInput
      ? this.op(opType, [x, this.ints(...axes)], { keepdims })
      : this.op(opType, [x], { axes, keepdims });
  }

  /** A shape from sizes: numbers, and scalars that the network computes (Unsqueeze, Concat). */
  sizes(...parts: readonly (number | string)[]): string {
    const vectors = parts.map((part) =>
      typeof part === "number" ? this.ints(part) : this.unsqueeze(part, 0),
    );
    return this.op("Concat", vectors, { axis: 0 });
  }

  reshape(x: string, ...parts: readonly (number | string)[]): string {
    const isFixed = parts.every((part) => typeof part === "number");
    const target = isFixed ? this.ints(...parts.map(Number)) : this.sizes(...parts);
    return this.op("Reshape", [x, target]);
  }

  transpose(x: string, ...perm: number[]): string {
    return this.op("Transpose", [x], { perm });
  }

  concat(parts: readonly string[], axis = 1): string {
    return this.op("Concat", parts, { axis });
  }

  /** x · sigmoid(x). */
  swish(x: string): string {
    return this.op("Mul", [x, this.op("Sigmoid", [x])]);
  }

  model(...outputs: readonly string[]): Model {
    return readModel(this.bytes(...outputs));
  }

  bytes(...outputs: readonly string[]): Uint8Array {
    for (const name of outputs) this.b.output(name, { dtype: "float32", shape: undefined });
    const { opset } = this;
    return concatBytes(encodeGraph(this.b.build(), { opset, irVersion: opset < 9 ? 3 : 8 }));
  }
}

/** A replica and what is known about it. */
export interface Replica {
  readonly name: string;
  readonly build: () => Model;
  /** Prunable units, counted by hand. */
  readonly units: number;
  /** Sizes to bind for the analysis; those of `N`, `H` and `W` where not given: 1, 16, 24. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Other sizes at which the pruned network must equal the masked original. */
  readonly others?: readonly Readonly<Record<string, number>>[];
}

const strengths = [0.85, 0.65, 0.4, 0.1];
const usual = { N: 1, H: 16, W: 24 };
const unlike = [
  { N: 3, H: 32, W: 16 },
  { N: 2, H: 8, W: 40 },
];

/** What is fixed and why, for the message of a failure. */
function reasonsOf({ units, groups }: Structure): string {
  const reasons = units.map(({ group, reason }) => `${groups[group].id}: ${reason ?? "prunable"}`);
  return [...new Set(reasons)]
    .map((reason) => {
      const count = reasons.filter((other) => other === reason).length;
      return `${count} of ${reason}`;
    })
    .join("; ");
}

/** Removes random units at several strengths and compares with masking, at several sizes. */
export async function checkReplica({ build, units, dims, others = unlike }: Replica) {
  const model = build();
  const bound = new Map(Object.entries({ ...usual, ...dims }));
  const structure = structureOf(model.graph, { dims: bound });
  const prunable = structure.units.filter((unit) => unit.reason === undefined).length;
  const inputs = model.graph.inputs.map((name) => {
    const type = model.graph.types.get(name);
    return { name, dtype: type?.dtype ?? "float32", shape: type?.shape };
  });
  const feeds = others.map((sizes, seed) =>
    randomFeeds(inputs, { dims: new Map([...bound, ...Object.entries(sizes)]), seed }),
  );
  const random = randomOf(3, "scores");
  const totals = costModel(structure);
  const before = totals(new Uint8Array(structure.units.length)).params;
  for (const fraction of strengths) {
    const scores = Float64Array.from(structure.units, () => random.uniform());
    const { removed } = selectUnits(structure, scores, [
      { name: "params", fraction, remaining: (r) => totals(r).params / before },
    ]);
    if (!removed.includes(1)) continue;
    const choice = { method: "random", removed, edits: [], isReached: true, missed: [], notes: [] };
    const pruned = finishPruning(model, structure, choice);
    readModel(concatBytes(pruned.bytes));
    const verification = await compareModels(
      model,
      referenceFor(model, partsOf(pruned)),
      pruned.bytes,
      bound,
      { samples: 1, feeds, threads: 1 },
      placesOf(structure, removed, pruned.graph),
    );
    const failed = verification.checks.filter((check) => !check.passed);
    expect(failed, `${fraction} of the parameters`).toEqual([]);
  }
  expect(prunable, reasonsOf(structure)).toBe(units);
}
