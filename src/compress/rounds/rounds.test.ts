/** @file Rounds: what a resumed run goes on from, and where a time budget ends one. */
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { type Workplace, workplace } from "../../../test/support/small-cnn.ts";
import { loadModel } from "../../files/model-file.ts";
import { GraphBuilder } from "../../ir/builder.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import type { RunHooks } from "../../runs/folder/run-hooks.ts";
import type { CompressSettingsInput } from "../../runs/settings/compress-settings.ts";
import { sizeOf, tensorOf } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";
import { compressRun } from "../compress-run.ts";
import type { CompressReport } from "../record/compress-report.ts";
import { resumeRun } from "../resume-run.ts";
import { verifyRun } from "../verify/verify-run.ts";

const common = {
  method: "magnitude",
  benchSeconds: 0.05,
  rules: { roundTo: 1 },
  tuning: { threads: 1, batchSize: 20 },
} satisfies CompressSettingsInput;

function compress(
  { net, data, run }: Workplace,
  settings: CompressSettingsInput,
  hooks: RunHooks = {},
): Promise<CompressReport> {
  return compressRun({ network: net, data, run, settings: { ...common, ...settings } }, hooks);
}

/** All epochs of tuning that a run has on record. */
function tuningOf({ rounds }: CompressReport) {
  return rounds.flatMap(({ attempts }) => attempts.map(({ tuning }) => tuning.length));
}

it("goes on within a later round where it was stopped", async () => {
  const place = await workplace();
  const stop = new AbortController();
  const seen: EpochRecord[] = [];
  const stopped = compress(
    place,
    { targets: { macs: 0.5 }, rounds: 2, epochs: 3 },
    {
      signal: stop.signal,
      onEpoch(record) {
        seen.push(record);
        // The second epoch of the second round.
        if (seen.length === 5) stop.abort();
      },
    },
  );
  await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  const later: number[] = [];
  const report = await resumeRun(place.run, { onEpoch: ({ epoch }) => later.push(epoch) });
  expect(later).toEqual([2]);
  expect(report.command === "compress" && tuningOf(report)).toEqual([3, 3]);
}, 60_000);

it("ends tuning when the time budget is spent, and gives the best so far", async () => {
  const place = await workplace();
  const report = await compress(place, {
    targets: { macs: 0.5 },
    rounds: 4,
    finalEpochs: 5,
    epochs: 100_000,
    timeBudgetSeconds: 4,
  });
  expect(report.outcome.isTimeSpent).toBe(true);
  const [first, ...others] = report.rounds;
  expect(others).toEqual([]);
  expect(first.attempts).toHaveLength(1);
  expect(first.attempts[0].tuning.length).toBeLessThan(100_000);
  expect(report.chosenRound).toBe(1);
  expect(await verifyRun(place.run)).toMatchObject({ passed: true });
}, 60_000);

it("tries nothing with what a method has learnt in part", async () => {
  const place = await workplace();
  const report = await compress(place, {
    method: "importance",
    methodOptions: { epochs: "100000" },
    targets: { macs: 0.5 },
    timeBudgetSeconds: 1,
  });
  expect(report).toMatchObject({ chosenRound: 0, outcome: { isTimeSpent: true } });
  expect(report.rounds.map(({ attempts }) => attempts)).toEqual([[]]);
  expect(await verifyRun(place.run)).toMatchObject({ passed: true });
}, 60_000);

it("measures the target for bytes on parameters, which a file has more than", async () => {
  const place = await workplace();
  const report = await compress(place, { targets: { bytes: 0.5 }, rounds: 1, epochs: 0 });
  const bytesOf = async (path: string) => {
    const { constants } = (await loadModel(path)).graph;
    // All parameters are float32 here.
    return [...constants.values()].reduce((sum, { shape }) => sum + 4 * shape.reduce(times, 1), 0);
  };
  const share = (await bytesOf(`${place.run}/model.onnx`)) / (await bytesOf(place.net));
  const { baseline, result } = report;
  expect(share).toBeLessThanOrEqual(0.5);
  expect(result.sizeBytes / baseline.sizeBytes).toBeGreaterThan(0.5);
  expect(report.outcome).toMatchObject({ isReached: true, words: "All targets are met." });
}, 60_000);

it("goes on with smaller removals where rounds before failed", async () => {
  const place = await workplace();
  const report = await compress(place, {
    // What a removal may lose is lost for good: nothing is tuned.
    maxDrop: 0.001,
    roundDrop: 0.9,
    rounds: 8,
    attempts: 1,
    epochs: 0,
  });
  const first = report.rounds.findIndex(({ isAccepted }) => isAccepted);
  expect(first).toBeGreaterThan(1);
  const units = report.rounds.slice(0, first + 1).map(({ attempts }) => attempts[0].units);
  for (const [i, now] of units.slice(1).entries()) expect(now).toBeLessThan(units[i]);
  expect(await verifyRun(place.run)).toMatchObject({ passed: true });
}, 60_000);

