/** @file Losses: values against closed forms, gradients against central differences. */
import { describe, expect, it } from "vitest";
import { expectGraphGradient, normals, uniforms } from "../../test/support/gradient.ts";
import { GraphBuilder } from "../ir/builder.ts";
import type { Graph } from "../ir/graph.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { inferTypes } from "../ops/passes/infer.ts";
import { withSession } from "../runtime/session.ts";
import { type HostTensor, int64Vector, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { GraphEmitter } from "./emitter.ts";
import { headOf } from "./head.ts";
import {
  binaryCrossEntropy,
  crossEntropy,
  dice,
  distillation,
  groupLasso,
  jaccard,
  l1Penalty,
  l2Penalty,
  type ReadyLoss,
  weightedSum,
} from "./losses.ts";

interface LossGraph {
  readonly graph: Graph;
  readonly at: ReadonlyMap<string, HostTensor>;
}

/** A graph whose only output is the loss of the input "z". */
function lossGraph(loss: ReadyLoss, z: HostTensor, target: HostTensor): LossGraph {
  const b = new GraphBuilder("loss");
  b.input("z", z.dtype, z.shape);
  b.constant("target", target);
  const base = b.build();
  const emit = new GraphEmitter(base, inferTypes(base));
  const value = loss(emit, emit.value("z"), emit.value("target"));
  expect([value.dtype, value.shape]).toEqual(["float32", []]);
  return { graph: emit.build([value.name]), at: new Map([["z", z]]) };
}

async function lossOf({ graph, at }: LossGraph): Promise<number> {
  const results = await withSession(encodeGraph(graph).chunks, {}, (session) => session.run(at));
  const [result] = results.values();
  return toNumbers(result)[0];
}

/** Checks the value against the closed form, and the gradient. */
async function expectLoss(
  loss: ReadyLoss,
  z: HostTensor,
  target: HostTensor,
  want: number,
): Promise<void> {
  const made = lossGraph(loss, z, target);
  expect(await lossOf(made)).toBeCloseTo(want, 5);
  await expectGraphGradient(made.graph, made.at, { step: 0.1 });
}

/** Rows of class scores: [N, C, P] to N · P rows of C. */
function rowsOf(tensor: HostTensor): number[][] {
  const [batch, classes] = tensor.shape;
  const values = toNumbers(tensor);
  const positions = values.length / batch / classes;
  return Array.from({ length: batch * positions }, (_, i) => {
    const [n, p] = [Math.floor(i / positions), i % positions];
    return Array.from({ length: classes }, (_c, c) => values[(n * classes + c) * positions + p]);
  });
}

const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const logSoftmax = (row: readonly number[]) => {
  const top = Math.max(...row);
  const log = top + Math.log(sum(row.map((x) => Math.exp(x - top))));
  return row.map((x) => x - log);
};
const softmax = (row: readonly number[]) => logSoftmax(row).map(Math.exp);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const int64 = (shape: readonly number[], values: number[]) => tensorOf("int64", shape, values);

describe("cross-entropy", () => {
  const z = normals([4, 3]);
  const labels = [2, 0, 1, 2];
  const nll = rowsOf(z).map((row, n) => -logSoftmax(row)[labels[n]]);
  const logSums = rowsOf(z).map((row) => -sum(logSoftmax(row)));

  it("of whole labels", () =>
    expectLoss((e, p, t) => crossEntropy(e, p, t, {}), z, int64([4], labels), mean(nll)));
  it("of int32 labels in a column", () =>
    expectLoss(
      (e, p, t) => crossEntropy(e, p, t, {}),
      z,
      tensorOf("int32", [4, 1], labels),
      mean(nll),
    ));

  it("with smoothing", () => {
    const want = mean(nll.map((loss, n) => 0.9 * loss + (0.1 / 3) * logSums[n]));
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, { smoothing: 0.1 }),
      z,
      int64([4], labels),
      want,
    );
  });

  const weights = [0.5, 2, 1];
  it("with class weights and smoothing, as PyTorch divides them", () => {
    const rows = rowsOf(z).map((row, n) => {
      const logs = logSoftmax(row);
      const even = -sum(logs.map((log, c) => weights[c] * log));
      return 0.8 * weights[labels[n]] * nll[n] + (0.2 / 3) * even;
    });
    const want = sum(rows) / sum(labels.map((label) => weights[label]));
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, { smoothing: 0.2, classWeights: weights }),
      z,
      int64([4], labels),
      want,
    );
  });

  it.each([-100, -1, 255, 0])("ignores the label %d", (ignoreIndex) => {
    const given = [2, ignoreIndex, 1, 2];
    const want = mean([nll[0], nll[2], nll[3]]);
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, { ignoreIndex }),
      z,
      int64([4], given),
      want,
    );
  });
  it("ignores with smoothing and weights, too", () => {
    const want =
      (0.8 * weights[2] * nll[0] +
        (0.2 / 3) * -sum(logSoftmax(rowsOf(z)[0]).map((log, c) => weights[c] * log))) /
      weights[2];
    const options = { ignoreIndex: -1, smoothing: 0.2, classWeights: weights };
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, options),
      z,
      int64([4], [2, -1, -1, -1]),
      want,
    );
  });
  it("is 0 where everything is ignored", async () => {
    const loss: ReadyLoss = (e, p, t) => crossEntropy(e, p, t, { ignoreIndex: 9 });
    expect(await lossOf(lossGraph(loss, z, int64([4], [9, 9, 9, 9])))).toBe(0);
  });

  it("of soft labels", () => {
    const soft = rowsOf(normals([4, 3], "float32", 1)).map(softmax);
    const want = mean(
      rowsOf(z).map((row, n) => -sum(logSoftmax(row).map((l, c) => l * soft[n][c]))),
    );
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, {}),
      z,
      tensorOf("float32", [4, 3], soft.flat()),
      want,
    );
  });

  it("per pixel", () => {
    const pixels = normals([2, 3, 2, 2]);
    const given = [0, 1, 2, 0, 1, 1, 2, 5];
    const rows = rowsOf(pixels);
    const want = mean(given.slice(0, 7).map((label, i) => -logSoftmax(rows[i])[label]));
    return expectLoss(
      (e, p, t) => crossEntropy(e, p, t, { ignoreIndex: 5 }),
      pixels,
      int64([2, 2, 2], given),
      want,
    );
  });

  it("of probabilities", () => {
    const p = rowsOf(z).map(softmax);
    const want = mean(p.map((row, n) => -Math.log(row[labels[n]])));
    const made = lossGraph(
      (e, q, t) => crossEntropy(e, q, t, { form: "probabilities" }),
      tensorOf("float32", [4, 3], p.flat()),
      int64([4], labels),
    );
    return expectGraphGradient(made.graph, made.at, { step: 0.01 }).then(async () =>
      expect(await lossOf(made)).toBeCloseTo(want, 5),
    );
  });

  it("stays finite far out", async () => {
    const far = tensorOf("float32", [1, 2], [-1e4, 1e4]);
    const loss: ReadyLoss = (e, p, t) => crossEntropy(e, p, t, {});
    expect(await lossOf(lossGraph(loss, far, int64([1], [0])))).toBe(2e4);
  });

  it("refuses a target that does not fit", () => {
    for (const target of [int64([5], [0, 0, 0, 0, 0]), normals([4])])
      expect(() => lossGraph((e, p, t) => crossEntropy(e, p, t, {}), z, target)).toThrow(
        expect.objectContaining({ code: "DATA_MISMATCH" }),
      );
    const loss: ReadyLoss = (e, p, t) => crossEntropy(e, p, t, { classWeights: [1, 2] });
    expect(() => lossGraph(loss, z, int64([4], labels))).toThrow(
      expect.objectContaining({ code: "DATA_MISMATCH" }),
    );
  });
});

