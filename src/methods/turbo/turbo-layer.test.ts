/** @file Layers under the prior of Turbo-VBI: their matrices, hyper-parameters, beliefs, scores and facts. */
import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { structureOf } from "../../structure/units/units.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { supportFacts, supportNotes, unitScores, weightScores } from "./turbo-clusters.ts";
import {
  believe,
  fromMatrix,
  type LayerBeliefs,
  leastActiveShare,
  precisionPrior,
  priorDeviations,
  requirePrior,
  type TurboPrior,
  toMatrix,
  turboLayers,
} from "./turbo-layer.ts";
import { activeShare, logit, sigmoid } from "./turbo-messages.ts";
import { jointEvidence } from "./turbo-precision.ts";

const prior: TurboPrior = {
  structure: "chain",
  form: "joint",
  dof: 0.5,
  density: 0.2,
  length: 4,
  contrast: 0.1,
  transitions: "fixed",
  turns: 5,
  noise: "auto",
};

/** One layer with these weights, whose results are not the network's: [N, C, 4, 4] or [N, C] → 3 filters. */
function layerStructure(kind: "Conv" | "ConvTranspose" | "Gemm" | "MatMul", values?: number[]) {
  const shapes = { Conv: [3, 2, 3, 3], ConvTranspose: [2, 3, 2, 2], Gemm: [3, 5], MatMul: [5, 3] };
  const shape = shapes[kind];
  const b = new GraphBuilder("layer");
  const isFlat = shape.length === 2;
  const x = b.input("x", "float32", isFlat ? ["N", 5] : ["N", 2, 4, 4]);
  const weight = values ? tensorOf("float32", shape, values) : normals(shape, "w");
  const attributes: Record<string, number> = kind === "Gemm" ? { transB: 1 } : {};
  const [y] = b.node(kind, [x, b.constant("w", weight)], attributes, { name: "layer" });
  const head = b.constant("v", normals(isFlat ? [3, 2] : [2, 3, 1, 1], "v"));
  const [z] = b.node(isFlat ? "MatMul" : "Conv", [...b.node("Relu", [y]), head], {});
  b.output(z);
  return structureOf(b.build());
}

const kinds = ["Conv", "ConvTranspose", "Gemm", "MatMul"] as const;

describe.each(kinds)("the matrix of a %s", (kind) => {
  const [layer] = turboLayers(layerStructure(kind), prior);

  it("has a row for each filter, with its inputs' taps side by side", () => {
    const { rows, columns, taps } = layer.layout;
    expect([rows, columns * rows]).toEqual([3, sizeOf(layer.shape)]);
    const matrix = toMatrix(
      layer,
      Float64Array.from({ length: rows * columns }, (_, i) => i),
    );
    // The place of [o, i, k] in the constant, whichever of o and i comes first.
    const [first, second] = layer.shape;
    for (let o = 0; o < rows; o++)
      for (let c = 0; c < columns; c++) {
        const [i, k] = [Math.floor(c / taps), c % taps];
        const place = layer.filterAxis === 0 ? o * second + i : i * second + o;
        expect(matrix[o * columns + c]).toBe(place * taps + k);
      }
    expect(first * second * taps).toBe(rows * columns);
  });

  it("goes back to the constant", () => {
    const values = toNumbers(normals(layer.shape, "values"));
    expect(fromMatrix(layer, toMatrix(layer, values))).toEqual(values);
  });
});

