/** @file `verify RUN`: what a run claims follows from its files, and whatever is changed is noticed. */
import { cp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compressRun } from "../src/compress/compress-run.ts";
import { compressReport } from "../src/compress/record/compress-report.ts";
import type { Echoed } from "../src/compress/verify/evidence-of-run.ts";
import { type Check, figureChecks, recompute } from "../src/compress/verify/verify-run-figures.ts";
import { EspalierError } from "../src/errors.ts";
import { loadTensors, saveTensors } from "../src/files/tensor-file.ts";
import { readConfig } from "../src/runs/folder/run-folder.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { makeWorkplace, type Workplace } from "./support/small-cnn.ts";

let made: Workplace;

beforeAll(async () => {
  made = await makeWorkplace();
  const { net, data, run } = made;
  await compressRun({
    network: net,
    data,
    run,
    settings: {
      method: "magnitude",
      maxDrop: 0.2,
      rounds: 2,
      epochs: 1,
      benchSeconds: 0.05,
      tuning: { batchSize: 20, learningRate: 0.05, threads: 1 },
    },
  });
}, 60_000);
afterAll(() => rm(made.folder, { recursive: true, force: true }));

/** A copy of the run, to be changed. */
async function copy(): Promise<string> {
  const run = join(await emptyFolder(), "run");
  await cp(made.run, run, { recursive: true });
  return run;
}

/** What `verify` says: the exit code, and the names of the checks that failed with what was wrong. */
async function verified(run: string) {
  const { exitCode, out } = await espalier(["verify", run, "--threads", "1", "--json"]);
  const { passed, checks } = JSON.parse(out);
  const failed = new Map<string, string>();
  for (const check of checks) if (!check.passed) failed.set(check.name, check.problem);
  expect([exitCode, failed.size === 0]).toEqual(passed ? [0, true] : [4, false]);
  return { checks, failed };
}

/** Changes a JSON file of a run as `change` says. */
async function edit(path: string, change: (json: Json) => void): Promise<void> {
  const json = JSON.parse(await readFile(path, "utf8"));
  change(json);
  await writeFile(path, JSON.stringify(json));
}

// biome-ignore lint/suspicious/noExplicitAny: any JSON, to be damaged
type Json = any;

describe("a run as it was left", () => {
  it("passes, with figures", async () => {
    const { checks, failed } = await verified(made.run);
    expect([...failed]).toEqual([]);
    const names = checks.map(({ name }: { name: string }) => name);
    expect(names).toEqual([
      ...["digests", "result", "round 1: removal", "round 1: chain"],
      ...["round 2: removal", "round 2: chain", "plan: composed", "plan: applied", "settings"],
      ...[
        "costs",
        "packing",
        "metric",
        "drop",
        "calibration",
        "classes",
        "guard",
        "outcome",
        "record",
      ],
    ]);
    expect(checks[4].figures).toMatchObject({ samples: 3, tolerance: 1e-4 });
    expect(checks[4].figures.maxError).toBeLessThan(1e-4);
    const report = JSON.parse(await readFile(join(made.run, "report.json"), "utf8"));
    expect(report).toMatchObject({ drop: { certified: true } });
    expect(report.looks.length).toBeGreaterThan(0);
  });

  it("passes without its data, wherever it lies, and says so in 80 columns", async () => {
    const { exitCode, out } = await espalier(["verify", await copy()]);
    expect(exitCode).toBe(0);
    expect(out).toContain("verified: all 18 checks passed\n");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });
});

/** Another number for the same place. */
const more = (value: number) => value + 1e-9 * Math.max(1, value);