describe("binary cross-entropy", () => {
  const z = normals([2, 1, 2, 2]);
  const truth = [1, 0, 0, 1, 1, 1, 0, 0];
  const closed = (positiveWeight: number) =>
    mean(
      [...toNumbers(z)].map((x, i) =>
        truth[i] ? -positiveWeight * Math.log(sigmoid(x)) : -Math.log(1 - sigmoid(x)),
      ),
    );
  it.each([1, 3])("of logits, positive weight %d", (positiveWeight) =>
    expectLoss(
      (e, p, t) => binaryCrossEntropy(e, p, t, { positiveWeight }),
      z,
      tensorOf("uint8", [2, 2, 2], truth),
      closed(positiveWeight),
    ),
  );
  it("leaves out what does not count", () => {
    const marked = Array.from(truth, (t, i) => (i % 3 === 0 ? 255 : t));
    const zs = toNumbers(z);
    const costs = marked.flatMap((t, i) =>
      t === 255 ? [] : [-Math.log(t === 1 ? sigmoid(zs[i]) : 1 - sigmoid(zs[i]))],
    );
    return expectLoss(
      (e, p, t) => binaryCrossEntropy(e, p, t, { ignoreIndex: 255 }),
      z,
      tensorOf("int32", [2, 2, 2], marked),
      mean(costs),
    );
  });
  it("of probabilities", async () => {
    const p = tensorOf("float32", z.shape, toNumbers(z).map(sigmoid));
    const made = lossGraph(
      (e, q, t) => binaryCrossEntropy(e, q, t, { form: "probabilities", positiveWeight: 2 }),
      p,
      tensorOf("float32", z.shape, truth),
    );
    expect(await lossOf(made)).toBeCloseTo(closed(2), 5);
    await expectGraphGradient(made.graph, made.at, { step: 0.01 });
  });
});

