/** @file Inference over whole graphs: symbols, declarations, known values, unknown operators, errors. */
import { describe, expect, it } from "vitest";
import { EspalierError } from "../../errors.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import type { Shape } from "../../ir/graph.ts";
import { int64Vector, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { operators } from "../index.ts";
import { inferTypes, maxFoldedElements } from "./infer.ts";

/** x → Relu → y → an operator nobody knows → z → Relu → w. */
function chain(shape: Shape | undefined) {
  const b = new GraphBuilder();
  const x = b.input("x", "float32", shape);
  const [y] = b.node("Relu", [x], {}, { outputs: ["y"] });
  const [z] = b.node("Mystery", [y], {}, { outputs: ["z"], name: "mystery", domain: "my.own" });
  const [w] = b.node("Relu", [z], {}, { outputs: ["w"] });
  b.output(w);
  return b.build();
}

describe("inferTypes", () => {
  it("carries symbols through and binds them on demand", () => {
    const graph = chain(["N", 3]);
    expect(inferTypes(graph).types.get("y")?.shape).toEqual(["N", 3]);
    const bound = inferTypes(graph, { dims: new Map([["N", 8]]) });
    expect(bound.types.get("y")?.shape).toEqual([8, 3]);
  });

  it("binds the symbols of other inputs from a given type", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", ["N", 3]);
    const m = b.input("m", "float32", ["N", 1]);
    b.output(b.node("Mul", [x, m], {}, { outputs: ["y"] })[0]);
    const inputTypes = new Map([["x", { dtype: "float32", shape: [5, 3] } as const]]);
    const { types } = inferTypes(b.build(), { inputTypes });
    expect(types.get("m")?.shape).toEqual([5, 1]);
    expect(types.get("y")?.shape).toEqual([5, 3]);
  });

  it("gives sizes that nobody knows names of their own", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", ["?", 3]);
    const m = b.input("m", "float32", ["?", 3]);
    b.output(b.node("Mul", [x, m], {}, { outputs: ["y"] })[0]);
    const { types } = inferTypes(b.build());
    const names = ["x", "m", "y"].map((name) => types.get(name)?.shape?.[0]);
    expect(new Set(names).size).toBe(3);
  });

  it("reports unknown operators and falls back to declared types", () => {
    const graph = chain(["N", 3]);
    const plain = inferTypes(graph);
    expect(plain.unknown.map(({ name }) => name)).toEqual(["mystery"]);
    expect(plain.types.get("w")).toEqual({ dtype: "float32", shape: undefined });
    const types = new Map(graph.types).set("z", { dtype: "float16", shape: ["N", 7] });
    const { types: known } = inferTypes({ ...graph, types });
    expect(known.get("w")).toEqual({ dtype: "float16", shape: ["N", 7] });
  });

  it("lets inference win over a wrong declaration", () => {
    const graph = chain([4, 3]);
    const types = new Map(graph.types).set("y", { dtype: "int32", shape: [9, 9, 9] });
    expect(inferTypes({ ...graph, types }).types.get("y")).toEqual({
      dtype: "float32",
      shape: [4, 3],
    });
  });

  it("fills open sizes from a declaration, unless the inputs are given other sizes", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", [2, 3]);
    b.output(b.node("NonZero", [x], {}, { outputs: ["y"] })[0]);
    b.output("y", { dtype: "int64", shape: [2, 6] });
    const graph = b.build();
    expect(inferTypes(graph).types.get("y")?.shape).toEqual([2, 6]);
    const inputTypes = new Map([["x", { dtype: "float32", shape: [9, 3] } as const]]);
    const shape = inferTypes(graph, { inputTypes }).types.get("y")?.shape;
    expect(shape?.[1]).toMatch(/^\?/);
  });

  it("folds shape arithmetic once the sizes are known", () => {
    const b = new GraphBuilder();
    const x = b.input("x", "float32", ["N", 6, "H", "W"]);
    const [shape] = b.node("Shape", [x], { start: 1, end: 3 });
    const [half] = b.node("Div", [shape, b.constant("two", int64Vector([2]))]);
    const [filled] = b.node("ConstantOfShape", [half], {}, { outputs: ["filled"] });
    b.output(filled);
    const graph = b.build();
    const open = inferTypes(graph).types.get("filled")?.shape;
    expect(open).toHaveLength(2);
    const { types, values } = inferTypes(graph, { dims: new Map([["H", 11]]) });
    expect(types.get("filled")?.shape).toEqual([3, 5]);
    expect([...toNumbers(values.get(half) ?? int64Vector([]))]).toEqual([3, 5]);
  });

  it("neither reads nor computes large values", () => {
    const b = new GraphBuilder();
    const large = b.constant("large", tensorOf("int64", [2 ** 17], new Float64Array(2 ** 17)));
    const side = b.constant("side", int64Vector([2 ** 10, 2 ** 10]));
    b.output(b.node("Neg", [large], {}, { outputs: ["negative"] })[0]);
    b.output(b.node("ConstantOfShape", [side], {}, { outputs: ["square"] })[0]);
    const { values, types } = inferTypes(b.build());
    expect([...values.keys()]).toEqual(["side"]);
    expect(types.get("square")?.shape).toEqual([2 ** 10, 2 ** 10]);
    expect(maxFoldedElements).toBeLessThan(2 ** 17);
  });

  it("names the node whose input nothing computes", () => {
    const graph = chain([1]);
    const broken = { ...graph, inputs: [] };
    expect(() => inferTypes(broken)).toThrow('Relu node "Relu_0": its input "x"');
  });
});

describe("every operator", () => {
  const shapes: readonly (Shape | undefined)[] = [
    ...[undefined, [], [0], [2], [2, 3], [1, 2, 3, 4], ["N", "C", "H", "W"]],
  ];
  // What most operators need before they look at their inputs.
  const attributes = { axis: 1, to: 1, blocksize: 2, kernel_shape: [2, 2], perm: [1, 0] };

  it.each(operators.map(({ opType }) => opType))(
    "%s refuses nonsense by a typed error, whatever the number and rank of its inputs",
    (opType) => {
      for (const count of [0, 1, 2, 3, 5])
        for (const shape of shapes)
          for (const dtype of ["float32", "int64", "string"] as const)
            for (const lead of [[], ["known"], [""]]) {
              const b = new GraphBuilder();
              b.constant("known", int64Vector([1, 0]));
              const names = Array.from({ length: count }, (_, i) => b.input(`x${i}`, dtype, shape));
              const inputs = [...lead, ...names, ...lead];
              for (const name of b.node(opType, inputs, attributes, { outputs: 2 })) b.output(name);
              expect(outcomeOf(() => inferTypes(b.build()))).toMatch(/^(fine|MODEL_BAD_[A-Z]+)$/);
            }
    },
  );
});

/** "fine", the code of an error that a user may see, or what a rule stumbled over. */
function outcomeOf(infer: () => unknown): string {
  try {
    infer();
  } catch (error) {
    if (!(error instanceof EspalierError)) return String(error);
    return error.cause === undefined ? error.code : `${error.message}`;
  }
  return "fine";
}
