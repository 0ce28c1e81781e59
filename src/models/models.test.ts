/** @file The built-in networks: published sizes, structure, and how signals pass through them. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { EspalierError } from "../errors.ts";
import type { Graph, Node } from "../ir/graph.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { inferTypes } from "../ops/passes/infer.ts";
import { withSession } from "../runtime/session.ts";
import { costOf } from "../structure/cost/cost.ts";
import { structureOf } from "../structure/units/units.ts";
import { type HostTensor, sizeOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import type { NetworkOptions } from "./architecture.ts";
import { Layers } from "./layers.ts";
import { architectures, buildNetwork } from "./registry.ts";

/** Options that keep the large networks quick. */
const small: Readonly<Record<string, NetworkOptions>> = {
  unet: { width: 8, size: [32, 48] },
  ternausnet: { width: 8, size: [64, 32] },
};

const networks = new Map<string, Graph>();

/** The network with default options; drawing the weights of the large ones takes seconds. */
function built(name: string): Graph {
  const graph = networks.get(name) ?? buildNetwork(name);
  networks.set(name, graph);
  return graph;
}

/** The same with a few options, or as it is. */
function builtWith(name: string, options: NetworkOptions = {}): Graph {
  return Object.keys(options).length === 0 ? built(name) : buildNetwork(name, options);
}

