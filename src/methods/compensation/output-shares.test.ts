/** @file Shares of what a network answers, against closed forms. */
import { describe, expect, it } from "vitest";
import { normals } from "../../../test/support/bn-network.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Graph } from "../../ir/graph.ts";
import { structureOf } from "../../structure/units/units.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { outputShares } from "./output-shares.ts";
import { readersOf } from "./readers.ts";
import { momentsOf } from "./statistics.ts";

function sharesIn(graph: Graph) {
  const structure = structureOf(graph);
  return outputShares(structure, readersOf(structure), momentsOf(structure.analysis));
}

/** A 1x1 convolution with these weights [O][I]. */
function conv(b: GraphBuilder, x: string, rows: readonly (readonly number[])[], output: string) {
  const shape = [rows.length, rows[0].length, 1, 1];
  const weight = b.constant(undefined, tensorOf("float32", shape, rows.flat()));
  return b.node("Conv", [x, weight], {}, { outputs: [output] })[0];
}

/** Normalization to these deviations. */
function norm(b: GraphBuilder, x: string, deviations: readonly number[], output: string) {
  const zeros = deviations.map(() => 0);
  const parameters = [deviations, zeros, zeros, deviations.map(() => 1)].map((values) =>
    b.constant(undefined, tensorOf("float32", [values.length], values)),
  );
  return b.node("BatchNormalization", [x, ...parameters], {}, { outputs: [output] })[0];
}

const shown = (values: Float64Array | undefined) =>
  Array.from(values ?? [], (value) => Number(value.toFixed(9)));

describe("shares of the answers", () => {
  it("of an input are what it contributes to the variance of each result", () => {
    const b = new GraphBuilder();
    const x = norm(b, b.input("in", "float32", [1, 3, 4, 4]), [1, 2, 0.5], "x");
    b.output(
      conv(
        b,
        x,
        [
          [1, 1, 2],
          [3, 0, 0],
        ],
        "y",
      ),
    );
    // Variances are 1, 4, 0.25: the first result has parts 1, 4, 1, the second 9, 0, 0.
    expect(shown(sharesIn(b.build()).get("x"))).toEqual(
      shown(Float64Array.of(0.5 / 6 + 0.5, (0.5 * 4) / 6, 0.5 / 6)),
    );
  });

  it("of what a sum adds go by variance; those of what a Concat joins are their own", () => {
    const b = new GraphBuilder();
    const x = norm(b, b.input("in", "float32", [1, 2, 4, 4]), [1, 1], "x");
    const identity = [
      [1, 0],
      [0, 1],
    ];
    const quiet = norm(b, conv(b, x, identity, "c1"), [1, 3], "quiet");
    const loud = norm(b, conv(b, x, identity, "c2"), [2, 1], "loud");
    const [sum] = b.node("Add", [quiet, loud], {}, { outputs: ["sum"] });
    const other = conv(b, x, identity, "other");
    const [joined] = b.node("Concat", [sum, other], { axis: 1 }, { outputs: ["joined"] });
    b.output(joined);
    const shares = sharesIn(b.build());
    expect(shown(shares.get("sum"))).toEqual([0.25, 0.25]);
    expect(shown(shares.get("loud"))).toEqual([0.2, 0.025]);
    expect(shown(shares.get("quiet"))).toEqual([0.05, 0.225]);
    expect(shown(shares.get("other"))).toEqual([0.25, 0.25]);
  });

  it("add up to 1 in every layer, wide or narrow, through whatever lies between", () => {
    const b = new GraphBuilder();
    let x = b.input("in", "float32", [1, 3, 8, 8]);
    let inputs = 3;
    const names: string[] = [];
    for (const [i, filters] of [16, 4, 32].entries()) {
      const weight = b.constant(undefined, normals([filters, inputs, 3, 3], `w${i}`));
      [x] = b.node("Conv", [x, weight], { pads: [1, 1, 1, 1] });
      x = norm(
        b,
        x,
        Array.from({ length: filters }, (_, c) => 1 + (c % 3)),
        `n${i}`,
      );
      names.push(x);
      [x] = b.node("Relu", [x]);
      inputs = filters;
    }
    const [left, right] = b.node(
      "Split",
      [x, b.constant(undefined, tensorOf("int64", [2], [8, 24]))],
      { axis: 1 },
      { outputs: ["left", "right"] },
    );
    const [back] = b.node("Concat", [right, left], { axis: 1 });
    const [pooled] = b.node("GlobalAveragePool", [back]);
    const [flat] = b.node("Flatten", [pooled]);
    const weight = b.constant(undefined, normals([32, 10], "fc"));
    b.output(b.node("Gemm", [flat, weight], {}, { outputs: ["y"] })[0]);
    const shares = sharesIn(b.build());
    for (const name of names)
      expect(shares.get(name)?.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });

  it("of each output are one, so that a detector's heads count alike", () => {
    const b = new GraphBuilder();
    const x = norm(b, b.input("in", "float32", [1, 2, 4, 4]), [1, 1], "x");
    b.output(conv(b, x, [[1, 0]], "first"));
    b.output(
      conv(
        b,
        x,
        [
          [0, 1],
          [0, 2],
        ],
        "second",
      ),
    );
    expect(shown(sharesIn(b.build()).get("x"))).toEqual([1, 1]);
  });

  it("are spread evenly where channels cannot be followed, and nobody's where nothing follows", () => {
    const b = new GraphBuilder();
    const x = norm(b, b.input("in", "float32", [1, 4, 2, 2]), [1, 2, 3, 4], "x");
    norm(b, x, [1, 1, 1, 1], "unused");
    const [moved] = b.node("Transpose", [x], { perm: [0, 2, 3, 1] });
    const size = b.constant(undefined, tensorOf("int64", [3], [1, -1, 4]));
    b.output(b.node("Reshape", [moved, size], {}, { outputs: ["y"] })[0]);
    const shares = sharesIn(b.build());
    expect(shown(shares.get("x"))).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(shares.get("unused")).toBeUndefined();
  });
});
