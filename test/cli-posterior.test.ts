/** @file Runs of methods that learn a posterior: it is kept, drawn from, and verified. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { compressRun } from "../src/compress/compress-run.ts";
import { roundPaths, runPaths } from "../src/compress/run-folder.ts";
import { verifyRun } from "../src/compress/verify-run.ts";
import { loadModel } from "../src/files/model-file.ts";
import { loadOutcomes } from "../src/measure/outcomes-file.ts";
import { uncertaintyOf } from "../src/measure/uncertainty.ts";
import { withSession } from "../src/runtime/session.ts";
import { tensorOf } from "../src/tensor/host-tensor.ts";
import { espalier } from "./cli-io.ts";
import { workplace } from "./support/small-cnn.ts";

describe.each(["snr", "vib", "rbp"])("a run of %s", (method) => {
  it("keeps its posterior and draws from it", async () => {
    const { net, data, run } = await workplace();
    const report = await compressRun({
      ...{ network: net, data, run },
      settings: {
        ...{ method, methodOptions: { epochs: "2" }, targets: { macs: 0.6 }, rounds: 1 },
        ...{ epochs: 1, finalEpochs: 1, benchSeconds: 0.05, posteriorSamples: 6 },
        tuning: { batchSize: 20, threads: 1 },
      },
    });
    expect(report.chosenRound).toBeGreaterThan(0);
    const { model, posterior, predictions } = runPaths(run);

    // The means are the weights of the result, and onnxruntime runs the file as it is.
    const [means, random] = [await loadModel(model), await loadModel(posterior)];
    for (const [name, constant] of means.graph.constants)
      expect(random.graph.constants.get(name)?.read().data).toEqual(constant.read().data);
    const x = tensorOf("float32", [2, 1, 8, 8], new Float64Array(128).fill(0.5));
    const draws = await withSession({ path: posterior }, { threads: 1 }, async (session) => {
      const draw = async () => [...(await session.run(new Map([["input", x]]))).values()][0].data;
      return [await draw(), await draw()];
    });
    expect(draws[0]).not.toEqual(draws[1]);
    // A run draws once for all of its examples.
    expect([...draws[0]].slice(0, 4)).toEqual([...draws[0]].slice(4));

    const { uncertainty } = report;
    expect(uncertainty?.posterior?.draws).toBe(6);
    const written = uncertaintyOf(await loadOutcomes(predictions.posterior));
    expect(uncertainty?.posterior?.figures.brier).toEqual(written?.brier);
    expect(uncertainty?.change.nll.value).toBeCloseTo(
      (report.result.loss ?? 0) - (report.baseline.loss ?? 0),
      10,
    );

    const evaluate = (...flags: readonly string[]) =>
      espalier(["evaluate", run, "--posterior-samples", "6", "--threads", "1", ...flags]);
    const { exitCode, out } = await evaluate("--json");
    expect(exitCode).toBe(0);
    expect((await evaluate("--json")).out).toBe(out);
    const found = JSON.parse(out);
    expect(found).toMatchObject({ draws: 6, seed: 0, split: "test" });
    expect(found.mean.loss).toBeCloseTo(report.result.loss ?? 0, 6);
    expect(found.posterior.crossEntropy.value).toBeCloseTo(
      uncertainty?.posterior?.figures.nll.value ?? 0,
      6,
    );
    expect(found.posterior.selective.coverage).toHaveLength(5);
    expect((await evaluate("--json", "--seed", "1")).out).not.toBe(out);
    expect((await evaluate()).out).toContain("Brier score");

    expect((await verifyRun(run, { threads: 1 })).passed).toBe(true);
    const bytes = await readFile(posterior);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(posterior, bytes);
    const { checks } = await verifyRun(run, { threads: 1 });
    expect(checks.filter(({ passed }) => !passed).map(({ name }) => name)).toEqual(["posterior"]);
    await rm(posterior);
    const without = await evaluate();
    expect(without.exitCode).not.toBe(0);
    expect(without.err).toContain("keeps no posterior to draw from");
    expect(await loadModel(roundPaths(run, 1).memory)).toBeTruthy();
  }, 60_000);
});

it("evaluates nothing without data", async () => {
  const { exitCode, err } = await espalier(["evaluate", "net.onnx"]);
  expect(exitCode).toBe(2);
  expect(err).toContain("--data DIR");
});
