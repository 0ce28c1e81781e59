/** @file Method `bn` on planted channels, and its compensation against onnxruntime. */
import { describe, expect, it } from "vitest";
import { chain, distance, normals, runGraph } from "../../test/support/bn-network.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import type { SelectionRules } from "../structure/choice/selection-rules.ts";
import { removeNothing } from "../structure/units/removal.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { applyEdits } from "../structure/weights/edits.ts";
import { tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { bn } from "./bn.ts";
import type { Proposal } from "./method/method.ts";

function propose(
  structure: Structure,
  options: Readonly<Record<string, string>> = {},
  rules: SelectionRules = {},
): Proposal {
  return bn.propose({ structure, seed: 0, options, rules });
}

function requireScorable(structure: Structure, rules: SelectionRules = {}): void {
  bn.requireScorable?.({ structure, seed: 0, options: {}, rules });
}

/** Scores of the inner channels, in their order. */
function innerScores(structure: Structure, options: Readonly<Record<string, string>> = {}) {
  const { scores } = propose(structure, options);
  return Array.from(innerUnits(structure), (unit) => scores[unit]);
}

function innerUnits({ analysis, unitsAlong }: Structure): Int32Array {
  const layout = analysis.layouts.get("h");
  return layout ? unitsAlong(layout, 1) : new Int32Array();
}

function remove(structure: Structure, channels: readonly number[]) {
  const removed = removeNothing(structure);
  for (const channel of channels) removed[innerUnits(structure)[channel]] = 1;
  return removed;
}

/** Edited and cut. */
function pruned(structure: Structure, channels: readonly number[], proposal: Proposal) {
  const removed = remove(structure, channels);
  const edited = structureOf(applyEdits(structure.analysis.graph, proposal.edits(removed)));
  return removeUnits(edited, removed);
}

describe("planted channels", () => {
  // Channel 0 is constant, channel 5 dead; |γ| alone would take 0 and keep 5.
  const structure = structureOf(
    chain({ scale: [1e-4, 0.5, 1, 0.7, 0.8, 3], shift: [2, 0, 0.3, -0.2, 0.1, -30] }),
  );

  it.each([
    ["std", [0, 5]],
    ["next", [0, 5]],
    ["rms", [5]],
    ["mean", [5]],
  ] as const)("mode %s takes %o first", (mode, lowest) => {
    const scores = innerScores(structure, { mode });
    const ranked = [...scores.keys()].sort((a, b) => scores[a] - scores[b]);
    expect(ranked.slice(0, lowest.length).sort()).toEqual(lowest);
  });

  it("all modes score all prunable units finitely", () => {
    for (const mode of ["next", "mean", "rms", "std"])
      for (const reestimate of ["on", "off"])
        expect(innerScores(structure, { mode, reestimate }).every(Number.isFinite)).toBe(true);
  });
});

describe("compensation", () => {
  const x = normals([3, 2, 8, 8], "x");

  it.each([
    ["into the running mean behind", true],
    ["into a bias that was not there", false],
  ])("of a constant channel is exact without padding, %s", async (_, isNormalized) => {
    const graph = chain({
      scale: [0.5, 0, 1, 0.7],
      shift: [0, 2, 0.3, -0.2],
      isNormalized,
    });
    const structure = structureOf(graph);
    const want = await runGraph(graph, x);
    const got = await runGraph(pruned(structure, [1], propose(structure)), x);
    const without = await runGraph(
      pruned(structure, [1], propose(structure, { compensate: "off" })),
      x,
    );
    expect(distance(got, want)).toBeLessThan(1e-5);
    expect(distance(without, want)).toBeGreaterThan(0.1);
  });

  it("with border shares keeps the mean over a padded map", async () => {
    const graph = chain({
      scale: [0.5, 0, 1],
      shift: [0, 2, 0.3],
      padding: 1,
      isNormalized: false,
    });
    const structure = structureOf(graph);
    const positions = 6 * 6;
    const means = (y: Float64Array) =>
      Float64Array.from({ length: y.length / positions }, (_, i) =>
        y.slice(i * positions, (i + 1) * positions).reduce((sum, v) => sum + v / positions, 0),
      );
    const want = means(await runGraph(graph, x));
    const got = means(await runGraph(pruned(structure, [1], propose(structure)), x));
    const naive = propose(structure, { borders: "off" });
    const off = means(await runGraph(pruned(structure, [1], naive), x));
    expect(distance(got, want)).toBeLessThan(1e-5);
    expect(distance(off, want)).toBeGreaterThan(0.05);
  });

  it("lets a twin stand in for a removed channel", async () => {
    // Channels 1 and 2 have the same filter and statistics: one tells the other all but exactly.
    const filters = normals([4, 2, 3, 3], "w1", 0.3);
    const size = 2 * 3 * 3;
    if (filters.data instanceof Float32Array) filters.data.copyWithin(2 * size, size, 2 * size);
    const graph = chain({ scale: [1, 1, 1, 1], shift: [0, 0.2, 0.2, 0.1], filters });
    const structure = structureOf(graph);
    const want = await runGraph(graph, x);
    const error = async (options: Readonly<Record<string, string>>) =>
      distance(await runGraph(pruned(structure, [1], propose(structure, options)), x), want);
    const together = await error({ variance: "off" });
    const alone = await error({ variance: "off", correlations: "off" });
    expect(together).toBeLessThan(0.2 * alone);
    // And so one of the twins is the first to go.
    const scores = innerScores(structure);
    expect([1, 2]).toContain(scores.indexOf(Math.min(...scores)));
  });

  it("stays finite next to all but dead channels", () => {
    const structure = structureOf(chain({ scale: [1, 1, 1e-3, 1], shift: [0, 0.3, -0.03, -38] }));
    for (const { tensor } of propose(structure).edits(remove(structure, [0, 1])))
      expect(toNumbers(tensor).every((x) => Math.abs(x) < 100)).toBe(true);
  });

  it("changes nothing when it is off, or nothing is removed", () => {
    const structure = structureOf(chain({ scale: [1, 1], shift: [0, 0] }));
    expect(propose(structure, { compensate: "off" }).edits(remove(structure, [0]))).toEqual([]);
    expect(propose(structure).edits(removeNothing(structure))).toEqual([]);
  });
});

/** x [N, 2, 4, 4] → BN → Relu, channel 1 constant 2 → what `read` makes of it. */
function readBy(read: (b: GraphBuilder, h: string) => string): Structure {
  const b = new GraphBuilder();
  const vector = (values: readonly number[]) =>
    b.constant(undefined, tensorOf("float32", [values.length], values));
  const x = b.input("x", "float32", ["N", 2, 4, 4]);
  const [z] = b.node("Conv", [x, b.constant("w0", normals([3, 2, 1, 1], "w0"))]);
  const [n] = b.node("BatchNormalization", [
    ...[z, vector([1, 0, 1]), vector([0.1, 2, 0.2]), vector([0, 0, 0]), vector([1, 1, 1])],
  ]);
  const [h] = b.node("Relu", [n], {}, { outputs: ["h"] });
  b.output(read(b, h), { dtype: "float32", shape: undefined });
  return structureOf(b.build());
}

const flattened = (b: GraphBuilder, h: string) => b.node("Flatten", [h])[0];
const readers: readonly (readonly [string, (b: GraphBuilder, h: string) => string])[] = [
  [
    "Gemm with a bias and beta",
    (b, h) =>
      b.node(
        "Gemm",
        [
          flattened(b, h),
          b.constant("w", normals([5, 48], "w")),
          b.constant("c", normals([1, 5], "c")),
        ],
        { transB: 1, beta: { kind: "float", value: 2 } },
      )[0],
  ],
  [
    "Gemm without a bias",
    (b, h) => b.node("Gemm", [flattened(b, h), b.constant("w", normals([48, 5], "w"))])[0],
  ],
  [
    "Gemm with a scalar bias",
    (b, h) =>
      b.node("Gemm", [
        ...[
          flattened(b, h),
          b.constant("w", normals([48, 5], "w")),
          b.constant("c", normals([], "c")),
        ],
      ])[0],
  ],
  [
    "MatMul and Add",
    (b, h) => {
      const [y] = b.node("MatMul", [flattened(b, h), b.constant("w", normals([48, 5], "w"))]);
      return b.node("Add", [b.constant("c", normals([5], "c")), y])[0];
    },
  ],
  [
    "a pointwise convolution with a bias",
    (b, h) =>
      b.node("Conv", [
        ...[h, b.constant("w", normals([5, 3, 1, 1], "w")), b.constant("c", normals([5], "c"))],
      ])[0],
  ],
  [
    "a transposed convolution of one tap per result",
    (b, h) => b.node("ConvTranspose", [h, b.constant("w", normals([3, 5, 1, 1], "w"))])[0],
  ],
  [
    "a depthwise convolution and a pointwise one",
    (b, h) => {
      const depthwise = b.constant("w", normals([3, 1, 1, 1], "w"));
      const [d] = b.node("Conv", [h, depthwise], { group: 3 });
      return b.node("Conv", [d, b.constant("v", normals([5, 3, 1, 1], "v"))])[0];
    },
  ],
  [
    "two layers",
    (b, h) => {
      const branches = ["w", "v"].map(
        (name) => b.node("Conv", [h, b.constant(name, normals([5, 3, 1, 1], name))])[0],
      );
      return b.node("Concat", branches, { axis: 1 })[0];
    },
  ],
];

describe("compensation of a constant channel that is read by", () => {
  it.each(readers)("%s is exact", async (_, read) => {
    const structure = readBy(read);
    const x = normals([2, 2, 4, 4], "x");
    const want = await runGraph(structure.analysis.graph, x);
    const got = await runGraph(pruned(structure, [1], propose(structure)), x);
    const off = propose(structure, { compensate: "off" });
    expect(distance(got, want)).toBeLessThan(2e-5);
    expect(distance(await runGraph(pruned(structure, [1], off), x), want)).toBeGreaterThan(0.1);
  });

  it("a bare MatMul is left out: there is no bias to raise", async () => {
    const structure = readBy(
      (b, h) => b.node("MatMul", [flattened(b, h), b.constant("w", normals([48, 5], "w"))])[0],
    );
    const edits = propose(structure).edits(remove(structure, [1]));
    expect(edits.every(({ input }) => input === 1)).toBe(true);
  });
});

describe("a network without what the method reads", () => {
  it("is refused with a way out", () => {
    const b = new GraphBuilder();
    const w = b.constant("w", normals([3, 2, 1, 1], "w"));
    const [y] = b.node("Conv", [b.input("x", "float32", [1, 2, 4, 4]), w]);
    b.output(y);
    const structure = structureOf(b.build());
    const refusal = expect.objectContaining({
      code: "METHOD_NEEDS_BN",
      hint: expect.stringMatching(/PRESERVE/),
    });
    expect(() => propose(structure)).toThrow(refusal);
    expect(() => requireScorable(structure)).toThrow(refusal);
  });

  it("keeps units that are read before any statistics are known, and says so", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", [1, 2, 8, 8]);
    const [z] = b.node(
      "Conv",
      [x, b.constant("w0", normals([3, 2, 1, 1], "w0"))],
      {},
      { name: "bare" },
    );
    const [w] = b.node(
      "Conv",
      [z, b.constant("w1", normals([4, 3, 1, 1], "w1"))],
      {},
      { name: "known" },
    );
    const ones = b.constant("ones", normals([4], "ones"));
    const [n] = b.node("BatchNormalization", [w, ones, ones, ones, ones]);
    const [y] = b.node("Conv", [n, b.constant("w2", normals([2, 4, 1, 1], "w2"))]);
    b.output(y);
    const structure = structureOf(b.build());
    const { scores, notes } = propose(structure);
    const isKnown = structure.units.map(({ index }) => Number.isFinite(scores[index]));
    expect(isKnown).toEqual([false, false, false, true, true, true, true, false, false]);
    expect(notes.join()).toMatch(/3 units stay.*bare/);
    expect(() => requireScorable(structure)).not.toThrow();
    for (const refused of [
      () => propose(structure, {}, { only: ["bare"] }),
      () => requireScorable(structure, { only: ["bare"] }),
    ])
      expect(refused).toThrow(expect.objectContaining({ code: "METHOD_NEEDS_BN" }));
  });
});
