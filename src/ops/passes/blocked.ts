/**
 * @file Convolutions on onnxruntime's channel-blocked kernels (NCHWc), written into a graph.
 *
 * On a CPU, onnxruntime convolves fastest over [N, C / B, H, W, B], channels in blocks of B. It turns
 * to that layout by itself where weights are constants, which those of a training step are not. The
 * nodes that it uses there may also be written into a model, in its domain `com.microsoft.nchwc`. B
 * depends on the machine (16 with AVX-512, 8 with AVX2), and a wrong B may give wrong numbers without an
 * error. So only a graph that never leaves the machine may have such nodes, and B is found by comparing
 * results (`runtime/block-size.ts`).
 */
import {
  type Attribute,
  type Constant,
  constantOf,
  type Graph,
  type Node,
  newNode,
} from "../../ir/graph.ts";
import { freshNames } from "../../ir/names.ts";
import { int64Vector, sizeOf } from "../../tensor/host-tensor.ts";
import { attributesOf } from "../operator/attributes.ts";
import { numericShape } from "../operator/known.ts";
import { inferTypes } from "./infer.ts";

/** Channels that lie together. */
export type BlockSize = 8 | 16;
/** The block sizes for which onnxruntime has kernels. */
export const blockSizes: readonly BlockSize[] = [16, 8];
/** Where onnxruntime keeps the operators of this layout; one version, 1. */
export const blockedDomain = "com.microsoft.nchwc";

/** Whether a pass made the node for this machine alone. No file may hold such a node. */
export function staysHere({ domain, origin }: Node): boolean {
  return domain === blockedDomain && origin === undefined;
}

/** A convolution of planes with one group, all sizes known. */
export interface PlaneConvolution {
  readonly batch: number;
  readonly channels: number;
  readonly filters: number;
  readonly kernel: readonly number[];
  /** [height, width] of the result. */
  readonly output: readonly number[];
}

/**
 * Whether the blocked kernel with all that stands around it takes less time than the plain one. CPU ms
 * of one thread, 3x3, batch 64 (U-Net: 8), block 16:
 *
 * | input, filters       | plain | blocked | | input, filters        | plain | blocked |
 * | -------------------- | ----- | ------- |-| --------------------- | ----- | ------- |
 * | 16 x 32², 16         |  4.4  |    3.3  | | 3 x 32², 64           |  2.9  |    4.1  |
 * | 32 x 16², 32         |  2.7  |    1.8  | | 5 x 32², 16           |  1.3  |    1.3  |
 * | 64 x 8², 64          |  2.1  |    1.4  | | 9 x 32², 16           |  2.0  |    1.7  |
 * | 64 x 32², 64         | 28.1  |   22.3  | | 13 x 8², 64           |  0.43 |    0.30 |
 * | 128 x 16², 128       | 24.3  |   20.5  | | 16 x 32², 5           |  2.4  |    2.0  |
 * | 256 x 8², 256        | 23.0  |   20.6  | | 32 x 16², 13          |  1.7  |    1.1  |
 * | 512 x 4², 512        | 26.8  |   27.4  | | 20 x 16², 32          |  1.7  |    1.6  |
 * | 512 x 2², 512        | 26.3  |   10.2  | | 22 x 16², 22          |  1.5  |    1.8  |
 * | U-Net 32 x 128², 32  | 18.0  |   13.6  | | 27 x 16², 32          |  2.2  |    1.7  |
 * | U-Net 256 x 16², 256 | 10.4  |    9.9  | | 40 x 8², 40           |  0.97 |    0.71 |
 * | U-Net 512 x 8², 512  | 10.3  |   11.9  | | 50 x 8², 64           |  1.6  |    1.3  |
 * | 32 x 16², 32, 5x5    |  6.5  |    4.2  | | 100 x 16², 100        | 16.0  |   16.4  |
 * | 16 x 32², 32, stride 2 | 2.0 |    1.1  | | U-Net 20 x 128², 20   |  8.3  |   11.8  |
 * | 64 x 32², 64, 1x1    |  5.6  |    7.2  | | U-Net 40 x 64², 40    |  6.0  |    6.5  |
 * | 256 x 8², 256, 1x1   |  2.7  |    3.0  | | 20 x 12², 50, 5x5     |  3.5  |    4.8  |
 */
export function paysOff(
  { batch, channels, filters, kernel, output }: PlaneConvolution,
  block: BlockSize,
): boolean {
  const taps = sizeOf(kernel);
  // A 1x1 convolution is a product as it stands; larger kernels were not measured.
  if (taps === 1 || taps > 49) return false;
  // Laying out the weights must not cost more than is gained. The plain kernel multiplies image by
  // image, which few places per image do not fill.
  const perImage = sizeOf(output);
  const places = batch * perImage;
  const isWorthLayingOut = places > 2 * filters || (perImage <= 9 && 2 * places >= filters);
  if (!isWorthLayingOut) return false;
  if (channels < block) return channels >= 7;
  const [wide, high] = [channels, filters].map((count) => roundedUp(count, block));
  // Channels of zeros cost time, too. The plain kernel has a cost of its own: gathering what the taps see
  // takes as long as about 32 filters, and longer where images are small.
  const work = (wide * high) / (channels * (filters + 32));
  return (wide === channels && high === filters) || work <= (perImage <= 64 ? 0.9 : 0.7);
}

/**
 * The graph in which the convolutions that `isWanted` names, by default those that gain, have blocked layout:
 *
 *     Y = ReorderOutput(Conv(ReorderInput(X), W laid out anew, B))
 *
 * Fewer channels than a block are read as they lie. Otherwise X gets channels of zeros up to a multiple
 * of 4, and so do filters up to a multiple of the block; ReorderOutput leaves these out again. Values
 * keep their names, and what several convolutions read is laid out once.
 */
