/** @file Units of which a method knows nothing stay, whatever the target asks for. */
import { describe, expect, it } from "vitest";
import { type Layer, op, plainNetwork, silu } from "../../test/support/partly-normalized.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { type PruneOptions, prune } from "../prune/prune.ts";
import { verifyPruned } from "../prune/verify.ts";
import { tensorOf } from "../tensor/host-tensor.ts";

const relu = op("Relu");
const folded: readonly Layer[] = [
  { filters: 32, activation: relu },
  { filters: 32, activation: relu },
  { filters: 8, kernel: 1, isNormalized: true, activation: relu },
  { filters: 10, kernel: 1 },
];
/** No rule tells the statistics of a sine. */
const opaque: readonly Layer[] = [
  { filters: 12, isNormalized: true, activation: op("Sin") },
  { filters: 12, isNormalized: true, activation: relu },
  { filters: 6, kernel: 1 },
];
/** Normalization that a network has in front of its first layer only, and none between its own. */
const afterwards: readonly Layer[] = [
  { filters: 12, activation: relu },
  { filters: 12, activation: op("Tanh") },
  { filters: 6, kernel: 1, isNormalized: true },
];

const widths = ({ groups }: ReturnType<typeof prune>) =>
  Object.fromEntries(groups.map(({ id, before, after }) => [id, after === before ? "all" : after]));

describe("bn leaves alone what it knows nothing about", () => {
  it.each<{ name: string; layers: readonly Layer[]; options?: PruneOptions; want: object }>([
    {
      name: "two of three layers folded",
      layers: folded,
      want: { conv1: "all", conv2: "all", conv3: 1, conv4: "all" },
    },
    {
      name: "an operator in between that no rule follows",
      layers: opaque,
      want: { conv1: "all", conv2: 1, conv3: "all" },
    },
    {
      name: "widths rounded to a multiple",
      layers: folded,
      options: { rules: { roundTo: 4 } },
      want: { conv1: "all", conv2: "all", conv3: 4, conv4: "all" },
    },
    {
      name: "another mode",
      layers: folded,
      options: { methodOptions: { mode: "std" } },
      want: { conv1: "all", conv2: "all", conv3: 1, conv4: "all" },
    },
  ])("$name", async ({ layers, options, want }) => {
    const model = plainNetwork(layers);
    const pruned = prune(model, { method: "bn", targets: { macs: 0.1 }, ...options });
    expect(widths(pruned)).toEqual(want);
    expect(pruned.isReached).toBe(false);
    const reached = pruned.after.macs / pruned.before.macs;
    expect(pruned.missed).toEqual([
      { target: "macs", asked: 0.1, reached: expect.closeTo(reached, 12) },
    ]);
    expect(pruned.notes).toEqual([
      expect.stringContaining("stay because batch normalization tells nothing about them (conv1"),
      expect.stringContaining("out of reach"),
      expect.stringMatching(/the method magnitude can score \d+ of the units that stay/),
    ]);
    expect((await verifyPruned(model, pruned, { samples: 1 })).passed).toBe(true);
  });

  it("a target that what it knows can meet is met", () => {
    const pruned = prune(plainNetwork(folded), { method: "bn", targets: { macs: 0.98 } });
    expect(pruned.isReached).toBe(true);
    expect(pruned.groups.slice(0, 2).every(({ before, after }) => before === after)).toBe(true);
  });

  it.each<{ name: string; layers: readonly Layer[]; options?: PruneOptions }>([
    { name: "no unit of the network", layers: afterwards },
    {
      name: "no unit of the groups named",
      layers: folded,
      options: { rules: { only: ["conv1"] } },
    },
    {
      name: "no unit but those excepted",
      layers: folded,
      options: { rules: { except: ["conv3"] } },
    },
  ])("METHOD_NEEDS_BN where it knows $name", ({ layers, options }) => {
    const model = plainNetwork(layers);
    expect(() => prune(model, { method: "bn", targets: { macs: 0.9 }, ...options })).toThrow(
      expect.objectContaining({
        code: "METHOD_NEEDS_BN",
        hint: expect.stringContaining("magnitude"),
      }),
    );
  });
});

it("bn knows what lies behind x · sigmoid(x), and makes up for it", async () => {
  const layers = [32, 48, 32].map((filters): Layer => {
    return { filters, isNormalized: true, activation: silu };
  });
  const model = plainNetwork([...layers, { filters: 10, kernel: 1 }]);
  const pruned = prune(model, { method: "bn", targets: { macs: 0.5 } });
  expect(pruned).toMatchObject({ isReached: true, notes: [] });
  expect((await verifyPruned(model, pruned, { samples: 1 })).passed).toBe(true);
});

/** x → conv a (8), whose weight is computed as the network runs → conv b (8) → conv c (4). */
function computedWeight() {
  const b = new GraphBuilder("computed");
  const x = b.input("x", "float32", [1, 3, 8, 8]);
  const filled = (name: string, shape: readonly number[]) => {
    const size = shape.reduce((all, dim) => all * dim, 1);
    const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1));
    return b.constant(name, tensorOf("float32", shape, values));
  };
  const [scaled] = b.node("Mul", [filled("raw", [8, 3, 1, 1]), filled("factors", [8, 3, 1, 1])]);
  const [a] = b.node("Conv", [x, scaled], {}, { name: "a" });
  const [active] = b.node("Relu", [a]);
  const [c] = b.node("Conv", [active, filled("wb", [8, 8, 1, 1])], {}, { name: "b" });
  b.output(b.node("Conv", [c, filled("wc", [4, 8, 1, 1])], {}, { name: "c" })[0]);
  return readModel(concatBytes(encodeGraph(b.build())));
}

it.each(["magnitude", "fpgm"])("%s scores weights that two constants make", (method) => {
  const pruned = prune(computedWeight(), { method, targets: { macs: 0.3 } });
  expect(pruned.isReached).toBe(true);
});

it.each([
  ["infinite", Number.POSITIVE_INFINITY],
  ["no number", Number.NaN],
])("a method of the caller's leaves units whose score is %s", (_, score) => {
  const pruned = prune(plainNetwork(folded), {
    method: {
      name: "own",
      summary: "",
      source: "",
      options: {},
      needs: { batchNorm: false, data: false },
      propose: ({ structure: { units, groups } }) => ({
        scores: Float64Array.from(units, ({ group, index }) =>
          groups[group].id === "conv2" ? score : -index,
        ),
        edits: () => [],
        notes: [],
      }),
    },
    targets: { macs: 0.01 },
  });
  expect(widths(pruned)).toEqual({ conv1: 1, conv2: "all", conv3: 1, conv4: "all" });
  expect(pruned.isReached).toBe(false);
});
