/** @file Runs of methods that learn a posterior: it is kept, drawn from, and verified. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { compressRun } from "../src/compress/compress-run.ts";
import { posteriorTolerances } from "../src/compress/packing/posterior-tolerances.ts";
import { resumeRun } from "../src/compress/resume-run.ts";
import { verifyRun } from "../src/compress/verify/verify-run.ts";
import { loadModel } from "../src/files/model-file.ts";
import { uncertaintyOf } from "../src/measure/outcomes/outcome-uncertainty.ts";
import { loadOutcomes } from "../src/measure/outcomes/outcomes-file.ts";
import { roundPaths, runPaths } from "../src/runs/folder/run-folder.ts";
import { withSession } from "../src/runtime/session.ts";
import { tensorOf, toNumbers } from "../src/tensor/host-tensor.ts";
import { espalier } from "./cli-io.ts";
import { workplace } from "./support/small-cnn.ts";

/** Methods whose posterior is one of single weights. */
const tellsWeights = new Set(["snr", "turbo-vbi"]);

/** The gated layers of the network, in the order in which rbp trains them. */
const rbpStages = ["conv1 (1 of 2)", "conv2 (2 of 2)"];

describe.each(["snr", "vib", "rbp", "turbo-vbi"])("a run of %s", (method) => {
  it("keeps its posterior and draws from it", async () => {
    const { net, data, run } = await workplace();
    const stages = new Set<string>();
    const report = await compressRun(
      {
        network: net,
        data,
        run,
        settings: {
          method,
          methodOptions: { epochs: "2" },
          targets: { macs: 0.6 },
          rounds: 1,
          epochs: 1,
          finalEpochs: 1,
          benchSeconds: 0.05,
          posteriorSamples: 6,
          tuning: { batchSize: 20, threads: 1 },
        },
      },
      { onProgress: ({ stage }) => stage !== undefined && stages.add(stage) },
    );
    // What trains one part after the other says which.
    if (method === "rbp") expect([...stages]).toEqual(rbpStages);
    else if (method === "turbo-vbi") expect([...stages][0]).toMatch(/^round \(1 of \d+\)$/);
    else expect(stages.size).toBe(0);
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
    const text = await evaluate("--per-class");
    expect(text.out).toContain("Brier score");
    expect(text.out).toMatch(/^accuracy .* % +[+-]\d+\.\d\d points /m);
    for (const { label, samples } of found.mean.perClass)
      expect(text.out).toMatch(new RegExp(`^${label} +${samples} +[\\d.]+ % +[\\d.]+ %`, "m"));

    const packRun = (...flags: readonly string[]) =>
      espalier(["pack", run, "-o", `${run}.esp`, "--json", "--steps-by", "posterior", ...flags]);
    if (tellsWeights.has(method)) {
      // The harmonic mean of the variances that posterior.onnx draws with.
      const tolerances = await posteriorTolerances(run);
      expect([...tolerances.keys()].sort()).toEqual(["conv1.weight", "conv2.weight", "fc.weight"]);
      for (const [name, tolerance] of tolerances) {
        const deviations = random.graph.constants.get(`deviation/${name}`)?.read();
        const known = [...toNumbers(deviations ?? x)].filter((deviation) => deviation > 0);
        const precision = known.reduce((sum, deviation) => sum + deviation ** -2, 0) / known.length;
        expect(tolerance).toBeCloseTo(precision ** -0.5, 10);
      }
      const packed = await packRun("--bits", "5");
      expect(packed.exitCode).toBe(0);
      const steps = new Map<string, number>();
      for (const { name, step } of JSON.parse(packed.out).tensors) steps.set(name, step);
      const factors = [...tolerances].map(([name, own]) => (steps.get(name) ?? 0) / own);
      for (const factor of factors) expect(factor / factors[0]).toBeCloseTo(1, 1);
      const searched = await packRun("--max-drop", "0.3", "--data", data, "--threads", "1");
      expect(JSON.parse(searched.out).drop.samples).toBe(report.samples.test);
    } else {
      const { exitCode: refused, err } = await packRun();
      expect(refused).not.toBe(0);
      expect(err).toMatch(/keeps no variances.*snr, turbo-vbi/s);
    }

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

/** The epochs and collapses among a run's events, without their times. */
async function eventsOf(run: string): Promise<readonly Record<string, unknown>[]> {
  const lines = (await readFile(runPaths(run).events, "utf8")).trim().split("\n");
  return lines
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === "epoch" || event === "collapse")
    .map(({ at, ...event }) => event);
}

const short = { targets: { macs: 0.6 }, rounds: 1, epochs: 1, benchSeconds: 0.05 };
const tuning = { batchSize: 20, threads: 1 };

describe("learning in a run", () => {
  it("ends in the same histories, events and posterior when it was stopped", async () => {
    const compress = async (stopAt: number) => {
      const { net, data, run } = await workplace();
      const stop = new AbortController();
      let epochs = 0;
      const settings = {
        ...short,
        method: "vib",
        methodOptions: { epochs: "3", statistics: "batch" },
        posteriorSamples: 2,
        tuning,
      };
      const hooks = {
        signal: stop.signal,
        onEpoch: () => {
          if (++epochs === stopAt) stop.abort();
        },
      };
      const done = compressRun({ network: net, data, run, settings }, hooks);
      const report = await done.catch(() => resumeRun(run));
      if (report.command !== "compress") throw new Error("the run is a compression");
      const { rounds, uncertainty } = report;
      const posterior = (await readFile(runPaths(run).posterior)).toString("base64");
      return { rounds, uncertainty, posterior, events: await eventsOf(run) };
    };
    const whole = await compress(0);
    expect(await compress(2)).toEqual(whole);
    const { rounds, events } = whole;
    expect(events).toHaveLength(3);
    expect(events[1]).toMatchObject({
      event: "epoch",
      round: 1,
      epoch: 2,
      phase: "learning",
      terms: { kl: expect.any(Number) },
      select: { metric: "top1" },
      facts: { kl: expect.any(Number), "snr p50": expect.any(Number), "alive conv1": 8 },
    });
    expect(rounds[0].learning[1].select?.facts).toEqual(events[1].facts);
    const [{ posterior, attempts }] = rounds;
    const units = attempts.find(({ isAccepted }) => isAccepted)?.units;
    const removed = posterior?.groups.map(({ kl }) => kl.removed.reduce((a, b) => a + b, 0));
    expect(removed?.reduce((a, b) => a + b, 0)).toBe(units);
    expect(posterior?.groups.map(({ id, units: of }) => [id, of])).toEqual([
      ["conv1", 8],
      ["conv2", 8],
    ]);
  }, 60_000);

  it("is taken back behind a collapse, which the run tells", async () => {
    const { net, data, run } = await workplace();
    const strong = { lambda: "100000", "gate-rate": "0.02", warmup: "0" };
    const report = await compressRun({
      network: net,
      data,
      run,
      settings: {
        ...short,
        method: "vib",
        methodOptions: { epochs: "9", ...strong },
        tuning,
        posteriorSamples: 0,
      },
    });
    const events = await eventsOf(run);
    const last = events.length - 1;
    expect(last).toBeLessThan(9);
    expect(events[last]).toMatchObject({ event: "collapse", round: 1, epoch: last });
    const text = `in epoch ${last} all units of `;
    expect(report.notes.some((note) => note.startsWith(text))).toBe(true);
    expect(await espalier(["report", run])).toMatchObject({ exitCode: 0 });
    const page = await readFile(runPaths(run).html, "utf8");
    expect(page).toContain(`In epoch ${last} all units of `);
    expect(page).toContain('id="posterior"');
    // None was drawn, but the network is kept.
    expect(report.uncertainty?.posterior).toBe(null);
    expect(await loadModel(runPaths(run).posterior)).toBeTruthy();
  }, 60_000);
});

it("evaluates nothing without data", async () => {
  const { exitCode, err } = await espalier(["evaluate", "net.onnx"]);
  expect(exitCode).toBe(2);
  expect(err).toContain("--data DIR");
});
