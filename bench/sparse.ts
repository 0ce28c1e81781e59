/**
 * @file `npm run bench:sparse -- FOLDER MNIST FASHION MODELS CIFAR [CASE ...]`: networks whose weights are
 * thinned out by each method to one density, and packed with the fewest bits that leave all of them equally wrong on
 * `select`. Every training and every compression is a run in FOLDER that is begun, resumed or, where it is over, only
 * read, and what its pack came to stands beside it. `*` in a case matches anything. MODELS and CIFAR are those of
 * `bench:compression`.
 *
 * Prints a line for each case, and one with mean and standard deviation over the seeds; then what general
 * compressors make of the same networks: of the pruned one in float32, and of the weights that the pack holds, each
 * as one byte.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { z } from "zod";
import type { CompressRunRequest } from "../src/compress/compress-run.ts";
import { packWithin } from "../src/compress/packing/pack-within.ts";
import type { CompressReport } from "../src/compress/record/compress-report.ts";
import { openDataset } from "../src/data/dataset.ts";
import { loadModel, writeAtomically } from "../src/files/model-file.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { pack } from "../src/pack/pack.ts";
import { unpack } from "../src/pack/unpack.ts";
import { settingsOf, trainOptionsOf } from "../src/runs/settings/train-settings.ts";
import { costOf } from "../src/structure/cost/cost.ts";
import { paperFlops } from "../src/structure/cost/paper-flops.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { layerWeights, weightTotal } from "../src/structure/weights/layer-weights.ts";
import { layerSupports } from "../src/structure/weights/supports.ts";
import { toNumbers } from "../src/tensor/host-tensor.ts";
import { casesNamed, compressCase } from "./compress-case.ts";
import { cifarOptions } from "./compression-cases.ts";
import { trainedBase } from "./lenet-bases.ts";
import { cases, type SparseCase } from "./sparse-cases.ts";
import { byKind, meanOf, percent, spreadOf, tableHead, tableLine } from "./table-cells.ts";

const packRecord = z.object({
  /** Bytes of the pack within the tolerance, and of the default pack at 8 bits. */
  bytes: z.number(),
  bytesAt8: z.number(),
  bits: z.number().nullable(),
  /** On `test`, as unpacked. */
  error: z.number(),
});
type PackRecord = z.infer<typeof packRecord>;

/** What one case came to. Shares are of 1. */
interface Row extends PackRecord {
  readonly name: string;
  readonly kind: string;
  readonly errorBefore: number;
  readonly errorPruned: number;
  readonly density: number;
  readonly clustersPerNeuron: number;
  /** Neurons and filters with incoming weights, by layer. */
  readonly neurons: readonly number[];
  readonly flops: number;
  /** Bytes of the original file. */
  readonly bytesBefore: number;
  readonly general: GeneralSizes;
}

/** Bytes of the network by other means. */
interface GeneralSizes {
  /** The ONNX file of the pruned network. */
  readonly float32: Sizes;
  /** The weights that the pack holds. */
  readonly codes: Sizes;
}
interface Sizes {
  readonly plain: number;
  readonly gzip: number;
  readonly brotli: number;
  readonly zstd: number | undefined;
}

/** Where things lie. */
interface Places {
  readonly folder: string;
  readonly mnist: string;
  readonly fashion: string;
  readonly models: string;
  readonly cifar: string;
}

async function main(args: readonly string[]): Promise<void> {
  const [folder, mnist, fashion, models, cifar, ...wanted] = args;
  if (cifar === undefined)
    throw new Error("usage: bench:sparse -- FOLDER MNIST FASHION MODELS CIFAR [CASE ...]");
  const places = { folder, mnist, fashion, models, cifar };
  const rows: Row[] = [];
  const figures = ["density", "clusters per neuron", "neurons", "FLOPs", "bytes at 8 bits"];
  const packed = ["bits", "packed bytes", "ratio", "error packed"];
  console.log(tableHead(["case", "error before", "error pruned", ...figures, ...packed]));
  for (const sparseCase of casesNamed(cases, wanted)) {
    const row = await runCase(places, sparseCase);
    rows.push(row);
    console.log(lineOf(row));
  }
  console.log(summaryOf(rows));
  console.log(generalSummaryOf(rows));
}

