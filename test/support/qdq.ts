/**
 * @file A plain conversion to eight bits: weights by their largest value of each output channel, activations by their
 * largest over a few images, as QuantizeLinear and DequantizeLinear before each convolution and matrix product.
 */
import type { Attribute, Constant, Graph, Node } from "../../src/ir/graph.ts";
import type { Model } from "../../src/onnx/model.ts";
import { encodeGraph } from "../../src/onnx/writing/encode-graph.ts";
import { withOutputs } from "../../src/onnx/writing/with-outputs.ts";
import { withSession } from "../../src/runtime/session.ts";
import type { Feeds } from "../../src/runtime/values.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../src/tensor/host-tensor.ts";

/** Levels of a symmetric eight-bit scale. */
const levels = 127;

/** The network in eight bits, calibrated on these inputs. */
export async function quantised({ graph }: Model, feeds: readonly Feeds[]): Promise<Uint8Array> {
  const layers = graph.nodes.filter(
    ({ opType, inputs }) => ["Conv", "Gemm"].includes(opType) && graph.constants.has(inputs[1]),
  );
  const ranges = await rangesOf(graph, [...new Set(layers.map(({ inputs }) => inputs[0]))], feeds);
  const constants = new Map<string, Constant>(graph.constants);
  const add = (name: string, tensor: HostTensor): string => {
    const { dtype, shape } = tensor;
    constants.set(name, {
      name,
      dtype,
      shape: [...shape],
      read: () => tensor,
      origin: { kind: "new" },
    });
    return name;
  };
  const nodes: Node[] = [];
  const done = new Map<string, string>();
  const quantise = (value: string): string => {
    const known = done.get(value);
    if (known !== undefined) return known;
    const scale = add(
      `${value}/scale`,
      tensorOf("float32", [], [(ranges.get(value) ?? 1) / levels || 1]),
    );
    const zero = add(`${value}/zero`, tensorOf("int8", [], [0]));
    nodes.push(nodeOf("QuantizeLinear", [value, scale, zero], `${value}/int8`));
    nodes.push(nodeOf("DequantizeLinear", [`${value}/int8`, scale, zero], `${value}/seen`));
    done.set(value, `${value}/seen`);
    return `${value}/seen`;
  };
  for (const node of graph.nodes) {
    if (!layers.includes(node)) {
      nodes.push(node);
      continue;
    }
    const [value, weight, ...rest] = node.inputs;
    const seen = quantise(value);
    const stored = constants.get(weight)?.read();
    if (stored === undefined) throw new Error(`${weight} is a constant`);
    const turned = node.attributes.get("transB");
    const isTurned = turned?.kind === "int" && turned.value === 1;
    const axis = node.opType === "Gemm" && !isTurned ? 1 : 0;
    const { scales, values } = byChannel(stored, axis);
    const scale = add(`${weight}/scale`, tensorOf("float32", [scales.length], scales));
    const whole = add(`${weight}/int8`, tensorOf("int8", [...stored.shape], values));
    const axisOf = new Map<string, Attribute>([["axis", { kind: "int", value: axis }]]);
    nodes.push(nodeOf("DequantizeLinear", [whole, scale], `${weight}/seen`, axisOf));
    nodes.push({ ...node, inputs: [seen, `${weight}/seen`, ...rest], origin: undefined });
  }
  return Buffer.concat(encodeGraph({ ...graph, nodes, constants }).chunks);
}

function nodeOf(
  opType: string,
  inputs: readonly string[],
  output: string,
  attributes: ReadonlyMap<string, Attribute> = new Map(),
): Node {
  return {
    name: output,
    opType,
    domain: "",
    inputs,
    outputs: [output],
    attributes,
    captures: [],
    origin: undefined,
  };
}

/** The largest magnitude of each value over all inputs. */
async function rangesOf(graph: Graph, values: readonly string[], feeds: readonly Feeds[]) {
  const inner = values.filter((name) => !graph.inputs.includes(name));
  const bytes = withOutputs(
    encodeGraph(graph),
    inner.map((name) => ({ name, dtype: "float32" as const })),
  );
  const ranges = new Map<string, number>();
  await withSession(bytes.chunks, { optimization: "basic" }, async (session) => {
    for (const feed of feeds) {
      const results = await session.run(feed, inner);
      for (const name of values) {
        const tensor = results.get(name) ?? feed.get(name);
        if (tensor === undefined) throw new Error(`${name} is computed`);
        const most = toNumbers(tensor).reduce((max, one) => Math.max(max, Math.abs(one)), 0);
        ranges.set(name, Math.max(ranges.get(name) ?? 0, most));
      }
    }
  });
  return ranges;
}

/** A weight in eight bits, with a scale for each index of an axis. */
function byChannel(weight: HostTensor, axis: number) {
  const numbers = toNumbers(weight);
  const inner = weight.shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const channels = weight.shape[axis];
  const channelAt = (i: number) => Math.floor(i / inner) % channels;
  const scales = new Float64Array(channels);
  for (const [i, one] of numbers.entries())
    scales[channelAt(i)] = Math.max(scales[channelAt(i)], Math.abs(one) / levels);
  const safe = scales.map((scale) => scale || 1);
  return {
    scales: [...safe],
    values: [...numbers].map((one, i) => Math.round(one / safe[channelAt(i)])),
  };
}