describe("what is changed fails its check:", () => {
  const figures: readonly [string, (report: Json) => void, readonly string[]][] = [
    ["result.macs", (r) => r.result.macs--, ["costs"]],
    ["baseline.sizeBytes", (r) => r.baseline.sizeBytes++, ["costs"]],
    ["a group", (r) => r.groups[0].after++, ["costs"]],
    ["a layer", (r) => r.layers[0].after.params--, ["costs"]],
    ["a packed layer", (r) => (r.packing.layers[0].codes += 1), ["packing"]],
    ["the packed bytes", (r) => r.packing.bytes--, ["packing"]],
    ["result.value", (r) => (r.result.value = more(r.result.value)), ["metric"]],
    ["result.loss", (r) => (r.result.loss = more(r.result.loss)), ["metric"]],
    ["baseline.ci95", (r) => (r.baseline.ci95[0] = more(r.baseline.ci95[0])), ["metric"]],
    ["drop.value", (r) => (r.drop.value = more(r.drop.value)), ["drop"]],
    ["drop.ci95", (r) => (r.drop.ci95[1] = more(r.drop.ci95[1])), ["drop"]],
    ["a class", (r) => (r.classes[1].after = 0.5), ["classes"]],
    ["calibration", (r) => r.calibration.after.bins[14].samples--, ["calibration"]],
    ["drop.certified", (r) => (r.drop.certified = false), ["guard"]],
    ["drop.words", (r) => (r.drop.words = "Certified."), ["guard"]],
    ["a look", (r) => (r.looks[0].upper = more(r.looks[0].upper)), ["guard"]],
    ["a look's end", (r) => (r.looks[0].passed = false), ["guard"]],
    ["no look", (r) => r.looks.pop(), ["guard"]],
    ["the tolerance", (r) => (r.asked.maxDrop = 0.1), ["settings"]],
    ["the seed", (r) => r.seed++, ["settings"]],
    ["the outcome", (r) => (r.outcome.words = "All targets are met."), ["outcome"]],
    ["a latency", (r) => (r.result.latencyMs /= 2), ["record"]],
    ["a round", (r) => (r.rounds[0].search[0].drop = 0), ["record"]],
    ["the verification", (r) => (r.verification.maxError = 0), ["outcome"]],
  ];
  it.each(figures)("report.json, %s", async (_, change, expected) => {
    const run = await copy();
    await edit(join(run, "report.json"), change);
    expect([...(await verified(run)).failed.keys()].sort()).toEqual([...expected].sort());
  });

  it("one byte of model.onnx", async () => {
    const run = await copy();
    const path = join(run, "model.onnx");
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] ^= 1;
    await writeFile(path, bytes);
    expect([...(await verified(run)).failed.keys()]).toEqual(
      expect.arrayContaining(["digests", "result"]),
    );
  });

  it("a prediction", async () => {
    const run = await copy();
    const path = join(run, "predictions", "result.safetensors");
    const file = await loadTensors(path);
    const right = file?.tensors.get("isCorrect")?.data;
    if (!(right instanceof Uint8Array) || !file) throw new Error("the run has no predictions");
    right[3] = 1 - right[3];
    await saveTensors(path, file);
    const { failed } = await verified(run);
    expect([...failed.keys()].sort()).toEqual(["calibration", "classes", "drop", "metric"]);
    expect(failed.get("metric")).toMatch(/^result\.value is written as [\d.]+, but is [\d.]+;/);
  });

  it("the predictions, taken away", async () => {
    const run = await copy();
    await rm(join(run, "predictions", "original.safetensors"));
    const { failed } = await verified(run);
    expect(failed.get("drop")).toContain("original.safetensors: no such file");
  });

  it.each(["plan.json", "rounds/01/plan.json", "rounds/02/plan.json"])(
    "an index of %s",
    async (name) => {
      const run = await copy();
      await edit(join(run, name), ({ groups: [{ axes }] }) => {
        // Another channel of the group goes: a plan that fits as well as the first.
        for (const { kept, width } of axes) {
          const gone = [...Array(width).keys()].filter((index) => !kept.includes(index));
          kept[0] = gone[0];
          kept.sort((a: number, b: number) => a - b);
        }
      });
      const { failed } = await verified(run);
      const round = /rounds\/0(\d)/.exec(name)?.[1];
      if (round === undefined) expect([...failed.keys()]).toEqual(["plan: composed"]);
      else
        expect(failed.get(`round ${round}: removal`)).toMatch(
          /^optimization disabled, .* an error/,
        );
    },
  );

  it("a plan that fits nothing", async () => {
    const run = await copy();
    await edit(join(run, "rounds/01/plan.json"), ({ groups: [{ axes }] }) => axes[0].width++);
    const { failed } = await verified(run);
    expect(failed.get("round 1: removal")).toContain("is not in the network");
  });

  it("the network between two rounds", async () => {
    const run = await copy();
    await cp(join(run, "rounds/01/pruned.onnx"), join(run, "rounds/01/tuned.onnx"));
    const { failed } = await verified(run);
    expect([...failed.keys()]).toEqual(["round 2: chain"]);
    expect(failed.get("round 2: chain")).toContain("is not the network of");
  });
});

