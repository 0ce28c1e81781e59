/** @file The networks that are compared, and the batches that both sides see. */
import type { Graph } from "../../src/ir/graph.ts";
import type { NetworkOptions } from "../../src/models/architecture.ts";
import { architectureNamed, buildNetwork } from "../../src/models/registry.ts";
import { type HostTensor, tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";

/** One comparison. */
export interface Case {
  readonly network: string;
  readonly options: NetworkOptions;
  readonly batch: number;
  /** ELU and average pools in place of ReLU and maximum pools: without kinks that rounding could turn. */
  readonly isSmooth?: boolean;
}

/** A batch: inputs [N, C, H, W], labels [N] or [N, H, W]. */
export interface Batch {
  readonly x: HostTensor;
  readonly y: HostTensor;
}

/** Losses of training. The U-Net is small, so that it is quick. */
export const lossCases: readonly Case[] = [
  { network: "lenet5", options: {}, batch: 64 },
  { network: "resnet20", options: {}, batch: 64 },
  { network: "unet", options: { width: 16, size: [64, 64], classes: 3 }, batch: 8 },
];

/**
 * Gradients. Among the millions of activations of a large batch some lie so near to a kink that
 * rounding decides on which side, and no two programs agree on those; so each network is compared
 * as it is on few images, and without kinks on many.
 */
export const gradientCases: readonly Case[] = [
  { network: "lenet5", options: {}, batch: 64 },
  { network: "resnet20", options: {}, batch: 2 },
  { network: "unet", options: { width: 16, size: [32, 32], classes: 3 }, batch: 2 },
  ...lossCases.map((of) => ({ ...of, isSmooth: true })),
];

/** Time and memory of a training step. */
export const speedCases: readonly Case[] = [
  { network: "lenet5", options: {}, batch: 64 },
  { network: "resnet20", options: {}, batch: 64 },
  { network: "vgg16-bn", options: {}, batch: 64 },
  { network: "unet", options: { width: 32, size: [128, 128] }, batch: 8 },
];

/** The network of a case, untrained. */
export function graphOf({ network, options, isSmooth = false }: Case): Graph {
  const graph = buildNetwork(network, { seed: 1, ...options });
  if (!isSmooth) return graph;
  const smooth = new Map([
    ["Relu", "Elu"],
    ["MaxPool", "AveragePool"],
  ]);
  const nodes = graph.nodes.map((node) => ({
    ...node,
    opType: smooth.get(node.opType) ?? node.opType,
  }));
  return { ...graph, nodes };
}

/** What PyTorch must know to build its twin. */
export function twinOf({ network, options, isSmooth = false }: Case) {
  const { input, classes, width } = architectureNamed(network);
  return {
    network,
    channels: options.channels ?? input[0],
    size: options.size ?? ([input[1], input[2]] as const),
    classes: options.classes ?? classes,
    width: options.width ?? width ?? 1,
    smooth: isSmooth,
  };
}

/** Parameters and running statistics of a network by name. */
export function weightsOf(graph: Graph): ReadonlyMap<string, HostTensor> {
  const floats = [...graph.constants.values()].filter(({ dtype }) => dtype === "float32");
  return new Map(floats.map((constant) => [constant.name, constant.read()]));
}

/**
 * Batches that can be learnt: every class adds its own pattern to noise. For pixels the class is that
 * of a square of the image.
 */
export function batchesOf(of: Case, count: number): readonly Batch[] {
  const { batch } = of;
  const { channels, size, classes } = twinOf(of);
  const [height, width] = size;
  const plane = height * width;
  const isSegmentation = architectureNamed(of.network).task === "segmentation";
  const patterns = randomOf(2, "patterns").normals(classes * channels * plane);
  return Array.from({ length: count }, (_, index) => {
    const random = randomOf(2, "batch", index);
    const data = random.normals(batch * channels * plane);
    const labels = new Float64Array(isSegmentation ? batch * plane : batch);
    for (let n = 0; n < batch; n++) {
      const square = Math.floor(height / 4);
      const corners = Array.from({ length: 16 }, () => random.integer(classes));
      for (let p = 0; p < plane; p++) {
        const [row, column] = [Math.floor(p / width), p % width];
        const cell = 4 * Math.min(3, Math.floor(row / square)) + Math.floor((4 * column) / width);
        const label = corners[isSegmentation ? cell : 0];
        labels[isSegmentation ? n * plane + p : n] = label;
        for (let c = 0; c < channels; c++)
          data[(n * channels + c) * plane + p] += patterns[(label * channels + c) * plane + p] / 2;
      }
    }
    const labelShape = isSegmentation ? [batch, height, width] : [batch];
    return {
      x: { dtype: "float32", shape: [batch, channels, height, width], data },
      y: tensorOf("int64", labelShape, labels),
    };
  });
}

/** The batches as arrays x0, y0, x1, ... */
export function batchArrays(batches: readonly Batch[]): ReadonlyMap<string, HostTensor> {
  return new Map(
    batches.flatMap(({ x, y }, i): [string, HostTensor][] => [
      [`x${i}`, x],
      [`y${i}`, y],
    ]),
  );
}
