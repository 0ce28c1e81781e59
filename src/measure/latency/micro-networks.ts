/**
 * @file Networks that do little besides one layer, so that their time tells the layer's. They need no Node.
 *
 * Several copies of the layer, each with weights of its own, read the same tensor, so that the time of a run is far above
 * what starting one takes. A pool of 1 x 1 with large strides reads a single place of each result: it costs next to
 * nothing, and lets the engine keep a layout of its own between the layer and its reader, as in a real network. So does
 * a pool of 1 x 1 in front.
 */
import { GraphBuilder } from "../../ir/builder.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import type { LayerKind } from "../../structure/timing/cost-table.ts";
import { type HostTensor, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";

/** A network to time, with what it is fed. */
export interface MicroNetwork {
  readonly model: readonly Uint8Array[];
  readonly feeds: ReadonlyMap<string, HostTensor>;
  /** Copies of the layer. */
  readonly copies: number;
  /** Bytes of its weights, which an engine may hold twice. */
  readonly weightBytes: number;
}

/** The widths of a layer in a micro network. */
export interface MicroWidths {
  /** Channels that one filter reads. */
  readonly inputs: number;
  readonly outputs: number;
}

/** Numbers of the size that trained weights have, none of them tiny, which processors multiply slowly. */
function numbers(dtype: LayerKind["dtype"], shape: readonly number[], seed: number): HostTensor {
  const values = new Float32Array(sizeOf(shape));
  for (let i = 0; i < values.length; i++) values[i] = (((i * 37 + seed * 11) % 17) - 8) * 0.01;
  return dtype === "float32" ? { dtype, shape, data: values } : tensorOf(dtype, shape, values);
}

/** Multiply-accumulates that a run has at least, as far as copies reach. */
const leastWork = 8e6;
const mostCopies = 8;

/** The network for a layer; with 0 copies the same without it, whose time is to be taken off. */
export function layerNetwork(
  kind: LayerKind,
  { inputs, outputs }: MicroWidths,
  given?: number,
): MicroNetwork {
  const { form, groups, kernel, output, dtype } = kind;
  const channels = form === "depthwise" ? outputs : inputs * groups;
  const perFilter = sizeOf(kernel) * inputs;
  const work = perFilter * outputs * sizeOf(output);
  const copies = given ?? Math.max(2, Math.min(mostCopies, Math.ceil(leastWork / work)));
  const b = new GraphBuilder("layer");
  const model =
    kernel.length === 0
      ? productGraph(b, kind, { inputs, outputs, copies })
      : windowGraph(b, kind, { channels, inputs, outputs, copies });
  const shape = kernel.length === 0 ? [kind.input[0], inputs] : withChannels(kind.input, channels);
  return {
    model: encodeGraph(model.build()).chunks,
    feeds: new Map([["x", numbers(dtype, shape, 1)]]),
    copies,
    weightBytes: 4 * perFilter * outputs * copies,
  };
}

/** [N, ...spatial] with the channels between. */
function withChannels([batch, ...spatial]: readonly number[], channels: number): readonly number[] {
  return [batch, channels, ...spatial];
}

interface Shape extends MicroWidths {
  readonly copies: number;
}

function windowGraph(
  b: GraphBuilder,
  kind: LayerKind,
  { channels, inputs, outputs, copies }: Shape & { readonly channels: number },
): GraphBuilder {
  const { dtype, kernel, strides, dilations, input, output } = kind;
  const ones = kernel.map(() => 1);
  const given = b.input("x", dtype, withChannels(input, channels));
  const [x] = b.node("MaxPool", [given], { kernel_shape: ones });
  const group = kind.form === "depthwise" ? outputs : kind.groups;
  const results = Array.from({ length: copies }, (_, i) => {
    const shape =
      kind.operator === "ConvTranspose"
        ? [channels, Math.max(1, outputs / group), ...kernel]
        : [outputs, inputs, ...kernel];
    const weight = b.constant(`w${i}`, numbers(dtype, shape, i));
    const bias = b.constant(`b${i}`, numbers(dtype, [outputs], i));
    return b.node(kind.operator, [x, weight, bias], {
      kernel_shape: kernel,
      strides,
      dilations,
      group,
      ...paddingOf(kind),
    })[0];
  });
  const corners = (copies === 0 ? [x] : results).map((value) => {
    const sizes = copies === 0 ? input.slice(1) : output.slice(1);
    return b.node("MaxPool", [value], { kernel_shape: ones, strides: sizes })[0];
  });
  return summed(b, corners, dtype);
}

/** Padding with which the input's sizes give the output's. */
function paddingOf(kind: LayerKind): Readonly<Record<string, readonly number[]>> {
  const { operator, kernel, strides, dilations, input, output } = kind;
  const isTransposed = operator === "ConvTranspose";
  const totals = kernel.map((taps, axis) => {
    const reach = (taps - 1) * dilations[axis] + 1;
    const [from, to] = isTransposed ? [output, input] : [input, output];
    return (to[axis + 1] - 1) * strides[axis] + reach - from[axis + 1];
  });
  const before = totals.map((total) => Math.max(0, Math.floor(total / 2)));
  const behind = totals.map((total, axis) => Math.max(0, total) - before[axis]);
  const pads = { pads: [...before, ...behind] };
  return isTransposed ? { ...pads, output_padding: totals.map((t) => Math.max(0, -t)) } : pads;
}

function productGraph(
  b: GraphBuilder,
  { operator, dtype, input }: LayerKind,
  { inputs, outputs, copies }: Shape,
): GraphBuilder {
  const x = b.input("x", dtype, [input[0], inputs]);
  const results = Array.from({ length: copies }, (_, i) => {
    const weight = b.constant(`w${i}`, numbers(dtype, [inputs, outputs], i));
    return b.node(operator, [x, weight])[0];
  });
  const starts = b.constant("starts", { dtype: "int64", shape: [2], data: new BigInt64Array(2) });
  const ends = b.constant("ends", {
    dtype: "int64",
    shape: [2],
    data: BigInt64Array.of(1n, 1n),
  });
  const corners = (copies === 0 ? [x] : results).map(
    (value) => b.node("Slice", [value, starts, ends])[0],
  );
  return summed(b, corners, dtype);
}

function summed(
  b: GraphBuilder,
  corners: readonly string[],
  dtype: LayerKind["dtype"],
): GraphBuilder {
  b.output(b.node("Sum", corners)[0], { dtype, shape: undefined });
  return b;
}

/** A chain of nodes that compute next to nothing: its length times what a node takes at least. */
export function chainNetwork(length: number): MicroNetwork {
  const b = new GraphBuilder("chain");
  let value = b.input("x", "float32", [1, 4, 1, 1]);
  for (let i = 0; i < length; i++) [value] = b.node(i % 2 === 0 ? "Sigmoid" : "Tanh", [value]);
  b.output(value, { dtype: "float32", shape: undefined });
  return {
    model: encodeGraph(b.build()).chunks,
    feeds: new Map([["x", numbers("float32", [1, 4, 1, 1], 1)]]),
    copies: length,
    weightBytes: 0,
  };
}
