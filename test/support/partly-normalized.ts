/** @file Networks of which batch normalization tells only in part: it was kept in some layers and not in others. */
import { GraphBuilder } from "../../src/ir/builder.ts";
import type { Model } from "../../src/onnx/model.ts";
import { readModel } from "../../src/onnx/reading/read.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../../src/onnx/writing/write.ts";
import { tensorOf } from "../../src/tensor/host-tensor.ts";
import { normals } from "./bn-network.ts";

/** A convolution and what follows it. */
export interface Layer {
  readonly filters: number;
  readonly kernel?: 1 | 3;
  readonly isNormalized?: boolean;
  /** Operators behind it, one after the other. */
  readonly activation?: (b: GraphBuilder, x: string) => string;
}

/** One unary operator. */
export const op = (type: string) => (b: GraphBuilder, x: string) => b.node(type, [x])[0];

/** x · sigmoid(x) as two nodes. */
export const silu = (b: GraphBuilder, x: string): string =>
  b.node("Mul", [x, b.node("Sigmoid", [x])[0]])[0];

/** x [1, 3, 16, 16] → conv1 ... convN → y. */
export function plainNetwork(layers: readonly Layer[]): Model {
  const b = new GraphBuilder("partly");
  let x = b.input("x", "float32", [1, 3, 16, 16]);
  let channels = 3;
  for (const [i, layer] of layers.entries()) {
    const { filters, kernel = 3, isNormalized = false, activation } = layer;
    const name = `conv${i + 1}`;
    const weight = normals([filters, channels, kernel, kernel], name, 0.2);
    const pad = (kernel - 1) / 2;
    const pads = [pad, pad, pad, pad];
    [x] = b.node("Conv", [x, b.constant(`${name}.weight`, weight)], { pads }, { name });
    if (isNormalized) {
      const vector = (key: string, f: (value: number) => number) => {
        const values = Array.from(normals([filters], `${name}.${key}`).data, Number).map(f);
        return b.constant(`${name}.${key}`, tensorOf("float32", [filters], values));
      };
      const positive = (value: number) => 0.5 + Math.abs(value) / 2;
      const parameters = [
        vector("scale", positive),
        vector("shift", (value) => value / 5),
        vector("mean", (value) => value / 5),
        vector("variance", positive),
      ];
      [x] = b.node("BatchNormalization", [x, ...parameters]);
    }
    if (activation) x = activation(b, x);
    channels = filters;
  }
  b.output(x);
  return readModel(concatBytes(encodeGraph(b.build())));
}
