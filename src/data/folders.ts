/**
 * @file Folders of images: one folder per class, `images/` beside `masks/`, or images alone; each
 * with or without `train`, `val` and `test` above it.
 */
import { join, parse } from "node:path";
import { EspalierError } from "../errors.ts";
import { type Listing, list } from "./files.ts";
import { imageName, imageStore, maskStore } from "./image-files.ts";
import { invalid, type RawData, type SampleTable, type SplitName, splitOf } from "./table.ts";

/** A folder that holds one split. */
interface SplitFolder {
  readonly split: SplitName;
  readonly listing: Listing;
}

/** An image and its class. */
interface Labelled {
  readonly file: string;
  readonly className: string;
}

/** The folders of the splits; the folder itself where no name below it says a split. */
async function splitFolders(listing: Listing): Promise<readonly SplitFolder[]> {
  const named = listing.folders.filter((name) => splitOf(name) !== "none");
  if (named.length === 0) return [{ split: "none", listing }];
  return Promise.all(
    named.map(async (name) => ({
      split: splitOf(name),
      listing: await list(join(listing.path, name)),
    })),
  );
}

/** True where the folder, or each of its splits, has `images` and `masks`. */
export async function holdsMasks(listing: Listing): Promise<boolean> {
  const splits = await splitFolders(listing);
  return splits.every(({ listing: { folders } }) =>
    ["images", "masks"].every((name) => folders.includes(name)),
  );
}

/** Reads images and their masks, paired by file name. */
export async function readMasks(listing: Listing): Promise<RawData> {
  const tables: SampleTable[] = [];
  for (const { split, listing: folder } of await splitFolders(listing)) {
    const images = await imagesIn(join(folder.path, "images"));
    const masks = new Map(
      (await imagesIn(join(folder.path, "masks"))).map((file) => [parse(file).name, file]),
    );
    if (images.length === 0) throw notFound(join(folder.path, "images"), "holds no images");
    const paired = images.map((image) => {
      const mask = masks.get(parse(image).name);
      if (mask === undefined)
        throw invalid(image, `has no mask of the same name in ${join(folder.path, "masks")}`);
      return mask;
    });
    const labelMaps = await maskStore(paired);
    tables.push({ split, images: await imageStore(images), labels: undefined, labelMaps });
  }
  return { format: "images-masks", tables, classNames: undefined, classes: undefined };
}

/** True where folders below this one, or below its splits, hold images. */
export async function holdsClasses(listing: Listing): Promise<boolean> {
  for (const { listing: folder } of await splitFolders(listing))
    for (const name of folder.folders)
      if ((await imagesIn(join(folder.path, name))).length > 0) return true;
  return false;
}

/**
 * Reads a folder per class. Classes are numbered in code-unit order of their names, as torchvision's
 * `ImageFolder` does. Samples take turns between the classes, so that the first N are a fair share.
 */
export async function readClasses(listing: Listing): Promise<RawData> {
  const splits = await splitFolders(listing);
  const names = new Set(splits.flatMap(({ listing: folder }) => folder.folders));
  const classNames = [...names].sort();
  const indexOf = new Map(classNames.map((name, index) => [name, index]));
  const tables: SampleTable[] = [];
  for (const { split, listing: folder } of splits) {
    const samples = await labelledImages(folder);
    if (samples.length === 0) throw notFound(folder.path, "holds no folder with images");
    const labels = Int32Array.from(samples, ({ className }) => indexOf.get(className) ?? -1);
    const images = await imageStore(samples.map(({ file }) => file));
    tables.push({ split, images, labels, labelMaps: undefined });
  }
  return { format: "class-folders", tables, classNames, classes: classNames.length };
}

async function labelledImages(folder: Listing): Promise<readonly Labelled[]> {
  const ranked: (Labelled & { readonly rank: number })[] = [];
  for (const className of folder.folders) {
    const files = await imagesIn(join(folder.path, className));
    for (const [rank, file] of files.entries()) ranked.push({ file, className, rank });
  }
  // The sort is stable: within a rank the classes keep their order.
  return ranked.sort((a, b) => a.rank - b.rank);
}

/** True where the folder itself, or each of its splits, holds images. */
export async function holdsImages(listing: Listing): Promise<boolean> {
  const splits = await splitFolders(listing);
  return splits.every(({ listing: { files } }) => files.some((name) => imageName.test(name)));
}

/** Reads images without labels. */
export async function readImages(listing: Listing): Promise<RawData> {
  const tables: SampleTable[] = [];
  for (const { split, listing: folder } of await splitFolders(listing)) {
    const files = folder.files.filter((name) => imageName.test(name));
    if (files.length === 0) throw notFound(folder.path, "holds no images");
    const images = await imageStore(files.map((name) => join(folder.path, name)));
    tables.push({ split, images, labels: undefined, labelMaps: undefined });
  }
  return { format: "images", tables, classNames: undefined, classes: undefined };
}

async function imagesIn(path: string): Promise<readonly string[]> {
  const { files } = await list(path);
  return files.filter((name) => imageName.test(name)).map((name) => join(path, name));
}

function notFound(path: string, what: string): EspalierError {
  return new EspalierError("DATA_NOT_FOUND", `${path}: ${what}`, { data: { file: path } });
}