describe("overlap", () => {
  const z = normals([2, 3, 2, 2]);
  const labels = [0, 1, 2, 0, 1, 1, 2, 2];
  const p = rowsOf(z).map(softmax);
  const totals = (c: number, counts: (i: number) => boolean = () => true) => ({
    both: sum(p.map((row, i) => (labels[i] === c && counts(i) ? row[c] : 0))),
    predicted: sum(p.map((row, i) => (counts(i) ? row[c] : 0))),
    true: labels.filter((label, i) => label === c && counts(i)).length,
  });
  const target = int64([2, 2, 2], labels);

  it("Dice", () => {
    const want = mean(
      [0, 1, 2].map((c) => {
        const { both, predicted, true: real } = totals(c);
        return 1 - (2 * both + 1) / (predicted + real + 1);
      }),
    );
    return expectLoss((e, x, t) => dice(e, x, t, {}), z, target, want);
  });
  it("Jaccard, with pixels ignored", () => {
    const counts = (i: number) => i !== 3;
    const want = mean(
      [0, 1, 2].map((c) => {
        const { both, predicted, true: real } = totals(c, counts);
        return 1 - (both + 0.5) / (predicted + real - both + 0.5);
      }),
    );
    const ignored = int64(
      [2, 2, 2],
      labels.map((label, i) => (counts(i) ? label : 255)),
    );
    return expectLoss(
      (e, x, t) => jaccard(e, x, t, { smooth: 0.5, ignoreIndex: 255 }),
      z,
      ignored,
      want,
    );
  });
  it("binary cross-entropy minus the logarithm of Jaccard, as TernausNet has it", () => {
    const one = normals([2, 1, 2, 2], "float32", 5);
    const truth = [1, 0, 0, 1, 1, 1, 0, 0];
    const probabilities = [...toNumbers(one)].map(sigmoid);
    const both = sum(probabilities.map((q, i) => q * truth[i]));
    const union = sum(probabilities) + sum(truth) - both;
    const entropy = mean(probabilities.map((q, i) => -Math.log(truth[i] ? q : 1 - q)));
    const loss = weightedSum([
      [0.7, (e, x, t) => binaryCrossEntropy(e, x, t, {})],
      [0.3, (e, x, t) => jaccard(e, x, t, { as: "logarithm" })],
    ]);
    const want = 0.7 * entropy - 0.3 * Math.log((both + 1) / (union + 1));
    return expectLoss(loss, one, int64([2, 1, 2, 2], truth), want);
  });
});

describe("distillation", () => {
  it.each([1, 4])("at temperature %d", (temperature) => {
    const [z, teacher] = [normals([3, 5]), normals([3, 5], "float32", 1)];
    const want = mean(
      rowsOf(z).map((row, n) => {
        const [q, p] = [row, rowsOf(teacher)[n]].map((x) =>
          logSoftmax(x.map((v) => v / temperature)),
        );
        return temperature ** 2 * sum(p.map((log, c) => Math.exp(log) * (log - q[c])));
      }),
    );
    return expectLoss((e, x, t) => distillation(e, x, t, { temperature }), z, teacher, want);
  });
});

describe("distillation of a single score", () => {
  it.each([1, 4])("is that of the logits 0 and z, at temperature %d", (temperature) => {
    const [z, teacher] = [normals([6, 1]), normals([6, 1], "float32", 1)];
    const want = mean(
      [...toNumbers(z)].map((own, n) => {
        const [q, p] = [own, [...toNumbers(teacher)][n]].map((x) => sigmoid(x / temperature));
        return temperature ** 2 * (p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q)));
      }),
    );
    return expectLoss((e, x, t) => distillation(e, x, t, { temperature }), z, teacher, want);
  });
});

