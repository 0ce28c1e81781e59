/**
 * @file A certification of pixel accuracy, on data with label maps. Pixels on which both networks agree contribute 0, as
 * images do; pixels of one image resemble each other, so that images, or groups of them, are what counts.
 */
import type { Dataset } from "../data/dataset.ts";
import type { SplitChoice } from "../data/splits.ts";
import { assert, EspalierError } from "../errors.ts";
import { declare } from "../guard/disagreements/procedure.ts";
import { measureOutcomes } from "../measure/outcomes/outcomes.ts";
import { unitsOfMaps } from "./assess.ts";
import { groupImages } from "./groups.ts";
import { rolesOf } from "./predict.ts";
import {
  type CertifyOptions,
  orderOfRequest,
  type Prepared,
  requestOf,
  type Subject,
} from "./request.ts";
import type { MapCounts } from "./state.ts";

/** The pixels of each image that count, and those of them that are right. */
interface RightPixels {
  readonly indices: readonly number[];
  readonly counted: readonly number[];
  readonly right: readonly number[];
  readonly classes: number;
}

/**
 * Runs both networks and compares how many pixels of each image they get right. Fails with `USAGE` for top-k, and as
 * `measureOutcomes`.
 */
export async function prepareMaps(
  first: Subject,
  second: Subject,
  options: CertifyOptions & { readonly split: SplitChoice },
): Promise<Prepared> {
  const { maxDrop, procedure = "looks", top = 1, groupBy: by = "auto" } = options;
  if (top !== 1)
    throw new EspalierError(
      "USAGE",
      "`top` is for images with one class each; pixels have one likeliest class",
      {
        data: { option: "top", value: String(top) },
      },
    );
  const { dataset } = first;
  options.onPhase?.("running the first network");
  const ours = await rightPixels(first, dataset, options);
  options.onPhase?.("running the second network");
  const theirs = await rightPixels(second, second.dataset, options);
  assert(ours.indices.join() === theirs.indices.join(), "both networks see the same samples");
  if (ours.classes !== theirs.classes || ours.counted.join() !== theirs.counted.join())
    throw new EspalierError(
      "DATA_MISMATCH",
      `${first.path} and ${second.path} tell other classes or pixels apart`,
      {
        data: { expected: ours.classes, got: theirs.classes },
      },
    );
  const gains = ours.right.map((right, i) => right - theirs.right[i]);
  const maps: MapCounts = {
    sizes: ours.counted,
    lost: gains.map((gain) => Math.max(0, gain)),
    won: gains.map((gain) => Math.max(0, -gain)),
  };
  const files = ours.indices.map((index) => dataset.fileOf(index));
  const { grouping } = groupImages({ by, files, thumbnails: undefined });
  const request = requestOf(first, second, {
    ...options,
    decoyShare: 0,
    isLabelled: true,
    digest: await dataset.digest(),
    classes: { count: ours.classes, names: dataset.classNames?.slice() ?? null },
    count: ours.indices.length,
    grouping,
    nearDuplicates: 0,
  });
  const units = unitsOfMaps(orderOfRequest(request), maps);
  const claim = { procedure, tolerance: maxDrop, level: request.level };
  const declaration = declare(
    claim,
    units.map(({ size }) => size),
  );
  return { state: { version: 1, request, declaration, questions: [], maps }, answers: [] };
}

async function rightPixels(
  { source }: Subject,
  dataset: Dataset,
  options: CertifyOptions & { readonly split: SplitChoice },
): Promise<RightPixels> {
  const [indices, counted, right]: [number[], number[], number[]] = [[], [], []];
  let classes = 0;
  for (const split of rolesOf(dataset, options.split)) {
    const left = (options.limit ?? Number.POSITIVE_INFINITY) - indices.length;
    if (left <= 0) break;
    const { onProgress } = options;
    const outcomes = await measureOutcomes(source, dataset, {
      ...options,
      split,
      limit: Math.min(left, dataset.size(split)),
      onProgress: onProgress && (({ done, total }) => onProgress(done, total)),
    });
    assert(outcomes.kind === "maps", "label maps are compared pixel by pixel");
    classes = outcomes.classes;
    for (const [i, index] of outcomes.indices.entries()) {
      const own = outcomes.confusions.subarray(i * classes ** 2, (i + 1) * classes ** 2);
      indices.push(index);
      counted.push(own.reduce((sum, pixels) => sum + pixels, 0));
      right.push(own.reduce((sum, pixels, k) => sum + (k % (classes + 1) === 0 ? pixels : 0), 0));
    }
  }
  return { indices, counted, right, classes };
}
