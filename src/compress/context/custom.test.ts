/** @file Compression by a metric of the caller's. */
import { expect, it } from "vitest";
import { workplace } from "../../../test/support/small-cnn.ts";
import { openDataset } from "../../data/dataset.ts";
import { measureOutcomes } from "../../measure/outcomes/outcomes.ts";
import { compressRun } from "../compress-run.ts";
import { resumeRun } from "../resume-run.ts";
import type { CustomMetric } from "./custom.ts";

/** The negative cross-entropy of each sample. */
const likelihood: CustomMetric = {
  name: "log-likelihood",
  async measure(network, dataset, split) {
    const outcomes = await measureOutcomes(network, dataset, { split, threads: 1 });
    return outcomes.kind === "classes" ? outcomes.predictions.losses.map((loss) => -loss) : [];
  },
};

const settings = {
  method: "magnitude",
  targets: { macs: 0.6 },
  rounds: 1,
  epochs: 1,
  benchSeconds: 0.1,
  tuning: { threads: 1, batchSize: 20 },
};

it("judges and reports by it, and asks for it again to resume", async () => {
  const { data, net, run } = await workplace();
  const stop = new AbortController();
  const request = { network: net, data, run, settings, custom: { metric: likelihood } };
  const stopped = compressRun(request, { signal: stop.signal, onNote: () => stop.abort() });
  await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  await expect(resumeRun(run)).rejects.toMatchObject({ code: "USAGE" });
  const report = await resumeRun(run, { custom: { metric: likelihood } });
  expect(report).toMatchObject({ metric: "log-likelihood", task: "custom", chosenRound: 1 });
  if (report.command !== "compress") return;
  // The mean of the negative losses, as the built-in evaluation has it.
  const outcomes = await measureOutcomes({ path: `${run}/model.onnx` }, await openDataset(data), {
    threads: 1,
  });
  const losses = outcomes.kind === "classes" ? outcomes.predictions.losses : new Float64Array();
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  expect(report.result.value).toBeCloseTo(-mean, 10);
});

it("refuses values that are no metric", async () => {
  const { data, net, run } = await workplace();
  const metric: CustomMetric = { name: "short", measure: async () => [1, 2] };
  const request = { network: net, data, run, settings, custom: { metric } };
  await expect(compressRun(request)).rejects.toMatchObject({ code: "DATA_INVALID" });
});
