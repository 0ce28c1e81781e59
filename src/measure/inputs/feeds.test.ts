/** @file Random feeds: bound sizes, and which values go where. */
import { describe, expect, it } from "vitest";
import type { Shape } from "../../ir/graph.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type FeedOptions, randomFeeds } from "./feeds.ts";

const input = (shape: Shape | undefined, dtype: DType = "float32") => ({ name: "x", dtype, shape });
const shapeFor = (shape: Shape, options?: FeedOptions) =>
  randomFeeds([input(shape)], options).get("x")?.shape;

describe("randomFeeds", () => {
  it.each<readonly [Shape, FeedOptions, readonly number[]]>([
    [["N", 3, 32, 32], {}, [1, 3, 32, 32]],
    [["N", 3, 32, 32], { batch: 4 }, [4, 3, 32, 32]],
    [["N", 3, "H", "W"], {}, [1, 3, 224, 224]],
    [["N", 3, "H", "?x_3"], { dims: new Map([["H", 64]]) }, [1, 3, 64, 224]],
    [["N", "H", "W", 3], { batch: 2 }, [2, 224, 224, 3]],
    [["N", 1, "D", "H", "W"], {}, [1, 1, 64, 64, 64]],
    [["N", 1, "D", "H", "W"], { dims: new Map([["D", 9]]) }, [1, 1, 9, 64, 64]],
    [["N", "features"], { dims: new Map([["features", 5]]) }, [1, 5]],
    [[1, 10], { batch: 1 }, [1, 10]],
    [[], {}, []],
  ])("binds %j under %j to %j", (declared, options, expected) => {
    expect(shapeFor(declared, options)).toEqual(expected);
  });

  it.each([
    [input(["N", "features"]), {}],
    [input(undefined), {}],
    [input([1, 3, 8, 8]), { batch: 2 }],
  ])("refuses %j under %j", (declared, options) => {
    expect(() => randomFeeds([declared], options)).toThrowError(
      expect.objectContaining({ code: "DATA_MISMATCH" }),
    );
  });

  it("draws floats and bytes of images by seed and name, and fills all others with zeros", () => {
    const inputs = [
      { name: "image", dtype: "float32", shape: [2000] },
      { name: "other", dtype: "float32", shape: [2000] },
      { name: "half", dtype: "float16", shape: [2] },
      { name: "bytes", dtype: "uint8", shape: [1, 20, 20, 3] },
      { name: "flags", dtype: "uint8", shape: [2] },
      { name: "index", dtype: "int64", shape: [3] },
      { name: "text", dtype: "string", shape: [2] },
    ] as const;
    const feeds = randomFeeds(inputs, { seed: 1 });
    expect(randomFeeds(inputs, { seed: 1 })).toEqual(feeds);
    expect(randomFeeds(inputs, { seed: 2 })).not.toEqual(feeds);
    const image = Array.from(feeds.get("image")?.data ?? [], Number);
    expect(image).not.toEqual(Array.from(feeds.get("other")?.data ?? [], Number));
    const variance = image.reduce((sum, x) => sum + x * x, 0) / image.length;
    expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 2000));
    expect(feeds.get("half")?.data).toBeInstanceOf(Uint16Array);
    const bytes = Array.from(feeds.get("bytes")?.data ?? [], Number);
    expect([Math.min(...bytes) < 8, Math.max(...bytes) > 247]).toEqual([true, true]);
    expect(feeds.get("flags")?.data).toEqual(new Uint8Array(2));
    expect(feeds.get("index")?.data).toEqual(new BigInt64Array(3));
    expect(feeds.get("text")?.data).toEqual(["", ""]);
  });
});