export function withBlockedConvolutions(
  graph: Graph,
  block: BlockSize,
  isWanted: (convolution: PlaneConvolution, block: BlockSize) => boolean = paysOff,
): Graph {
  const { types } = inferTypes(graph);
  const emit = new Rewriting(graph);
  for (const node of graph.nodes) {
    const convolution = planeConvolutionOf(node, types);
    if (convolution === undefined || !isWanted(convolution, block)) emit.nodes.push(node);
    else emitBlocked(emit, node, convolution, block);
  }
  return emit.nodes.length === graph.nodes.length ? graph : emit.build();
}

function planeConvolutionOf(
  node: Node,
  types: ReturnType<typeof inferTypes>["types"],
): PlaneConvolution | undefined {
  if (node.domain !== "" || node.opType !== "Conv") return undefined;
  if (attributesOf(node).int("group", 1) !== 1) return undefined;
  const isFloat = types.get(node.inputs[0])?.dtype === "float32";
  const [x, w, y] = [node.inputs[0], node.inputs[1], node.outputs[0]].map((name) =>
    numericShape(types.get(name)?.shape),
  );
  if (!isFloat || x?.length !== 4 || w === undefined || y === undefined) return undefined;
  const [filters, channels, ...kernel] = w;
  return { batch: x[0], channels, filters, kernel, output: y.slice(2) };
}

function emitBlocked(
  emit: Rewriting,
  node: Node,
  { channels, filters, kernel }: PlaneConvolution,
  block: BlockSize,
): void {
  const [x, w, bias = ""] = node.inputs;
  const isBlocked = channels >= block;
  const [wide, high] = [channels, filters].map((count) => roundedUp(count, block));
  const depth = isBlocked ? wide : channels;
  const taps = sizeOf(kernel);

  const input = isBlocked ? emit.blocked(x, channels) : x;

  // [F, C, k] → [F / B, C · k, B], and with blocks of channels on to [F / B, C / B, k, B (of C), B (of F)].
  const padded = emit.padded(w, [high - filters, depth - channels, 0, 0]);
  const rows = emit.reshaped(padded, [high / block, block, depth * taps]);
  const byFilter = emit.transposed(rows, [0, 2, 1]);
  const blocks = [(high * depth) / (block * block), block, taps, block];
  const laidOut = isBlocked
    ? emit.transposed(emit.reshaped(byFilter, blocks), [0, 2, 1, 3])
    : byFilter;
  const weight = emit.reshaped(laidOut, [high, depth, ...kernel]);

  const offsets = bias === "" ? [] : [emit.padded(bias, [high - filters])];
  const result = emit.op("Conv", [input, weight, ...offsets], node.attributes, blockedDomain);
  const count = new Map<string, Attribute>([["channels", { kind: "int", value: filters }]]);
  emit.op("ReorderOutput", [result], count, blockedDomain, node.outputs[0]);
}

const none: ReadonlyMap<string, Attribute> = new Map();
const roundedUp = (count: number, to: number) => Math.ceil(count / to) * to;

/** Nodes of a graph as they are written anew, with what they need besides. */
class Rewriting {
  readonly #graph: Graph;
  readonly #fresh: (stem: string) => string;
  readonly #constants: Map<string, Constant>;
  readonly nodes: Node[] = [];
  /** Names of values, by the node that computes them, so that equal nodes are emitted once. */
  readonly #memo = new Map<string, string>();

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#fresh = freshNames(graph);
    this.#constants = new Map(graph.constants);
  }

  /** A node with one output: a new value unless it is named, and one that is there if it can be. */
  op(
    opType: string,
    inputs: readonly string[],
    attributes: ReadonlyMap<string, Attribute>,
    domain = "",
    named?: string,
  ): string {
    const key = JSON.stringify([domain, opType, inputs, [...attributes]]);
    const existing = named === undefined ? this.#memo.get(key) : undefined;
    if (existing !== undefined) return existing;
    const output = named ?? this.#fresh(`blocked ${opType}:0`);
    const node = newNode(this.#fresh(`blocked ${opType}`), opType, inputs, output);
    this.nodes.push({ ...node, domain, attributes });
    this.#memo.set(key, output);
    return output;
  }

  /** Zeros behind the elements of each axis. */
  padded(x: string, behind: readonly number[]): string {
    if (behind.every((count) => count === 0)) return x;
    return this.op("Pad", [x, this.#ints([...behind.map(() => 0), ...behind])], none);
  }

  /** The channels of `x` in blocks. The kernel takes a multiple of 4. */
  blocked(x: string, channels: number): string {
    const whole = this.padded(x, [0, roundedUp(channels, 4) - channels, 0, 0]);
    return this.op("ReorderInput", [whole], none, blockedDomain);
  }

  reshaped(x: string, shape: readonly number[]): string {
    return this.op("Reshape", [x, this.#ints(shape)], none);
  }

  transposed(x: string, order: readonly number[]): string {
    return this.op("Transpose", [x], new Map([["perm", { kind: "ints", value: order }]]));
  }

  build(): Graph {
    return { ...this.#graph, nodes: this.nodes, constants: this.#constants };
  }

  #ints(values: readonly number[]): string {
    const key = `ints ${values.join()}`;
    const name = this.#memo.get(key) ?? this.#fresh("blocked sizes");
    this.#memo.set(key, name);
    this.#constants.set(name, constantOf(name, int64Vector(values)));
    return name;
  }
}
