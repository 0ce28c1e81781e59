/** @file ONNX's backend test data on disk: models with recorded inputs and outputs. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { Model } from "../src/onnx/model.ts";
import { readTensor } from "../src/onnx/parts/tensor-proto.ts";
import { defaultLimits } from "../src/onnx/protobuf/limits.ts";
import type { Feeds } from "../src/runtime/values.ts";
import { bitsOf } from "../src/tensor/dtype.ts";
import { bytesOf, type HostTensor, isStrings, toNumbers } from "../src/tensor/host-tensor.ts";

/** One recorded run of a model. */
export interface Recording {
  /** In the order of the graph's inputs; `undefined` where the record is no plain tensor. */
  readonly inputs: readonly (HostTensor | undefined)[];
  readonly outputs: readonly (HostTensor | undefined)[];
}

/** A model of the backend tests. */
export interface BackendCase {
  readonly name: string;
  readonly path: string;
  /** True for the tests of single operators. */
  readonly isNode: boolean;
}

/** The test data as a folder; `close` removes what was unpacked. */
export function openTestData(path: string): {
  readonly root: string;
  readonly close: () => void;
} {
  if (statSync(path).isDirectory()) return { root: path, close: () => {} };
  const folder = mkdtempSync(join(tmpdir(), "espalier-conformance-"));
  execFileSync("tar", ["-xzf", path, "-C", folder]);
  return { root: folder, close: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Every .onnx file below `root`, sorted by path. */
export function findCases(root: string): readonly BackendCase[] {
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".onnx"))
    .sort()
    .map((file) => {
      const path = join(root, file);
      const folder = dirname(path);
      const isModel = basename(file) === "model.onnx";
      return {
        name: isModel ? basename(folder) : basename(file, ".onnx"),
        path,
        isNode: isModel && basename(dirname(folder)) === "node",
      };
    });
}

/** The first recorded run beside a model, or `undefined` where there is none. */
export function recordingOf(path: string): Recording | undefined {
  const folder = join(dirname(path), "test_data_set_0");
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch {
    return undefined; // most models outside node/ have no recorded data
  }
  const read = (kind: string) => {
    const count = files.filter((file) => file.startsWith(`${kind}_`)).length;
    return Array.from({ length: count }, (_, i) => plainTensor(join(folder, `${kind}_${i}.pb`)));
  };
  return { inputs: read("input"), outputs: read("output") };
}

/** The recorded inputs by name, or `undefined` where one is no plain tensor. */
export function feedsOf(model: Model, { inputs }: Recording): Feeds | undefined {
  const { inputs: names } = model.graph;
  if (names.length < inputs.length) return undefined;
  const feeds = new Map<string, HostTensor>();
  for (const [i, tensor] of inputs.entries()) {
    if (tensor === undefined) return undefined;
    feeds.set(names[i], tensor);
  }
  return feeds;
}

/** A recorded tensor. Sequences, optionals and maps are stored under the same file names. */
function plainTensor(path: string): HostTensor | undefined {
  const bytes = readFileSync(path);
  const budget = { fields: defaultLimits.maxFields };
  try {
    const context = { limits: defaultLimits, budget, externalData: undefined };
    return readTensor(bytes, context, basename(path)).read();
  } catch {
    return undefined; // no TensorProto
  }
}

/** How two tensors differ, by the tolerances of ONNX's own runner; `undefined` where they agree. */
export function difference(actual: HostTensor, recorded: HostTensor): string | undefined {
  if (actual.dtype !== recorded.dtype) return `${actual.dtype} instead of ${recorded.dtype}`;
  if (actual.shape.join() !== recorded.shape.join())
    return `[${actual.shape.join(", ")}] instead of [${recorded.shape.join(", ")}]`;
  if (isStrings(actual.data) || isStrings(recorded.data))
    return String(actual.data) === String(recorded.data) ? undefined : "other strings";
  const isPacked = bitsOf[actual.dtype] < 8 || actual.dtype.startsWith("float8");
  const plain = (tensor: HostTensor) => {
    if (isStrings(tensor.data)) return [];
    return isPacked ? bytesOf(tensor.data) : toNumbers(tensor);
  };
  const [a, b] = [plain(actual), plain(recorded)];
  for (let i = 0; i < b.length; i++) {
    const same = Object.is(a[i], b[i]) || Math.abs(a[i] - b[i]) <= 1e-5 + 1e-3 * Math.abs(b[i]);
    if (!same && a[i] !== b[i]) return `element ${i} is ${a[i]} instead of ${b[i]}`;
  }
  return undefined;
}