describe("hyper-parameters", () => {
  it("are relative to the largest fifth of the weights", () => {
    const values = Array.from({ length: 15 }, (_, i) => (i < 12 ? 0.01 : i - 8));
    const [layer] = turboLayers(layerStructure("Gemm", values), prior);
    const size = Math.sqrt((16 + 25 + 36) / 3);
    expect(layer.precisions.active.rate).toBeCloseTo(size ** 2, 10);
    expect(layer.precisions.inactive.rate).toBeCloseTo((0.1 * size) ** 2, 10);
    expect(activeShare(layer.transitions)).toBeCloseTo(0.2, 12);
    expect(1 / layer.transitions.p10).toBeCloseTo(4, 12);
  });

  it("give each weight a bit where neurons may not go", () => {
    const layers = turboLayers(layerStructure("Gemm"), { ...prior, structure: "neuron" });
    expect(layers.map(({ layout }) => layout.structure)).toEqual(["neuron", "iid"]);
  });

  it("are relative to the largest neurons where these have a bit each", () => {
    const values = [...new Array(5).fill(0.1), ...new Array(5).fill(2), 1, 1, 1, 1, 7];
    const neurons = { ...prior, structure: "neuron" } as const;
    const [layer] = turboLayers(layerStructure("Gemm", values), neurons);
    // The last of the three neurons has the largest squares: 4 of 1, and 49.
    expect(layer.precisions.active.rate).toBeCloseTo(53 / 5, 6);
  });

  it.each([0.03, 0.1, 0.3])("refuse what calls active weights inactive, with contrast %d", (c) => {
    const share = leastActiveShare("joint", precisionPrior(0.7, c, 0.5), 1);
    const bound = 2 * Math.log(c) - 1.5 * Math.log((c ** 2 + 0.5) / 1.5);
    expect(logit(share)).toBeCloseTo(bound, 10);
    // A weight of that size, judged on its own.
    const evidence = jointEvidence(precisionPrior(0.7, c, 0.5))(0.49);
    expect(evidence + logit(share)).toBeCloseTo(0, 10);
    expect(leastActiveShare("joint", precisionPrior(0.7, c, 0.5), 9)).toBeLessThan(share ** 2);
    expect(leastActiveShare("factorised", precisionPrior(0.7, c, 0.5), 1)).toBeCloseTo(
      // 2 ln(1/c) - (1 - c²) E[ρ] m², E[ρ] m² = 1.5 / 1.5.
      sigmoid(2 * Math.log(c) + 1 - c ** 2),
      10,
    );
  });

  it("say what is wrong", () => {
    expect(() => requirePrior({ ...prior, length: 1.2 })).toThrow(/clusters of 1.2/);
    expect(() => requirePrior({ ...prior, length: 1.2, structure: "iid" })).not.toThrow();
    const dense = { ...prior, density: 0.02 };
    expect(() => turboLayers(layerStructure("Gemm"), dense)).toThrow(/largest weights of w /);
  });

  it("leave out what is 0 everywhere", () => {
    const zeros = turboLayers(layerStructure("Gemm", new Array(15).fill(0)), prior);
    expect(zeros.map(({ weight }) => weight)).toEqual(["v"]);
  });
});

