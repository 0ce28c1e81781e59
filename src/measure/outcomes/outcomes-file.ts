/** @file Outcomes on disk, bit for bit: the figures of a loaded file are those of the network. */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { loadTensors, saveTensors } from "../../files/tensor-file.ts";
import type { DType } from "../../tensor/dtype.ts";
import type { HostTensor, TensorData } from "../../tensor/host-tensor.ts";
import { calibrationBins } from "../evaluation/classification.ts";
import type { Outcomes } from "./outcomes.ts";

const note = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("classes") }),
  z.object({ kind: z.literal("maps"), classes: z.int().positive() }),
  z.object({ kind: z.literal("outputs"), outputs: z.array(z.string()).min(1) }),
  z.object({ kind: z.literal("values"), metric: z.string() }),
]);

/** Writes outcomes. The file appears whole or not at all. Fails with `FILE_UNREADABLE`. */
export async function saveOutcomes(path: string, outcomes: Outcomes): Promise<void> {
  switch (outcomes.kind) {
    case "classes": {
      const { indices, labels, predicted, isCorrect, losses } = outcomes.predictions;
      const { confidences, briers, outputs } = outcomes.predictions;
      const tensors = new Map([
        ["indices", vector("int32", indices)],
        ["labels", vector("int32", labels)],
        ["predicted", vector("int32", predicted)],
        ["isCorrect", vector("uint8", isCorrect)],
        ["losses", vector("float64", losses)],
        ["confidences", vector("float64", confidences)],
        ...(briers ? [["briers", vector("float64", briers)] as const] : []),
        ...(outputs ? [["outputs", vector("float32", outputs)] as const] : []),
      ]);
      return saveTensors(path, { tensors, note: JSON.stringify({ kind: "classes" }) });
    }
    case "maps": {
      const { indices, confusions, losses, briers, gaps, classes } = outcomes;
      const tensors = new Map([
        ["indices", vector("int32", indices)],
        ["confusions", vector("float64", confusions)],
        ["losses", vector("float64", losses)],
        ...(briers ? [["briers", vector("float64", briers)] as const] : []),
        ...(gaps ? [["gaps", vector("float64", gaps)] as const] : []),
      ]);
      return saveTensors(path, { tensors, note: JSON.stringify({ kind: "maps", classes }) });
    }
    case "outputs": {
      const { indices, errors, outputs } = outcomes;
      const tensors = new Map([
        ["indices", vector("int32", indices)],
        ["errors", vector("float64", errors)],
      ]);
      return saveTensors(path, { tensors, note: JSON.stringify({ kind: "outputs", outputs }) });
    }
    case "values": {
      const { indices, values, metric } = outcomes;
      const tensors = new Map([
        ["indices", vector("int32", indices)],
        ["values", vector("float64", values)],
      ]);
      return saveTensors(path, { tensors, note: JSON.stringify({ kind: "values", metric }) });
    }
    default:
      return outcomes satisfies never;
  }
}

/**
 * Reads what {@link saveOutcomes} wrote.
 * Fails with `CHECKPOINT_INVALID` for a file that is damaged or holds something else, `FILE_UNREADABLE`.
 */
export async function loadOutcomes(path: string): Promise<Outcomes> {
  const file = await loadTensors(path);
  if (file === undefined)
    throw new EspalierError("FILE_UNREADABLE", `${path}: no such file`, { data: { path } });
  const parsed = note.safeParse(jsonOf(file.note));
  if (!parsed.success) throw damaged(path, "holds no outcomes");
  const get = <T extends TensorData>(name: string, isKind: (data: TensorData) => data is T): T => {
    const data = file.tensors.get(name)?.data;
    if (data === undefined || !isKind(data)) throw damaged(path, `lacks its ${name}`);
    return data;
  };
  const kept = parsed.data;
  const indices = get("indices", isInt32);
  const samples = indices.length;
  const requireLength = (lengths: readonly number[], wanted = samples) => {
    if (lengths.some((length) => length !== wanted))
      throw damaged(path, "has parts of different lengths");
  };
  switch (kept.kind) {
    case "classes": {
      const [labels, predicted] = [get("labels", isInt32), get("predicted", isInt32)];
      const isCorrect = get("isCorrect", isUint8);
      const losses = get("losses", isFloat64);
      const confidences = get("confidences", isFloat64);
      requireLength([labels, predicted, isCorrect, losses, confidences].map((own) => own.length));
      const outputs = file.tensors.has("outputs") ? get("outputs", isFloat32) : undefined;
      const briers = file.tensors.has("briers") ? get("briers", isFloat64) : undefined;
      if (briers) requireLength([briers.length]);
      const scores = { losses, confidences, briers };
      return {
        kind: "classes",
        predictions: { indices, labels, predicted, isCorrect, ...scores, outputs },
      };
    }
    case "maps": {
      const { classes } = kept;
      const confusions = get("confusions", isFloat64);
      const losses = get("losses", isFloat64);
      requireLength([losses.length]);
      requireLength([confusions.length], samples * classes ** 2);
      const [briers, gaps] = ["briers", "gaps"].map((name) =>
        file.tensors.has(name) ? get(name, isFloat64) : undefined,
      );
      if (briers) requireLength([briers.length]);
      if (gaps) requireLength([gaps.length], samples * calibrationBins);
      return { kind: "maps", classes, confusions, losses, briers, gaps, indices };
    }
    case "outputs": {
      const { outputs } = kept;
      const errors = get("errors", isFloat64);
      requireLength([errors.length], samples * outputs.length);
      return { kind: "outputs", outputs, errors, indices };
    }
    case "values": {
      const values = get("values", isFloat64);
      requireLength([values.length]);
      return { kind: "values", metric: kept.metric, values, indices };
    }
    default:
      return kept satisfies never;
  }
}

function vector(dtype: DType, data: Exclude<TensorData, readonly string[]>): HostTensor {
  return { dtype, shape: [data.length], data };
}

function damaged(path: string, what: string): EspalierError {
  return new EspalierError("CHECKPOINT_INVALID", `${path} ${what}`, { data: { path } });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema says what is wrong
  }
}

const isInt32 = (data: TensorData): data is Int32Array => data instanceof Int32Array;
const isUint8 = (data: TensorData): data is Uint8Array => data instanceof Uint8Array;
const isFloat32 = (data: TensorData): data is Float32Array => data instanceof Float32Array;
const isFloat64 = (data: TensorData): data is Float64Array => data instanceof Float64Array;
