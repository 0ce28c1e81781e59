/** @file Networks that pruning has destroyed, and others that it has not, told by what they answer. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { normals } from "../../test/support/bn-network.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Model } from "../onnx/model.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { structureOf } from "../structure/units/units.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { damageOfPruned } from "./damage.ts";
import { finishPruning, prune } from "./prune.ts";
import { type Pruned, partsOf } from "./pruned.ts";

const width = 16;
/** The filters of the first layer that the second one reads; the rest is dead. */
const alive = 8;

interface Net {
  /** What comes before the first convolution. */
  readonly stem?: (b: GraphBuilder, x: string) => string;
  /** What comes behind the last convolution [1, 6, 12, 12]. */
  readonly head: (b: GraphBuilder, x: string) => void;
}

/** x [1, 3, 12, 12] → conv1 (16 filters, half of them unread) → ReLU → conv2 (16) → ReLU → conv3 (6) → head. */
function network({ head, stem = (_, x) => x }: Net): Model {
  const b = new GraphBuilder("net");
  let x = stem(b, b.input("x", "float32", [1, 3, 12, 12]));
  const widths = [3, width, width, 6];
  for (let i = 1; i < widths.length; i++) {
    const [inputs, filters] = [widths[i - 1], widths[i]];
    const drawn = normals([filters, inputs, 3, 3], `w${i}`, 0.3);
    const values = toNumbers(drawn).map((value, at) =>
      i === 2 && Math.floor(at / 9) % inputs >= alive ? 0 : value,
    );
    const weight = b.constant(`w${i}`, tensorOf("float32", drawn.shape, values));
    const bias = b.constant(
      `b${i}`,
      tensorOf("float32", [filters], new Float32Array(filters).fill(0.1)),
    );
    [x] = b.node("Conv", [x, weight, bias], { pads: [1, 1, 1, 1] }, { name: `conv${i}` });
    if (i < 3) [x] = b.node("Relu", [x]);
  }
  head(b, x);
  return readModel(concatBytes(encodeGraph(b.build())));
}

