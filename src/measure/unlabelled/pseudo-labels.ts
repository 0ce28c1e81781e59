/** @file Samples labelled with what a network says of them: a class for each, or a map of classes. */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch, BatchOptions } from "../../data/serve.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { ModelSource } from "../../runtime/values.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";
import { type AnswerOptions, answered, findTask, type Numbers } from "../evaluation/answers.ts";
import { declaredKind } from "../evaluation/declared-kind.ts";
import { differsFromLabels, isPlane, type MapSize, newResizer } from "../evaluation/label-size.ts";
import type { OutputForm } from "../evaluation/outputs.ts";
import { newScorer, type Scorer } from "../evaluation/pixels.ts";

/** How the network that labels is run. */
export interface LabellingOptions extends Omit<AnswerOptions, "wantsLabels"> {
  /** The size of label maps. Default: that of the network's output. */
  readonly labelSize?: MapSize | undefined;
}

/** A label that no network predicts. */
const notIgnored = -1;

/**
 * The same samples, labelled with the class that the network finds likeliest, or with a map of them.
 * Labels are computed when a sample is first served, and again for each augmented one, which is labelled
 * as it is after augmentation. What labels the samples had are gone.
 *
 * Fails with `DATA_MISMATCH` where samples do not fit the network, or its output holds no classes; the
 * batches fail as those of `dataset`, and with `RUNTIME_FAILED`.
 */
export async function withLabelsFrom(
  dataset: Dataset,
  model: ModelSource,
  options: LabellingOptions = {},
): Promise<Dataset> {
  const { task, results } = await findTask(dataset, model, { ...options, wantsLabels: true });
  if (task.kind !== "outputs") return labelledBy(dataset, model, options, task, results);
  const list = task.outputs.map((name) => `${name} [${results.get(name)?.shape.join(", ")}]`);
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network's outputs tell no classes apart: ${list.join(", ")}; expected [N, classes], or ` +
      "[N, classes, H, W] as large as its input",
    { hint: "Name the output that holds the classes: `output`." },
  );
}

/** The same samples, labelled by an output that holds classes. `results` are those of a few samples. */
export async function labelledBy(
  dataset: Dataset,
  model: ModelSource,
  { output: _, wantsLabels: __, labelSize, ...session }: AnswerOptions & LabellingOptions,
  { output }: { readonly kind: OutputForm; readonly output: string },
  results: ReadonlyMap<string, HostTensor>,
): Promise<Dataset> {
  const [, channels = 0, ...places] = results.get(output)?.shape ?? [];
  const own = sizeOf(places) > 1 ? places : [];
  const isResized =
    labelSize !== undefined && isPlane(own) && differsFromLabels(output, own, labelSize);
  const size = isResized ? labelSize : own;
  const resizer = isResized ? newResizer(channels, own, labelSize) : undefined;
  const scorer = await scorerOf(model, output, channels, sizeOf(size));
  const { classes } = scorer;
  const rows = answered({
    dataset,
    model,
    session,
    outputs: [output],
    rowOf: ([scores]) => labelsOf(scorer, resizer?.(scores) ?? scores),
  });

  async function* batches(role: Role, batchOptions: BatchOptions): AsyncGenerator<Batch> {
    for await (const { batch, rows: labels } of rows(role, batchOptions)) {
      const data = new Int32Array(labels.length * sizeOf(size));
      for (const [i, row] of labels.entries()) data.set(row, i * sizeOf(size));
      yield size.length === 0
        ? { ...batch, labels: data, labelMaps: undefined }
        : {
            ...batch,
            labels: undefined,
            labelMaps: { dtype: "int32", shape: [labels.length, ...size], data },
          };
    }
  }

  return {
    ...dataset,
    labelKind: size.length === 0 ? "classes" : "maps",
    classes,
    batches,
    labelSize: size.length === 0 ? undefined : size,
    classNames: undefined,
    ignoreLabel: notIgnored,
    answers: undefined,
    countClasses: async () => classes,
    requireLabelsBelow: async () => undefined,
  };
}

async function scorerOf(
  model: ModelSource,
  output: string,
  channels: number,
  pixels: number,
): Promise<Scorer> {
  const kind = (channels === 1 ? await declaredKind(model, output) : undefined) ?? "logits";
  return newScorer({ channels, pixels, kind, ignored: notIgnored });
}

/** The likeliest class of each pixel of one sample, in as few bytes as they take. */
function labelsOf(scorer: Scorer, scores: Numbers): Int32Array | Uint8Array {
  const labels = scorer.predict(scores);
  return scorer.classes > 256 ? labels.slice() : Uint8Array.from(labels);
}
