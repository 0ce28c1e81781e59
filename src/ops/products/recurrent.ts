/**
 * @file RNN, GRU and LSTM: one layer that walks along a sequence, in one direction or both.
 *
 * The features that a step reads of its input may be removed, as the inputs of a matrix may. The units of the state
 * are fixed: each is read by all others at the next step, inside the operator, where nothing can be masked.
 */
import type { Dim, Shape, TensorType } from "../../ir/graph.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { notFollowed } from "../operator/constant-channels.ts";
import { fixAxes } from "../operator/known.ts";
import {
  defineOp,
  followsInputs,
  type InferContext,
  noMoments,
  notFolded,
  type Operator,
  type Ties,
} from "../operator/operator.ts";
import { noRole } from "../operator/role.ts";
import { mapDims, mayEqual } from "../operator/shapes.ts";

interface RecurrentAttributes {
  readonly directions: 1 | 2;
  readonly hiddenSize: number | undefined;
  /** True where the batch comes before the steps. */
  readonly isBatchFirst: boolean;
}

/** What the three kinds differ in. */
interface Kind {
  readonly opType: string;
  readonly summary: string;
  /** Matrices per direction, laid end to end in W and R. */
  readonly gates: number;
  /** Number of outputs; the first holds all steps, the others the last. */
  readonly outputs: number;
}

function recurrent({ opType, summary, gates, outputs }: Kind): Operator {
  return defineOp<RecurrentAttributes>({
    opType,
    summary,
    attributes: (raw) => ({
      directions: raw.string("direction", "forward") === "bidirectional" ? 2 : 1,
      hiddenSize: raw.has("hidden_size") ? raw.int("hidden_size") : undefined,
      isBatchFirst: raw.int("layout", 0) === 1,
    }),

    infer(context) {
      const { directions, isBatchFirst } = context.attrs;
      const { dtype, shape: x } = context.required(0).type;
      const hidden = hiddenSize(context);
      const rows = mapDims(context, [hidden], (size) => gates * size);
      requireShape(context, 1, "W", [directions, rows, x?.[2]]);
      requireShape(context, 2, "R", [directions, rows, hidden]);
      if (x !== undefined && x.length !== 3)
        context.fail(`X has rank ${x.length}, expected [steps, batch, features]`);
      const typed = (all: Shape | undefined, last: Shape | undefined): readonly TensorType[] =>
        Array.from({ length: outputs }, (_, i) => ({ dtype, shape: i === 0 ? all : last }));
      if (x === undefined) return typed(undefined, undefined);
      const [first, second] = x;
      return isBatchFirst
        ? typed([first, second, directions, hidden], [first, directions, hidden])
        : typed([first, directions, second, hidden], [directions, second, hidden]);
    },

    fold: notFolded,
    ties: (t) => tieSteps(t),
    shrink: followsInputs,
    moments: noMoments,

    // Every step multiplies with W and R whole.
    macs({ inputs: [x, w, r] }) {
      if (x === undefined || w === undefined || r === undefined) return 0;
      return x[0] * x[1] * (sizeOf(w) + sizeOf(r));
    },

    gradient: { notDifferentiable: "a recurrence; there is no rule for it" },
    role: noRole,
    training: { none: "no gradient reaches its weights, for which there is no rule" },
    constantChannels: notFollowed,
    hidesDifferences: false,
  });
}

function hiddenSize(context: InferContext<RecurrentAttributes>): Dim {
  return context.attrs.hiddenSize ?? context.required(2).type.shape?.[2] ?? context.unknownDim();
}

/** Fails where an input has another rank, or a size that is known and another. */
function requireShape(
  context: InferContext<RecurrentAttributes>,
  index: number,
  name: string,
  expected: readonly (Dim | undefined)[],
): void {
  const { shape } = context.required(index).type;
  if (shape === undefined) return;
  const fits =
    shape.length === expected.length &&
    shape.every((dim, axis) => mayEqual(dim, expected[axis] ?? dim));
  if (fits) return;
  const wanted = expected.map((dim) => dim ?? "?").join(", ");
  context.fail(`${name} has shape [${shape.join(", ")}], expected [${wanted}]`);
}

/** The features of X are what W contracts; samples line up; all else stays. */
function tieSteps(t: Ties<RecurrentAttributes>): void {
  const [x, w] = [t.input(0), t.input(1)];
  const batch = t.attrs.isBatchFirst ? 0 : 1;
  const samples = t.ids(x, batch);
  t.unite(t.ids(x, 2), t.ids(w, 2));
  t.reads(x, 2);
  fixAxes(t, x, "a step of a sequence", [1 - batch]);
  fixAxes(t, w, "a unit of a recurrent state", [0, 1]);
  // Further inputs: R, B, lengths, states at the start, and the weights that look at a cell.
  for (const tensor of t.inputs.slice(2)) fixAxes(t, tensor, "a unit of a recurrent state");
  for (const [i, y] of t.outputs.entries()) {
    if (y.name === "") continue;
    const ofBatch = t.attrs.isBatchFirst ? 0 : i === 0 ? 2 : 1;
    t.define(y, ofBatch, samples);
    for (const axis of y.shape.keys())
      if (axis !== ofBatch) t.fix(t.ids(y, axis), "a unit of a recurrent state");
  }
}

/** Recurrent layers. */
export const recurrentOperators: readonly Operator[] = [
  recurrent({
    opType: "RNN",
    summary: "Hₜ = f(Xₜ Wᵀ + Hₜ₋₁ Rᵀ + b) over X [steps, batch, I]: Y [steps, D, batch, H], last H",
    gates: 1,
    outputs: 2,
  }),
  recurrent({
    opType: "GRU",
    summary: "gated recurrence over X [steps, batch, I]: Y [steps, D, batch, H], last H",
    gates: 3,
    outputs: 2,
  }),
  recurrent({
    opType: "LSTM",
    summary:
      "long short-term memory over X [steps, batch, I]: Y [steps, D, batch, H], last H and C",
    gates: 4,
    outputs: 3,
  }),
];
