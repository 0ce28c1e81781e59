/** @file What a rule cannot tie: outputs without a name, sizes that a file declares wrongly, too many positions. */
import { describe, expect, it } from "vitest";
import { EspalierError } from "../../errors.ts";
import { type AttributeValue, GraphBuilder } from "../../ir/builder.ts";
import type { Shape } from "../../ir/graph.ts";
import { int64Vector, sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { type Structure, structureOf } from "../units/units.ts";

/** A convolution of 8 filters to [1, 8, side, side], then what `define` makes of its output. */
function around(define: (b: GraphBuilder, x: string) => string, side = 6): GraphBuilder {
  const b = new GraphBuilder("net");
  const x = b.input("x", "float32", [1, 3, side, side]);
  const weights = (...shape: number[]) =>
    b.constant(
      undefined,
      tensorOf("float32", shape, randomOf(sizeOf(shape), "w").normals(sizeOf(shape))),
    );
  const [y] = b.node("Conv", [x, weights(8, 3, 1, 1)], {}, { name: "conv" });
  b.output(define(b, y));
  return b;
}

const prunable = ({ units }: Structure) =>
  units.filter(({ reason }) => reason === undefined).length;
const ints = (b: GraphBuilder, ...values: number[]) => b.constant(undefined, int64Vector(values));

describe("a file that declares sizes which an operator's inputs cannot give", () => {
  /** An operator whose sizes are computed as it runs, and what the file says of its output. */
  const cases: readonly [
    opType: string,
    declared: Shape,
    attributes?: Readonly<Record<string, AttributeValue>>,
  ][] = [
    ["Reshape", [1, 8, 35]],
    ["Squeeze", [8, 6, 5]],
    ["Unsqueeze", [1, 1, 8, 6, 7]],
    ["Split", [1, 9, 6, 6], { axis: 1 }],
  ];

  it.each(cases)("is refused by name: %s to %j", (opType, declared, attributes) => {
    const b = around((builder, x) => {
      const sizes = builder.input("sizes", "int64", opType === "Split" ? [1] : [declared.length]);
      return builder.node(opType, [x, sizes], attributes, { outputs: ["z"], name: "node" })[0];
    });
    const graph = b.build();
    const types = new Map(graph.types).set("z", { dtype: "float32", shape: declared });
    const attempt = () => structureOf({ ...graph, types });
    expect(attempt).toThrow(EspalierError);
    expect(attempt).toThrow(
      expect.objectContaining({
        code: "MODEL_BAD_SHAPE",
        message: expect.stringMatching(new RegExp(`${opType} node "node".*"z"`)),
      }),
    );
  });

  it("is believed where they fit", () => {
    const b = around((builder, x) => {
      const sizes = builder.input("sizes", "int64", [3]);
      return builder.node("Reshape", [x, sizes], {}, { outputs: ["z"] })[0];
    });
    const graph = b.build();
    const types = new Map(graph.types).set("z", { dtype: "float32", shape: [1, 8, 36] });
    expect(structureOf({ ...graph, types }).units).toHaveLength(8);
  });
});

describe("a node that leaves outputs without a name", () => {
  it("is tied all the same: the last part of a Split whose first goes nowhere", () => {
    const b = around((builder, x) => {
      const [, last] = builder.node(
        "Split",
        [x, ints(builder, 3, 5)],
        { axis: 1 },
        { outputs: ["", "z"] },
      );
      return builder.node("GlobalAveragePool", [builder.node("Relu", [last])[0]])[0];
    });
    // The last five reach the output; of the first three nothing is left but the cut itself.
    const { units } = structureOf(b.build());
    expect(units.map(({ reason }) => reason !== undefined)).toEqual([
      ...[false, false, false],
      ...[true, true, true, true, true],
    ]);
  });

  it.each([
    ["TopK", ["", "indices"], [1]],
    ["Dropout", ["", "mask"], undefined],
    ["MaxPool", ["", "indices"], undefined],
  ] as const)("is tied without an error: %s", (opType, outputs, constant) => {
    const b = around((builder, x) => {
      const inputs = constant ? [x, ints(builder, ...constant)] : [x];
      return builder.node(opType, inputs, { kernel_shape: [2, 2] }, { outputs })[1];
    });
    expect(structureOf(b.build()).units).toHaveLength(8);
  });

  it("is a barrier where none has one", () => {
    const b = around((builder, x) => {
      builder.node("ArgMax", [x], { axis: 1 }, { outputs: [], name: "nowhere" });
      return builder.node("Relu", [x])[0];
    });
    const { groups, units } = structureOf(b.build());
    expect(groups).toHaveLength(1);
    expect(units[0].reason).toBe('ArgMax "nowhere" names no output');
  });
});

describe("sizes beyond what is followed", () => {
  it("make a barrier of the node, not of the network", () => {
    const wide = 2 ** 23;
    const b = around((builder, x) => {
      const far = builder.input("far", "float32", [1, wide]);
      builder.output(builder.node("Relu", [far], {}, { name: "wide" })[0]);
      const second = builder.constant(
        undefined,
        tensorOf("float32", [4, 8, 1, 1], randomOf(1).normals(32)),
      );
      return builder.node("Conv", [builder.node("Relu", [x])[0], second])[0];
    });
    const structure = structureOf(b.build());
    expect(prunable(structure)).toBe(8);
  });

  it("are not listed where a reshape mixes them, and the channels there stay with a reason", () => {
    const side = 2100;
    const b = around(
      (builder, x) =>
        builder.node("Transpose", [builder.node("Reshape", [x, ints(builder, 1000, -1)])[0]])[0],
      side,
    );
    const { units } = structureOf(b.build());
    expect(units).toHaveLength(8);
    expect(units[0].reason).toBe("rearranged in more positions than are followed");
  });
});
