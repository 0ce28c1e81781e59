/** @file What networks are for, told by the shapes of their outputs. */
import { describe, expect, it } from "vitest";
import type { SessionValue } from "../../runtime/values.ts";
import type { DType } from "../../tensor/dtype.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { chooseOutput, type TaskFacts, taskOf } from "./outputs.ts";

type Sizes = readonly number[];

function facts(
  outputs: Readonly<Record<string, Sizes>>,
  more: Partial<TaskFacts> & { readonly dtype?: DType } = {},
): TaskFacts {
  const { dtype = "float32", ...rest } = more;
  const results = new Map(
    Object.entries(outputs).map(([name, shape]) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      return [name, tensorOf(dtype, shape, Array(size).fill(0))] as const;
    }),
  );
  const own = { results, samples: 2, image: [3, 8, 8], wanted: undefined };
  return { ...own, isProbability: () => false, ...rest };
}

describe("the task of a network", () => {
  it.each<readonly [string, TaskFacts, ReturnType<typeof taskOf>]>([
    ["[N, C] is a classifier", facts({ y: [2, 10] }), { kind: "classes", output: "y" }],
    ["[N, C, 1, 1] is one", facts({ y: [2, 10, 1, 1] }), { kind: "classes", output: "y" }],
    [
      "one score that is a probability is one",
      facts({ y: [2, 1] }, { isProbability: () => true }),
      { kind: "classes", output: "y" },
    ],
    ["one number is a regression", facts({ y: [2, 1] }), { kind: "outputs", outputs: ["y"] }],
    [
      "places of a detector are no classes",
      facts({ cls: [2, 1600, 1] }),
      { kind: "outputs", outputs: ["cls"] },
    ],
    [
      "several outputs are followed together",
      facts({ scores: [2, 44], boxes: [2, 44, 4] }),
      { kind: "outputs", outputs: ["scores", "boxes"] },
    ],
    ["maps as large as the image", facts({ y: [2, 5, 8, 8] }), { kind: "maps", output: "y" }],
    [
      "maps of another size may be a detector's",
      facts({ y: [2, 85, 4, 4] }),
      { kind: "outputs", outputs: ["y"] },
    ],
    [
      "unless they are named",
      facts({ y: [2, 85, 4, 4] }, { wanted: "y" }),
      { kind: "maps", output: "y" },
    ],
    [
      "an image of an image has no classes",
      facts({ y: [2, 3, 8, 8] }),
      { kind: "outputs", outputs: ["y"] },
    ],
    [
      "a map of numbers has none either, such as depth",
      facts({ y: [2, 1, 8, 8] }),
      { kind: "outputs", outputs: ["y"] },
    ],
    [
      "a named output of several counts alone",
      facts({ scores: [2, 44], boxes: [2, 44, 4] }, { wanted: "scores" }),
      { kind: "classes", output: "scores" },
    ],
    [
      "what is not one answer for each sample is left out",
      facts({ found: [7, 6], embedding: [2, 4, 4] }),
      { kind: "outputs", outputs: ["embedding"] },
    ],
  ])("%s", (_, given, task) => {
    expect(taskOf(given)).toEqual(task);
  });

  it.each([
    ["lists of findings", facts({ boxes: [7, 4], ids: [7] })],
    ["whole numbers", facts({ y: [2, 10] }, { dtype: "int64" })],
  ])("%s cannot be compared", (_, given) => {
    expect(() => taskOf(given)).toThrow(
      expect.objectContaining({
        code: "DATA_MISMATCH",
        message: expect.stringContaining("as many floating-point numbers for each sample"),
      }),
    );
  });
});

describe("the output to measure", () => {
  const outputs: readonly SessionValue[] = [
    { name: "boxes", dtype: "float32", shape: ["N", 100, 4] },
    { name: "map", dtype: "float32", shape: ["N", 5, 8, 8] },
    { name: "classes", dtype: "float32", shape: ["N", 10, 1, 1] },
  ];
  it("is the first of the form that labels ask for", () => {
    expect(chooseOutput(outputs, undefined, "classes").name).toBe("classes");
    expect(chooseOutput(outputs, undefined, "maps").name).toBe("map");
    expect(chooseOutput(outputs, "boxes", "maps").name).toBe("boxes");
  });
  it("is asked for by the flag that names it", () => {
    const none = outputs.slice(0, 2).filter(({ name }) => name === "boxes");
    expect(() => chooseOutput([...none, ...none], undefined, "classes")).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("`output`") }),
    );
    expect(() => chooseOutput(outputs, "logits", "classes")).toThrow(
      expect.objectContaining({
        message: expect.stringContaining("no output logits; it has boxes"),
      }),
    );
  });
});
