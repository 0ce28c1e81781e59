/**
 * @file Networks of convolutions with batch normalization, with random weights and statistics: some whose width or depth
 * can be chosen, and two well-known ones.
 */
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { sizeOf, tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

/** A value of the network and its channels. */
interface Value {
  readonly name: string;
  readonly channels: number;
}

/** A convolution with batch normalization behind, and what is around them. */
interface Layer {
  readonly out: number;
  readonly size?: 1 | 3 | 7;
  readonly stride?: 1 | 2;
  readonly isDepthwise?: boolean;
  readonly isLinear?: boolean;
  /** Every how many channels one is all but dead: its scale is a thousandth. Default: none is. */
  readonly deadEvery?: number;
}

/** Writes a network of convolutions and normalization; random values have He's variance, statistics lie around 1. */
class Blocks {
  readonly #builder: GraphBuilder;
  readonly input: Value;

  constructor(name: string, side: number) {
    this.#builder = new GraphBuilder(name);
    this.input = {
      name: this.#builder.input("input", "float32", ["N", 3, side, side]),
      channels: 3,
    };
  }

  layer(x: Value, name: string, layer: Layer): Value {
    const { out, size = 3, stride = 1, isDepthwise = false, isLinear = false } = layer;
    const { deadEvery = Number.POSITIVE_INFINITY } = layer;
    const group = isDepthwise ? x.channels : 1;
    const shape = [out, x.channels / group, size, size];
    const weight = this.#random(`${name}.weight`, shape, 0, Math.sqrt(2 / sizeOf(shape.slice(1))));
    const pad = (size - 1) / 2;
    const [conv] = this.#builder.node(
      "Conv",
      [x.name, weight],
      { group, kernel_shape: [size, size], strides: [stride, stride], pads: [pad, pad, pad, pad] },
      { name: `${name}.conv` },
    );
    const parameters = [
      this.#random(`${name}.scale`, [out], 1, 0.2, (c) => (c % deadEvery === 1 ? 1e-3 : 1)),
      this.#random(`${name}.shift`, [out], 0, 0.2),
      this.#random(`${name}.mean`, [out], 0, 0.2),
      this.#random(`${name}.variance`, [out], 1, 0.1),
    ];
    const [bn] = this.#builder.node("BatchNormalization", [conv, ...parameters], {}, { name });
    return { name: isLinear ? bn : this.relu({ name: bn, channels: out }).name, channels: out };
  }

  relu({ name, channels }: Value): Value {
    return { name: this.#builder.node("Relu", [name])[0], channels };
  }

  sum(a: Value, b: Value): Value {
    return { name: this.#builder.node("Add", [a.name, b.name])[0], channels: a.channels };
  }

  /** The mean of each channel, and class scores. */
  classify(x: Value, classes: number): Graph {
    const [mean] = this.#builder.node("GlobalAveragePool", [x.name]);
    const [flat] = this.#builder.node("Flatten", [mean]);
    const deviation = Math.sqrt(1 / x.channels);
    const parameters = [
      this.#random("fc.weight", [classes, x.channels], 0, deviation),
      this.#random("fc.bias", [classes], 0, deviation),
    ];
    const [y] = this.#builder.node("Gemm", [flat, ...parameters], { transB: 1 }, { name: "fc" });
    this.#builder.output(y, { dtype: "float32", shape: ["N", classes] });
    return this.#builder.build();
  }

  #random(
    name: string,
    shape: readonly number[],
    mean: number,
    deviation: number,
    factorOf = (_index: number) => 1,
  ): string {
    const values = randomOf(1, name).normals(sizeOf(shape));
    const data = values.map((value, i) => (mean + deviation * value) * factorOf(i));
    return this.#builder.constant(name, tensorOf("float32", shape, data));
  }
}

/** ResNet-50 (He et al. 2016) for images of 224 x 224 with the topology and the sizes of torchvision. */
export function resnet50(): Graph {
  const net = new Blocks("resnet50", 224);
  let x = net.layer(net.input, "stem", { out: 64, size: 7, stride: 2 });
  for (const [stage, count] of [3, 4, 6, 3].entries())
    for (let block = 0; block < count; block++) {
      const name = `layer${stage + 1}.${block}`;
      const inner = 64 * 2 ** stage;
      const stride = stage > 0 && block === 0 ? 2 : 1;
      let y = net.layer(x, `${name}.a`, { out: inner, size: 1 });
      y = net.layer(y, `${name}.b`, { out: inner, stride });
      y = net.layer(y, `${name}.c`, { out: 4 * inner, size: 1, isLinear: true });
      const projection = { out: 4 * inner, size: 1, stride, isLinear: true } as const;
      x = net.relu(net.sum(y, block === 0 ? net.layer(x, `${name}.down`, projection) : x));
    }
  return net.classify(x, 1000);
}

/** MobileNet v1 (Howard et al. 2017) of a width multiple, for images of `side` x `side`. */
export function mobilenet(multiple: number, side: number): Graph {
  const net = new Blocks("mobilenet", side);
  let x = net.layer(net.input, "stem", { out: 32 * multiple, stride: 2 });
  const widths = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024];
  const halving = [1, 3, 5, 11];
  for (const [block, width] of widths.entries()) {
    const stride = halving.includes(block) ? 2 : 1;
    const depthwise = { out: x.channels, stride, isDepthwise: true } as const;
    x = net.layer(x, `block${block}.depthwise`, depthwise);
    x = net.layer(x, `block${block}.pointwise`, { out: width * multiple, size: 1 });
  }
  return net.classify(x, 1000);
}

/** Layers of one width, one after another. */
export function plain(width: number, layers: number, layer: Omit<Layer, "out"> = {}): Graph {
  const net = new Blocks("plain", 16);
  let x = net.input;
  for (let i = 0; i < layers; i++) x = net.layer(x, `layer${i}`, { ...layer, out: width });
  return net.classify(x, 10);
}

/** A residual stream of one width through blocks of two layers. */
export function residual(width: number, blocks: number): Graph {
  const net = new Blocks("residual", 16);
  let x = net.layer(net.input, "stem", { out: width });
  for (let i = 0; i < blocks; i++) {
    const inner = net.layer(x, `block${i}.a`, { out: width });
    x = net.relu(net.sum(net.layer(inner, `block${i}.b`, { out: width, isLinear: true }), x));
  }
  return net.classify(x, 10);
}
