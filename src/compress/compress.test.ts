/** @file Compression in memory gives what the folder of a run holds, and leaves nothing behind. */
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { workplace } from "../../test/support/small-cnn.ts";
import { openDataset } from "../data/dataset.ts";
import { loadModel } from "../files/model-file.ts";
import { loadPlan } from "../files/plan-file.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { runPaths } from "../runs/folder/run-folder.ts";
import { compress } from "./compress.ts";
import { compressRun } from "./compress-run.ts";

const settings = {
  method: "importance",
  targets: { macs: 0.7 },
  rounds: 1,
  epochs: 1,
  benchSeconds: 0.05,
  tuning: { batchSize: 20, threads: 1 },
};

/** Temporary folders of compressions. */
async function leftovers(): Promise<readonly string[]> {
  const names = await readdir(tmpdir());
  return names.filter((name) => name.startsWith("espalier-compress-")).sort();
}

describe("compress", () => {
  it("gives the model, plan and figures that compressRun writes, and removes its folder", async () => {
    const { net, data, run } = await workplace();
    const before = await leftovers();
    const phases: string[] = [];
    const { bytes, plan, report } = await compress(await loadModel(net), await openDataset(data), {
      ...settings,
      onPhase: (phase) => phases.push(phase),
    });
    expect(await leftovers()).toEqual(before);
    expect(phases.length).toBeGreaterThan(2);

    const written = await compressRun({ network: net, data, run, settings });
    const paths = runPaths(run);
    expect(Buffer.compare(concatBytes(bytes), await readFile(paths.model))).toBe(0);
    expect(plan).toEqual(await loadPlan(paths.plan));
    expect(report.outcome).toEqual(written.outcome);
    expect(report.outcome.isReached).toBe(true);
  }, 120_000);

  it("is stopped by its signal, and leaves nothing", async () => {
    const { net, data } = await workplace();
    const before = await leftovers();
    const stop = new AbortController();
    const stopped = compress(await loadModel(net), await openDataset(data), {
      ...settings,
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(await leftovers()).toEqual(before);
  }, 60_000);
});
