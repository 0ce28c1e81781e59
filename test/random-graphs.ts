/**
 * @file Random convolutional graphs from short programs: lists of instructions that fast-check makes
 * and shrinks. Every program is a valid network; arguments are taken modulo what there is.
 */
import fc from "fast-check";
import { GraphBuilder } from "../src/ir/builder.ts";
import type { Attribute, Graph } from "../src/ir/graph.ts";
import { int64Vector, tensorOf } from "../src/tensor/host-tensor.ts";
import { type Random, randomOf } from "../src/tensor/random.ts";

/** The kinds of layers that programs are made of. */
export const layerKinds = [
  "conv",
  "conv-strided",
  "conv-grouped",
  "conv-depthwise",
  "conv-transposed",
  "conv-transposed-grouped",
  "conv-shared",
  "batch-norm",
  "instance-norm",
  "written-norm",
  "attention",
  "standardised-weight",
  "channel-statistics",
  "group-norm",
  "activation",
  "prelu",
  "add",
  "add-constant",
  "concat",
  "concat-self",
  "split",
  "slice",
  "slice-strided",
  "pad",
  "shuffle",
  "shuffle-dynamic",
  "scale-by-width",
  "barrier",
  "derived-weight",
  "resize",
  "pool",
  "squeeze-excite",
  "depth-to-space",
  "space-to-depth",
  "gather",
  "channels-last",
  "mean-over-space",
  "output",
] as const;

/** ε of norms: large enough for finite differences not to leave the slope where values hardly vary. */
const epsilon = 0.1;

/** One instruction: a kind, and numbers that choose its operands and sizes. */
export interface Instruction {
  readonly kind: (typeof layerKinds)[number];
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** Programs of up to `maxLength` instructions, with a seed for weights and scores. */
export function programs(maxLength: number): fc.Arbitrary<Program> {
  const small = fc.integer({ min: 0, max: 1000 });
  return fc.record({
    seed: fc.integer({ min: 0, max: 1e6 }),
    instructions: fc.array(
      fc.record({ kind: fc.constantFrom(...layerKinds), a: small, b: small, c: small }),
      { minLength: 1, maxLength },
    ),
    isBatchSymbolic: fc.boolean(),
    head: fc.constantFrom("flatten", "flatten-dynamic", "flatten-explicit", "pool", "convolution"),
  });
}

/** A random network. */
export interface Program {
  readonly seed: number;
  readonly instructions: readonly Instruction[];
  readonly isBatchSymbolic: boolean;
  readonly head: "flatten" | "flatten-dynamic" | "flatten-explicit" | "pool" | "convolution";
}

interface Map4 {
  readonly name: string;
  readonly channels: number;
  readonly side: number;
}

/** Includes activations with f(0) ≠ 0: those tell removal from zeroing what a producer writes. */
const activations: readonly (readonly [string, Readonly<Record<string, number>>])[] = [
  ["Relu", {}],
  ["Sigmoid", {}],
  ["HardSigmoid", {}],
  ["LeakyRelu", { alpha: 0.1 }],
  ["Softplus", {}],
  ["Tanh", {}],
  ["Elu", {}],
  ["HardSwish", {}],
  ["Cos", {}],
  ["Exp", {}],
];

/** Builds the network of a program. */
export function buildProgram({ seed, instructions, isBatchSymbolic, head }: Program): Graph {
  const maker = new Maker(seed, isBatchSymbolic);
  for (const instruction of instructions) maker.run(instruction);
  return maker.finish(head);
}

class Maker {
  readonly #b = new GraphBuilder("random");
  readonly #random: Random;
  readonly #maps: Map4[] = [];
  readonly #weights: {
    readonly name: string;
    readonly inputs: number;
    readonly filters: number;
  }[] = [];
  readonly #outputs: string[] = [];

  constructor(seed: number, isBatchSymbolic: boolean) {
    this.#random = randomOf(seed, "weights");
    const x = this.#b.input("x", "float32", [isBatchSymbolic ? "N" : 1, 3, 8, 8]);
    this.#maps.push(this.#conv({ name: x, channels: 3, side: 8 }, 8, 3));
  }

  run({ kind, a, b, c }: Instruction): void {
    const x = this.#maps[this.#maps.length - 1 - (a % Math.min(3, this.#maps.length))];
    const width = 2 + 2 * (b % 5);
    const made = this.#layer(kind, x, width, b, c);
    if (made) this.#maps.push(made);
  }

