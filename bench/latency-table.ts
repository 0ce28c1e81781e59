/**
 * @file `npm run bench:latency-table -- STEP MODELS RESULTS [--settings FILE] [--minutes n] [NAME...]`: what pruning by
 * default gains in time on the networks of a folder, beside `--round-to 1`, at 90, 70 and 50 % of the
 * multiply-accumulates.
 *
 * STEP is `prune` (prunes and measures accuracy, on a machine that may do other things meanwhile), `time` (wants the
 * machine to itself), or `table` (prints the table). RESULTS is a folder where every network and target has its files:
 * what is there is not done again, so that a stopped step goes on. No new network begins after --minutes.
 * NAME is a pattern of networks, without `.onnx`; default all.
 *
 * The settings are JSON: by the name of a network, its data set, the options of it, how many samples to take, and sizes
 * that the network leaves open. Without a data set, answers to random inputs are compared.
 *
 *     { "resnet20": { "data": "cifar10", "options": { "mean": [0.485, 0.456, 0.406] }, "limit": 1000 } }
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { type Dataset, openDataset } from "../src/data/dataset.ts";
import { datasetOptions } from "../src/data/options.ts";
import { loadModel, saveModel } from "../src/files/model-file.ts";
import { evaluate } from "../src/measure/evaluation/evaluate.ts";
import { timePair } from "../src/measure/latency/pair.ts";
import { withAnswersFrom } from "../src/measure/unlabelled/pseudo-outputs.ts";
import type { Model } from "../src/onnx/model.ts";
import { damageOfPruned } from "../src/prune/damage.ts";
import { prune } from "../src/prune/prune.ts";
import type { Rounding } from "../src/structure/choice/selection-rules.ts";
import { counted } from "../src/words/numbers.ts";
import { whySlower } from "../src/words/speed.ts";
import { casesNamed } from "./compress-case.ts";
import { percent, tableHead, tableLine } from "./table-cells.ts";

/** Shares of the multiply-accumulates that may remain. */
const targets = [0.9, 0.7, 0.5] as const;
/** The default, and any width. */
const roundings = ["auto", 1] as const satisfies readonly Rounding[];
/** The numbers of threads that each rounding is timed with. */
const threadCounts = { auto: [1, 2], 1: [1] } as const;
const secondsEach = 2;
const defaultLimit = 1000;

const networkSettings = z.strictObject({
  data: z.string().optional(),
  options: datasetOptions.prefault({}),
  split: z.enum(["fit", "select", "certify", "test"]).default("test"),
  limit: z.int().positive().default(defaultLimit),
  dims: z.record(z.string(), z.int().positive()).default({}),
});
type NetworkSettings = z.output<typeof networkSettings>;
const settingsOf = z.record(z.string(), networkSettings);

/** What the first step finds of a pruned network. */
const prunedRecord = z.object({
  method: z.string(),
  macs: z.number(),
  params: z.number(),
  isReached: z.boolean(),
  metric: z.string(),
  value: z.number(),
  before: z.number(),
});
type PrunedRecord = z.output<typeof prunedRecord>;

/** What the second step finds, by the number of threads. */
const timedRecord = z.array(
  z.object({
    threads: z.number(),
    ratio: z.number(),
    ci95: z.tuple([z.number(), z.number()]),
    originalMs: z.number(),
    why: z.string(),
  }),
);
type TimedRecord = z.output<typeof timedRecord>;

/** One pruned network. */
interface Case {
  readonly name: string;
  readonly network: string;
  readonly target: number;
  readonly rounding: (typeof roundings)[number];
  /** The path of its files, without their endings. */
  readonly path: string;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { settings: { type: "string" }, minutes: { type: "string" } },
});
const [step, models, results, ...patterns] = positionals;
if (step === undefined || models === undefined || results === undefined) {
  console.error(
    "usage: latency-table (prune|time|table) MODELS RESULTS [--settings FILE] [--minutes n] [NAME...]",
  );
  process.exit(2);
}
const endsAt = performance.now() + 60_000 * Number(values.minutes ?? Number.POSITIVE_INFINITY);
const settings = settingsOf.parse(
  values.settings === undefined ? {} : JSON.parse(await readFile(values.settings, "utf8")),
);
await mkdir(results, { recursive: true });
const files = (await readdir(models)).filter((file) => file.endsWith(".onnx")).sort();
const networks = casesNamed(
  files.map((file) => ({ name: file.slice(0, -".onnx".length) })),
  patterns,
).map(({ name }) => name);

