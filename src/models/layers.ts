/**
 * @file Layers by name: what the builders of the networks share. A layer `conv1` is a node `conv1`
 * with parameters `conv1.weight`, `conv1.bias`, laid out and named as PyTorch does, and its result is
 * the value `conv1`.
 */
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { type HostTensor, int64Vector, sizeOf, tensorOf } from "../tensor/host-tensor.ts";
import { type RandomKey, randomOf } from "../tensor/random.ts";
import { heNormal, type Initializer, zeros } from "./initialise.ts";

/** A value of the network, with its shape but for the batch: [C, H, W], or [F]. */
export interface Activation {
  readonly value: string;
  readonly shape: readonly number[];
}

/** How the parameters of a layer start. */
export interface LayerStart {
  /** Default {@link heNormal}. */
  readonly weight?: Initializer;
  /** Default zeros; `"none"` leaves the bias away, which a following normalisation makes up for. */
  readonly bias?: Initializer | "none";
  /** The name of its result, where that is not the layer's. */
  readonly result?: string;
}

/** Size and place of a square convolution kernel. */
export interface Kernel extends LayerStart {
  readonly out: number;
  readonly size: number;
  /** Default 1. */
  readonly stride?: number;
  /** Zeros on every side; default 0. */
  readonly pad?: number;
}

/** Momentum and epsilon of every batch normalization, as PyTorch has them. */
const batchNorm = { epsilon: 1e-5, momentum: 0.9 };

/** Writes a network layer by layer. The batch is symbolic, `N`. */
export class Layers {
  private readonly builder: GraphBuilder;
  private readonly seed: RandomKey;

  constructor(name: string, seed: RandomKey) {
    this.builder = new GraphBuilder(name);
    this.seed = seed;
  }

  /** The network's input, `input`: [N, C, H, W]. */
  input(shape: readonly number[]): Activation {
    return { value: this.builder.input("input", "float32", ["N", ...shape]), shape };
  }

  /** A convolution: weight [out, C, size, size]. */
  conv(x: Activation, name: string, kernel: Kernel): Activation {
    const { out, size, stride = 1, pad = 0 } = kernel;
    const [channels, height, width] = x.shape;
    const parameters = this.parameters(name, [out, channels, size, size], channels * size * size, {
      biases: out,
      start: kernel,
    });
    const attributes = {
      kernel_shape: [size, size],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
    };
    const place = (length: number) => Math.floor((length + 2 * pad - size) / stride) + 1;
    const shape = [out, place(height), place(width)];
    return this.add("Conv", [x.value, ...parameters], attributes, name, shape, kernel.result);
  }

  /**
   * A transposed convolution that doubles height and width: weight [C, out, size, size], stride 2;
   * sizes 2 and 3.
   */
  double(x: Activation, name: string, out: number, size: 2 | 3): Activation {
    const [channels, height, width] = x.shape;
    // With stride 2 an output position sees a quarter of the kernel, on average.
    const fanIn = (channels * size * size) / 4;
    const parameters = this.parameters(name, [channels, out, size, size], fanIn, { biases: out });
    const pad = size - 2;
    const attributes = {
      kernel_shape: [size, size],
      strides: [2, 2],
      pads: [pad, pad, pad, pad],
      output_padding: [pad, pad],
    };
    const shape = [out, 2 * height, 2 * width];
    return this.add("ConvTranspose", [x.value, ...parameters], attributes, name, shape);
  }

  /** A dense layer: weight [out, F]. */
  dense(x: Activation, name: string, out: number, start: LayerStart = {}): Activation {
    const [features] = x.shape;
    const parameters = this.parameters(name, [out, features], features, { biases: out, start });
    return this.add("Gemm", [x.value, ...parameters], { transB: 1 }, name, [out], start.result);
  }