async function runCase(places: Places, sparseCase: SparseCase): Promise<Row> {
  const { name, kind, settings } = sparseCase;
  const { network, ...source } = await sourceOf(places, sparseCase);
  const run = join(places.folder, name);
  const { baseline, result } = await compressCase(name, { network, ...source, run, settings });
  const model = await loadModel(join(run, "model.onnx"));
  const packed = await packedCase(run, source, sparseCase, { baseline, result });
  const unpacked = readModel(await unpack(readFileSync(`${run}.esp`)));
  const supports = [...layerSupports(model.graph).values()];
  const total = (of: (support: (typeof supports)[number]) => number) =>
    supports.reduce((sum, support) => sum + of(support), 0);
  const alive = supports.map(({ neurons, empty }) => neurons - empty);
  return {
    name,
    kind,
    ...packed,
    errorBefore: 1 - (baseline.value ?? 0),
    errorPruned: 1 - (result.value ?? 0),
    density: total(({ nonZero }) => nonZero) / weightTotal((await loadModel(network)).graph),
    clustersPerNeuron: total(({ clusters }) => clusters) / alive.reduce((sum, n) => sum + n, 0),
    neurons: alive,
    flops: paperFlops(costOf(model.graph, structureOf(model.graph).analysis.dims)),
    bytesBefore: baseline.sizeBytes,
    general: {
      float32: sizesOf(Buffer.from(concatBytes(writeModel(model)))),
      codes: sizesOf(codesOf(unpacked)),
    },
  };
}

/** The file of the network that is pruned, and what it is measured on. */
async function sourceOf({ folder, models, cifar, ...digits }: Places, { network }: SparseCase) {
  if (typeof network === "string")
    return { network: join(models, network), data: cifar, dataOptions: cifarOptions };
  const data = digits[network.data];
  return { network: await trainedBase(folder, data, network), data };
}

/** Packing may cause as much where pruning left less, or nothing, of the tolerance. */
const leastDrop = 0.001;

/** Packs the result of a run within what pruning left of the tolerance, or reads what came of it before. */
async function packedCase(
  run: string,
  { data, dataOptions }: Pick<CompressRunRequest, "data" | "dataOptions">,
  { name, tolerance, packTuning }: SparseCase,
  { baseline, result }: Pick<CompressReport, "baseline" | "result">,
): Promise<PackRecord> {
  const record = `${run}.esp.json`;
  if (existsSync(record)) return packRecord.parse(JSON.parse(readFileSync(record, "utf8")));
  const dataset = await openDataset(data, dataOptions);
  const model = await loadModel(join(run, "model.onnx"));
  const original = await loadModel(join(run, "original.onnx"));
  const drop = baseline.select.value - result.select.value;
  const found = await packWithin(model, dataset, {
    // Drops are shares of few images: one that is as large as the tolerance must not fail by rounding.
    maxDrop: Math.max(leastDrop, tolerance - drop + 1e-9),
    batchSize: 1000,
    threads: 1,
    tuning: trainOptionsOf(settingsOf(packTuning), dataset, original.graph),
    onCandidate: ({ bits, isTuned, drop: own, isWithin }) =>
      console.error(
        `${name}: ${bits} bits${isTuned ? ", tuned" : ""}: drop ${percent(own)}, ${isWithin ? "within" : "too much"}`,
      ),
  });
  const own: PackRecord = {
    bytes: found.packed.bytes.length,
    bytesAt8: pack(model).bytes.length,
    bits: found.bits ?? null,
    error: 1 - found.result.value,
  };
  await writeAtomically(`${run}.esp`, [found.packed.bytes]);
  await writeAtomically(record, [Buffer.from(`${JSON.stringify(own)}\n`)]);
  return own;
}

/**
 * The weights of linear layers, each as the rank of its value among those of its tensor: what an entropy coder
 * has to tell. A byte each, or two where a tensor has more values.
 */