switch (step) {
  case "prune":
    for (const each of cases()) if (isTime()) await pruneCase(each);
    break;
  case "time":
    for (const each of cases()) if (isTime()) await timeCase(each);
    break;
  case "table":
    await printTable();
    break;
  default:
    throw new Error(`${step} is no step: prune, time or table`);
}
process.exit(0);

function isTime(): boolean {
  return performance.now() < endsAt;
}

function cases(): readonly Case[] {
  return networks.flatMap((network) =>
    targets.flatMap((target) =>
      roundings.map((rounding) => {
        const name = `${network}-${target}-${rounding}`;
        return { name, network, target, rounding, path: join(results ?? "", name) };
      }),
    ),
  );
}

function originalOf({ network }: Case): Promise<Model> {
  return loadModel(join(models ?? "", `${network}.onnx`));
}

function settingsFor({ network }: Case): NetworkSettings {
  return settings[network] ?? networkSettings.parse({});
}

/** Prunes, measures accuracy, and writes the network and `NAME.json`. */
async function pruneCase(each: Case): Promise<void> {
  if (existsSync(`${each.path}.json`)) return;
  const startedAt = performance.now();
  const model = await originalOf(each);
  const own = settingsFor(each);
  const dims = new Map(Object.entries(own.dims));
  const { target, rounding } = each;
  const pruned = prune(model, { targets: { macs: target }, rules: { roundTo: rounding }, dims });
  await saveModel(`${each.path}.onnx`, pruned.bytes);
  const quality = await qualityOf(model, await loadModel(`${each.path}.onnx`), own, {
    damage: () => damageOfPruned(model, pruned, { threads: 1 }),
    before: (measure) => onceFor(each, measure),
  });
  const record: PrunedRecord = {
    method: pruned.method,
    macs: pruned.after.macs / pruned.before.macs,
    params: pruned.after.params / pruned.before.params,
    isReached: pruned.isReached,
    ...quality,
  };
  await writeFile(`${each.path}.json`, JSON.stringify(record));
  tell(each, startedAt);
}

/** How good both networks are on the data, or how alike their answers. */
async function qualityOf(
  original: Model,
  small: Model,
  { data, options, split, limit }: NetworkSettings,
  {
    damage,
    before,
  }: {
    readonly damage: () => ReturnType<typeof damageOfPruned>;
    /** Measures the original, unless that is on record. */
    readonly before: (measure: () => Promise<number>) => Promise<number>;
  },
): Promise<Pick<PrunedRecord, "metric" | "value" | "before">> {
  if (data === undefined) {
    const { outputs } = await damage();
    const sum = outputs.reduce((total, { correlation }) => total + correlation, 0);
    return { metric: "correlation on random inputs", value: sum / outputs.length, before: 1 };
  }
  const dataset = await openDataset(data, options);
  const how = { split, limit, threads: 1 };
  if (dataset.labelKind === "none") {
    const answered: Dataset = await withAnswersFrom(dataset, original, { threads: 1 });
    const { metric, value } = await evaluate(small, answered, how);
    const name = metric === "similarity" ? metric : "agreement";
    return { metric: name, value, before: 1 };
  }
  const { metric, value } = await evaluate(small, dataset, how);
  return {
    metric,
    value,
    before: await before(async () => (await evaluate(original, dataset, how)).value),
  };
}

/** A figure of the original network, measured once. */
async function onceFor({ network }: Case, measure: () => Promise<number>): Promise<number> {
  const path = join(results ?? "", `${network}.base.json`);
  const known = await recordOf(path, z.number());
  if (known !== undefined) return known;
  const value = await measure();
  await writeFile(path, JSON.stringify(value));
  return value;
}

