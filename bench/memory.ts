/**
 * @file `npm run bench:memory`: peak memory of reading, pruning and writing a network with 100 MB of
 * weights, in each of ONNX's encodings. Each runs in a process of its own; onnxruntime takes no part.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel, saveModel } from "../src/files/model-file.ts";
import { prune } from "../src/prune/prune.ts";
import { graph, len, model, node, tensor, valueInfo } from "../test/support/protobuf.ts";

/** Square layers, wide enough for 100 MB of weights. */
const layers = 4;
const sideOf = (encoding: Encoding): number => (encoding.startsWith("float16") ? 3536 : 2500);

type Encoding =
  | "raw_data"
  | "float_data"
  | "float_data unpacked"
  | "float16 raw_data"
  | "float16 int32_data";
const encodings: readonly Encoding[] = [
  "raw_data",
  "float_data",
  "float_data unpacked",
  "float16 raw_data",
  "float16 int32_data",
];

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "espalier-memory-"));
  try {
    for (const encoding of encodings) {
      const file = join(dir, "model.onnx");
      writeFileSync(file, network(encoding));
      const inMemory = (encoding.startsWith("float16") ? 2 : 4) * layers * sideOf(encoding) ** 2;
      const output = execFileSync(
        process.execPath,
        [...process.execArgv, fileURLToPath(import.meta.url), "measure", file],
        { encoding: "utf8" },
      );
      const { peakBytes, baseBytes } = JSON.parse(output);
      const ratio = (peakBytes - baseBytes) / inMemory;
      process.stdout.write(
        `${encoding.padEnd(20)} file ${megabytes(statSync(file).size)}  weights ${megabytes(inMemory)}  process alone ${megabytes(baseBytes)}  peak ${megabytes(peakBytes)}  above the process: ${ratio.toFixed(2)} x the weights\n`,
      );
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** In a process of its own: load, prune half of the MACs away by magnitude, save; report the peak. */
async function measure(file: string): Promise<void> {
  const baseBytes = process.memoryUsage().rss;
  const network = await loadModel(file);
  const pruned = prune(network, {
    method: "magnitude",
    targets: { macs: 0.5 },
    rules: { roundTo: 1 },
  });
  await saveModel(`${file}.small.onnx`, pruned.bytes);
  // Not `resourceUsage().maxRSS`: that counts what the parent held before it became this process.
  const status = readFileSync("/proc/self/status", "utf8");
  const peakBytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024;
  process.stdout.write(JSON.stringify({ peakBytes, baseBytes }));
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0).padStart(4)} MB`;

/** Gemm and Relu in turn. */
function network(encoding: Encoding): Uint8Array {
  const dataType = encoding.startsWith("float16") ? 10 : 1;
  const side = sideOf(encoding);
  const indices = Array.from({ length: layers }, (_, i) => i);
  return model(
    graph({
      nodes: indices.flatMap((i) => [
        node("Gemm", [`h${i}`, `w${i}`], [`a${i}`]),
        node("Relu", [`a${i}`], [`h${i + 1}`]),
      ]),
      initializers: indices.map((i) =>
        tensor(`w${i}`, dataType, [side, side], weights(encoding, i)),
      ),
      inputs: [valueInfo("h0", [1, side], dataType)],
      outputs: [valueInfo(`h${layers}`, [1, side], dataType)],
    }),
  );
}

function weights(encoding: Encoding, layer: number): Uint8Array {
  const count = sideOf(encoding) ** 2;
  const value = (i: number): number => Math.sin(i * 0.37 + layer) / 50;
  switch (encoding) {
    case "raw_data":
    case "float_data": {
      const values = Float32Array.from({ length: count }, (_, i) => value(i));
      return len(encoding === "raw_data" ? 9 : 4, new Uint8Array(values.buffer));
    }
    case "float_data unpacked": {
      const bytes = new Uint8Array(5 * count);
      const view = new DataView(bytes.buffer);
      for (let i = 0; i < count; i++) {
        bytes[5 * i] = (4 << 3) | 5;
        view.setFloat32(5 * i + 1, value(i), true);
      }
      return bytes;
    }
    case "float16 raw_data":
      return len(9, new Uint8Array(Uint16Array.from({ length: count }, (_, i) => half(i)).buffer));
    case "float16 int32_data": {
      const bytes = new Uint8Array(3 * count);
      let at = 0;
      for (let i = 0; i < count; i++)
        for (let rest = half(i); ; rest >>= 7) {
          bytes[at++] = rest > 127 ? (rest & 127) | 128 : rest;
          if (rest <= 127) break;
        }
      return len(5, bytes.subarray(0, at));
    }
  }
}

/** Halves between about 0.001 and 0.03, of both signs. */
const half = (i: number): number => 0x1400 + ((i * 7919) % 0x1000) + (i % 2 === 0 ? 0x8000 : 0);

const [task, path] = process.argv.slice(2);
if (task === "measure" && path !== undefined) await measure(path);
else await main();
