/** @file Pieces of a training step that stand alone: its ends, clipping, and what is measured. */
import { EspalierError } from "../../errors.ts";
import type { GraphEmitter } from "../../grad/emitter.ts";
import { headOf, logitsOf, type Prediction } from "../../grad/head.ts";
import type { Graph } from "../../ir/graph.ts";
import { nodesBehind } from "../../ir/live.ts";
import { differsFromLabels, emitResized, isPlane } from "../../measure/evaluation/label-size.ts";
import { trainedOutput } from "../../measure/evaluation/outputs.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Value } from "../../ops/operator/gradient.ts";
import { isInteger } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/host-tensor.ts";
import { embedNodes } from "../network/embed.ts";
import { rebatch } from "../network/rebatch.ts";

/**
 * The value of the network that counts: its output `name`, out of all that was emitted. Fails with
 * `MODEL_UNSUPPORTED` where there is none, or where its first axis is not the batch of the first input.
 */
export function outputOf(
  network: Graph,
  name: string,
  values: ReadonlyMap<string, Value>,
  [input]: readonly Value[],
): Value {
  const output = values.get(name);
  if (output === undefined) throw unknownOutput(network, name);
  // A batch that is folded into another axis would go unnoticed.
  if (input === undefined || output.shape[0] === input.shape[0]) return output;
  throw new EspalierError(
    "MODEL_UNSUPPORTED",
    `the network gives an output of shape [${output.shape.join(", ")}] for a batch of ${input.shape[0]}`,
    {
      hint: "Its shapes fix the batch; export it with a dynamic batch size.",
      data: { fixesBatch: true },
    },
  );
}

/** The error for an output that the network does not have. */
export function unknownOutput(network: Graph, name: string): EspalierError {
  return new EspalierError("MODEL_UNSUPPORTED", `the network computes no value "${name}"`, {
    hint: `Its outputs are: ${network.outputs.join(", ")}.`,
  });
}

/**
 * What `teacher` predicts of these inputs in their order, as logits, by its output of the name that the
 * pupil's has, else by the one that holds classes or maps; `undefined` without a teacher.
 * Fails as `embedNodes` and `rebatch`.
 */
export function teacherScores(
  emit: GraphEmitter,
  teacher: Graph | undefined,
  inputs: readonly Value[],
  pupilOutput: string,
): Value | undefined {
  if (teacher === undefined) return undefined;
  const values = new Map(inputs.map((value, i) => [teacher.inputs[i] ?? value.name, value]));
  const output = teacher.outputs.includes(pupilOutput)
    ? pupilOutput
    : trainedOutput(teacher, "none");
  const { nodes, sizes } = rebatch(
    teacher,
    new Map([...values].map(([name, { shape }]) => [name, shape])),
  );
  for (const [name, own] of sizes) values.set(name, emit.ints(own));
  embedNodes(emit, teacher, nodesBehind(nodes, [output]), values);
  const scores = values.get(output);
  return scores && logitsOf(emit, headOf(emit, scores));
}

/**
 * What an output predicts of a target. Scores for label maps of another height and width are resized to these as an
 * evaluation does (`src/measure/evaluation/label-size.ts`): the output itself, probabilities where it holds those.
 * Fails with `DATA_MISMATCH` where they do not cover the same picture.
 */
export function predictionFor(
  emit: GraphEmitter,
  { name, output }: { readonly name: string; readonly output: Value },
  target: Value | undefined,
): Prediction {
  const [, ...size] = target !== undefined && isInteger(target.dtype) ? target.shape : [];
  const [, , ...own] = output.shape;
  if (!isPlane(size) || !isPlane(own) || !differsFromLabels(name, own, size))
    return headOf(emit, output);
  return headOf(emit, emitResized(emit, output, size));
}

/** Fails with `USAGE` unless the loss is a float32 of rank 0. */
export function requireScalar({ dtype, shape }: Value): void {
  if (dtype === "float32" && shape.length === 0) return;
  throw new EspalierError(
    "USAGE",
    `the loss is ${dtype} [${shape.join(", ")}]; expected a float32 of rank 0`,
  );
}

/** A value times a constant. */
export function scaled(emit: GraphEmitter, value: Value, factor: number): Value {
  return factor === 1 ? value : emit.mul(value, emit.scalar(factor, value.dtype));
}

/** g · min(1, limit / (norm + 1e-6)) for the norm of all gradients together, as PyTorch clips. */
export function clipped(
  emit: GraphEmitter,
  gradients: readonly Value[],
  limit: number | undefined,
) {
  const squares = gradients.map((g) => emit.op("ReduceSumSquare", [g], { keepdims: 0 }));
  const norm = emit.op("Sqrt", [squares.reduce((a, b) => emit.add(a, b))]);
  if (limit === undefined) return { squares, norm, gradients };
  const t = algebraOf(emit, norm);
  const factor = t.min(t.div(limit, t.add(norm, 1e-6)), 1);
  return { squares, norm, gradients: gradients.map((g) => t.mul(g, factor)) };
}

/** True where all of these numbers are finite: 0 · x is 0 for no other x. */
export function emitGuard(emit: GraphEmitter, numbers: readonly Value[]): Value {
  const zero = emit.scalar(0);
  const zeros = numbers.map((number) => emit.mul(number, zero));
  return emit.op("Equal", [zeros.reduce((a, b) => emit.add(a, b)), zero]);
}

/**
 * The share of labels that are the class with the largest score (of one score: whether the logit is above
 * 0, the probability above one half), among those that are not `ignored`; `undefined` where targets are no
 * labels.
 */
export function emitAccuracy(
  emit: GraphEmitter,
  { prediction, form }: Prediction,
  target: Value | undefined,
  ignored: number | undefined,
): Value | undefined {
  if (target === undefined || !isInteger(target.dtype)) return undefined;
  const classes = prediction.shape[1];
  if (sizeOf(prediction.shape) !== sizeOf(target.shape) * classes) return undefined;
  const toLong = (x: Value) => (x.dtype === "int64" ? x : emit.op("Cast", [x], { to: 7 }));
  const count = (x: Value) =>
    emit.op("ReduceSum", [emit.op("Cast", [x], { to: 1 })], { keepdims: 0 });
  const best =
    classes === 1
      ? toLong(
          emit.op("Greater", [
            prediction,
            emit.scalar(form === "logits" ? 0 : 0.5, prediction.dtype),
          ]),
        )
      : emit.op("ArgMax", [prediction], { axis: 1, keepdims: 0 });
  const wanted = toLong(target);
  const hits = count(emit.op("Equal", [emit.reshape(best, target.shape), wanted]));
  const total = emit.scalar(sizeOf(target.shape));
  if (ignored === undefined) return emit.div(hits, total);
  const others = count(emit.op("Equal", [wanted, emit.scalar(ignored, "int64")]));
  return emit.div(hits, emit.op("Max", [emit.sub(total, others), emit.scalar(1)]));
}