/** Times the pruned network against the original, and writes `NAME.time.json`. */
async function timeCase(each: Case): Promise<void> {
  const path = `${each.path}.time.json`;
  if (existsSync(path) || !existsSync(`${each.path}.json`)) return;
  const startedAt = performance.now();
  const dims = new Map(Object.entries(settingsFor(each).dims));
  const [original, small] = [await originalOf(each), await loadModel(`${each.path}.onnx`)];
  const network = (model: Model) => ({ graph: model.graph, source: model });
  const record: TimedRecord[number][] = [];
  for (const threads of threadCounts[each.rounding]) {
    const options = { threads, dims, seconds: secondsEach };
    const timed = await timePair(network(original), network(small), options);
    if ("skipped" in timed) throw new Error(`${each.name}: ${timed.skipped}`);
    const { ratio, ci95, originalMs, verdict, slowerOperators } = timed;
    const why = verdict === "slower" ? whySlower(slowerOperators) : "";
    record.push({ threads, ratio, ci95: [ci95[0], ci95[1]], originalMs, why });
  }
  await writeFile(path, JSON.stringify(record));
  tell(each, startedAt);
}

function tell({ name }: Case, startedAt: number): void {
  console.error(`${name}: ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
}

async function recordOf<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  return existsSync(path) ? schema.parse(JSON.parse(await readFile(path, "utf8"))) : undefined;
}

async function printTable(): Promise<void> {
  const ratios = new Map<string, number[]>();
  const slow: string[] = [];
  const lines: string[] = [];
  for (const each of cases().filter(({ rounding }) => rounding === "auto")) {
    const any = { ...each, path: each.path.replace(/auto$/, "1") };
    const [own, other] = [await figuresOf(each), await figuresOf(any)];
    if (own === undefined) continue;
    for (const { threads, ratio, why } of own.timed) {
      const key = `${100 * each.target} %, ${counted(threads, "thread")}`;
      ratios.set(key, [...(ratios.get(key) ?? []), ratio]);
      if (why !== "") slow.push(`- ${each.network}, ${key}: ${why}`);
    }
    lines.push(
      tableLine([
        each.network,
        percent(own.pruned.macs),
        ...threadCounts.auto.map((threads) => ratioCell(own.timed, threads)),
        qualityCell(own.pruned),
        other === undefined ? "" : percent(other.pruned.macs),
        ratioCell(other?.timed ?? [], 1),
        other === undefined ? "" : qualityCell(other.pruned),
      ]),
    );
  }
  const heads = [
    ...["network", "MACs left, %", "latency, 1 thread", "2 threads", "quality"],
    ...["any width: MACs left, %", "latency, 1 thread", "quality"],
  ];
  print(`Processor: ${cpus()[0]?.model}, ${cpus().length} threads\n`);
  print(`${tableHead(heads)}\n${lines.join("\n")}\n`);
  print(tableHead(["target", "median of the ratios", "greatest"]));
  for (const [key, all] of ratios) {
    const sorted = all.toSorted((a, b) => a - b);
    const middle = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
    print(tableLine([key, middle.toFixed(3), Math.max(...all).toFixed(3)]));
  }
  if (slow.length > 0) print(`\n${slow.join("\n")}`);
}

async function figuresOf({ path }: Case) {
  const pruned = await recordOf(`${path}.json`, prunedRecord);
  if (pruned === undefined) return undefined;
  return { pruned, timed: (await recordOf(`${path}.time.json`, timedRecord)) ?? [] };
}

function ratioCell(timed: TimedRecord, threads: number): string {
  const found = timed.find((each) => each.threads === threads);
  if (found === undefined) return "";
  const { ratio, ci95 } = found;
  return `${ratio.toFixed(3)} (${ci95.map((end) => end.toFixed(3)).join(" to ")})`;
}

function qualityCell({ metric, value, before }: PrunedRecord): string {
  return before === 1
    ? `${metric} ${value.toFixed(3)}`
    : `${metric} ${percent(value)} of ${percent(before)}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