/** Places in a report that no file but the record of the run can vouch for, and none does. */
const unproven = [
  /^classNames/,
  /^samples\.(fit|select)$/,
  /^baseline\.select\.(ci95\.\d|loss|samples)$/,
  /^sensitivity$/,
  /^digests\.(original|model)$/, // verified against the files, by "digests"
];

/** The fields of a report that its evidence reads: where they change, the evidence is gathered anew. */
const echoed: Record<keyof Echoed, true> = {
  classNames: true,
  samples: true,
  metric: true,
  task: true,
  baseline: true,
  result: true,
  latency: true,
  drop: true,
  looks: true,
  rounds: true, // their numbers
  chosenRound: true,
  outcome: true,
  uncertainty: true,
  sensitivity: true,
};

it("vouches for every figure of the report but a few that are known", async () => {
  const config = await readConfig(made.run);
  if (config.command !== "compress") throw new Error("not a compression");
  const text = await readFile(join(made.run, "report.json"), "utf8");
  const unnoticed: string[] = [];
  const ofUnchanged = await recompute(made.run, config, compressReport.parse(JSON.parse(text)));
  let places = 0;
  for (const place of leavesOf(JSON.parse(text))) {
    const report = JSON.parse(text);
    let parent = report;
    for (const key of place.slice(0, -1)) parent = parent[key];
    const key = place[place.length - 1];
    parent[key] = changed(parent[key]);
    const parsed = compressReport.safeParse(report);
    places++;
    if (!parsed.success) continue; // refused as damaged
    const isRead = Object.hasOwn(echoed, place[0]) && (place[0] !== "rounds" || key === "round");
    const found = isRead ? () => recompute(made.run, config, parsed.data) : async () => ofUnchanged;
    if (await isAsFiled(figureChecks(config, parsed.data, found))) unnoticed.push(place.join("."));
  }
  expect(places).toBeGreaterThan(300);
  expect(unnoticed.filter((place) => !unproven.some((known) => known.test(place)))).toEqual([]);

  async function isAsFiled(checks: readonly Check[]) {
    for (const { work } of checks) {
      try {
        if ((await work()).problems.length > 0) return false;
      } catch (error) {
        if (error instanceof EspalierError) return false;
        throw error;
      }
    }
    return true;
  }
}, 120_000);

/** The paths of all numbers, texts and the like. */
function leavesOf(value: Json, path: readonly string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [[...path]];
  return Object.entries(value).flatMap(([key, part]) => leavesOf(part, [...path, key]));
}

function changed(value: Json): Json {
  if (typeof value === "number")
    return Number.isInteger(value) ? value + 1 : value * (1 + 1e-6) + 1e-9;
  if (typeof value === "boolean") return !value;
  return value === null ? 1 : `${value} `;
}

describe("what is no compression that is over is refused:", () => {
  it("a run that goes on", async () => {
    const run = await copy();
    await rm(join(run, "report.json"));
    const { exitCode, err } = await espalier(["verify", run]);
    expect(exitCode).toBe(2);
    expect(err).toContain(`hint: \`espalier resume ${run}\` goes on with it`);
  });

  it("a run of train", async () => {
    const { exitCode, err, out } = await espalier([
      ...["verify", join(made.folder, "trained"), "--json"],
    ]);
    expect([exitCode, JSON.parse(out).error.code]).toEqual([2, "RUN_INVALID"]);
    expect(err).toContain("holds no compression, but a run of train");
  });

  it.each([
    ["a folder of other things", [], "RUN_INVALID"],
    ["--data", ["--data", "x"], "USAGE"],
    ["--plan", ["--plan", "x"], "USAGE"],
    ["--dims", ["--dims", "N=3"], "USAGE"],
  ])("%s", async (_, flags, code) => {
    const { exitCode, out } = await espalier(["verify", made.folder, ...flags, "--json"]);
    expect([exitCode, JSON.parse(out).error.code]).toEqual([2, code]);
  });

  it("a file without a second one", async () => {
    const { exitCode, err } = await espalier(["verify", made.net]);
    expect(exitCode).toBe(2);
    expect(err).toContain("no second file was named");
  });
});
