/**
 * @file Verification tells faults from rounding: faults put into pruned files by hand are found, also behind ends
 * that hide them, and files that are right pass.
 */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../src/ir/builder.ts";
import type { Constant, Graph } from "../src/ir/graph.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { finishPruning } from "../src/prune/prune.ts";
import { partsOf } from "../src/prune/pruned.ts";
import { verifyByPlan, verifyPruned } from "../src/prune/verify.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { int64Vector, sizeOf, tensorOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { randomOf } from "../src/tensor/random.ts";

const width = 24;

/** A trunk of four convolutions, and what is made of its map of `width` channels, 8 x 8. */
class Net {
  readonly b = new GraphBuilder("net");
  readonly #random = randomOf(11, "weights");

  normal(shape: readonly number[], deviation: number): string {
    const values = Array.from({ length: sizeOf(shape) }, () => deviation * this.#random.normal());
    return this.b.constant(undefined, tensorOf("float32", shape, values));
  }

  number(value: number): string {
    return this.b.constant(undefined, tensorOf("float32", [], [value]));
  }

  ints(...values: number[]): string {
    return this.b.constant(undefined, int64Vector(values));
  }

  op(...[opType, inputs, attributes]: Parameters<GraphBuilder["node"]>): string {
    return this.b.node(opType, inputs, attributes)[0];
  }

  conv(x: string, from: number, to: number, kernel = 3): string {
    const weight = this.normal([to, from, kernel, kernel], Math.sqrt(2 / (from * kernel ** 2)));
    const pad = kernel >> 1;
    return this.op("Conv", [x, weight, this.normal([to], 0.2)], { pads: [pad, pad, pad, pad] });
  }

  trunk(layers = 4): string {
    let x = this.b.input("x", "float32", [1, 3, 8, 8]);
    for (let k = 0; k < layers; k++)
      x = this.op("Relu", [this.conv(x, k === 0 ? 3 : width, width)]);
    return x;
  }

  model(output: string, dtype: "float32" | "int64" = "float32"): Model {
    this.b.output(output, { dtype, shape: undefined });
    return readModel(concatBytes(encodeGraph(this.b.build())));
  }
}

/** Networks whose ends hide what happens before them. */
const networks: readonly (readonly [string, () => Model])[] = [
  ["plain logits", () => withHead((n, x) => n.conv(x, width, 4, 1))],
  [
    "a softmax that one class wins",
    () =>
      withHead((n, x) =>
        n.op("Softmax", [n.op("Mul", [logits(n, x), n.number(50)])], { axis: -1 }),
      ),
  ],
  [
    "a sigmoid that is 0 or 1",
    () =>
      withHead((n, x) => n.op("Sigmoid", [n.op("Mul", [n.conv(x, width, 4, 1), n.number(90)])])),
  ],
  [
    "a softmax that is almost even",
    () =>
      withHead((n, x) =>
        n.op("Softmax", [n.op("Mul", [logits(n, x), n.number(1e-4)])], { axis: -1 }),
      ),
  ],
  [
    "a tanh behind a reshape",
    () =>
      withHead((n, x) => n.op("Tanh", [n.op("Reshape", [n.conv(x, width, 4, 1), n.ints(1, -1)])])),
  ],
  [
    "the best class",
    () => withHead((n, x) => n.op("ArgMax", [logits(n, x)], { axis: -1 }), "int64"),
  ],
  [
    "scores above a threshold",
    () =>
      withHead(
        (n, x) =>
          n.op("Cast", [n.op("Greater", [n.op("Sigmoid", [logits(n, x)]), n.number(1)])], {
            to: 7,
          }),
        "int64",
      ),
  ],
  ["boxes of which none passes", () => withHead(noBoxes)],
];

function withHead(head: (net: Net, x: string) => string, dtype?: "float32" | "int64"): Model {
  const net = new Net();
  return net.model(head(net, net.trunk()), dtype);
}

function logits(n: Net, x: string): string {
  const pooled = n.op("Flatten", [n.op("GlobalAveragePool", [x])]);
  return n.op("Gemm", [pooled, n.normal([10, width], 0.3), n.normal([10], 0.2)], { transB: 1 });
}

function noBoxes(n: Net, x: string): string {
  const flat = n.op("Reshape", [n.conv(x, width, 4, 1), n.ints(1, 4, 64)]);
  const boxes = n.op("Transpose", [flat], { perm: [0, 2, 1] });
  const low = n.op("Sub", [n.conv(x, width, 1, 1), n.number(1e6)]);
  const scores = n.op("Reshape", [n.op("Sigmoid", [low]), n.ints(1, 1, 64)]);
  const half = n.b.constant(undefined, tensorOf("float32", [1], [0.5]));
  const chosen = n.op("NonMaxSuppression", [boxes, scores, n.ints(10), half, half]);
  const place = n.b.constant(undefined, tensorOf("int64", [], [2]));
  return n.op("Gather", [boxes, n.op("Gather", [chosen, place], { axis: 1 })], { axis: 1 });
}

/** A third of the units that may go, by chance. */
function pruned(model: Model, seed: number) {
  const structure = structureOf(model.graph);
  const random = randomOf(seed, "removed");
  const removed = Uint8Array.from(structure.units, ({ reason }) =>
    Number(reason === undefined && random.uniform() < 0.33),
  );
  const choice = { method: "random", removed, edits: [], isReached: true, missed: [], notes: [] };
  return finishPruning(model, structure, choice);
}

/** The graph with other elements in the first or last constant of a rank that layers have. */
function spoiled(
  graph: Graph,
  which: (constant: Constant) => boolean,
  change: (values: Float64Array) => void,
) {
  const constant = [...graph.constants.values()].filter(which)[1];
  const values = toNumbers(constant.read());
  change(values);
  const tensor = tensorOf(constant.dtype, constant.shape, values);
  const constants = new Map(graph.constants).set(constant.name, {
    ...constant,
    read: () => tensor,
  });
  return { ...graph, constants };
}

const isKernel = ({ shape }: Constant) => shape.length === 4;
const isBias = ({ dtype, shape }: Constant) =>
  dtype === "float32" && shape.length === 1 && shape[0] > 8;

const largest = (values: Float64Array) =>
  values.reduce((best, value, i) => (Math.abs(value) > Math.abs(values[best]) ? i : best), 0);

/** Small faults in the second layer of what was written. */
const faults: readonly (readonly [string, (graph: Graph) => Graph])[] = [
  [
    "one weight with the wrong sign",
    (graph) =>
      spoiled(graph, isKernel, (values) => {
        values[largest(values)] *= -1;
      }),
  ],
  [
    "one weight that is 0",
    (graph) =>
      spoiled(graph, isKernel, (values) => {
        values[largest(values)] = 0;
      }),
  ],
  [
    "a bias off by 1 %",
    (graph) =>
      spoiled(graph, isBias, (values) => {
        values[largest(values)] *= 1.01;
      }),
  ],
  [
    "two filters that changed places",
    (graph) =>
      spoiled(graph, isKernel, (values) => {
        const size = values.length / graphWidth(graph);
        const first = values.slice(0, size);
        values.copyWithin(0, size, 2 * size);
        values.set(first, size);
      }),
  ],
];

function graphWidth(graph: Graph): number {
  return [...graph.constants.values()].filter(isKernel)[1].shape[0];
}

describe.each(networks)("%s", (_, build) => {
  test("a file that is right passes, whatever was removed", async () => {
    const model = build();
    for (const seed of [1, 2, 3]) {
      const { passed, checks } = await verifyPruned(model, pruned(model, seed), { threads: 1 });
      expect(checks.filter((check) => !check.passed)).toEqual([]);
      expect(passed).toBe(true);
    }
  });

  test.each(faults)("%s is found", async (_fault, spoil) => {
    const model = build();
    const right = pruned(model, 4);
    const bytes = writeModel(model, spoil(right.graph));
    const { passed } = await verifyPruned(model, { ...right, bytes }, { threads: 1 });
    expect(passed).toBe(false);
  });

  test("another channel removed than the plan says is found", async () => {
    const model = build();
    const right = pruned(model, 5);
    const { structure, ...parts } = partsOf(right);
    const { units } = structure;
    const removed = parts.removed.slice();
    const gone = units.find(({ index }) => removed[index] === 1);
    const other = units.find(
      ({ index, group, reason }) =>
        group === gone?.group && reason === undefined && removed[index] === 0,
    );
    removed[gone?.index ?? 0] = 0;
    removed[other?.index ?? 0] = 1;
    const choice = { method: "random", removed, edits: [], isReached: true, missed: [], notes: [] };
    const small = readModel(concatBytes(finishPruning(model, structure, choice).bytes));
    const { passed } = await verifyByPlan(model, small, right.plan, { threads: 1 });
    expect(gone).toBeDefined();
    expect(other).toBeDefined();
    expect(passed).toBe(false);
  });
});