  /** Batch normalization in inference form; it starts as the identity. */
  normalise(x: Activation, name: string): Activation {
    const [channels] = x.shape;
    const vector = (part: string, value: number) =>
      this.constant(
        `${name}.${part}`,
        tensorOf("float32", [channels], Array<number>(channels).fill(value)),
      );
    const parameters = [
      vector("weight", 1),
      vector("bias", 0),
      vector("running_mean", 0),
      vector("running_var", 1),
    ];
    return this.add("BatchNormalization", [x.value, ...parameters], batchNorm, name, x.shape);
  }

  relu(x: Activation): Activation {
    return this.add("Relu", [x.value], {}, `${x.value}.relu`, x.shape);
  }

  /** The maximum of every 2x2 window; an odd row or column at the end is left out. */
  pool(x: Activation, name: string): Activation {
    const [channels, height, width] = x.shape;
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    const shape = [channels, Math.floor(height / 2), Math.floor(width / 2)];
    return this.add("MaxPool", [x.value], attributes, name, shape);
  }

  /** The mean of every channel: [C]. */
  average(x: Activation, name: string): Activation {
    const [channels] = x.shape;
    const pooled = this.add("GlobalAveragePool", [x.value], {}, name, [channels, 1, 1]);
    return this.flatten(pooled);
  }

  /** Channels and positions as one axis: [F]. */
  flatten(x: Activation): Activation {
    return this.add("Flatten", [x.value], { axis: 1 }, "flatten", [sizeOf(x.shape)]);
  }

  sum(a: Activation, b: Activation, name: string): Activation {
    return this.add("Add", [a.value, b.value], {}, name, a.shape);
  }

  /** The channels of both, `a` first. */
  concat(a: Activation, b: Activation, name: string): Activation {
    const shape = [a.shape[0] + b.shape[0], ...a.shape.slice(1)];
    return this.add("Concat", [a.value, b.value], { axis: 1 }, name, shape);
  }

  /**
   * Every second position of every second row, with channels of zeros on both sides: the shortcut
   * without parameters of a residual network (He et al. 2016, option A).
   */
  thinAndPad(x: Activation, name: string, channels: number): Activation {
    const [from, height, width] = x.shape;
    const vector = (part: string, values: readonly number[]) =>
      this.constant(`${name}.${part}`, int64Vector(values));
    const starts = vector("starts", [0, 0]);
    // The largest int64 that a double holds: to the end, whatever the size.
    const ends = vector("ends", [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
    const axes = vector("axes", [2, 3]);
    const steps = vector("steps", [2, 2]);
    const half = [Math.ceil(height / 2), Math.ceil(width / 2)];
    const thin = this.add("Slice", [x.value, starts, ends, axes, steps], {}, `${name}.thin`, [
      from,
      ...half,
    ]);
    const before = (channels - from) >> 1;
    const pads = vector("pads", [0, before, 0, 0, 0, channels - from - before, 0, 0]);
    return this.add("Pad", [thin.value, pads], { mode: "constant" }, name, [channels, ...half]);
  }

  /** The graph that ends here. */
  finish({ value, shape }: Activation): Graph {
    this.builder.output(value, { dtype: "float32", shape: ["N", ...shape] });
    return this.builder.build();
  }

  private add(
    opType: string,
    inputs: readonly string[],
    attributes: Parameters<GraphBuilder["node"]>[2],
    name: string,
    shape: readonly number[],
    result: string = name,
  ): Activation {
    this.builder.node(opType, inputs, attributes, { name, outputs: [result] });
    return { value: result, shape };
  }

  private parameters(
    name: string,
    shape: readonly number[],
    fanIn: number,
    { biases, start = {} }: { readonly biases: number; readonly start?: LayerStart },
  ): string[] {
    const { weight = heNormal, bias = zeros } = start;
    const draw = (part: string, size: readonly number[], initializer: Initializer) => {
      const key = `${name}.${part}`;
      const data = initializer(randomOf(this.seed, "weights", key), sizeOf(size), fanIn);
      return this.constant(key, { dtype: "float32", shape: size, data });
    };
    const names = [draw("weight", shape, weight)];
    return bias === "none" ? names : [...names, draw("bias", [biases], bias)];
  }

  private constant(name: string, tensor: HostTensor): string {
    return this.builder.constant(name, tensor);
  }
}
