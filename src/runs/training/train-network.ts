/** @file The network of a training run: a file, or a built-in network made to fit the data. */
import { type Dataset, openDataset } from "../../data/dataset.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { storedPreprocessing } from "../../data/stored-preprocessing.ts";
import { EspalierError } from "../../errors.ts";
import { loadModel } from "../../files/model-file.ts";
import { outputNamed, outputsOf, trainedOutput } from "../../measure/evaluation/outputs.ts";
import type { NetworkOptions } from "../../models/architecture.ts";
import { architectureNamed, buildNetwork } from "../../models/registry.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { writeModel } from "../../onnx/writing/write.ts";

/** Which network, for which data. */
export interface NetworkRequest {
  /** A file that ends in `.onnx`, or the name of an architecture. */
  readonly network: string;
  /** Allow weights of the file in other files of its folder. */
  readonly externalData?: boolean;
  /** Classes of a network that is built. Default: as many as the data have. */
  readonly classes?: number | undefined;
  /** Channels of the first level of a network that is built. */
  readonly width?: number | undefined;
  readonly data: string;
  readonly dataOptions?: DatasetOptions;
  /** The output that is trained. Default: told by its shape. */
  readonly outputName?: string | undefined;
}

/** A network as a file, and the data as it takes them. */
export interface ChosenNetwork {
  readonly original: ModelBytes;
  readonly dataset: Dataset;
  /** With what models say about their preprocessing. */
  readonly dataOptions: DatasetOptions;
}

/** Whether a network is named as a file. */
export function isModelFile(network: string): boolean {
  return /\.onnx$/i.test(network);
}

/**
 * The network and its data. Preprocessing that the caller leaves open is that of the model's metadata,
 * then of the teacher's.
 */
export async function networkFor(
  request: NetworkRequest,
  teacher: Model | undefined,
  seed: number,
): Promise<ChosenNetwork> {
  const { network, data, externalData = false } = request;
  const taught = teacher === undefined ? {} : storedPreprocessing(teacher.metadata);
  if (!isModelFile(network)) {
    architectureNamed(network); // fails before the data are read
    const dataOptions = { ...taught, ...request.dataOptions };
    const dataset = await openDataset(data, dataOptions);
    const graph = buildNetwork(network, await networkOptions(request, dataset, teacher, seed));
    return { original: encodeGraph(graph), dataset, dataOptions };
  }
  for (const [name, value] of Object.entries({ classes: request.classes, width: request.width }))
    if (value !== undefined)
      throw new EspalierError("USAGE", `${network} has its ${name} already`, {
        hint: `Leave ${name} away, or name an architecture.`,
      });
  const model = await loadModel(network, { externalData });
  const dataOptions = { ...taught, ...storedPreprocessing(model.metadata), ...request.dataOptions };
  const dataset = await openDataset(data, dataOptions);
  const { labelKind } = dataset;
  const output = request.outputName ?? trainedOutput(model.graph, labelKind);
  outputNamed(outputsOf(model.graph), output);
  await requireClasses(network, classesOf(model, output), dataset);
  return { original: writeModel(model), dataset, dataOptions };
}

async function networkOptions(
  { network, classes: wanted, width }: NetworkRequest,
  dataset: Dataset,
  teacher: Model | undefined,
  seed: number,
): Promise<NetworkOptions> {
  const { sampleShape, preprocessing } = dataset;
  if (sampleShape.length !== 3 || preprocessing.layout !== "nchw")
    throw new EspalierError(
      "DATA_MISMATCH",
      `${network} takes images [C, H, W]; the samples are [${sampleShape.join(", ")}]`,
      { hint: "Use `layout` nchw and data that are images.", data: { got: sampleShape } },
    );
  const [channels, height, across] = sampleShape;
  const counted = wanted === undefined ? await dataset.countClasses() : 0;
  const taught = teacher && classesOf(teacher, trainedOutput(teacher.graph, "none"));
  const classes = wanted ?? (counted > 0 ? counted : taught);
  await requireClasses(network, classes, dataset);
  return {
    channels,
    size: [height, across],
    seed,
    ...(classes === undefined ? {} : { classes }),
    ...(width === undefined ? {} : { width }),
  };
}

/** How many classes an output tells apart, where its shape says so. */
function classesOf({ graph }: Model, output: string): number | undefined {
  const shape = outputNamed(outputsOf(graph), output).shape;
  const isOfClasses = shape.length === 2 || shape.length === 4;
  return isOfClasses && typeof shape[1] === "number" ? shape[1] : undefined;
}

async function requireClasses(
  network: string,
  classes: number | undefined,
  dataset: Dataset,
): Promise<void> {
  if (classes === undefined) return;
  // One score per sample or pixel tells two classes apart.
  const most = classes === 1 ? 2 : classes;
  if (dataset.classes <= most) return dataset.requireLabelsBelow(most);
  throw new EspalierError(
    "DATA_MISMATCH",
    `${network} tells ${most} classes apart, the labels name ${dataset.classes}`,
    { data: { expected: classes, got: dataset.classes } },
  );
}
