/** @file Compression by single weights: zeros that stay, units that they empty, and runs that prove it. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyFolder, espalier } from "../../test/cli-io.ts";
import { writeQuadrants } from "../../test/support/quadrants.ts";
import { makeWorkplace, type Workplace } from "../../test/support/small-cnn.ts";
import { loadModel, saveModel } from "../files/model-file.ts";
import { loadPlan, savePlan } from "../files/plan-file.ts";
import { GraphBuilder } from "../ir/builder.ts";
import { buildNetwork } from "../models/registry.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../onnx/writing/write.ts";
import { prune } from "../prune/prune.ts";
import { partsOf } from "../prune/pruned.ts";
import { verifyPruned, verifyZeros } from "../prune/verify.ts";
import { roundPaths, runPaths } from "../runs/folder/run-folder.ts";
import type { CompressSettingsInput } from "../runs/settings/compress-settings.ts";
import { planOf } from "../structure/plan.ts";
import { countWeights, weightConstants, weightTotal } from "../structure/weights/layer-weights.ts";
import { countZeros, withZeros, zerosIn } from "../structure/weights/zeros.ts";
import { sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { randomOf } from "../tensor/random.ts";
import { compressRun } from "./compress-run.ts";
import { planCompression } from "./dry-run/dry-run.ts";
import type { CompressReport } from "./record/compress-report.ts";
import { resumeRun } from "./resume-run.ts";
import { verifyRun } from "./verify/verify-run.ts";

const weights = { level: "weights" };
const common = {
  method: "magnitude",
  methodOptions: { level: "weights" },
  benchSeconds: 0.05,
  tuning: { threads: 1, batchSize: 20, learningRate: 0.05, optimizer: "adamw" },
} satisfies CompressSettingsInput;

describe("prune by weights", () => {
  const model = readModel(concatBytes(encodeGraph(buildNetwork("lenet-300-100", {}))));

  it.each([
    [0.5, "rms"],
    [0.1, "lamp"],
    [0.005, "rms"],
  ])("leaves a density of %f by %s, and loses nothing but zeros", async (density, scale) => {
    const pruned = prune(model, {
      method: "magnitude",
      targets: { density },
      methodOptions: { level: "weights", scale },
    });
    expect(pruned.isReached).toBe(true);
    const left = countWeights(pruned.graph).nonZero / weightTotal(model.graph);
    expect(left).toBeLessThanOrEqual(density);
    expect(left).toBeGreaterThan(density * 0.98);
    expect((await verifyPruned(model, pruned, { threads: 1 })).passed).toBe(true);
    expect(
      (await verifyZeros(model, { ...pruned, ...partsOf(pruned) }, { threads: 1 })).passed,
    ).toBe(true);
    if (density < 0.01) expect(partsOf(pruned).removed).toContain(1);
    // The plan says it all.
    const again = prune(model, { plan: pruned.plan });
    expect(Buffer.compare(concatBytes(again.bytes), concatBytes(pruned.bytes))).toBe(0);
  });

  it("takes the smallest weights of a layer, and never all of them", () => {
    const sparse = prune(model, {
      method: "magnitude",
      methodOptions: weights,
      targets: { density: 0.3 },
    });
    const { zeros } = partsOf(sparse);
    for (const [name, constant] of weightConstants(model.graph)) {
      const flags = zeros.get(name) ?? new Uint8Array(sizeOf(constant.shape));
      const sizes = toNumbers(constant.read()).map(Math.abs);
      const kept = sizes.filter((_, i) => flags[i] === 0);
      const gone = sizes.filter((_, i) => flags[i] === 1);
      const [largest, least] = [gone.reduce((a, b) => Math.max(a, b), 0), Math.min(...kept)];
      expect(largest).toBeLessThanOrEqual(least);
    }
    const most = prune(model, {
      method: "magnitude",
      methodOptions: weights,
      targets: { density: 1e-6 },
    });
    for (const constant of weightConstants(most.graph).values())
      expect(constant.shape.every((size) => size > 0)).toBe(true);
  });

  it("leaves alone what the rules leave alone, and what is 0 already", () => {
    const random = randomOf(1, "holes");
    const holes = new Map(
      [...weightConstants(model.graph)].map(([name, { shape }]) => [
        name,
        Uint8Array.from({ length: sizeOf(shape) }, () => (random.uniform() < 0.5 ? 1 : 0)),
      ]),
    );
    const reread = readModel(concatBytes(writeModel(model, withZeros(model.graph, holes))));
    const [first, ...others] = weightConstants(model.graph).keys();
    const again = prune(reread, {
      method: "magnitude",
      methodOptions: weights,
      targets: { density: 0.4 },
      rules: { only: [first] },
    });
    const { zeros } = partsOf(again);
    for (const name of others) expect(zeros.has(name)).toBe(false);
    const flags = zeros.get(first);
    expect(holes.get(first)?.every((hole, i) => hole === 0 || flags?.[i] === 1)).toBe(true);
    expect(countZeros(zeros)).toBeGreaterThan(countZeros(new Map([...holes].slice(0, 1))));
  });

  it("counts density where whole units go, too", () => {
    const pruned = prune(model, { method: "magnitude", targets: { density: 0.4 } });
    expect(partsOf(pruned).zeros.size).toBe(0);
    const { nonZero } = countWeights(pruned.graph);
    expect(nonZero / weightTotal(model.graph)).toBeLessThanOrEqual(0.4);
  });

  it("works from the command line, and verify follows the plan", async () => {
    const folder = await emptyFolder();
    const [net, out] = [join(folder, "net.onnx"), join(folder, "small.onnx")];
    await saveModel(net, writeModel(model));
    const args = ["--method", "magnitude", "--option", "level=weights", "--density", "0.2"];
    expect((await espalier(["prune", net, "-o", out, ...args])).exitCode).toBe(0);
    const plan = await loadPlan(`${out}.plan.json`);
    expect(plan.zeros?.map(({ tensor }) => tensor)).toHaveLength(3);
    expect((await espalier(["verify", net, out])).exitCode).toBe(0);
    // Another network with the same plan is none of this one.
    const other = readModel(concatBytes(encodeGraph(buildNetwork("lenet-300-100", { seed: 1 }))));
    await saveModel(net, writeModel(other));
    expect((await espalier(["verify", net, out])).exitCode).toBe(4);
    const data = ["--refit", folder];
    const refit = await espalier(["prune", net, "-o", join(folder, "x.onnx"), ...args, ...data]);
    expect(refit.exitCode).toBe(2);
  });
});

describe("compress of a network whose units must all stay", () => {
  const quick = { epochs: "1", rate: "0.01" };
  it.each<[string, Readonly<Record<string, string>>]>([
    ["magnitude", { level: "weights" }],
    ["snr", { level: "weights", ...quick }],
    ["turbo-vbi", { rounds: "1", ...quick }],
  ])(
    "makes weights 0 by %s",
    async (method, methodOptions) => {
      const { network, data, folder } = await oneLayer();
      const settings = {
        ...common,
        method,
        methodOptions,
        targets: { density: 0.5 },
        rounds: 1,
        epochs: 1,
      };
      const request = { network, data, run: join(folder, "run"), settings };
      expect((await planCompression(request)).warnings.join()).not.toContain("Nothing may go");
      const { rounds, outcome } = await compressRun(request);
      expect(rounds[0].remaining.density).toBeLessThanOrEqual(0.5);
      expect(outcome.isReached).toBe(true);
      expect((await verifyRun(request.run, { threads: 1 })).passed).toBe(true);
    },
    60_000,
  );

  it.each<[string, CompressSettingsInput]>([
    ["by filters", { method: "magnitude", methodOptions: {} }],
    ["by weights that the rules keep", { rules: { except: ["fc"] } }],
  ])("is over at once %s", async (_, how) => {
    const { network, data, folder } = await oneLayer();
    const settings = { ...common, targets: { density: 0.5 }, rounds: 1, epochs: 1, ...how };
    const request = { network, data, run: join(folder, "run"), settings };
    expect((await planCompression(request)).warnings.join()).toContain("Nothing may go");
    const { rounds } = await compressRun(request);
    expect(rounds).toHaveLength(1);
    expect(rounds[0].notes.join()).toContain("nothing is left that may go");
  });
});

/** One layer, 64 → 4, and its data: neither inputs nor logits may go. */
async function oneLayer() {
  const folder = await emptyFolder();
  const [network, data] = [join(folder, "net.onnx"), join(folder, "data")];
  await writeQuadrants(data);
  const b = new GraphBuilder("layer");
  const [flat] = b.node("Flatten", [b.input("input", "float32", ["N", 1, 8, 8])], { axis: 1 });
  const weight = tensorOf("float32", [64, 4], randomOf(1, "layer").normals(256));
  b.node("Gemm", [flat, b.constant("w", weight)], {}, { name: "fc", outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  await saveModel(network, encodeGraph(b.build()));
  return { folder, network, data };
}

describe("compress by weights", () => {
  let made: Workplace;
  let report: CompressReport;
  beforeAll(async () => {
    made = await makeWorkplace();
    const { net, data, run } = made;
    report = await compressRun({
      network: net,
      data,
      run,
      settings: {
        ...common,
        targets: { density: 0.1 },
        rounds: 2,
        epochs: 2,
        finalEpochs: 1,
      },
    });
  }, 60_000);
  afterAll(() => rm(made.folder, { recursive: true, force: true }));

  it("reaches its density by rounds that keep what is 0", async () => {
    const densities = report.rounds.map(({ remaining }) => remaining.density ?? 1);
    expect(densities).toHaveLength(3);
    expect(densities[0]).toBeGreaterThan(0.2);
    expect(densities[1]).toBeLessThanOrEqual(0.1);
    expect(densities[1]).toBeGreaterThan(0.095);
    expect(densities[2]).toBe(densities[1]);
    expect(report.outcome.isReached).toBe(true);
    for (const { round } of report.rounds) {
      const paths = roundPaths(made.run, round);
      const [pruned, tuned] = [
        zerosIn((await loadModel(paths.pruned)).graph),
        zerosIn((await loadModel(paths.tuned)).graph),
      ];
      expect(pruned.size).toBeGreaterThan(0);
      for (const [name, flags] of pruned) expect(tuned.get(name)).toEqual(flags);
    }
  });

  it("has a plan that makes the same weights of the original 0 as the rounds together", async () => {
    const { original, plan, model } = runPaths(made.run);
    const [whole, result] = [await loadModel(original), await loadModel(model)];
    const pruned = prune(whole, { plan: await loadPlan(plan) });
    expect(zerosIn(pruned.graph)).toEqual(zerosIn(result.graph));

    // A layer of which all is to be 0 is not that of the result.
    const { structure, removed, zeros } = partsOf(pruned);
    const [[name, flags]] = zeros;
    const more = new Map([...zeros, [name, new Uint8Array(flags.length).fill(1)]]);
    const written = await loadPlan(plan);
    await savePlan(plan, planOf(structure, removed, written.method, [], more));
    const { checks } = await verifyRun(made.run, { threads: 1 });
    await savePlan(plan, written);
    expect(checks.filter(({ passed }) => !passed).map((check) => check.name)).toEqual([
      "plan: composed",
      "plan: zeros",
    ]);
  }, 30_000);

  it("tells densities and clusters in its report", async () => {
    const layers = report.sparsity;
    expect(layers.map(({ layer }) => layer)).toEqual(["conv1", "conv2", "fc"]);
    const model = await loadModel(runPaths(made.run).model);
    const nonZero = layers.reduce((sum, { after }) => sum + after.nonZero, 0);
    expect(nonZero).toBe(countWeights(model.graph).nonZero);
    for (const { before, after } of layers) {
      expect(before.nonZero).toBe(before.weights);
      expect(after.clusters).toBeLessThanOrEqual(after.nonZero);
      expect(after.clusters).toBeGreaterThan(0);
    }
  });

  it("is verified from its files, zeros that came back included", async () => {
    const { passed, checks } = await verifyRun(made.run, { threads: 1 });
    expect(checks.filter((check) => !check.passed)).toEqual([]);
    expect(passed).toBe(true);
    const zeros = checks.filter(({ name }) => name.endsWith("zeros"));
    expect(zeros).toHaveLength(4);
    expect(zeros.every(({ figures }) => figures.zeros > 0)).toBe(true);

    const path = roundPaths(made.run, 2).tuned;
    const tuned = await loadModel(path);
    const [[name]] = zerosIn(tuned.graph);
    const constant = tuned.graph.constants.get(name);
    const tensor = constant?.read();
    if (constant === undefined || !(tensor?.data instanceof Float32Array)) throw new Error(name);
    const data = tensor.data.slice();
    data[data.indexOf(0)] = 0.5;
    const constants = new Map(tuned.graph.constants);
    constants.set(name, { ...constant, read: () => ({ ...tensor, data }) });
    const whole = writeModel(tuned);
    await saveModel(path, writeModel(tuned, { ...tuned.graph, constants }));
    const after = await verifyRun(made.run, { threads: 1 });
    await saveModel(path, whole);
    expect(after.checks.find((check) => check.name === "round 2: zeros")?.problem).toContain(
      `1 weights of "${name}" are 0 no longer`,
    );
  }, 30_000);

  it("is gone on with by train --keep-zeros", async () => {
    const sparse = runPaths(made.run).model;
    const flags = ["--epochs", "1", "--batch", "20", "--lr", "0.05", "--threads", "1"];
    const zeros = zerosIn((await loadModel(sparse)).graph);
    for (const keeps of [true, false]) {
      const run = join(await emptyFolder(), "run");
      const argv = ["train", sparse, "--data", made.data, "-o", run, ...flags];
      expect((await espalier([...argv, ...(keeps ? ["--keep-zeros"] : [])])).exitCode).toBe(0);
      const trained = zerosIn((await loadModel(runPaths(run).model)).graph);
      if (keeps) expect(trained).toEqual(zeros);
      else expect(countZeros(trained)).toBeLessThan(countZeros(zeros));
    }
  });

  it("searches how many weights may go where only a tolerance is given, and resumes", async () => {
    const { net, data } = made;
    const settings = { ...common, maxDrop: 0.2, rounds: 1, epochs: 1 };
    const stop = new AbortController();
    const run = join(await emptyFolder(), "run");
    const stopped = compressRun(
      { network: net, data, run, settings },
      { signal: stop.signal, onEpoch: () => stop.abort() },
    );
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    const resumed = await resumeRun(run);
    const other = join(await emptyFolder(), "run");
    const whole = await compressRun({ network: net, data, run: other, settings });
    if (resumed.command !== "compress") throw new Error("not a compression");
    expect(resumed.digests).toEqual(whole.digests);
    const [{ search, remaining }] = whole.rounds;
    expect(search.length).toBeGreaterThan(3);
    expect(search.length).toBeLessThanOrEqual(20);
    expect(search.every(({ density }) => density !== undefined)).toBe(true);
    expect(remaining.density).toBeLessThan(0.6);
    const model = await loadModel(runPaths(other).model);
    const original = await loadModel(runPaths(other).original);
    expect(countWeights(model.graph).nonZero / weightTotal(original.graph)).toBe(remaining.density);
    expect((await verifyRun(other, { threads: 1 })).passed).toBe(true);
  }, 60_000);
});
