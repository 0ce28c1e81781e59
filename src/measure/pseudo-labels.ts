/**
 * @file Samples without labels, labelled with what a network says of them, so that another can be
 * measured by how far it agrees.
 */
import type { Dataset } from "../data/dataset.ts";
import type { Batch, BatchOptions } from "../data/serve.ts";
import { type Role, roles } from "../data/splits.ts";
import { EspalierError } from "../errors.ts";
import {
  type ModelSource,
  openSession,
  type Session,
  type SessionOptions,
} from "../runtime/session.ts";
import { sizeOf, toNumbers } from "../tensor/host-tensor.ts";
import { declaredKind } from "./declared-kind.ts";
import { fitInput } from "./fit-input.ts";
import { chooseOutput } from "./outputs.ts";
import { runBatch } from "./pass.ts";
import { newScorer, type Scorer } from "./pixels.ts";

/** How the network that labels is run. */
export interface LabellingOptions extends SessionOptions {
  /** Default: the first output of shape [N, C], else of shape [N, C, H, W]. */
  readonly output?: string;
}

/** What the network gives for one sample. */
interface Labelling {
  readonly output: string;
  /** [H, W] of maps, [] of classes. */
  readonly size: readonly number[];
  readonly scorer: Scorer;
}

/** Labels are kept, not computed again, up to so many bytes. */
const keptBytes = 2 ** 28;

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
  const { scorer, size, output } = await labellingOf(dataset, model, options);
  const { classes } = scorer;
  const kept = new Map<number, Int32Array | Uint8Array>();
  const pixels = sizeOf(size);
  const bytesEach = pixels * (classes > 256 ? 4 : 1);
  const keep = (index: number, labels: Int32Array) => {
    if ((kept.size + 1) * bytesEach <= keptBytes)
      kept.set(index, classes > 256 ? labels.slice() : Uint8Array.from(labels));
  };

  /** [N * pixels] labels of a batch. */
  async function label(batch: Batch, session: () => Promise<Session>, isAugmented: boolean) {
    const labels = new Int32Array(batch.indices.length * pixels);
    const known = isAugmented ? [] : Array.from(batch.indices, (index) => kept.get(index));
    if (known.length > 0 && known.every((own) => own !== undefined)) {
      for (const [i, own] of known.entries()) labels.set(own ?? [], i * pixels);
      return labels;
    }
    const opened = await session();
    const input = fitInput(opened.inputs, dataset);
    for (const { from, to, tensor } of await runBatch(opened, input, output, batch)) {
      const scores = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
      const width = scores.length / tensor.shape[0];
      for (let i = from; i < to; i++) {
        const own = scorer.predict(scores.subarray((i - from) * width, (i - from + 1) * width));
        labels.set(own, i * pixels);
        if (!isAugmented) keep(batch.indices[i], own);
      }
    }
    return labels;
  }

  async function* batches(role: Role, batchOptions: BatchOptions): AsyncGenerator<Batch> {
    let opening: Promise<Session> | undefined;
    const session = () => {
      opening ??= openSession(model, options);
      return opening;
    };
    try {
      for await (const batch of dataset.batches(role, batchOptions)) {
        const data = await label(batch, session, batchOptions.augment !== undefined);
        const shape = [batch.indices.length, ...size];
        yield size.length === 0
          ? { ...batch, labels: data, labelMaps: undefined }
          : { ...batch, labels: undefined, labelMaps: { dtype: "int32", shape, data } };
      }
    } finally {
      await (await opening)?.close();
    }
  }

  return {
    ...dataset,
    ...{ labelKind: size.length === 0 ? "classes" : "maps", classes, batches },
    ...{ classNames: undefined, ignoreLabel: notIgnored },
    countClasses: async () => classes,
    requireLabelsBelow: async () => undefined,
  };
}

/** No network predicts it. */
const notIgnored = -1;

/** Runs one sample: what shapes a graph declares may be open. */
async function labellingOf(
  dataset: Dataset,
  model: ModelSource,
  options: LabellingOptions,
): Promise<Labelling> {
  const session = await openSession(model, options);
  try {
    const { name } = chooseOutput(session.outputs, options.output, "classes", "maps");
    const input = fitInput(session.inputs, dataset);
    const shape = await shapeOfFirst(session, input, name, dataset);
    const [, channels = 0, ...size] = shape;
    const isMap = size.length === 2 && sizeOf(size) > 1;
    const [a, b, c] = dataset.sampleShape;
    const [height, width] = dataset.preprocessing.layout === "nchw" ? [b, c] : [a, b];
    const fits = isMap
      ? channels > 0 && size[0] === height && size[1] === width
      : channels > 1 && sizeOf(size) === 1;
    if (!fits)
      throw new EspalierError(
        "DATA_MISMATCH",
        `the network's output ${name} has shape [${shape.join(", ")}]; expected [N, classes], or ` +
          `[N, classes, ${height}, ${width}]`,
        { hint: "Name the output that holds the classes: --output NAME.", data: { got: shape } },
      );
    const kind = (channels === 1 ? await declaredKind(model, name) : undefined) ?? "logits";
    const own = isMap ? size : [];
    const scorer = newScorer({ channels, pixels: sizeOf(own), kind, ignored: notIgnored });
    return { output: name, size: own, scorer };
  } finally {
    await session.close();
  }
}

async function shapeOfFirst(
  session: Session,
  input: ReturnType<typeof fitInput>,
  output: string,
  dataset: Dataset,
): Promise<readonly number[]> {
  const role = roles.find((candidate) => dataset.size(candidate) > 0) ?? "test";
  for await (const batch of dataset.batches(role, { batchSize: 1, limit: 1 })) {
    const [rows] = await runBatch(session, input, output, batch);
    return rows.tensor.shape;
  }
  return [];
}
