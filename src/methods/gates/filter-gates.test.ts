/** @file Gates: where they stand, that they multiply what they should, and that folding is exact. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildProgram, programs } from "../../../test/random-graphs.ts";
import { differenceOf } from "../../../test/support/difference.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { constantOf, type Graph } from "../../ir/graph.ts";
import { randomFeeds } from "../../measure/inputs/feeds.ts";
import { buildNetwork } from "../../models/registry.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import { withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { structureOf } from "../../structure/units/units.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { foldGates, insertGates, scaleFilters } from "./filter-gates.ts";
import { type Gate, gatesOf } from "./filter-gates-sites.ts";

/** Factors of both signs, away from 0. */
function factorsOf(gate: Gate): Float64Array {
  const random = randomOf("factors", gate.group);
  return Float64Array.from(
    gate.units,
    () => (random.uniform() < 0.3 ? -1 : 1) * (0.3 + random.uniform()),
  );
}

const ones = (gate: Gate) => gate.units.map(() => 1);

function run(graph: Graph, feeds: Feeds) {
  return withSession(encodeGraph(graph).chunks, { threads: 1 }, (session) => session.run(feeds));
}

/** The largest difference of the outputs of two graphs, over the largest output. */
async function distance(a: Graph, b: Graph, batch = 2): Promise<number> {
  const inputs = a.inputs.map((name) => {
    const { dtype = "float32", shape = [] } = a.types.get(name) ?? {};
    return { name, dtype, shape };
  });
  const feeds = randomFeeds(inputs, { batch, seed: 3 });
  const [expected, actual] = [await run(a, structuredClone(feeds)), await run(b, feeds)];
  const errors = [...expected].map(([name, tensor]) => {
    const { largest } = differenceOf([tensor], [actual.get(name)]);
    return largest === 0 ? 0 : largest / Math.max(...toNumbers(tensor).map(Math.abs));
  });
  return Math.max(...errors);
}

/** The network with random biases, shifts and statistics, which begin as zeros and ones. */
function stirred(graph: Graph): Graph {
  const constants = new Map(graph.constants);
  for (const [name, { dtype, shape }] of graph.constants) {
    if (dtype !== "float32" || shape.length !== 1) continue;
    const random = randomOf("stirred", name);
    const isSpread = name.endsWith("running_var") || /(bn|norm)\w*\.weight$/.test(name);
    const values = Float64Array.from({ length: sizeOf(shape) }, () =>
      isSpread ? 0.5 + random.uniform() : 0.3 * random.normal(),
    );
    constants.set(name, constantOf(name, tensorOf(dtype, shape, values)));
  }
  return { ...graph, constants };
}

/** Builds with short names: convolution, depthwise convolution, normalization. */
class Small {
  readonly b = new GraphBuilder("small");
  readonly x = this.b.input("x", "float32", ["N", 3, 8, 8]);

  normal(name: string, shape: readonly number[], scale = 0.5): string {
    const values = randomOf("small", name).normals(sizeOf(shape));
    return this.b.constant(
      name,
      tensorOf(
        "float32",
        shape,
        values.map((v) => v * scale),
      ),
    );
  }
  conv(x: string, name: string, from: number, to: number, group = 1): string {
    const weight = this.normal(`${name}.w`, [to, from / group, 3, 3]);
    const pads = { pads: [1, 1, 1, 1], group };
    return this.b.node("Conv", [x, weight, this.normal(`${name}.b`, [to])], pads, {
      name,
      outputs: [name],
    })[0];
  }
  norm(x: string, name: string, channels: number): string {
    const spread = (part: string) => {
      const values = randomOf("small", name, part)
        .uniforms(channels)
        .map((v) => v + 0.5);
      return this.b.constant(`${name}.${part}`, tensorOf("float32", [channels], values));
    };
    const middle = (part: string) => this.normal(`${name}.${part}`, [channels]);
    const inputs = [x, spread("scale"), middle("shift"), middle("mean"), spread("variance")];
    return this.b.node("BatchNormalization", inputs, {}, { name, outputs: [name] })[0];
  }
  op(opType: string, ...inputs: string[]): string {
    return this.b.node(opType, inputs)[0];
  }
  concat(...inputs: string[]): string {
    return this.b.node("Concat", inputs, { axis: 1 })[0];
  }
  /** Ends in a layer of its own, so that nothing before it reaches the output. */
  end(x: string, channels: number): Graph {
    this.b.output(this.conv(x, "last", channels, 4), { dtype: "float32", shape: undefined });
    return this.b.build();
  }
}

interface Network {
  readonly name: string;
  readonly graph: () => Graph;
  /** The values that are gated, where the case is about them. */
  readonly sites?: readonly string[];
  /** Names of constants that must be copied, because what shared one gets different factors. */
  readonly copies?: readonly string[];
}