describe("beliefs about a layer", () => {
  // Two neurons with a cluster each, and one with a single weight.
  const rows = [
    [1, 1.2, -1, 0.01, 0.02],
    [0.01, 0, 0.02, 1, 0.9],
    [0.02, 1.1, 0.01, 0, -0.02],
  ];
  const structure = layerStructure("Gemm", rows.flat());
  const { graph } = structure.analysis;
  const [layer] = turboLayers(structure, prior);
  const moments = {
    means: Float64Array.from(rows.flat()),
    deviations: new Float64Array(15).fill(0.05),
  };
  const all = turboLayers(structure, prior);
  const beliefsOf = (how = prior): LayerBeliefs => believe(layer, how, moments, undefined);

  it("find what is active, and how wide its prior is", () => {
    const beliefs = beliefsOf();
    const active = beliefs.logits.map((own) => Number(own > 0));
    // The single weight counts for less than its size: clusters are expected.
    expect([...active]).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    const alone = believe(layer, prior, moments, undefined, true);
    expect(alone.logits[11]).toBeGreaterThan(0);
    const deviations = toNumbers(priorDeviations(layer, beliefs));
    for (const [i, own] of deviations.entries()) {
      if (active[i] === 1) expect(own).toBeGreaterThan(0.4);
      else if (Math.abs(moments.means[i]) < 0.1) expect(own).toBeLessThan(0.3);
    }
  });

  it("do without neighbours where bits are still alone", () => {
    const alone = believe(layer, prior, moments, undefined, true);
    const single = moments.means
      .map((mean) => mean ** 2 + 0.05 ** 2)
      .map(jointEvidence(layer.precisions));
    for (const [i, own] of alone.logits.entries())
      expect(own).toBeCloseTo(single[i] + logit(0.2), 10);
    expect(alone.transitions).toEqual(layer.transitions);
  });

  it("do not take a weight of which nothing is known for active, judged at its mean", () => {
    const size = Math.sqrt(layer.precisions.active.rate);
    const unknown = { means: new Float64Array(15), deviations: new Float64Array(15).fill(size) };
    const of = (form: "joint" | "collapsed") =>
      believe(layer, { ...prior, form }, unknown, undefined, true).logits[7] - logit(0.2);
    expect(of("joint")).toBeGreaterThan(2.9);
    // ln of 1/c² (c²)^1.5, the ratio of densities at 0.
    expect(of("collapsed")).toBeCloseTo(Math.log(0.1), 10);
  });

  it("keep the density where only the length is learnt, and limits where both are", () => {
    const length = beliefsOf({ ...prior, transitions: "length" }).transitions;
    expect(activeShare(length)).toBeCloseTo(0.2, 12);
    expect(length.p10).not.toBeCloseTo(layer.transitions.p10, 3);
    const both = beliefsOf({ ...prior, transitions: "em" }).transitions;
    expect(activeShare(both)).toBeGreaterThan(0.2);
    const nothing = { means: new Float64Array(15), deviations: new Float64Array(15).fill(1e-3) };
    let least: LayerBeliefs | undefined;
    for (let i = 0; i < 30; i++)
      least = believe(layer, { ...prior, transitions: "em" }, nothing, least);
    expect(activeShare(least?.transitions ?? both)).toBeCloseTo(layer.leastShare, 10);
  });

  it("come near each other in both forms", () => {
    let beliefs: LayerBeliefs | undefined;
    for (let i = 0; i < 30; i++)
      beliefs = believe(layer, { ...prior, form: "factorised" }, moments, beliefs);
    const active = (own: LayerBeliefs | undefined) => own?.logits.map((bit) => Number(bit > 0));
    expect(active(beliefs)).toEqual(active(beliefsOf()));
  });

  it("say the same to a bit however sure it was before", () => {
    const independent = { ...prior, structure: "iid" as const, form: "factorised" as const };
    const [own] = turboLayers(structure, independent);
    let beliefs: LayerBeliefs | undefined;
    for (const size of [0.01, 0.1, 0.2, 0.3]) {
      const alike = { means: new Float64Array(15).fill(size), deviations: moments.deviations };
      beliefs = believe(own, independent, alike, beliefs);
      const { logits, evidence } = beliefs;
      for (const [bit, odds] of logits.entries())
        expect(odds - evidence[bit]).toBeCloseTo(logit(prior.density), 9);
    }
  });

  it("become scores, facts and notes", () => {
    const beliefs = beliefsOf();
    const scores = weightScores(graph, layer, beliefs);
    expect(scores.map((own) => Number(own > 0))).toEqual(
      beliefs.logits.map((own) => Number(own > 0)),
    );
    // What is 0 comes last of all.
    const order = [...scores.keys()].sort((a, b) => scores[a] - scores[b]);
    expect(order.slice(0, 2)).toEqual([6, 13]);
    const facts = supportFacts(layer, scores);
    expect(facts).toEqual({
      weight: "w",
      weights: 15,
      active: 5,
      clusters: 2,
      neurons: 3,
      empty: 1,
    });
    expect(supportNotes([facts])).toEqual([
      "5 of 15 weights are active (33.3 %)",
      "w: 33.3 % active, in 2 clusters of 2.5 on average, 0.7 a neuron; 1 of 3 neurons are empty",
    ]);
    const others = all.map((own) =>
      own.weight === "w"
        ? beliefs
        : believe(
            own,
            prior,
            { means: new Float64Array(6), deviations: new Float64Array(6).fill(1) },
            undefined,
          ),
    );
    const units = unitScores(structure, all, others);
    const { units: neurons } = structure.filterAxes[0];
    for (const [o, unit] of neurons.entries()) {
      const expected = beliefs.logits.slice(5 * o, 5 * o + 5).map(sigmoid);
      expect(units[unit]).toBeCloseTo(
        expected.reduce((a, b) => a + b),
        12,
      );
    }
  });

  it("break ties of weights that share a bit by their size", () => {
    const shared = { ...prior, structure: "neuron" as const };
    const [own] = turboLayers(structure, shared);
    const scores = weightScores(graph, own, believe(own, shared, moments, undefined));
    expect(scores[1]).toBeGreaterThan(scores[0]);
    expect(scores[1] - scores[3]).toBeGreaterThan(0);
    expect(scores[1] - scores[3]).toBeLessThan(1e-5);
  });

  it("rank active bits of several weights by their share of what outlasts them", () => {
    const [own] = turboLayers(structure, { ...prior, structure: "neuron" });
    const scores = weightScores(graph, own, { logits: Float64Array.of(2, -3, 6) });
    // A weight of each neuron: 2 of 2 + 6, inactive, and the last one of its layer.
    expect([scores[0], scores[5], scores[12]].map((score) => score.toFixed(4))).toEqual([
      ...["0.2500", "-3.0000", "1.0000"],
    ]);
  });

  it("tear no active bit apart by the sizes of its weights, however many bits there are", () => {
    const [rows, columns] = [512, 64];
    const b = new GraphBuilder("wide");
    const x = b.input("x", "float32", ["N", columns, 8, 8]);
    const kernels = normals([rows, columns, 3, 3], "k");
    const [y] = b.node("Conv", [x, b.constant("k", kernels)], {}, { name: "layer" });
    const [z] = b.node("Relu", [y], {}, { name: "relu" });
    b.output(z);
    const wide = b.build();
    const [own] = turboLayers(structureOf(wide), { ...prior, structure: "kernel" });
    const logits = Float64Array.from({ length: rows * columns }, (_, i) => 1 + i / rows);
    const scores = weightScores(wide, own, { logits });
    // Those next to nothing come last whatever their bit.
    const active = (bit: number) => scores.subarray(9 * bit, 9 * bit + 9).filter((own) => own > 0);
    for (let bit = 1; bit < rows * columns; bit++)
      expect(Math.min(...active(bit))).toBeGreaterThan(Math.max(...active(bit - 1)));
  });
});
