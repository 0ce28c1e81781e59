/** @file Which constants are trained where a normalisation is written out as single operators. */
import { expect, test } from "vitest";
import { GraphBuilder } from "../../ir/builder.ts";
import { int64Vector, tensorOf } from "../../tensor/host-tensor.ts";
import { parametersOf } from "../network/parameters.ts";

type Op = (opType: string, ...inputs: string[]) => string;

/** The parameters of a network from 4 channels of 6 positions; constants have the names given. */
function trained(body: (op: Op, c: (name: string, ...shape: number[]) => string) => string) {
  const b = new GraphBuilder("net");
  const x = b.input("x", "float32", [2, 6, 4]);
  const op: Op = (opType, ...inputs) => {
    if (!opType.startsWith("Reduce")) return b.node(opType, inputs)[0];
    const axes = b.constant(undefined, int64Vector([-1]));
    return b.node(opType, [...inputs, axes], { keepdims: 1 })[0];
  };
  const constant = (name: string, ...shape: number[]) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return b.constant(name, tensorOf("float32", shape, new Array(size).fill(0.5)));
  };
  b.output(body(op, constant), { dtype: "float32", shape: undefined });
  const graph = b.build();
  expect(x).toBe("x");
  return parametersOf(graph, graph.nodes).map(({ constant: { name } }) => name);
}

/** x - mean, and the mean of its square. */
function centered(op: Op, two: string) {
  const mean = op("ReduceMean", "x");
  const rest = op("Sub", "x", mean);
  return { mean, rest, variance: op("ReduceMean", op("Pow", rest, two)) };
}

test("layer normalisation as PyTorch writes it: scale and shift, not ε or the exponent", () => {
  const names = trained((op, c) => {
    const { rest, variance } = centered(op, c("two"));
    const normed = op("Div", rest, op("Sqrt", op("Add", variance, c("epsilon", 1))));
    return op("Add", op("Mul", normed, c("gamma", 4)), c("beta", 4));
  });
  expect(names).toEqual(["gamma", "beta"]);
});

test("layer normalisation as tf2onnx writes it: scale and shift within the formula", () => {
  const names = trained((op, c) => {
    const { mean, variance } = centered(op, c("two"));
    const inverse = op("Reciprocal", op("Sqrt", op("Add", variance, c("epsilon"))));
    const scale = op("Mul", inverse, c("gamma", 4));
    const shift = op("Sub", c("beta", 4), op("Mul", mean, scale));
    return op("Add", op("Mul", "x", scale), shift);
  });
  expect(names).toEqual(["gamma", "beta"]);
});

test("root mean square and L2 norms: the scale", () => {
  const rms = trained((op, c) => {
    const mean = op("ReduceMean", op("Mul", "x", "x"));
    const inverse = op("Pow", op("Add", mean, c("epsilon")), c("exponent"));
    return op("Mul", c("gamma", 4), op("Mul", "x", inverse));
  });
  expect(rms).toEqual(["gamma"]);
  const l2 = trained((op, c) =>
    op("Mul", op("Div", "x", op("Clip", op("ReduceL2", "x"), c("least"))), c("gamma", 4)),
  );
  expect(l2).toEqual(["gamma"]);
});

test("group normalisation through a reshaped InstanceNormalization: the scale of the channels, too", () => {
  const names = trained((op, c) => {
    const normed = op("InstanceNormalization", "x", c("ones", 6), c("zeros", 6));
    const back = op("Transpose", normed);
    return op("Add", op("Mul", back, c("gamma", 6)), c("beta", 6));
  });
  expect(names).toEqual(["ones", "zeros", "gamma", "beta"]);
});

test.each([
  ["LayerNormalization", ["gamma", "beta"]],
  ["RMSNormalization", ["gamma"]],
])("%s as one operator: all that it has", (opType, vectors) => {
  const names = trained((op, c) => op(opType, "x", ...vectors.map((name) => c(name, 4))));
  expect(names).toEqual(vectors);
});

test("numbers behind a written softmax, a gate or an input stay as they are", () => {
  const softmax = trained((op, c) => {
    const e = op("Exp", "x");
    return op("Mul", op("Div", e, op("ReduceSum", e)), c("bins", 4));
  });
  expect(softmax).toEqual([]);
  const gate = trained((op, c) =>
    op("Mul", op("Mul", "x", op("Sigmoid", op("ReduceMean", "x"))), c("factors", 4)),
  );
  expect(gate).toEqual([]);
  expect(trained((op, c) => op("Div", op("Sub", "x", c("mean", 4)), c("std", 4)))).toEqual([]);
});