function codesOf({ graph }: Model): Buffer {
  return Buffer.concat(
    layerWeights(graph).map(({ constant }) => {
      const values = toNumbers(constant.read());
      const ranks = new Map(
        [...new Set(values)].sort((a, b) => a - b).map((value, i) => [value, i]),
      );
      const codes = values.map((value) => ranks.get(value) ?? 0);
      const Codes = ranks.size <= 256 ? Uint8Array : Uint16Array;
      return Buffer.from(Codes.from(codes).buffer);
    }),
  );
}

function sizesOf(bytes: Buffer): Sizes {
  const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
  return {
    plain: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes, { params: quality }).length,
    zstd: zstdSize(bytes),
  };
}

/** By the program of that name, where there is one. */
function zstdSize(input: Buffer): number | undefined {
  try {
    const options = { input, maxBuffer: 2 * input.length + 2 ** 20 };
    return execFileSync("zstd", ["-19", "--ultra", "-c", "-q"], options).length;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function lineOf(row: Row): string {
  return tableLine([
    ...[row.name, percent(row.errorBefore), percent(row.errorPruned), percent(row.density)],
    ...[
      row.clustersPerNeuron.toFixed(1),
      neuronsOf([row]),
      row.flops,
      row.bytesAt8,
      row.bits ?? "all",
    ],
    ...[row.bytes, (row.bytesBefore / row.bytes).toFixed(1), percent(row.error)],
  ]);
}

/** Mean widths of the layers of several rows, or of all layers together where these are many. */
function neuronsOf(rows: readonly Row[]): string {
  const means = rows[0].neurons.map((_, layer) =>
    meanOf(rows.map(({ neurons }) => neurons[layer])),
  );
  const widths = means.length > 4 ? [means.reduce((sum, width) => sum + width, 0)] : means;
  return widths.map((width) => Math.round(width)).join("-");
}

/** Mean and standard deviation over seeds. */
function summaryOf(rows: readonly Row[]): string {
  const figures = ["density", "clusters per neuron", "neurons", "FLOPs", "bytes at 8 bits"];
  const packed = ["packed bytes", "ratio", "error packed"];
  return [
    "",
    tableHead(["cases", "seeds", "error before", "error pruned", ...figures, ...packed]),
    ...byKind(rows).map(([kind, own]) => {
      const of = (value: (row: Row) => number, digits: number) => spreadOf(own.map(value), digits);
      return tableLine([
        ...[kind, own.length, of(({ errorBefore }) => 100 * errorBefore, 2)],
        ...[of(({ errorPruned }) => 100 * errorPruned, 2), of(({ density }) => 100 * density, 2)],
        ...[of(({ clustersPerNeuron }) => clustersPerNeuron, 1), neuronsOf(own)],
        ...[of(({ flops }) => flops, 0), of(({ bytesAt8 }) => bytesAt8, 0)],
        ...[of(({ bytes }) => bytes, 0), of(({ bytesBefore, bytes }) => bytesBefore / bytes, 1)],
        of(({ error }) => 100 * error, 2),
      ]);
    }),
  ].join("\n");
}

/** Mean bytes of the same networks by general means. */
function generalSummaryOf(rows: readonly Row[]): string {
  const means = ["plain", "gzip", "brotli", "zstd"] as const;
  return [
    "",
    tableHead([
      "cases",
      ...means.map((mean) => `float32, ${mean}`),
      ...means.map((mean) => `codes, ${mean}`),
      "packed",
    ]),
    ...byKind(rows).map(([kind, own]) => {
      const cell = (value: (row: Row) => number | undefined) => {
        const values = own.flatMap((row) => value(row) ?? []);
        return values.length === 0 ? "no zstd" : Math.round(meanOf(values));
      };
      return tableLine([
        kind,
        ...(["float32", "codes"] as const).flatMap((form) =>
          means.map((mean) => cell(({ general }) => general[form][mean])),
        ),
        cell(({ bytes }) => bytes),
      ]);
    }),
  ].join("\n");
}

await main(process.argv.slice(2));
