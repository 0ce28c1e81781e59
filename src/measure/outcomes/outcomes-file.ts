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
  const parts = new Parts(path, file.tensors);
  switch (parsed.data.kind) {
    case "classes":
      return classesIn(parts);
    case "maps":
      return mapsIn(parts, parsed.data.classes);
    case "outputs": {
      const { outputs } = parsed.data;
      const errors = parts.get("errors", isFloat64, outputs.length);
      return { kind: "outputs", outputs, errors, indices: parts.indices };
    }
    case "values": {
      const values = parts.get("values", isFloat64, 1);
      return { kind: "values", metric: parsed.data.metric, values, indices: parts.indices };
    }
    default:
      return parsed.data satisfies never;
  }
}

type Kind<T extends TensorData> = (data: TensorData) => data is T;

/** The tensors of a file, each looked at when it is taken out. */
class Parts {
  readonly indices: Int32Array;
  readonly #path: string;
  readonly #tensors: ReadonlyMap<string, HostTensor>;

  constructor(path: string, tensors: ReadonlyMap<string, HostTensor>) {
    this.#path = path;
    this.#tensors = tensors;
    this.indices = this.get("indices", isInt32);
  }

  /** @param perSample How many numbers there must be for each sample; any where it is not given. */
  get<T extends TensorData>(name: string, isKind: Kind<T>, perSample?: number): T {
    const data = this.#tensors.get(name)?.data;
    if (data === undefined || !isKind(data)) throw damaged(this.#path, `lacks its ${name}`);
    if (perSample !== undefined && data.length !== this.indices.length * perSample)
      throw damaged(this.#path, "has parts of different lengths");
    return data;
  }

  /** The same for what a file may lack. */
  find<T extends TensorData>(name: string, isKind: Kind<T>, perSample?: number): T | undefined {
    return this.#tensors.has(name) ? this.get(name, isKind, perSample) : undefined;
  }
}

function classesIn(parts: Parts): Outcomes {
  return {
    kind: "classes",
    predictions: {
      indices: parts.indices,
      labels: parts.get("labels", isInt32, 1),
      predicted: parts.get("predicted", isInt32, 1),
      isCorrect: parts.get("isCorrect", isUint8, 1),
      losses: parts.get("losses", isFloat64, 1),
      confidences: parts.get("confidences", isFloat64, 1),
      briers: parts.find("briers", isFloat64, 1),
      outputs: parts.find("outputs", isFloat32),
    },
  };
}

function mapsIn(parts: Parts, classes: number): Outcomes {
  return {
    kind: "maps",
    classes,
    confusions: parts.get("confusions", isFloat64, classes ** 2),
    losses: parts.get("losses", isFloat64, 1),
    briers: parts.find("briers", isFloat64, 1),
    gaps: parts.find("gaps", isFloat64, calibrationBins),
    indices: parts.indices,
  };
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
