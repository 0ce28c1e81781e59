/** @file The reverse pass: what is differentiated, what is left alone, and what is refused. */
import { describe, expect, it } from "vitest";
import { expectGraphGradient, normals } from "../../test/support/gradient.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { inferTypes } from "../ops/passes/infer.ts";
import { int64Vector, tensorOf } from "../tensor/host-tensor.ts";
import { GraphEmitter } from "./emitter.ts";
import { emitGradients } from "./reverse.ts";

const x = normals([2, 3]);
const w = normals([3], "float32", 1);

/** A graph of the inputs "x" [2, 3] and "w" [3]. */
function graphOf(build: (b: GraphBuilder) => string): Graph {
  const b = new GraphBuilder("test");
  b.input("x", "float32", [2, 3]);
  b.input("w", "float32", [3]);
  b.output(build(b));
  return b.build();
}

/** Gradients of Σ of the output, and the types of what was emitted for them. */
function derive(graph: Graph, wrt: readonly string[]) {
  const emit = new GraphEmitter(graph, inferTypes(graph));
  const loss = emit.op("ReduceSum", [emit.value(graph.outputs[0])], { keepdims: 0 });
  const before = emit.nodes.length;
  const gradients = emitGradients(emit, loss, wrt);
  const emitted = emit.nodes.slice(before).map(({ opType }) => opType);
  return { emit, gradients, emitted };
}

const at = new Map([
  ["x", x],
  ["w", w],
]);

describe("gradients", () => {
  it.each<readonly [string, (b: GraphBuilder) => string]>([
    [
      "of several consumers add up",
      (b) => {
        const [a] = b.node("Mul", ["x", "w"]);
        const [s] = b.node("Sigmoid", [a]);
        const [t] = b.node("Tanh", [a]);
        return b.node("Add", [b.node("Mul", [s, t])[0], a])[0];
      },
    ],
    [
      "of one value used twice by a node add up",
      (b) => b.node("Mul", ["x", b.node("Add", ["x", "w"])[0]])[0],
    ],
    [
      "of a weight that layers share add up",
      (b) => b.node("Mul", [b.node("Sin", [b.node("Mul", ["x", "w"])[0]])[0], "w"])[0],
    ],
    [
      "pass outputs that nobody reads",
      (b) => {
        const options = { outputs: 2 };
        const [y] = b.node("TopK", ["x", b.constant("k", int64Vector([2]))], {}, options);
        return b.node("Mul", [y, b.node("ReduceSum", ["w"], {})[0]])[0];
      },
    ],
  ])("%s", (_, build) => expectGraphGradient(graphOf(build), at));

  it("end at whole numbers and steps, and emit nothing for what lies behind", () => {
    const graph = graphOf((b) => {
      const [size] = b.node("Cast", [b.node("Shape", ["x"], { start: 1 })[0]], { to: 1 });
      const [floor] = b.node("Floor", [b.node("Mul", ["x", "w"])[0]]);
      return b.node("Add", [b.node("Div", ["x", b.node("Sqrt", [size])[0]])[0], floor])[0];
    });
    const { gradients, emitted } = derive(graph, ["x", "w"]);
    expect([...gradients.keys()]).toEqual(["x"]);
    expect(emitted.filter((opType) => opType !== "Expand")).toEqual(["Div"]);
  });

  it("of a loss that does not depend on a value have no entry", () => {
    const { gradients, emitted } = derive(
      graphOf((b) => b.node("Neg", ["x"])[0]),
      ["w"],
    );
    expect([gradients.size, emitted]).toEqual([0, []]);
  });

  it("are given for values in between, and stop there", () => {
    const graph = graphOf((b) => {
      const [y] = b.node("Exp", ["x"], {}, { outputs: ["y"] });
      return b.node("Mul", [y, "w"])[0];
    });
    const { gradients, emitted } = derive(graph, ["y"]);
    expect(gradients.get("y")?.shape).toEqual([2, 3]);
    expect(emitted.filter((opType) => opType !== "Expand")).toEqual(["Mul"]);
  });

  it("use what the network has computed, and compute nothing twice", () => {
    const graph = graphOf((b) => {
      const [s] = b.node("Softplus", ["x"]);
      const [g] = b.node("Sigmoid", ["x"]);
      return b.node("Mul", [s, g])[0];
    });
    const { emitted } = derive(graph, ["x"]);
    // Softplus' slope is the Sigmoid that is there already.
    expect(emitted).not.toContain("Sigmoid");
  });

  it("of unknown operators are refused, all by name", () => {
    const graph = graphOf((b) => {
      const [y] = b.node("Strange", ["x"], {}, { name: "first", domain: "custom" });
      const [z] = b.node("Odd", [y], {}, { name: "second", domain: "custom", outputs: ["z"] });
      b.node("Odd", ["w"], {}, { name: "beside", domain: "custom" });
      return z;
    });
    const typed = {
      ...graph,
      types: new Map([...graph.types, ["z", { dtype: "float32", shape: [2] }] as const]),
    };
    expect(() => derive(typed, ["x"])).toThrow(
      expect.objectContaining({
        code: "MODEL_UNSUPPORTED",
        message: expect.stringMatching(/Strange "first".*Odd "second"$/),
      }),
    );
  });

  it("of networks with unknown sizes are refused", () => {
    const b = new GraphBuilder("test");
    b.output(b.node("Neg", [b.input("x", "float32", ["N", 3])])[0]);
    const graph = b.build();
    expect(() => derive(graph, ["x"])).toThrow(
      expect.objectContaining({ code: "MODEL_UNSUPPORTED" }),
    );
  });
});