/** Trained parameters: everything but running statistics and shapes. */
function trainedParameters(graph: Graph): number {
  const trained = [...graph.constants.values()].filter(
    ({ name, dtype }) => dtype === "float32" && !name.includes(".running_"),
  );
  return trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

/** Multiply-adds of one image, and the outputs of all layers that have any. */
function costs(graph: Graph): { readonly macs: number; readonly outputs: number } {
  const dims = new Map([["N", 1]]);
  const { macs, layers } = costOf(graph, dims, inferTypes(graph, { dims }));
  const outputs = layers
    .filter((layer) => layer.macs > 0)
    .reduce((sum, { outputShape }) => sum + sizeOf(outputShape ?? []), 0);
  return { macs, outputs };
}

describe("sizes", () => {
  it.each<[string, NetworkOptions, number, string]>([
    ["lenet-300-100", {}, 785 * 300 + 301 * 100 + 101 * 10, "266,610, by hand and in papers"],
    ["lenet5", {}, 156 + 2416 + 48_120 + 10_164 + 850, "61,706, by hand"],
    ["lenet5-caffe", {}, 520 + 25_050 + 400_500 + 5010, "431,080: the 431 K of papers"],
    ["vgg16-bn", {}, 14_728_266 - 4224, "14,728,266 in public code, less the convolutions' biases"],
    ["resnet20", {}, 269_722, "0.27 M in He et al.; public code counts 269,722"],
    ["resnet56", {}, 853_018, "0.85 M in He et al.; public code counts 853,018"],
  ])("%s %o: %i trained parameters (%s)", (name, options, expected) => {
    expect(trainedParameters(builtWith(name, options))).toBe(expected);
  });

  it.each([
    ["unet", 64, 31_037_633, "public code, 3 channels and 1 class"],
    ["ternausnet", 32, 9_220_480 + 13_706_913, "torchvision's VGG-11, and the decoder"],
  ])("%s of width %i: %i trained parameters (%s)", (name, width, expected) => {
    // The number is a polynomial of degree 2 in the width: three small networks tell it.
    const [a, b, c] = [1, 2, 3].map((w) =>
      trainedParameters(buildNetwork(name, { width: w, classes: 1 })),
    );
    const [s, t] = [width - 1, ((width - 1) * (width - 2)) / 2];
    expect(a + (b - a) * s + (c - 2 * b + a) * t).toBe(expected);
  });

  it("LeNet-5-Caffe costs the 2.293 M multiply-adds of papers", () => {
    expect(costs(built("lenet5-caffe")).macs).toBe(2_293_000);
  });

  it("a 7-13-208-16 network costs the 254 K of papers, counted as multiply-adds plus one add per output", () => {
    const net = new Layers("gd", 0);
    let x = net.pool(net.conv(net.input([1, 28, 28]), "conv1", { out: 7, size: 5 }), "pool1");
    x = net.flatten(net.pool(net.conv(x, "conv2", { out: 13, size: 5 }), "pool2"));
    expect(x.shape).toEqual([208]);
    const { macs, outputs } = costs(net.finish(net.dense(net.dense(x, "fc1", 16), "fc2", 10)));
    // 25·7·576 + 25·7·13·64 + 208·16 + 16·10, and 576·7 + 64·13 + 16 + 10.
    expect([macs, outputs]).toEqual([249_888, 4890]);
    expect(Math.round((macs + outputs) / 1000)).toBe(255);
  });

  it.each([
    // A first convolution, stages at 32x32, 16x16 and 8x8 of equal cost per 3x3 convolution, a head.
    ["resnet20", 27 * 16 * 1024 + (6 + 5 + 5 + 1) * 9 * 16 ** 2 * 1024 + 640],
    ["resnet56", 27 * 16 * 1024 + (18 + 17 + 17 + 1) * 9 * 16 ** 2 * 1024 + 640],
  ])("%s costs %i multiply-adds (0.041 and 0.125 G in papers)", (name, expected) => {
    expect(costs(built(name)).macs).toBe(expected);
  });
});

describe("structure", () => {
  it.each([
    ["lenet-300-100", 300 + 100],
    ["lenet5", 6 + 16 + 120 + 84],
    ["lenet5-caffe", 20 + 50 + 500],
    ["vgg16-bn", 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512],
    // Inside the blocks 3 and 9 times 16 + 32 + 64, and a stream of 64 channels.
    ["resnet20", 3 * 112 + 64],
    ["resnet56", 9 * 112 + 64],
    // Per level: two convolutions down, two up, and the transposed one; the bottom has two.
    ["unet", 5 * (8 + 16 + 32 + 64) + 2 * 128],
    // The encoder; then per block of the decoder a convolution and a transposed one, and the last.
    ["ternausnet", 8 * (2 + 4 + 16 + 32 + 32) + 8 * (24 + 24 + 20 + 10 + 5) + 8],
  ])("%s has %i prunable units", (name, expected) => {
    const { units } = structureOf(builtWith(name, small[name]));
    expect(units.filter((unit) => unit.reason === undefined)).toHaveLength(expected);
  });

  it("only the classes may not be pruned", () => {
    for (const { name, classes } of architectures)
      expect(
        structureOf(builtWith(name, small[name])).units.filter((unit) => unit.reason !== undefined),
      ).toHaveLength(classes);
  });
});

/** Runs a network on standard normal images. */
async function run(graph: Graph, batch: number): Promise<ReadonlyMap<string, HostTensor>> {
  const shape = [batch, ...(graph.types.get("input")?.shape ?? []).slice(1).map(Number)];
  const input: HostTensor = {
    dtype: "float32",
    shape,
    data: randomOf(7, "images").normals(sizeOf(shape)),
  };
  const model = concatBytes(encodeGraph(graph));
  return withSession(model, { threads: 1 }, (session) => session.run(new Map([["input", input]])));
}

describe("outputs", () => {
  it.each<[string, NetworkOptions, readonly number[]]>([
    ...architectures
      .filter(({ task }) => task === "classification")
      .map(({ name }): [string, NetworkOptions, number[]] => [name, {}, [3, 10]]),
    ["lenet-300-100", { channels: 3, size: [5, 4], classes: 2 }, [3, 2]],
    ["lenet5", { channels: 3, size: [33, 32] }, [3, 10]],
    ["lenet5-caffe", { size: [16, 17] }, [3, 10]],
    ["resnet20", { size: [9, 7], channels: 1 }, [3, 10]],
    ["unet", { width: 4, size: [16, 48], channels: 1, classes: 5 }, [3, 5, 16, 48]],
    ["ternausnet", { width: 2, size: [64, 32], classes: 1 }, [3, 1, 64, 32]],
  ])("%s %o gives %o", async (name, options, shape) => {
    const graph = builtWith(name, options);
    const logits = (await run(graph, 3)).get("logits");
    expect(logits?.shape).toEqual(shape);
    expect(graph.types.get("logits")?.shape).toEqual(["N", ...shape.slice(1)]);
  });
});

/** Batch normalization by the batch, every layer's result an output. */
function observed(graph: Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    if (!node.inputs.some((name) => name.endsWith(".running_var"))) return node;
    const attributes = new Map(node.attributes);
    attributes.set("training_mode", { kind: "int", value: 1 });
    const [y] = node.outputs;
    return { ...node, attributes, outputs: [y, `${y}.mean`, `${y}.var`] };
  });
  return { ...graph, nodes, outputs: nodes.map((node) => node.outputs[0]) };
}

