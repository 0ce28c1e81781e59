/**
 * @file `npx tsx bench/bn-table.ts MODEL DATA [stream]`: accuracy of a CIFAR-10 network pruned by
 * `bn` without fine-tuning, as markdown tables: all modes, the effect of each correction, refitting.
 *
 * MODEL has batch normalization and takes (x/255 - mean)/std; DATA is a folder with CIFAR-10's
 * `data_batch_1.bin` (unlabelled images for refitting) and a `test*.bin`. With `stream` the residual
 * streams may be pruned as well.
 */
import { readFileSync } from "node:fs";
import { type Dataset, openDataset } from "../src/data/dataset.ts";
import { evaluate } from "../src/measure/evaluation/evaluate.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { prune } from "../src/prune/prune.ts";
import { refitPruned } from "../src/prune/refit.ts";

const budgets = [0.77, 0.68, 0.58, 0.51];
const preprocessing = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** One line of a table: the method's options, and how many images to refit on. */
interface Row {
  readonly label: string;
  readonly method?: string;
  readonly options?: Readonly<Record<string, string>>;
  readonly refitImages?: number;
}

const plain = { borders: "off", correlations: "off", variance: "off" };
const tables: readonly { readonly title: string; readonly rows: readonly Row[] }[] = [
  {
    title: "modes, all corrections on",
    rows: [
      { label: "`next` (default)" },
      ...["mean", "rms", "std"].map((mode) => ({ label: `\`${mode}\``, options: { mode } })),
      { label: "for comparison: `magnitude` (L1)", method: "magnitude" },
    ],
  },
  {
    title: "mode `next`, corrections one after the other",
    rows: [
      { label: "no compensation", options: { compensate: "off" } },
      { label: "+ mean compensation", options: plain },
      { label: "+ border shares", options: { correlations: "off", variance: "off" } },
      { label: "+ running variance", options: { correlations: "off" } },
      { label: "+ correlations, scored once", options: { reestimate: "off" } },
      { label: "+ scored again after every removal (default)" },
    ],
  },
  {
    title: "refitted on unlabelled images",
    rows: [
      { label: "32 images", refitImages: 32 },
      { label: "256 images", refitImages: 256 },
    ],
  },
];

async function main(args: readonly string[]): Promise<void> {
  const [path, data, stream] = args;
  if (path === undefined || data === undefined)
    throw new Error("usage: npx tsx bench/bn-table.ts MODEL DATA [stream]");
  const model = readModel(readFileSync(path));
  const dataset = await openDataset(data, preprocessing);
  const base = await evaluate(readFileSync(path), dataset);
  const what = stream === "stream" ? "residual streams too" : "inner channels only";
  print(`### ${path.split("/").at(-1)}, ${what}, ${base.samples} test images\n`);
  print(`Top-1 in percent by the share of MACs left; base ${percent(base.value)}.\n`);
  const known = new Map<string, number>();
  for (const { title, rows } of tables) {
    print(`| ${title} | ${budgets.map((b) => `${Math.round(b * 100)} %`).join(" | ")} |`);
    print(`| --- | ${budgets.map(() => "--- |").join(" ")}`);
    for (const row of rows) {
      const cells: string[] = [];
      for (const budget of budgets) {
        const key = JSON.stringify({ ...row, label: "", budget });
        const value = known.get(key) ?? (await accuracyOf(model, dataset, row, budget, stream));
        known.set(key, value);
        cells.push(percent(value));
      }
      print(`| ${row.label} | ${cells.join(" | ")} |`);
    }
    print("");
  }
}

async function accuracyOf(
  model: Model,
  dataset: Dataset,
  { method = "bn", options = {}, refitImages = 0 }: Row,
  budget: number,
  stream: string | undefined,
): Promise<number> {
  const pruned = prune(model, {
    method,
    targets: { macs: budget },
    rules: { roundTo: 1, except: stream === "stream" ? [] : ["stream"] },
    methodOptions: options,
  });
  const { bytes } =
    refitImages > 0 ? await refitPruned(model, pruned, dataset, { images: refitImages }) : pruned;
  return (await evaluate(concatBytes(bytes), dataset)).value;
}

function percent(share: number): string {
  return (100 * share).toFixed(2);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

await main(process.argv.slice(2));
process.exit(0);