  finish(head: Program["head"]): Graph {
    const x = this.#maps[this.#maps.length - 1];
    if (head === "convolution") this.#outputs.push(this.#conv(x, 4, 1).name);
    else {
      const pooled = head === "pool" ? this.#node("GlobalAveragePool", [x.name]) : x.name;
      const flat = this.#flatten(head, pooled, x);
      const features = x.channels * (head === "pool" ? 1 : x.side ** 2);
      this.#outputs.push(
        this.#node("Gemm", [flat, this.#normal([5, features], features), this.#normal([5], 1)], {
          transB: 1,
        }),
      );
    }
    for (const name of this.#outputs) this.#b.output(name, { dtype: "float32", shape: undefined });
    return this.#b.build();
  }

  #layer(
    kind: Instruction["kind"],
    x: Map4,
    width: number,
    b: number,
    c: number,
  ): Map4 | undefined {
    const { channels, side } = x;
    switch (kind) {
      case "conv":
        return this.#conv(x, width, c % 2 === 0 ? 3 : 1);
      case "conv-strided":
        return side < 4 ? undefined : this.#conv(x, width, 3, { stride: 2 });
      case "conv-grouped": {
        const group = [2, 4, 3].find((g, i) => i >= c % 3 && channels % g === 0);
        return group ? this.#conv(x, group * (1 + (b % 3)), 3, { group }) : undefined;
      }
      case "conv-depthwise":
        return this.#conv(x, channels * (1 + (c % 2)), 3, { group: channels });
      case "conv-transposed":
        return side > 8 ? undefined : this.#convTransposed(x, width, 1);
      case "conv-transposed-grouped":
        return side > 8 || channels % 2 === 1 ? undefined : this.#convTransposed(x, width, 2);
      case "conv-shared": {
        const weight = this.#weights.find(({ inputs }) => inputs === channels);
        if (!weight) return undefined;
        const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
        const name = this.#node("Conv", [x.name, weight.name], attributes);
        return { name, channels: weight.filters, side };
      }
      case "batch-norm":
        return {
          ...x,
          name: this.#node("BatchNormalization", [
            x.name,
            this.#around(channels, 1),
            this.#around(channels, 0),
            this.#around(channels, 0),
            this.#around(channels, 1),
          ]),
        };
      case "instance-norm":
        return {
          ...x,
          name: this.#node("InstanceNormalization", [
            x.name,
            this.#around(channels, 1),
            this.#around(channels, 0),
          ]),
        };
      case "written-norm":
        return { ...x, name: this.#writtenNorm(x, b, c) };
      case "attention": {
        if (side > 8) return undefined;
        return { ...x, name: this.#attention(x, width, c) };
      }
      case "standardised-weight": {
        const stored = this.#normal([width, channels, 1, 1], channels);
        const weight = this.#standardised(stored, [1, 2, 3]);
        return { name: this.#node("Conv", [x.name, weight]), channels: width, side };
      }
      case "channel-statistics": {
        const [op] = ["ReduceMean", "ReduceMax", "ReduceL2", "ReduceSum"].slice(c % 4);
        const map = this.#reduce(op, x.name, [1]);
        if (b % 2 === 0) return { ...x, name: this.#node("Add", [x.name, map]) };
        return { ...x, name: this.#node("Mul", [x.name, this.#node("Sigmoid", [map])]) };
      }
      case "group-norm": {
        if (channels % 2 === 1 || side < 2) return undefined;
        const split = this.#node("Reshape", [x.name, this.#ints([0, 2, -1])]);
        const normal = this.#node("InstanceNormalization", [
          split,
          this.#values([2], [1, 1]),
          this.#values([2], [0, 0]),
        ]);
        const shape = this.#ints([0, channels, side, side]);
        return { ...x, name: this.#node("Reshape", [normal, shape]) };
      }
      case "activation": {
        const [opType, attributes] = activations[c % activations.length];
        return { ...x, name: this.#node(opType, [x.name], attributes) };
      }
      case "prelu":
        return { ...x, name: this.#node("PRelu", [x.name, this.#normal([channels, 1, 1], 4)]) };
      case "add": {
        const other = this.#maps[b % this.#maps.length];
        if (other.side !== side) return undefined;
        const fitting = other.channels === channels ? other : this.#conv(other, channels, 1);
        return { ...x, name: this.#node(c % 3 === 0 ? "Mul" : "Add", [x.name, fitting.name]) };
      }
      case "add-constant": {
        const shape = c % 2 === 0 ? [1, channels, 1, 1] : [channels, 1, 1];
        return { ...x, name: this.#node("Add", [x.name, this.#normal(shape, 1)]) };
      }
      case "concat": {
        const other = this.#maps[b % this.#maps.length];
        if (other.side !== side || channels + other.channels > 32) return undefined;
        const name = this.#node("Concat", [x.name, other.name], { axis: c % 2 === 0 ? 1 : -3 });
        return { name, channels: channels + other.channels, side };
      }
      case "concat-self": {
        if (channels > 16) return undefined;
        const name = this.#node("Concat", [x.name, x.name], { axis: 1 });
        return { name, channels: 2 * channels, side };
      }
      case "split": {
        if (channels < 3) return undefined;
        const first = 1 + (b % (channels - 1));
        const sizes = this.#ints([first, channels - first]);
        const [left, right] = this.#b.node("Split", [x.name, sizes], { axis: 1 }, { outputs: 2 });
        this.#maps.push({ name: left, channels: first, side });
        return { name: right, channels: channels - first, side };
      }
      case "slice":
      case "slice-strided": {
        const step = kind === "slice" ? 1 : 2;
        const start = b % Math.max(1, channels - 2);
        const kept = Math.ceil((channels - start) / step);
        if (kept < 2) return undefined;
        const inputs = [start, 2 ** 31, 1, step].map((value) => this.#ints([value]));
        return { name: this.#node("Slice", [x.name, ...inputs]), channels: kept, side };
      }
      case "pad": {
        if (channels > 24) return undefined;
        const [before, after] = [b % 3, c % 3];
        const pads = this.#ints([0, before, 0, 0, 0, after, 0, 0]);
        const value = this.#values([], [c % 2 === 0 ? 0 : 0.5]);
        return {
          name: this.#node("Pad", [x.name, pads, value]),
          channels: channels + before + after,
          side,
        };
      }
      case "shuffle": {
        if (channels % 2 === 1) return undefined;
        const shape = this.#ints([0, 2, channels / 2, side, side]);
        const split = this.#node("Reshape", [x.name, shape]);
        const swapped = this.#node("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
        const back = c % 2 === 0 ? [0, -1, side, side] : [0, channels, side, side];
        return { ...x, name: this.#node("Reshape", [swapped, this.#ints(back)]) };
      }
      case "shuffle-dynamic": {
        if (channels % 2 === 1) return undefined;
        const half = this.#node("Div", [this.#sizeOf(x.name, 1), this.#ints([2])]);
        const [batch, height, last] = [0, 2, 3].map((axis) => this.#sizeOf(x.name, axis));
        const target = this.#node("Concat", [batch, this.#ints([2]), half, height, last], {
          axis: 0,
        });
        const split = this.#node("Reshape", [x.name, target]);
        const swapped = this.#node("Transpose", [split], { perm: [0, 2, 1, 3, 4] });
        const back = this.#node("Concat", [batch, this.#ints([channels]), height, last], {
          axis: 0,
        });
        return { ...x, name: this.#node("Reshape", [swapped, back]) };
      }
      case "scale-by-width": {
        const width = this.#node("Cast", [this.#sizeOf(x.name, 1)], { to: 1 });
        return { ...x, name: this.#node("Div", [x.name, this.#node("Sqrt", [width])]) };
      }
      case "barrier": {
        if (c % 3 === 0) return { ...x, name: this.#node("Softmax", [x.name], { axis: 1 }) };
        if (c % 3 === 1) return { ...x, name: this.#node("LRN", [x.name], { size: 3 }) };
        const mean = this.#node("ReduceMean", [x.name, this.#ints([1])], { keepdims: 1 });
        return { ...x, name: this.#node("Sub", [x.name, mean]) };
      }
      case "derived-weight": {
        const stored = this.#normal([channels, width, 1, 1], channels);
        const weight = this.#node("Transpose", [this.#node("Identity", [stored])], {
          perm: [1, 0, 2, 3],
        });
        return { name: this.#node("Conv", [x.name, weight]), channels: width, side };
      }
      case "resize": {
        if (side > 8) return undefined;
        const name = this.#node("Resize", [x.name, "", this.#values([4], [1, 1, 2, 2])], {
          mode: "nearest",
        });
        return { name, channels, side: 2 * side };
      }
      case "pool": {
        if (side < 4) return undefined;
        const opType = c % 2 === 0 ? "MaxPool" : "AveragePool";
        const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
        return { name: this.#node(opType, [x.name], attributes), channels, side: side >> 1 };
      }
      case "squeeze-excite": {
        const pooled = this.#node("GlobalAveragePool", [x.name]);
        const squeezed = this.#conv({ name: pooled, channels, side: 1 }, 2, 1);
        const active = this.#node("Relu", [squeezed.name]);
        const gate = this.#conv({ name: active, channels: 2, side: 1 }, channels, 1);
        const share = this.#node("Sigmoid", [gate.name]);
        return { ...x, name: this.#node("Mul", [x.name, share]) };
      }
      case "depth-to-space": {
        if (channels % 4 !== 0 || side > 8) return undefined;
        const mode = c % 2 === 0 ? "DCR" : "CRD";
        const name = this.#node("DepthToSpace", [x.name], { blocksize: 2, mode });
        return { name, channels: channels / 4, side: 2 * side };
      }
      case "space-to-depth": {
        if (side < 4 || channels > 8) return undefined;
        const name = this.#node("SpaceToDepth", [x.name], { blocksize: 2 });
        return { name, channels: 4 * channels, side: side / 2 };
      }
      case "gather": {
        const order = this.#random.permutation(channels).slice(0, Math.max(2, channels - (c % 3)));
        const name = this.#node("Gather", [x.name, this.#ints([...order])], { axis: 1 });
        return { name, channels: order.length, side };
      }
      case "channels-last": {
        const last = this.#node("Transpose", [x.name], { perm: [0, 2, 3, 1] });
        const shifted = this.#node("Add", [last, this.#normal([channels], 1)]);
        const mixed = this.#node("MatMul", [shifted, this.#normal([channels, width], channels)]);
        const name = this.#node("Transpose", [mixed], { perm: [0, 3, 1, 2] });
        return { name, channels: width, side };
      }
      case "mean-over-space": {
        const name = this.#node("ReduceMean", [x.name, this.#ints([2, 3])], { keepdims: 1 });
        return { name: this.#node("Add", [x.name, name]), channels, side };
      }
      case "output":
        if (this.#outputs.length < 2) this.#outputs.push(this.#conv(x, 2, 1).name);
        return undefined;
      default:
        return kind satisfies never;
    }
  }

  /** Layer, root mean square, L2, instance and group normalisation, node by node. */
  #writtenNorm({ name, channels, side }: Map4, b: number, c: number): string {
    const affine = (normed: string) => {
      const scaled = this.#node("Mul", [normed, this.#normal([channels, 1, 1], 1)]);
      return b % 2 === 0
        ? scaled
        : this.#node("Add", [scaled, this.#normal([1, channels, 1, 1], 4)]);
    };
    const small = this.#values([], [epsilon]);
    switch (c % 5) {
      case 0:
        return affine(this.#standardised(name, b % 3 === 0 ? [1, 2, 3] : [1]));
      case 1: {
        const mean = this.#reduce("ReduceMean", this.#node("Mul", [name, name]), [1]);
        const root = this.#node("Sqrt", [this.#node("Add", [mean, small])]);
        return affine(this.#node("Div", [name, root]));
      }
      case 2: {
        const norm = this.#reduce("ReduceL2", name, [1]);
        return this.#node("Div", [name, this.#node("Max", [norm, small])]);
      }
      case 3:
        return affine(this.#standardised(name, [2, 3]));
      default: {
        if (channels % 2 === 1) return affine(name);
        const grouped = this.#node("Reshape", [name, this.#ints([0, 2, channels / 2, side, side])]);
        const normed = this.#standardised(grouped, [2, 3, 4]);
        return affine(this.#node("Reshape", [normed, this.#ints([0, channels, side, side])]));
      }
    }
  }

  /** (x - mean) / √(variance + ε) over axes. */
  #standardised(x: string, axes: readonly number[]): string {
    const centered = this.#node("Sub", [x, this.#reduce("ReduceMean", x, axes)]);
    const square = this.#node("Pow", [centered, this.#values([], [2])]);
    const variance = this.#reduce("ReduceMean", square, axes);
    const sum = this.#node("Add", [variance, this.#values([], [epsilon])]);
    return this.#node("Div", [centered, this.#node("Sqrt", [sum])]);
  }

  #reduce(op: string, x: string, axes: readonly number[]): string {
    return this.#node(op, [x, this.#ints(axes)], { keepdims: 1 });
  }

  /** x + softmax(q kᵀ) v over positions, q and k linear, rectified or positive. */
  #attention({ name, channels, side }: Map4, width: number, c: number): string {
    const flat = this.#node("Reshape", [name, this.#ints([0, channels, side * side])]);
    const tokens = this.#node("Transpose", [flat], { perm: [0, 2, 1] });
    const linear = (from: string, inputs: number, outputs: number) => {
      const product = this.#node("MatMul", [from, this.#normal([inputs, outputs], inputs)]);
      return this.#node("Add", [product, this.#normal([outputs], 4)]);
    };
    const [kernel] = ["Identity", "Relu", "Sigmoid"].slice(c % 3);
    const [q, k] = [0, 1].map(() => this.#node(kernel, [linear(tokens, channels, width)]));
    const scores = this.#node("MatMul", [q, this.#node("Transpose", [k], { perm: [0, 2, 1] })]);
    const weights = this.#node("Softmax", [scores], { axis: -1 });
    const mixed = this.#node("MatMul", [weights, linear(tokens, channels, channels)]);
    const back = this.#node("Transpose", [mixed], { perm: [0, 2, 1] });
    const map = this.#node("Reshape", [back, this.#ints([0, channels, side, side])]);
    return this.#node("Add", [name, map]);
  }

  /** As exporters write it: Flatten, or a Reshape whose target is computed from the batch size. */
  #flatten(head: Program["head"], name: string, x: Map4): string {
    if (head === "flatten" || head === "pool") return this.#node("Flatten", [name], { axis: 1 });
    const rest = this.#ints([head === "flatten-dynamic" ? -1 : x.channels * x.side ** 2]);
    const target = this.#node("Concat", [this.#sizeOf(name, 0), rest], { axis: 0 });
    return this.#node("Reshape", [name, target]);
  }

  /** The size of one axis as a vector of one element, computed by the network. */
  #sizeOf(name: string, axis: number): string {
    const size = this.#node("Gather", [this.#node("Shape", [name]), this.#ints([axis])], {
      axis: 0,
    });
    return size;
  }

  #conv(
    x: Map4,
    filters: number,
    kernel: number,
    { group = 1, stride = 1 }: { group?: number; stride?: number } = {},
  ): Map4 {
    const inputs = x.channels / group;
    const weight = this.#normal([filters, inputs, kernel, kernel], inputs * kernel * kernel);
    if (group === 1 && kernel === 3) this.#weights.push({ name: weight, inputs, filters });
    const padding = kernel >> 1;
    const name = this.#node("Conv", [x.name, weight, this.#normal([filters], 4)], {
      kernel_shape: [kernel, kernel],
      pads: [padding, padding, padding, padding],
      strides: [stride, stride],
      group,
    });
    return { name, channels: filters, side: Math.ceil(x.side / stride) };
  }

  #convTransposed(x: Map4, filters: number, group: number): Map4 {
    const weight = this.#normal([x.channels, filters / group, 2, 2], x.channels);
    const name = this.#node("ConvTranspose", [x.name, weight, this.#normal([filters], 4)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
      group,
    });
    return { name, channels: filters, side: 2 * x.side };
  }

  #node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute | number | string | readonly number[]>> = {},
  ): string {
    // Numbers such as alpha are floats even when they are whole.
    return this.#b.node(opType, inputs, attributes)[0];
  }

  #normal(shape: readonly number[], fanIn: number): string {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const values = Array.from({ length: size }, () => this.#random.normal() / Math.sqrt(fanIn));
    return this.#values(shape, values);
  }

  #around(channels: number, center: number): string {
    const values = Array.from({ length: channels }, () =>
      center === 0 ? 0.5 * this.#random.normal() : 0.5 + this.#random.uniform(),
    );
    return this.#values([channels], values);
  }

  #values(shape: readonly number[], values: readonly number[]): string {
    return this.#b.constant(undefined, tensorOf("float32", shape, values));
  }

  #ints(values: readonly number[]): string {
    return this.#b.constant(undefined, int64Vector(values));
  }
}