/** √mean(x²). */
function rootMeanSquare(tensor: HostTensor): number {
  const values = toNumbers(tensor);
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

describe("starting weights", () => {
  it.each(architectures.map(({ name }) => name))(
    "%s: signals neither explode nor vanish on their way",
    async (name) => {
      const graph = builtWith(name, small[name]);
      const results = await run(observed(graph), 8);
      const sizes = graph.nodes.map((node) => {
        const result = results.get(node.outputs[0]);
        return [node.name, result === undefined ? Number.NaN : rootMeanSquare(result)] as const;
      });
      // VGG's last layer starts small on purpose: its logits are about 0.01 · √(512 / 2).
      expect(sizes.filter(([, size]) => !(size > 0.05 && size < 8))).toEqual([]);
    },
  );

  it("have the scale that their rule says", () => {
    const scaleOf = (name: string, parameter: string) => {
      const constant = builtWith(name, small[name]).constants.get(parameter);
      return constant === undefined ? Number.NaN : rootMeanSquare(constant.read());
    };
    expect(scaleOf("resnet20", "layer3.1.conv2.weight") / Math.sqrt(2 / 576)).toBeCloseTo(1, 1);
    expect(scaleOf("lenet5-caffe", "fc1.weight") / Math.sqrt(1 / 800)).toBeCloseTo(1, 1);
    expect(scaleOf("lenet5", "fc1.weight") / Math.sqrt(1 / 3 / 400)).toBeCloseTo(1, 1);
    expect(scaleOf("lenet-300-100", "fc1.weight") / Math.sqrt(2 / 1084)).toBeCloseTo(1, 1);
    expect(scaleOf("vgg16-bn", "fc.weight") / 0.01).toBeCloseTo(1, 1);
    expect(scaleOf("lenet5-caffe", "fc1.bias")).toBe(0);
  });

  it("depend on the seed and the parameter's name alone", () => {
    const digest = (options: NetworkOptions) => {
      const bytes = concatBytes(encodeGraph(buildNetwork("resnet20", options)));
      return createHash("sha256").update(bytes).digest("hex");
    };
    expect(digest({ seed: 3 })).toBe(digest({ seed: 3 }));
    expect(digest({})).toBe(digest({ seed: 0 }));
    expect(digest({ seed: 3 })).not.toBe(digest({ seed: 4 }));
    const weightOf = (options: NetworkOptions) =>
      buildNetwork("resnet20", options).constants.get("layer1.0.conv1.weight")?.read();
    expect(weightOf({ classes: 100 })).toEqual(weightOf({}));
  });
});

describe("buildNetwork", () => {
  it("gives models that are read back as they were", () => {
    for (const { name } of architectures) {
      const graph = builtWith(name, small[name]);
      const { graph: back } = readModel(concatBytes(encodeGraph(graph)));
      const plain = ({ name: node, opType, inputs, outputs }: Node) => [
        node,
        opType,
        inputs,
        outputs,
      ];
      expect(back.nodes.map(plain)).toEqual(graph.nodes.map(plain));
    }
  });

  const failure = (build: () => unknown): EspalierError | undefined => {
    try {
      build();
    } catch (error) {
      if (error instanceof EspalierError) return error;
    }
    return undefined;
  };

  it("names the networks when it does not know one", () => {
    const error = failure(() => buildNetwork("lenet"));
    expect(error?.code).toBe("ARCHITECTURE_UNKNOWN");
    for (const { name } of architectures) expect(error?.hint).toContain(name);
  });

  it.each<[string, NetworkOptions, RegExp]>([
    ["unet", { size: [100, 128] }, /multiples of 16/],
    ["ternausnet", { size: [48, 32] }, /multiples of 32/],
    ["vgg16-bn", { size: [28, 28] }, /multiples of 32/],
    ["lenet5-caffe", { size: [15, 28] }, /at least 16/],
    ["lenet5", { size: [28, 11] }, /at least 12/],
    ["resnet20", { width: 8 }, /width/],
    ["resnet20", { classes: 0 }, /whole number/],
    ["unet", { width: 1.5 }, /whole number/],
    ["lenet5", { channels: Number.NaN }, /whole number/],
  ])("refuses %s %o with advice", (name, options, hint) => {
    const error = failure(() => buildNetwork(name, options));
    expect(error?.code).toBe("ARCHITECTURE_OPTION");
    expect(error?.hint).toMatch(hint);
  });

  it("takes the least sizes that it names", async () => {
    for (const { name, minSize, input } of architectures) {
      if (minSize === input[1]) continue;
      const width = small[name] && { width: 2 };
      const graph = buildNetwork(name, { size: [minSize, minSize], ...width });
      expect((await run(graph, 1)).get("logits")?.shape[0]).toBe(1);
    }
  });
});
