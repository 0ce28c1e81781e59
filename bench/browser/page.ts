/**
 * @file What runs in the page of `bench/browser/main.ts`: ONNX Runtime Web as an engine that fills a cost table, and the
 * comparison of two networks on it. Bundled as a classic script that defines `espalier`.
 */

import { declaredInputs, randomFeeds } from "../../src/measure/inputs/feeds.ts";
import { requestFor } from "../../src/measure/latency/cost-request.ts";
import { measureCosts, type TimingEngine } from "../../src/measure/latency/measure-costs.ts";
import { median } from "../../src/measure/statistics/statistics.ts";
import { readModel } from "../../src/onnx/reading/read.ts";
import { costsToJson } from "../../src/structure/timing/cost-table-text.ts";
import { structureOf } from "../../src/structure/units/units.ts";
import type { HostTensor } from "../../src/tensor/host-tensor.ts";

/** What the script of ONNX Runtime Web defines, as far as this page uses it. */
interface WebSession {
  readonly run: (feeds: Record<string, unknown>) => Promise<Record<string, unknown>>;
  readonly release: () => Promise<void>;
}
interface WebRuntime {
  readonly InferenceSession: {
    readonly create: (bytes: Uint8Array, options: object) => Promise<WebSession>;
  };
  readonly Tensor: new (dtype: string, data: unknown, shape: readonly number[]) => unknown;
  readonly env: { readonly wasm: { numThreads: number; wasmPaths: string } };
}
declare const ort: WebRuntime;

/** What the server tells the page. */
export interface Setting {
  readonly threads: number;
  /** The processor, which a page cannot see. */
  readonly machine: string;
  readonly version: string;
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function opened(bytes: Uint8Array, feeds: ReadonlyMap<string, HostTensor>) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const tensors = Object.fromEntries(
    [...feeds].map(([name, { dtype, data, shape }]) => [name, new ort.Tensor(dtype, data, shape)]),
  );
  return {
    async time(runs: number) {
      const times: number[] = [];
      for (let run = -1; run < runs; run++) {
        const start = performance.now();
        await session.run(tensors);
        if (run >= 0) times.push(performance.now() - start);
      }
      return times;
    },
    close: () => session.release(),
  };
}

function engineOf({ threads, machine, version }: Setting): TimingEngine {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = "/ort/";
  return {
    source: { machine, engine: `onnxruntime-web ${version}`, provider: "wasm", threads },
    open: (model, feeds) => opened(joined(model), feeds),
  };
}

/** The cost table of a network, as JSON. */
export async function profile(
  setting: Setting,
  name: string,
  base64: string,
  onProgress: (share: number) => void,
): Promise<string> {
  const model = readModel(bytesOf(base64));
  const request = requestFor(name, model, structureOf(model.graph));
  const table = await measureCosts(engineOf(setting), request, {
    onProgress: ({ done, total }) => onProgress(done / total),
  });
  return costsToJson(table);
}

/** Milliseconds of each network, in turns A B B A; the medians of their blocks. */
export async function race(
  setting: Setting,
  networks: readonly string[],
  seconds: number,
): Promise<readonly (readonly number[])[]> {
  engineOf(setting);
  const racers = [];
  for (const base64 of networks) {
    const bytes = bytesOf(base64);
    const model = readModel(bytes);
    const { dims } = structureOf(model.graph).analysis;
    racers.push(await opened(bytes, randomFeeds(declaredInputs(model.graph), { dims })));
  }
  const order = [...racers.keys(), ...[...racers.keys()].reverse()];
  const series = racers.map((): number[] => []);
  const start = performance.now();
  while (performance.now() - start < 1000 * seconds || series[0].length < 5) {
    const block = racers.map((): number[] => []);
    for (const i of order) block[i].push(...(await racers[i].time(5)));
    for (const [i, times] of block.entries()) series[i].push(median(times));
  }
  for (const racer of racers) await racer.close();
  return series;
}