it("tries once more what only a later round may lose", async () => {
  const place = await workplace();
  const report = await compress(place, {
    maxDrop: 0.9,
    roundDrop: 0.4,
    rounds: 4,
    attempts: 1,
    epochs: 0,
  });
  const [failed, accepted] = report.rounds;
  expect([failed.isAccepted, accepted.isAccepted]).toEqual([false, true]);
  expect(accepted.attempts[0].units).toBe(failed.attempts[0].units);
}, 60_000);

it("ends where the same weights would be tried, and may lose no more", async () => {
  const place = await workplace();
  const report = await compress(place, {
    maxDrop: 0.001,
    roundDrop: 0.9,
    rounds: 5,
    attempts: 1,
    epochs: 0,
    methodOptions: { level: "weights" },
  });
  // Four stages of the tolerance; the fifth round would have that of the fourth.
  expect(report.rounds.map(({ isAccepted }) => isAccepted)).toEqual([false, false, false, false]);
}, 60_000);

function times(a: number, b: number): number {
  return a * b;
}

it("warns where learning alone did the damage", async () => {
  const place = await workplace();
  const learning = (rate: string): CompressSettingsInput => ({
    method: "importance",
    methodOptions: { epochs: "1", rate },
    targets: { macs: 0.8 },
    rounds: 1,
    epochs: 0,
    tuning: { ...common.tuning, optimizer: "adam" },
  });
  const heard: string[] = [];
  const wrecked = await compress(place, learning("0.3"), {
    onWarning: (warning) => heard.push(warning),
  });
  const damage =
    /learning alone took accuracy on select from \d+\.\d\d % to \d+\.\d\d %, before .*\(`rate`\)/;
  expect(wrecked.rounds[0].warnings).toEqual([expect.stringMatching(damage)]);
  expect(wrecked.warnings).toContain(wrecked.rounds[0].warnings?.[0]);
  expect(heard).toContainEqual(expect.stringMatching(damage));
  expect(await verifyRun(place.run)).toMatchObject({ passed: true });
  const mild = { ...place, run: join(dirname(place.run), "mild") };
  expect((await compress(mild, learning("auto"))).rounds[0].warnings).toBeUndefined();
}, 60_000);

it("lets nobody else in on a run that is under way", async () => {
  const place = await workplace();
  const intruders: Promise<unknown>[] = [];
  const settings = { targets: { macs: 0.8 }, rounds: 1, epochs: 2 };
  const report = await compress(place, settings, {
    onEpoch: () => intruders.push(resumeRun(place.run).catch((error: unknown) => error)),
  });
  expect(await Promise.all(intruders)).toMatchObject([{ code: "RUN_BUSY" }, { code: "RUN_BUSY" }]);
  expect(await resumeRun(place.run)).toEqual(report);
}, 60_000);

it("adds up where layers without a bias are given one by compensation", async () => {
  const place = await workplace();
  const b = new GraphBuilder("biasless");
  const random = randomOf(1, "biasless");
  const normal = (name: string, shape: readonly number[]) =>
    b.constant(
      name,
      tensorOf(
        "float32",
        shape,
        random.normals(sizeOf(shape)).map((v) => 0.3 * v),
      ),
    );
  const filled = (name: string, value: number) =>
    b.constant(name, tensorOf("float32", [8], new Float32Array(8).fill(value)));
  const x = b.input("input", "float32", ["N", 1, 8, 8]);
  const pads = { pads: [1, 1, 1, 1] };
  const [conv] = b.node("Conv", [x, normal("w1", [8, 1, 3, 3])], pads, { name: "conv1" });
  const [scale, shift] = [filled("scale", 1), filled("shift", 0.5)];
  const statistics = [filled("mean", 0), filled("variance", 1)];
  const bn = b.node("BatchNormalization", [conv, scale, shift, ...statistics], {}, { name: "bn" });
  const [relu] = b.node("Relu", bn, {}, { name: "relu1" });
  const next = b.node("Conv", [relu, normal("w2", [8, 8, 3, 3])], pads, { name: "conv2" });
  const flat = b.node("Flatten", b.node("Relu", next, {}, { name: "relu2" }), { axis: 1 });
  b.node("Gemm", [...flat, normal("w3", [512, 4])], {}, { name: "fc", outputs: ["logits"] });
  b.output("logits", { dtype: "float32", shape: ["N", 4] });
  await writeFile(place.net, concatBytes(encodeGraph(b.build())));
  await compress(place, { method: "bn", targets: { macs: 0.4 }, rounds: 2, epochs: 1 });
  const { graph } = await loadModel(join(place.run, "model.onnx"));
  expect(graph.nodes.find(({ name }) => name === "conv2")?.inputs).toHaveLength(3);
  expect(await verifyRun(place.run)).toMatchObject({ passed: true });
}, 60_000);