describe("the emitter", () => {
  const emitter = () => {
    const graph = graphOf((b) => b.node("Mul", ["x", "w"])[0]);
    return new GraphEmitter(graph, inferTypes(graph));
  };
  it("emits equal nodes and constants once", () => {
    const emit = emitter();
    const [a, b] = [emit.value("x"), emit.value("w")];
    expect(emit.mul(a, b)).toEqual(emit.value("Mul_0:0"));
    expect(emit.add(a, b)).toEqual(emit.add(a, b));
    expect(emit.add(a, b)).not.toEqual(emit.add(b, a));
    expect(emit.scalar(2)).toEqual(emit.scalar(2));
    expect(emit.scalar(2)).not.toEqual(emit.scalar(2, "float64"));
    expect(emit.filled(0, [4], "int64")).toEqual(emit.filled(0, [4], "int64"));
    expect(emit.filled(0, [4], "int64")).not.toEqual(emit.filled(1, [4], "int64"));
    const limits = [Infinity, -Infinity, 0, -0];
    const clips = limits.map((beta) =>
      emit.op("HardSigmoid", [a], { beta: { kind: "float", value: beta } }),
    );
    expect(new Set(clips.map(({ name }) => name)).size).toBe(4);
  });
  it("emits nothing for what changes nothing", () => {
    const emit = emitter();
    const a = emit.value("x");
    const same = [
      emit.reshape(a, [2, 3]),
      emit.expand(a, [2, 3]),
      emit.transpose(a, [0, 1]),
      emit.sum(a, []),
    ];
    expect(same).toEqual([a, a, a, a]);
    expect(emit.nodes).toHaveLength(1);
    const column = emit.op("ReduceSum", [a, emit.ints([1])], { keepdims: 1 });
    expect(emit.sum(column, [1], true)).toEqual(column);
    expect(emit.sum(column, [1]).shape).toEqual([2]);
  });
  it("knows the elements of constants", () => {
    const emit = emitter();
    expect(emit.known(emit.ints([1, 2]))).toEqual(int64Vector([1, 2]));
    const total = emit.add(emit.scalar(1), emit.scalar(2));
    expect(emit.known(total)).toEqual(tensorOf("float32", [], [3]));
  });
});
