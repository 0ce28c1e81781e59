/**
 * @file `npm run bench:lenets -- FOLDER MNIST FASHION [CASE ...]`: LeNet-300-100 and LeNet-5, trained from
 * nothing, and compressed by each method under one protocol. Every training and every compression is a run in
 * FOLDER that is begun, resumed or, where it is over, only read. `*` in a case matches anything.
 *
 * Prints a table with a line for each case, and one with mean and standard deviation over the seeds.
 */
import { join } from "node:path";
import { loadModel } from "../src/files/model-file.ts";
import { pack } from "../src/pack/pack.ts";
import { costOf } from "../src/structure/cost/cost.ts";
import { paperFlops } from "../src/structure/cost/paper-flops.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { casesNamed, compressCase } from "./compress-case.ts";
import { trainedBase } from "./lenet-bases.ts";
import { type Case, cases } from "./lenet-cases.ts";
import { byKind, percent, spreadOf, tableHead, tableLine } from "./table-cells.ts";

/** What one case came to. Shares are of 1. */
interface Row {
  readonly name: string;
  /** The name without the seed. */
  readonly kind: string;
  readonly errorBefore: number;
  readonly error: number;
  readonly macs: number;
  /** As the papers count them. */
  readonly flops: number;
  readonly params: number;
  readonly latency: number;
  /** Bytes of the default pack. */
  readonly bytes: number;
  readonly widths: string;
  /** Empty without a tolerance. */
  readonly certified: string;
}

async function main([folder, mnist, fashion, ...wanted]: readonly string[]): Promise<void> {
  if (fashion === undefined)
    throw new Error("usage: bench:lenets -- FOLDER MNIST FASHION [CASE ...]");
  const rows: Row[] = [];
  const measured = ["FLOPs", "params", "latency", "packed bytes", "certified"];
  console.log(tableHead(["case", "widths", "error before", "error", "MACs", ...measured]));
  for (const chosenCase of casesNamed(cases, wanted)) {
    const data = { mnist, fashion }[chosenCase.base.data];
    const row = await runCase(folder, data, chosenCase);
    rows.push(row);
    console.log(lineOf(row));
  }
  console.log(summaryOf(rows));
}

async function runCase(
  folder: string,
  data: string,
  { name, kind, base, settings }: Case,
): Promise<Row> {
  const network = await trainedBase(folder, data, base);
  const run = join(folder, name);
  const { baseline, result, latency, drop, groups, selected, asked } = await compressCase(name, {
    network,
    data,
    run,
    settings,
  });
  const model = await loadModel(join(run, "model.onnx"));
  const structure = structureOf(model.graph);
  return {
    name,
    kind,
    errorBefore: 1 - (baseline.value ?? 0),
    error: 1 - (result.value ?? 0),
    macs: result.macs / baseline.macs,
    params: result.params,
    latency: latency?.ratio ?? Number.NaN,
    flops: paperFlops(costOf(model.graph, structure.analysis.dims)),
    bytes: pack(model).bytes.length,
    // Inputs that layers select stand in brackets, before the widths.
    widths: [
      ...(selected.length > 0 ? [`(${selected.map(({ after }) => after).join(", ")})`] : []),
      groups.map(({ after }) => after).join("-"),
    ].join(" "),
    certified: asked.maxDrop === undefined ? "" : drop.certified ? "yes" : "no",
  };
}

function lineOf(row: Row): string {
  const { name, widths, errorBefore, error, macs, flops, params, latency, bytes, certified } = row;
  return tableLine([
    ...[name, widths, percent(errorBefore), percent(error), percent(macs)],
    ...[flops, params, latency.toFixed(3), bytes, certified],
  ]);
}

/** Mean and standard deviation over seeds: cases that differ in nothing else stand in one line. */
function summaryOf(rows: readonly Row[]): string {
  const lines = byKind(rows).map(([kind, own]) => {
    const of = (value: (row: Row) => number, digits: number) => spreadOf(own.map(value), digits);
    return tableLine([
      ...[kind, own.length, of(({ errorBefore }) => 100 * errorBefore, 2)],
      ...[of(({ error }) => 100 * error, 2), of(({ macs }) => 100 * macs, 2)],
      ...[of(({ flops }) => flops / 1000, 1), of(({ params }) => params / 1000, 2)],
      ...[of(({ latency }) => latency, 3), of(({ bytes }) => bytes, 0)],
      own.filter(({ certified }) => certified === "yes").length,
    ]);
  });
  return [
    "",
    tableHead([
      ...["cases", "seeds", "error before", "error", "MACs", "K FLOPs", "K params", "latency"],
      ...["packed bytes", "certified"],
    ]),
    ...lines,
  ].join("\n");
}

await main(process.argv.slice(2));
