/** @file What a file says in a roundabout way, written out: functions, choices that are always the same, computed weights. */
import { describe, expect, it } from "vitest";
import * as pb from "../../test/support/protobuf.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { withSession } from "../runtime/session.ts";
import { int64Vector, sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import type { Model } from "./model.ts";
import { readModel } from "./reading/read.ts";
import { encodeGraph } from "./writing/encode-graph.ts";
import { concatBytes, writeModel } from "./writing/write.ts";

const x = tensorOf("float32", [1, 2], [0.5, -3]);
const outputOf = (bytes: Uint8Array, feeds = new Map([["x", x]])) =>
  withSession(bytes, { threads: 1, optimization: "disabled" }, async (session) => {
    const [tensor] = (await session.run(feeds)).values();
    return [...toNumbers(tensor)];
  });
/** The model written with every node anew, so that nothing is copied from the original as a whole. */
const rewritten = (model: Model) =>
  concatBytes(writeModel(model, { ...model.graph, nodes: [...model.graph.nodes] }));
const typesOf = ({ graph }: Model) => graph.nodes.map(({ opType }) => opType);
const floats = (name: string, dims: readonly number[], ...values: number[]) =>
  pb.tensor(name, 1, dims, pb.len(9, pb.raw(Float32Array.from(values))));
const opset = (domain: string, version: number) =>
  pb.len(9, pb.join(pb.len(1, domain), pb.int(2, version)));
const imports = (domain: string) => pb.len(8, pb.join(pb.len(1, domain), pb.int(2, 1)));

interface FunctionParts {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly nodes: readonly Uint8Array[];
  readonly attributes?: readonly string[];
  readonly defaults?: readonly Uint8Array[];
  readonly opset?: number;
}

/** FunctionProto of the domain "my", field 25 of a model. */
function func(name: string, parts: FunctionParts): Uint8Array {
  const { inputs, outputs, nodes, attributes = [], defaults = [] } = parts;
  return pb.len(
    25,
    pb.join(
      pb.len(1, name),
      ...inputs.map((input) => pb.len(4, input)),
      ...outputs.map((output) => pb.len(5, output)),
      ...attributes.map((attribute) => pb.len(6, attribute)),
      ...nodes.map((node) => pb.len(7, node)),
      opset("", parts.opset ?? 17),
      opset("my", 1),
      pb.len(10, "my"),
      ...defaults.map((attribute) => pb.len(11, attribute)),
    ),
  );
}
const call = (
  name: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly Uint8Array[] = [],
) => pb.node(name, inputs, outputs, attributes, pb.len(7, "my"));
const slope = (value: number) => pb.attribute("slope", 1, pb.float(2, value));
/** An attribute that stands for one of the function's. */
const reference = (name: string, to: string, type: number) =>
  pb.join(pb.len(1, name), pb.len(21, to), pb.int(20, type));

/** leaky(x W + b) with a slope of the call's, or 0.1. */
const layer = func("Layer", {
  inputs: ["x", "w", "b"],
  outputs: ["y"],
  attributes: ["unused"],
  defaults: [slope(0.1)],
  nodes: [
    pb.node("MatMul", ["x", "w"], ["h"]),
    pb.node("Add", ["h", "b"], ["s"]),
    pb.node("LeakyRelu", ["s"], ["y"], [reference("alpha", "slope", 1)]),
  ],
});
/** Two layers of one weight, with a choice that reads a value of the function. */
const both = func("Both", {
  inputs: ["x", "w", "b"],
  outputs: ["y"],
  attributes: ["slope"],
  nodes: [
    call("Layer", ["x", "w", "b"], ["h"], [reference("slope", "slope", 1)]),
    call("Layer", ["h", "w", "b"], ["y"]),
  ],
});
const weights = [floats("w", [2, 2], 1, -1, 2, 0.5), floats("b", [2], 0.5, -4)];
const withFunctions = (nodes: readonly Uint8Array[], ...functions: readonly Uint8Array[]) =>
  pb.model(pb.relu({ nodes, initializers: weights }), 17, pb.join(imports("my"), ...functions), 8);

describe("local functions", () => {
  it.each([
    {
      what: "with the default of an attribute",
      bytes: withFunctions([call("Layer", ["x", "w", "b"], ["y"])], layer),
      types: ["MatMul", "Add", "LeakyRelu"],
    },
    {
      what: "with an attribute of the call, twice",
      bytes: withFunctions(
        [
          call("Layer", ["x", "w", "b"], ["h"], [slope(0.5)]),
          call("Layer", ["h", "w", "b"], ["y"], [slope(0.25)]),
        ],
        layer,
      ),
      types: ["MatMul", "Add", "LeakyRelu", "MatMul", "Add", "LeakyRelu"],
    },
    {
      what: "that call functions",
      bytes: withFunctions([call("Both", ["x", "w", "b"], ["y"], [slope(0.5)])], layer, both),
      types: ["MatMul", "Add", "LeakyRelu", "MatMul", "Add", "LeakyRelu"],
    },
    {
      what: "that give back what they were given",
      bytes: withFunctions(
        [call("Pass", ["x"], ["h"]), pb.node("Relu", ["h"], ["y"])],
        func("Pass", { inputs: ["a"], outputs: ["a"], nodes: [] }),
      ),
      types: ["Identity", "Relu"],
      isRefused: true,
    },
  ])("are written out: $what", async ({ bytes, types, isRefused = false }) => {
    const model = readModel(bytes);
    expect(typesOf(model)).toEqual(types);
    expect(concatBytes(writeModel(model))).toEqual(bytes);
    // onnxruntime itself refuses a function without nodes.
    const expected = isRefused ? [0.5, 0] : await outputOf(bytes);
    expect(await outputOf(rewritten(model))).toEqual(expected);
  });

  it("have names of their own for every call, in bodies too", async () => {
    const branch = (source: string) =>
      pb.len(
        6,
        pb.graph({
          nodes: [pb.node("Neg", [source], ["r"])],
          outputs: [pb.valueInfo("r", [1, 2])],
        }),
      );
    const choosing = func("Choose", {
      inputs: ["a"],
      outputs: ["y"],
      nodes: [
        pb.node("ReduceMax", ["a"], ["m"], [pb.attribute("keepdims", 2, pb.int(3, 0))]),
        pb.node("Greater", ["m", "m"], ["c"]),
        pb.node("Relu", ["a"], ["h"]),
        pb.node(
          "If",
          ["c"],
          ["y"],
          [
            pb.attribute("then_branch", 5, branch("a")),
            pb.attribute("else_branch", 5, branch("h")),
          ],
        ),
      ],
    });
    const nodes = [call("Choose", ["x"], ["k"]), call("Choose", ["k"], ["y"])];
    const bytes = withFunctions(nodes, choosing);
    const model = readModel(bytes);
    expect(model.graph.nodes).toHaveLength(8);
    expect(await outputOf(rewritten(model))).toEqual(await outputOf(bytes));
  });

  it("of another version of the operator set stay calls", () => {
    const older = func("Layer", {
      inputs: ["x"],
      outputs: ["y"],
      nodes: [pb.node("Relu", ["x"], ["y"])],
      opset: 9,
    });
    const model = readModel(withFunctions([call("Layer", ["x"], ["y"])], older));
    expect(typesOf(model)).toEqual(["Layer"]);
  });

  it("under the name of a standard operator are not taken for it", () => {
    const other = pb.len(
      25,
      pb.join(
        pb.len(1, "Relu"),
        pb.len(4, "a"),
        pb.len(5, "r"),
        pb.len(7, pb.node("Neg", ["a"], ["r"])),
        opset("", 17),
      ),
    );
    const model = readModel(withFunctions([pb.node("Relu", ["x"], ["y"])], other));
    expect(typesOf(model)).toEqual(["Relu"]);
  });

  it("that call themselves, or each other a billion times, are refused", () => {
    const endless = func("Layer", {
      inputs: ["x"],
      outputs: ["y"],
      nodes: [call("Layer", ["x"], ["y"])],
    });
    expect(() => readModel(withFunctions([call("Layer", ["x"], ["y"])], endless))).toThrow(
      expect.objectContaining({ code: "MODEL_TOO_DEEP" }),
    );
    const levels = Array.from({ length: 30 }, (_, i) =>
      func(`L${i}`, {
        inputs: ["x"],
        outputs: ["y"],
        nodes:
          i === 0
            ? [pb.node("Relu", ["x"], ["y"])]
            : [call(`L${i - 1}`, ["x"], ["h"]), call(`L${i - 1}`, ["h"], ["y"])],
      }),
    );
    const bytes = withFunctions([call("L29", ["x"], ["y"])], ...levels);
    expect(() => readModel(bytes, { limits: { maxFields: 50_000 } })).toThrow(
      expect.objectContaining({ code: "MODEL_TOO_LARGE" }),
    );
  });
});

describe("a choice that is always the same", () => {
  const branch = (...nodes: readonly Uint8Array[]) =>
    pb.graph({
      nodes,
      initializers: [floats("k", [2], 3, 4)],
      outputs: [pb.valueInfo("r", [1, 2])],
    });
  const times = branch(pb.node("Mul", ["a", "k"], ["p"]), pb.node("Add", ["p", "a"], ["r"]));
  const negated = branch(pb.node("Neg", ["a"], ["r"]));
  const given = branch(pb.node("Identity", ["a"], ["r"]));
  const chosen = (condition: readonly Uint8Array[], then: Uint8Array, otherwise: Uint8Array) =>
    pb.model(
      pb.relu({
        nodes: [
          pb.node("Relu", ["x"], ["a"]),
          ...condition,
          pb.node(
            "If",
            ["c"],
            ["y"],
            [
              pb.attribute("then_branch", 5, pb.len(6, then)),
              pb.attribute("else_branch", 5, pb.len(6, otherwise)),
            ],
          ),
        ],
        initializers: [
          pb.tensor("one", 7, [], pb.packed(7, [1])),
          pb.tensor("two", 7, [], pb.packed(7, [2])),
        ],
      }),
      17,
    );
  const constant = (value: number, name = "c") => [
    pb.node(
      "Constant",
      [],
      [name],
      [pb.attribute("value", 4, pb.len(5, pb.tensor("", 9, [], pb.packed(5, [value]))))],
    ),
  ];
  /** Whether axis 1 of x has this size. */
  const bySize = (size: string) => [
    pb.node("Shape", ["x"], ["s"]),
    pb.node("Gather", ["s", "one"], ["n"]),
    pb.node("Equal", ["n", size], ["c"]),
  ];

  it.each([
    {
      what: "by a constant",
      bytes: chosen(constant(1), times, negated),
      types: ["Relu", "Mul", "Add"],
    },
    {
      what: "by a constant that is false",
      bytes: chosen(constant(0), times, negated),
      types: ["Relu", "Neg"],
    },
    {
      what: "by the size of an input",
      bytes: chosen(bySize("two"), times, negated),
      types: ["Relu", "Shape", "Gather", "Equal", "Mul", "Add"],
    },
    {
      what: "of what is there already",
      bytes: chosen(constant(0), times, given),
      types: ["Relu", "Identity"],
    },
    {
      what: "inside another",
      bytes: chosen(
        constant(1),
        branch(
          ...constant(0, "d"),
          pb.node(
            "If",
            ["d"],
            ["r"],
            [
              pb.attribute("then_branch", 5, pb.len(6, given)),
              pb.attribute(
                "else_branch",
                5,
                pb.len(
                  6,
                  pb.graph({
                    nodes: [pb.node("Neg", ["a"], ["q"])],
                    outputs: [pb.valueInfo("q", [1, 2])],
                  }),
                ),
              ),
            ],
          ),
        ),
        negated,
      ),
      types: ["Relu", "Neg"],
    },
  ])("is written out: $what", async ({ bytes, types }) => {
    const model = readModel(bytes);
    expect(typesOf(model)).toEqual(types);
    expect(concatBytes(writeModel(model))).toEqual(bytes);
    expect(await outputOf(rewritten(model))).toEqual(await outputOf(bytes));
  });

  it("stays where an input decides, or a size that is open", () => {
    const byValue = [
      pb.node("ReduceMax", ["x"], ["m"], [pb.attribute("keepdims", 2, pb.int(3, 0))]),
      pb.node("Cast", ["m"], ["c"], [pb.attribute("to", 2, pb.int(3, 9))]),
    ];
    expect(typesOf(readModel(chosen(byValue, times, negated))).at(-1)).toBe("If");
    const open = pb.model(
      pb.graph({
        nodes: [
          ...bySize("one"),
          pb.node(
            "If",
            ["c"],
            ["y"],
            [
              pb.attribute(
                "then_branch",
                5,
                pb.len(
                  6,
                  pb.graph({
                    nodes: [pb.node("Neg", ["x"], ["r"])],
                    outputs: [pb.valueInfo("r", [1, -1])],
                  }),
                ),
              ),
              pb.attribute(
                "else_branch",
                5,
                pb.len(6, pb.graph({ nodes: [], outputs: [pb.valueInfo("x", [1, -1])] })),
              ),
            ],
          ),
        ],
        initializers: [pb.tensor("one", 7, [], pb.packed(7, [1]))],
        inputs: [pb.valueInfo("x", [1, "N"])],
        outputs: [pb.valueInfo("y", [1, -1])],
      }),
      17,
    );
    expect(typesOf(readModel(open)).at(-1)).toBe("If");
  });
});

describe("weights that a network computes from its parameters", () => {
  type Weight = (b: GraphBuilder) => string;
  const random = randomOf(3, "weights");
  const normal = (b: GraphBuilder, ...shape: number[]) =>
    b.constant(undefined, tensorOf("float32", shape, random.normals(sizeOf(shape))));
  /** x [1, 3, 5, 5] through a convolution 3x3 of 4 filters. */
  function convolution(weight: Weight) {
    const b = new GraphBuilder("net");
    const input = b.input("x", "float32", [1, 3, 5, 5]);
    b.node("Conv", [input, weight(b)], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: [1, 4, 3, 3] });
    return concatBytes(encodeGraph(b.build()));
  }
  const image = new Map([["x", tensorOf("float32", [1, 3, 5, 5], random.normals(75))]]);
  const axes = (b: GraphBuilder) => b.constant(undefined, int64Vector([1, 2, 3]));

  it.each([
    {
      what: "weight normalisation: g v / ‖v‖",
      bytes: convolution((b) => {
        const v = normal(b, 4, 3, 3, 3);
        const [norm] = b.node("ReduceL2", [v, axes(b)]);
        return b.node("Mul", [v, b.node("Div", [normal(b, 4, 1, 1, 1), norm])[0]])[0];
      }),
    },
    {
      what: "the same from powers and sums",
      bytes: convolution((b) => {
        const v = normal(b, 4, 3, 3, 3);
        const two = b.constant(undefined, tensorOf("float32", [], [2]));
        const [squares] = b.node("ReduceSum", [b.node("Pow", [v, two])[0], axes(b)]);
        const [unit] = b.node("Div", [v, b.node("Sqrt", [squares])[0]]);
        return b.node("Mul", [unit, normal(b, 4, 1, 1, 1)])[0];
      }),
    },
    {
      what: "weight standardisation",
      bytes: convolution((b) => {
        const v = normal(b, 4, 3, 3, 3);
        const [centred] = b.node("Sub", [v, b.node("ReduceMean", [v, axes(b)])[0]]);
        const [variance] = b.node("ReduceMean", [b.node("Mul", [centred, centred])[0], axes(b)]);
        return b.node("Div", [centred, b.node("Sqrt", [variance])[0]])[0];
      }),
    },
    {
      what: "a norm over all",
      bytes: convolution((b) => {
        const v = normal(b, 4, 3, 3, 3);
        return b.node("Div", [v, b.node("ReduceL1", [v])[0]])[0];
      }),
    },
  ])("are constants: $what", async ({ bytes }) => {
    const model = readModel(bytes);
    expect(typesOf(model)).toEqual(["Conv"]);
    expect(model.graph.constants.size).toBe(1);
    expect(model.sizeBytes).toBe(bytes.length);
    expect(concatBytes(writeModel(model))).toEqual(bytes);
    const [expected, actual] = [
      await outputOf(bytes, image),
      await outputOf(rewritten(model), image),
    ];
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 4);
  });

  it("stay computed where the nodes are a form of storage", () => {
    const transposed = convolution(
      (b) => b.node("Transpose", [normal(b, 3, 4, 3, 3)], { perm: [1, 0, 2, 3] })[0],
    );
    expect(typesOf(readModel(transposed))).toEqual(["Transpose", "Conv"]);
    const whole = convolution((b) => {
      const w = b.constant(
        undefined,
        tensorOf("int8", [4, 3, 3, 3], new Float64Array(108).fill(3)),
      );
      return b.node("DequantizeLinear", [
        w,
        b.constant(undefined, tensorOf("float32", [], [0.1])),
      ])[0];
    });
    expect(typesOf(readModel(whole))).toEqual(["DequantizeLinear", "Conv"]);
  });
});
