/** @file Plans on disk: written whole beside their model, read with distrust. */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { folderOf } from "../../test/data-files.ts";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { writeModel } from "../onnx/writing/write.ts";
import type { Plan } from "../structure/plan.ts";
import { loadPlan, planPathFor, planText, savePruned } from "./plan-file.ts";

const plan: Plan = {
  format: "espalier-plan",
  version: 1,
  method: "magnitude",
  groups: [
    {
      id: "a [\n 1,\n 2\n]",
      axes: [{ node: "a", tensor: "w", axis: 0, width: 4, kept: [0, 2, 3] }],
    },
  ],
  edits: [{ node: "b", input: 2, dtype: "float32", shape: [1], base64: "AACAPw==" }],
};

it("is read back as it was written, whatever names it holds", async () => {
  const folder = await folderOf({ "p.json": planText(plan) });
  expect(await loadPlan(join(folder, "p.json"))).toEqual(plan);
});

it("keeps the indices of an axis on one line, for people who edit them", () => {
  expect(planText(plan)).toContain('"kept": [0, 2, 3]');
});

it("holds every content in its place, beside names that look like one, and none at all", () => {
  const edit = (node: string, base64: string) => ({ ...plan.edits[0], node, base64 });
  const zeros = [{ tensor: '"base64": ""', shape: [8], count: 8, base64: "/w==" }];
  const edits = [edit('x "base64": "" y', "AACAPw=="), edit("empty", ""), edit("c", "AAAAQA==")];
  const full: Plan = { ...plan, zeros, edits };
  expect(JSON.parse(planText(full))).toEqual(full);
  expect(planText(full).endsWith("}\n")).toBe(true);
});

describe("a plan that is none", () => {
  it.each([
    ["no JSON", "{", "no JSON"],
    ["another format", JSON.stringify({ ...plan, format: "x" }), "format"],
    ["a later version", JSON.stringify({ ...plan, version: 2 }), "version"],
    ["an unknown field", JSON.stringify({ ...plan, extra: 1 }), "extra"],
    ["a negative index", planText(plan).replace("[0, 2, 3]", "[-1]"), "kept.0"],
    ["a fraction", planText(plan).replace("[0, 2, 3]", "[0.5]"), "kept.0"],
    ["null", "null", "expected object"],
  ])("%s is refused by name", async (_, text, message) => {
    const folder = await folderOf({ "p.json": text });
    await expect(loadPlan(join(folder, "p.json"))).rejects.toMatchObject({
      code: "PLAN_INVALID",
      message: expect.stringContaining(message),
    });
  });

  it("a missing file is named", async () => {
    const folder = await folderOf({});
    await expect(loadPlan(join(folder, "p.json"))).rejects.toMatchObject({
      code: "FILE_UNREADABLE",
    });
  });
});

describe("saving", () => {
  const bytes = writeModel(readModel(residualNetwork()));

  it("writes the model and the plan, and nothing else", async () => {
    const folder = await folderOf({});
    const path = join(folder, "small.onnx");
    await savePruned(path, bytes, plan);
    expect((await readdir(folder)).sort()).toEqual(["small.onnx", "small.onnx.plan.json"]);
    expect(await loadPlan(planPathFor(path))).toEqual(plan);
    expect(await readFile(path)).toEqual(Buffer.from(residualNetwork()));
  });

  it("leaves an older plan alone when the model cannot be written", async () => {
    const folder = await folderOf({});
    const path = join(folder, "small.onnx");
    await mkdir(join(path, "in the way"), { recursive: true });
    await writeFile(planPathFor(path), "old");
    await expect(savePruned(path, bytes, plan)).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    expect(await readFile(planPathFor(path), "utf8")).toBe("old");
    expect((await readdir(folder)).sort()).toEqual(["small.onnx", "small.onnx.plan.json"]);
  });
});
