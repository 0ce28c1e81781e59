/** @file The networks of a certificate, each with the images as it reads them. */
import { stat } from "node:fs/promises";
import type { Subject } from "../../certify/request.ts";
import type { DatasetOptions } from "../../data/options.ts";
import { storedPreprocessing } from "../../data/stored-preprocessing.ts";
import { load, type ModelFlags } from "./model-options.ts";

/** How networks and images are read. */
export interface SubjectOptions {
  readonly flags: ModelFlags;
  /** The folder of the images. */
  readonly data: string;
  /** How samples become inputs; wins over what a network's file says. */
  readonly options: DatasetOptions;
}

/** A network and its images. */
export async function subjectOf(
  path: string,
  { flags, data, options }: SubjectOptions,
): Promise<Subject> {
  const { openDataset } = await import("../../data/dataset.ts");
  const model = await load(path, flags);
  const stored = storedPreprocessing(model.metadata);
  const dataset = await openDataset(data, { ...stored, ...options });
  return { ...(await networkOf(path, flags)), dataset };
}

/** A network as it is run, and the digest of its file. */
export async function networkOf(
  path: string,
  flags: ModelFlags,
): Promise<Omit<Subject, "dataset">> {
  const { writeModel } = await import("../../onnx/writing/write.ts");
  const { withSizes } = await import("../../structure/analysis/bound-sizes.ts");
  const { fileDigest } = await import("../../files/file-digest.ts");
  const model = await load(path, flags);
  const source = writeModel(model, withSizes(model.graph, flags.dims)).chunks;
  return { path, digest: await fileDigest(path), source };
}

/** Whether there is a file at a path. */
export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