const networks: readonly Network[] = [
  {
    name: "LeNet-5, behind bias",
    graph: () => stirred(buildNetwork("lenet5-caffe")),
    sites: ["conv1", "conv2", "fc1"],
  },
  {
    name: "depthwise layers, behind the last normalization",
    graph: () => {
      const net = new Small();
      const wide = net.op("Relu", net.norm(net.conv(net.x, "wide", 3, 6), "bn1", 6));
      const deep = net.op("Relu", net.norm(net.conv(wide, "deep", 6, 6, 6), "bn2", 6));
      return net.end(deep, 6);
    },
    sites: ["bn2"],
  },
  {
    name: "a depthwise layer beside a reader, both",
    graph: () => {
      const net = new Small();
      const wide = net.op("Relu", net.norm(net.conv(net.x, "wide", 3, 6), "bn1", 6));
      return net.end(net.op("Add", net.norm(net.conv(wide, "deep", 6, 6, 6), "bn2", 6), wide), 6);
    },
    sites: ["bn1", "bn2"],
  },
  {
    name: "squeeze and excitation, not behind the excitation",
    graph: () => {
      const net = new Small();
      const wide = net.op("Relu", net.norm(net.conv(net.x, "wide", 3, 6), "bn1", 6));
      const squeezed = net.op("Relu", net.conv(net.op("GlobalAveragePool", wide), "squeeze", 6, 4));
      const share = net.op("Sigmoid", net.conv(squeezed, "excite", 4, 6));
      return net.end(net.op("Mul", wide, share), 6);
    },
    sites: ["bn1", "squeeze"],
  },
  {
    name: "SiLU on a residual stream, every layer that adds to it",
    graph: () => {
      const net = new Small();
      const silu = (x: string) => net.op("Mul", x, net.op("Sigmoid", x));
      const stem = silu(net.norm(net.conv(net.x, "stem", 3, 6), "bn1", 6));
      const inner = silu(net.norm(net.conv(stem, "inner", 6, 5), "bn2", 5));
      const outer = net.norm(net.conv(inner, "outer", 5, 6), "bn3", 6);
      return net.end(silu(net.op("Add", outer, stem)), 6);
    },
    sites: ["bn1", "bn2", "bn3"],
  },
  {
    name: "grouped and transposed layers",
    graph: () => {
      const net = new Small();
      const wide = net.op("Relu", net.conv(net.x, "wide", 3, 8));
      const grouped = net.op("Relu", net.conv(wide, "grouped", 8, 8, 2));
      const weight = net.normal("up.w", [8, 3, 2, 2]);
      const up = net.b.node(
        "ConvTranspose",
        [grouped, weight, net.normal("up.b", [6])],
        { strides: [2, 2], group: 2 },
        { name: "up", outputs: ["up"] },
      );
      return net.end(net.op("Relu", ...up), 6);
    },
    sites: ["wide", "grouped", "up"],
  },
  {
    name: "matrix products, behind the Add that is their bias",
    graph: () => {
      const net = new Small();
      const flat = net.op("GlobalAveragePool", net.op("Relu", net.conv(net.x, "wide", 3, 8)));
      const rows = net.op("MatMul", net.op("Flatten", flat), net.normal("m", [8, 6]));
      const [shifted] = net.b.node(
        "Add",
        [net.normal("bias", [6]), rows],
        {},
        { outputs: ["shifted"] },
      );
      net.b.output(net.op("MatMul", net.op("Relu", shifted), net.normal("end", [6, 3])), {
        dtype: "float32",
        shape: undefined,
      });
      return net.b.build();
    },
    sites: ["wide", "shifted"],
  },
  {
    name: "one weight for two layers, and one normalization for two",
    graph: () => {
      const net = new Small();
      const left = net.op("Relu", net.conv(net.x, "first", 3, 4));
      const pads = { pads: [1, 1, 1, 1] };
      const inputs = [net.op("Neg", net.x), "first.w", "first.b"];
      const right = net.op("Tanh", ...net.b.node("Conv", inputs, pads, { outputs: ["second"] }));
      const third = net.norm(net.conv(net.concat(left, right), "third", 8, 4), "bn1", 4);
      const vectors = ["scale", "shift", "mean", "variance"].map((part) => `bn1.${part}`);
      const fourth = [net.conv(net.x, "fourth", 3, 4), ...vectors];
      const [other] = net.b.node("BatchNormalization", fourth, {}, { outputs: ["bn2"] });
      return net.end(net.concat(net.op("Relu", third), net.op("Relu", other)), 8);
    },
    sites: ["first", "second", "bn1", "bn2"],
    copies: ["bn1.scale_1", "bn1.shift_1"],
  },
  { name: "VGG-16", graph: () => stirred(buildNetwork("vgg16-bn")) },
  {
    name: "ResNet-20 with an option-A stream",
    graph: () => stirred(buildNetwork("resnet20")),
  },
  {
    name: "U-Net",
    graph: () => stirred(buildNetwork("unet", { width: 4, size: [32, 32] })),
  },
  {
    name: "TernausNet",
    graph: () => stirred(buildNetwork("ternausnet", { width: 4, size: [32, 32] })),
  },
];