describe("smoothing of binary cross-entropy", () => {
  it.each(["logits", "probabilities"] as const)("moves targets towards one half, of %s", (form) => {
    const truth = [1, 0, 1, 0];
    const q = [0.3, 0.6, 0.7, 0.4];
    const z = tensorOf(
      "float32",
      [4, 1],
      q.map((p) => Math.log(p / (1 - p))),
    );
    const want = mean(
      truth.map((one, i) => {
        const t = one === 1 ? 0.95 : 0.05;
        return -(t * Math.log(q[i]) + (1 - t) * Math.log(1 - q[i]));
      }),
    );
    const given = form === "logits" ? z : tensorOf("float32", [4, 1], q);
    const loss: ReadyLoss = (e, x, t) => binaryCrossEntropy(e, x, t, { form, smoothing: 0.1 });
    return expectLoss(loss, given, int64([4], truth), want);
  });
});

describe("penalties", () => {
  const weight = uniforms([4, 2, 3], -2, 2, { kinks: [0], margin: 0.4 });
  const w = [...toNumbers(weight)];
  const filters = [0, 1, 2, 3].map((i) => Math.hypot(...w.slice(6 * i, 6 * i + 6)));
  it.each<readonly [string, ReadyLoss, number]>([
    ["L1", (e, x) => l1Penalty(e, x), sum(w.map(Math.abs))],
    ["L2", (e, x) => l2Penalty(e, x), sum(w.map((x) => x * x)) / 2],
    ["group lasso", (e, x) => groupLasso(e, x), Math.sqrt(6) * sum(filters)],
  ])("%s", (_, penalty, want) => expectLoss(penalty, weight, int64Vector([0]), want));
  it("group lasso of a vector is L1", async () => {
    const made = lossGraph((e, x) => groupLasso(e, x), tensorOf("float32", [2], [-3, 4]), weight);
    expect(await lossOf(made)).toBe(7);
  });
});

describe("the head of a network", () => {
  it.each([
    ["Softmax", { axis: 1 }, [4, 3], "logits", "x"],
    ["Softmax", {}, [4, 3], "logits", "x"],
    ["LogSoftmax", { axis: 1 }, [4, 3, 2, 2], "logits", "x"],
    ["Softmax", {}, [4, 3, 2, 2], "probabilities", "y"],
    ["Softmax", { axis: 1, flatten: 1 }, [4, 3, 1, 1], "logits", "x"],
    ["Softmax", { axis: 1, flatten: 1 }, [4, 3, 2, 1], "probabilities", "y"],
    ["Sigmoid", {}, [4, 1], "logits", "x"],
    ["Relu", {}, [4, 3], "logits", "y"],
  ] as const)("%s %j of %j is read as %s of %s", (opType, attributes, shape, form, name) => {
    const b = new GraphBuilder("head");
    b.node(opType, [b.input("x", "float32", shape)], attributes, { outputs: ["y"] });
    b.output("y");
    const graph = b.build();
    const emit = new GraphEmitter(graph, inferTypes(graph));
    const head = headOf(emit, emit.value("y"));
    expect([head.form, head.prediction.name]).toEqual([form, name]);
  });

  it.each([
    ["Softmax", { axis: 1 }, [4, 3, 1, 1], "Flatten", {}, "logits"],
    ["Softmax", { axis: 1 }, [4, 3, 2, 2], "Identity", {}, "logits"],
    ["Sigmoid", {}, [4, 1, 1, 1], "Flatten", {}, "logits"],
    ["LogSoftmax", { axis: 1 }, [4, 3, 1, 1], "Flatten", {}, "logits"],
    // The classes of the softmax lie on the last axis: they are no longer those of axis 1 in a row.
    ["Softmax", { axis: -1 }, [4, 2, 2, 3], "Transpose", { perm: [0, 3, 1, 2] }, "probabilities"],
    ["Softmax", { axis: 1 }, [4, 3, 2, 2], "Flatten", {}, "probabilities"],
  ] as const)(
    "%s %j of %j and then %s is read as it stands",
    (op, attributes, shape, move, how, form) => {
      const b = new GraphBuilder("head");
      const [squashed] = b.node(op, [b.input("x", "float32", shape)], attributes);
      b.node(move, [squashed], how, { outputs: ["y"] });
      b.output("y");
      const graph = b.build();
      const emit = new GraphEmitter(graph, inferTypes(graph));
      const head = headOf(emit, emit.value("y"));
      expect(head.form).toBe(form);
      expect(head.prediction.shape).toEqual(emit.value("y").shape);
      const isOutput = head.prediction.name === "y";
      expect(isOutput).toBe(form === "probabilities");
    },
  );
});
