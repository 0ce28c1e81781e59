/** @file Label maps: classes counted from the data, masks of yes and no, labels that are none. */
import { describe, expect, it } from "vitest";
import { folderOf, idxFile, npyFile, zipFile } from "../../test/data-files.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import type { DatasetOptions } from "./options.ts";

/** Images of 2x2 pixels whose maps hold these values. */
async function withMaps(
  maps: readonly (readonly number[])[],
  options: DatasetOptions = {},
): Promise<Dataset> {
  const folder = await folderOf({
    "test-images-idx3-ubyte": idxFile([maps.length, 2, 2]),
    "test-labels-idx3-ubyte": idxFile([maps.length, 2, 2], maps.flat()),
  });
  return openDataset(folder, options);
}

async function served(dataset: Dataset): Promise<number[]> {
  const all: number[] = [];
  for await (const { labelMaps } of dataset.batches("test", { batchSize: 2 }))
    all.push(...(labelMaps?.data ?? []));
  return all;
}

describe("classes of label maps", () => {
  it("are as many as the largest label says, without the ignored one", async () => {
    const maps = [
      [0, 1, 1, 0],
      [4, 255, 0, 0],
      [11, 2, 2, 2],
    ];
    expect(await (await withMaps(maps)).countClasses()).toBe(12);
    const dataset = await withMaps(maps, { ignoreLabel: 11, classes: 256 });
    expect(await dataset.countClasses()).toBe(256);
    expect(await (await withMaps(maps.slice(0, 2), { ignoreLabel: 4 })).countClasses()).toBe(256);
    expect(await (await withMaps(maps, { ignoreLabel: 255 })).countClasses()).toBe(12);
  });

  it("are those of the classes where samples have one each, and none without labels", async () => {
    const x = npyFile("<f4", [3, 2], new Float32Array(6));
    const y = npyFile("<i4", [3], Int32Array.of(0, 4, 1));
    const parts = [
      { name: "x.npy", content: x },
      { name: "y.npy", content: y },
    ];
    const labelled = await openDataset(await folderOf({ "test.npz": zipFile(parts) }));
    expect(await labelled.countClasses()).toBe(5);
    const bare = await openDataset(await folderOf({ "test.npz": zipFile(parts.slice(0, 1)) }));
    expect(await bare.countClasses()).toBe(0);
  });

  it("are checked against a network's, with the file named", async () => {
    const dataset = await withMaps([
      [0, 1, 255, 0],
      [0, 3, 0, 0],
    ]);
    await expect(dataset.requireLabelsBelow(4)).resolves.toBeUndefined();
    await expect(dataset.requireLabelsBelow(3)).rejects.toMatchObject({
      code: "DATA_INVALID",
      message: expect.stringMatching(
        /test-labels-idx3-ubyte: .* holds the label 3; expected 0 to 2/,
      ),
      hint: expect.stringContaining("`ignoreLabel` 3"),
    });
  });

  it("are held to what was said", async () => {
    const dataset = await withMaps([[0, 1, 2, 255]], { classes: 2 });
    await expect(served(dataset)).rejects.toThrow(/holds the label 2; expected 0 to 1/);
  });
});

describe("maps of 0 and 255 alone", () => {
  const masks = [
    [0, 0, 0, 0],
    [0, 255, 255, 0],
  ];

  it("are masks of yes and no: 255 is class 1", async () => {
    const dataset = await withMaps(masks);
    expect(await served(dataset)).toEqual([0, 0, 0, 0, 0, 1, 1, 0]);
    expect(await dataset.countClasses()).toBe(2);
    await expect(dataset.requireLabelsBelow(2)).resolves.toBeUndefined();
  });

  it("still have padding that does not count", async () => {
    const dataset = await withMaps(masks.slice(1), { pad: 1 });
    // The mask in the middle, 255 all round.
    expect(await served(dataset)).toEqual(
      [
        [255, 255, 255, 255],
        [255, 0, 1, 255],
        [255, 1, 0, 255],
        [255, 255, 255, 255],
      ].flat(),
    );
  });

  it("keep 255 as what does not count where that was said", async () => {
    const dataset = await withMaps(masks, { ignoreLabel: 255 });
    expect(await served(dataset)).toEqual(masks.flat());
    expect(await dataset.countClasses()).toBe(1);
  });

  it("are none once another label occurs, wherever it does", async () => {
    const maps = [...Array.from({ length: 20 }, () => [0, 255, 0, 0]), [0, 1, 255, 0]];
    const dataset = await withMaps(maps);
    expect(await served(dataset)).toEqual(maps.flat());
    expect(await dataset.countClasses()).toBe(2);
  });
});
