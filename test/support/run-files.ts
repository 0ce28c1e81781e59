/** @file The folder of a run, as an interruption must leave it: nothing half-written. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { loadModel } from "../../src/files/model-file.ts";
import { loadTensors } from "../../src/files/tensor-file.ts";
import { runPaths } from "../../src/runs/folder/run-folder.ts";

const always = ["config.json", "events.jsonl", "original.onnx"];
const results = ["model.onnx", "report.json"];
const checkpoint = "state.safetensors";

/** Expects files of a run, each of which can be read, and no others. */
export async function expectWholeFiles(run: string): Promise<void> {
  const paths = runPaths(run);
  const names = await readdir(run);
  expect(names).toEqual(expect.arrayContaining([...always, "checkpoint"]));
  expect([...always, ...results, "checkpoint"]).toEqual(expect.arrayContaining(names));
  const saved = await readdir(join(run, "checkpoint"));
  expect([checkpoint]).toEqual(expect.arrayContaining(saved));
  if (saved.length > 0)
    expect((await loadTensors(paths.checkpoint))?.tensors.size).toBeGreaterThan(0);
  for (const name of names) {
    const path = join(run, name);
    if (name.endsWith(".onnx")) expect((await loadModel(path)).graph.nodes).not.toHaveLength(0);
    if (name.endsWith(".json")) expect(JSON.parse(await readFile(path, "utf8")), name).toBeTruthy();
  }
  const events = (await readFile(paths.events, "utf8")).split("\n");
  // Every line is ended, the last one too.
  expect(events.pop()).toBe("");
  for (const line of events) expect(JSON.parse(line)).toHaveProperty("event");
}