describe("gates", () => {
  it.each(networks.filter(({ sites }) => sites))("stand where they should: $name", (network) => {
    const gates = gatesOf(structureOf(network.graph()));
    const values = gates.flatMap((gate) => gate.sites.map(({ value }) => value));
    expect(values.sort()).toEqual([...(network.sites ?? [])].sort());
  });
});

describe.each(networks)("gates in $name", ({ graph: build, copies = [] }) => {
  const graph = build();
  const structure = structureOf(graph);
  const gates = gatesOf(structure);

  it("hold every unit that can go, in one gate", () => {
    const units = gates.flatMap((gate) => [...gate.units]);
    expect(new Set(units).size).toBe(units.length);
    const removable = structure.units.filter(({ reason }) => reason === undefined);
    expect(units).toEqual(expect.arrayContaining(removable.map(({ index }) => index)));
  });

  it("change nothing at 1, and fold exactly at any value", async () => {
    expect(await distance(graph, insertGates(graph, gates, ones).graph)).toBeLessThan(1e-6);
    const gated = insertGates(graph, gates, factorsOf);
    expect(await distance(graph, gated.graph)).toBeGreaterThan(0.01);
    const folded = foldGates(graph, gated.graph, gates, gated.names);
    expect(await distance(gated.graph, folded)).toBeLessThan(1e-6);
  });

  it("leave nodes, names and shapes as they were", () => {
    const gated = insertGates(graph, gates, factorsOf);
    expect(gated.names.every((name) => name.startsWith(gated.prefix))).toBe(true);
    const folded = foldGates(graph, gated.graph, gates, gated.names);
    const changed = folded.nodes.filter((node, i) => node !== graph.nodes[i]);
    const copied = changed.flatMap(({ inputs }) => inputs.filter((name) => copies.includes(name)));
    expect(copied).toEqual(copies);
    expect(folded.nodes.length).toBe(graph.nodes.length);
    const shapes = ({ constants }: Graph) =>
      [...constants.values()]
        .filter(({ name }) => !copies.includes(name))
        .map(({ name, dtype, shape, origin }) => [name, dtype, shape, origin]);
    expect(shapes(folded)).toEqual(shapes(graph));
  });
});

describe("folding", () => {
  it("copies a shift that two layers share with different factors", async () => {
    const net = new Small();
    const pads = { pads: [1, 1, 1, 1] };
    const weight = net.normal("second.w", [4, 3, 3, 3]);
    const left = net.op("Relu", net.conv(net.x, "first", 3, 4));
    const right = net.op("Relu", ...net.b.node("Conv", [net.x, weight, "first.b"], pads));
    const graph = net.end(net.concat(left, right), 8);
    const gates = gatesOf(structureOf(graph));
    const gated = insertGates(graph, gates, factorsOf);
    const folded = foldGates(graph, gated.graph, gates, gated.names);
    expect(await distance(gated.graph, folded)).toBeLessThan(1e-6);
    expect([...folded.constants.keys()].length).toBe(graph.constants.size + 1);
  });

  it("patches a file, and undoes itself", async () => {
    const model = readModel(concatBytes(encodeGraph(stirred(buildNetwork("resnet20")))));
    const gates = gatesOf(structureOf(model.graph));
    const scaled = scaleFilters(model.graph, gates, factorsOf);
    const back = scaleFilters(scaled, gates, (gate) => factorsOf(gate).map((f) => 1 / f));
    expect(await distance(model.graph, back)).toBeLessThan(1e-6);
    const written = readModel(concatBytes(writeModel(model, scaled)));
    expect(await distance(scaled, written.graph)).toBe(0);
  });

  it("is exact in 200 random graphs", async () => {
    let sites = 0;
    await fc.assert(
      fc.asyncProperty(programs(12), async (program) => {
        const graph = buildProgram(program);
        const gates = gatesOf(structureOf(graph));
        sites += gates.flatMap((gate) => gate.sites).length;
        const gated = insertGates(graph, gates, factorsOf);
        const folded = foldGates(graph, gated.graph, gates, gated.names);
        const batch = program.isBatchSymbolic ? 2 : 1;
        expect(await distance(gated.graph, folded, batch)).toBeLessThan(1e-5);
      }),
      { numRuns: 200, seed: 1 },
    );
    expect(sites).toBeGreaterThan(300);
  }, 120_000);
});
