/**
 * @file `npm run bench:unpack -- MODEL ...`: how fast packs come out again, in MB of float32 model a second (10^6
 * bytes), on one thread: in Node the median of several times, and in headless Chromium, where one is
 * installed, the second time. MODEL is an ONNX file, which is packed with the defaults, or the name of a
 * built-in network.
 */
import { basename } from "node:path";
import { loadModel } from "../src/files/model-file.ts";
import { median } from "../src/measure/statistics/statistics.ts";
import { architectures, buildNetwork } from "../src/models/registry.ts";
import type { Model } from "../src/onnx/model.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { pack } from "../src/pack/pack.ts";
import { unpack } from "../src/unpack.ts";
import { chromiumPath } from "../test/chromium.ts";
import { speedInPage } from "../test/support/unpack-page.ts";
import { tableHead, tableLine } from "./table-cells.ts";

/** Unpacked at least so often, and for so long. */
const fewestTimes = 5;
const seconds = 2;

async function main(models: readonly string[]): Promise<void> {
  if (models.length === 0) throw new Error("usage: bench:unpack -- MODEL ...");
  console.log(tableHead(["network", "MB", "packed MB", "Node, MB/s", "Chromium, MB/s"]));
  for (const name of models) {
    const { bytes, unpacked } = pack(await modelOf(name));
    const megabytes = unpacked.length / 1e6;
    const inNode = megabytes / (await medianSeconds(bytes));
    const inPage =
      chromiumPath === undefined ? "no Chromium" : (await speedInPage(bytes)).toFixed(1);
    const sizes = [megabytes.toFixed(2), (bytes.length / 1e6).toFixed(3)];
    console.log(tableLine([basename(name, ".onnx"), ...sizes, inNode.toFixed(1), inPage]));
  }
}

async function modelOf(name: string): Promise<Model> {
  if (!architectures.some((architecture) => architecture.name === name)) return loadModel(name);
  return readModel(concatBytes(encodeGraph(buildNetwork(name))));
}

async function medianSeconds(bytes: Uint8Array): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  while (times.length < fewestTimes || performance.now() - start < 1000 * seconds) {
    const begin = performance.now();
    await unpack(bytes);
    times.push((performance.now() - begin) / 1000);
  }
  return median(times);
}

await main(process.argv.slice(2));