/** Removes these channels of a convolution, and makes up for nothing. */
function without(model: Model, cuts: Readonly<Record<string, readonly number[]>>): Pruned {
  const structure = structureOf(model.graph);
  const removed = new Uint8Array(structure.units.length);
  for (const { node, units } of structure.filterAxes)
    for (const channel of cuts[node.name] ?? []) removed[units[channel]] = 1;
  const choice = { method: "own", removed, edits: [], isReached: true, missed: [], notes: [] };
  return finishPruning(model, structure, choice);
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

const heads: readonly (Net & { readonly name: string })[] = [
  { name: "a label map", head: (b, x) => void b.output(x) },
  {
    name: "a classifier behind a Softmax",
    head(b, x) {
      const [pooled] = b.node("GlobalAveragePool", [x]);
      const [flat] = b.node("Flatten", [pooled]);
      b.output(b.node("Softmax", [flat], { axis: 1 })[0]);
    },
  },
  {
    name: "a detector of two heads, one a Sigmoid",
    head(b, x) {
      const sizes = b.constant(undefined, tensorOf("int64", [2], [2, 4]));
      const [scores, boxes] = b.node("Split", [x, sizes], { axis: 1 }, { outputs: ["s", "boxes"] });
      b.output(b.node("Sigmoid", [scores])[0]);
      b.output(boxes);
    },
  },
];

describe.each(heads)("$name", ({ head }) => {
  const model = network({ head });

  it("that has lost nothing that it reads is whole", async () => {
    const damage = await damageOfPruned(model, without(model, { conv1: range(alive, width) }));
    expect(damage).toMatchObject({ isDestroyed: false, inputs: "random", atFloor: [] });
    expect(damage.outputs.length).toBe(model.graph.outputs.length);
    for (const { correlation, variation } of damage.outputs) {
      expect(correlation).toBeCloseTo(1, 4);
      expect(variation).toBeCloseTo(1, 3);
    }
  });

  it("whose only channel left is one that nothing reads is destroyed", async () => {
    const pruned = without(model, { conv1: [...range(0, width - 1)] });
    const damage = await damageOfPruned(model, pruned);
    expect(damage.isDestroyed).toBe(true);
    expect(damage.atFloor).toEqual([{ id: "conv1", before: width, after: 1 }]);
    for (const { variation } of damage.outputs) expect(variation).toBeLessThan(1e-3);
  });

  it("says the same twice, and judges given inputs by themselves", async () => {
    const pruned = without(model, { conv1: range(0, 3) });
    expect(await damageOfPruned(model, pruned)).toEqual(await damageOfPruned(model, pruned));
    const feeds = range(0, 4).map((i) => new Map([["x", normals([1, 3, 12, 12], `feed ${i}`)]]));
    const damage = await damageOfPruned(model, pruned, { feeds });
    expect(damage).toMatchObject({ inputs: "given", samples: 4 });
  });
});

it("a network whose answers never depended on the input is not accused", async () => {
  const model = network({
    head(b, x) {
      const zero = b.constant(undefined, tensorOf("float32", [], [0]));
      b.output(b.node("Mul", [x, zero])[0]);
    },
  });
  const damage = await damageOfPruned(model, without(model, { conv2: range(0, width - 1) }));
  expect(damage).toMatchObject({ isDestroyed: false, outputs: [] });
});

it("answers that are infinite or no numbers are destroyed", async () => {
  const model = network({
    head(b, x) {
      b.output(b.node("Reciprocal", [b.node("Abs", [x])[0]], {}, { outputs: ["y"] })[0]);
    },
  });
  const structure = structureOf(model.graph);
  const pruned = without(model, {});
  const zeros = tensorOf("float32", [6, width, 3, 3], new Float32Array(6 * width * 9));
  const edits = [
    { node: "conv3", input: 1, tensor: zeros },
    { node: "conv3", input: 2, tensor: tensorOf("float32", [6], new Float32Array(6)) },
  ];
  const choice = {
    method: "own",
    removed: partsOf(pruned).removed,
    edits,
    isReached: true,
    missed: [],
    notes: [],
  };
  const damage = await damageOfPruned(model, finishPruning(model, structure, choice));
  expect(damage.isDestroyed).toBe(true);
});

it("a classifier whose mean answer has moved far is destroyed, though it follows the original perfectly", async () => {
  const model = network(heads[1]);
  const moved = new Float32Array(6).fill(0.1);
  moved[0] = 50;
  const edits = [{ node: "conv3", input: 2, tensor: tensorOf("float32", [6], moved) }];
  const { removed } = partsOf(without(model, {}));
  const choice = { method: "own", removed, edits, isReached: true, missed: [], notes: [] };
  const { isDestroyed, outputs } = await damageOfPruned(
    model,
    finishPruning(model, structureOf(model.graph), choice),
  );
  expect(isDestroyed).toBe(true);
  expect(outputs[0].offset).toBeGreaterThan(2);
});

/** (x - mean) / std, clipped to ±2, as inside a network that takes pixels as they are. */
const normalising = (mean: number, std: number) => (b: GraphBuilder, x: string) => {
  const scalar = (value: number) => b.constant(undefined, tensorOf("float32", [], [value]));
  const [centred] = b.node("Sub", [x, scalar(mean)]);
  const [scaled] = b.node("Div", [centred, scalar(std)]);
  return b.node("Clip", [scaled, scalar(-2), scalar(2)])[0];
};

it.each([
  { range: "normalised", mean: 0, std: 1 },
  { range: "bytes", mean: 115, std: 57 },
])("random pixels are $range where the network expects those", async ({ range, mean, std }) => {
  const model = network({ ...heads[0], stem: normalising(mean, std) });
  const damage = await damageOfPruned(model, without(model, { conv1: [0, 1, 2] }));
  expect(damage).toMatchObject({ inputs: "random", range, samples: 32 });
});

it("is stopped by its signal, with an error of its own", async () => {
  const model = readModel(residualNetwork());
  const pruned = prune(model, { method: "magnitude", targets: { macs: 0.5 } });
  const signal = AbortSignal.abort();
  await expect(damageOfPruned(model, pruned, { signal })).rejects.toMatchObject({
    code: "ABORTED",
  });
});
