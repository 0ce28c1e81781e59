/**
 * @file `npx tsx bench/certify-quantised.ts A DATA OUT.onnx [--mean LIST --std LIST]`: writes A in eight bits, a plain
 * conversion calibrated on 128 images, for `espalier certify A OUT.onnx`.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openDataset } from "../src/data/dataset.ts";
import { loadModel } from "../src/files/model-file.ts";
import { dataFeeds } from "../src/measure/inputs/data-feeds.ts";
import { quantised } from "../test/support/qdq.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { mean: { type: "string" }, std: { type: "string" } },
});
const [network, data, out] = positionals;
if (out === undefined) throw new Error("usage: npx tsx bench/certify-quantised.ts A DATA OUT.onnx");
const numbers = (text: string | undefined) => text?.split(",").map(Number);
const model = await loadModel(network);
const dataset = await openDataset(data, { mean: numbers(values.mean), std: numbers(values.std) });
await writeFile(
  out,
  await quantised(model, await dataFeeds(model.graph, dataset, { count: 128, batchSize: 32 })),
);
