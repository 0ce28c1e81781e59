/**
 * @file 20,000 mutations of two real models: each reads, or ends in a typed error, quickly.
 *
 * Half of the mutations hit structural bytes, which are everything but the elements of tensors.
 * With ESPALIER_DATA set (a folder with real networks) the models are real, else built here.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EspalierError } from "../src/errors.ts";
import { GraphBuilder } from "../src/ir/builder.ts";
import { verifyGraph } from "../src/ir/verify.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { inferTypes } from "../src/ops/passes/infer.ts";
import { randomOf } from "../src/tensor/random.ts";

const mutationsPerModel = 10_000;
const data = process.env.ESPALIER_DATA ?? "";

/** A network with the constructs of the opset: attributes as inputs, a Constant node, symbols. */
function builtModel(opset: number): Uint8Array {
  const b = new GraphBuilder("built");
  const random = randomOf(opset, "mutations");
  let x = b.input("x", "float32", ["N", 3, 16, 16]);
  let width = 3;
  for (let i = 0; i < 8; i++) {
    const next = 8 + i;
    const w = { dtype: "float32", shape: [next, width, 3, 3] } as const;
    const weight = b.constant(`w${i}`, { ...w, data: random.normals(next * width * 9) });
    [x] = b.node("Conv", [x, weight], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    [x] = b.node("Relu", [x]);
    width = next;
  }
  [x] = b.node("GlobalAveragePool", [x]);
  if (opset < 13) [x] = b.node("Squeeze", [x], { axes: [2, 3] });
  else [x] = b.node("Flatten", [x]);
  b.node("Softmax", [x], { axis: 1 }, { outputs: ["y"] });
  b.output("y", { dtype: "float32", shape: ["N", width] });
  return concatBytes(encodeGraph(b.build(), { opset }));
}

function modelFor(name: string, opset: number): Uint8Array {
  const path = join(data, "models", name);
  return data !== "" && existsSync(path) ? new Uint8Array(readFileSync(path)) : builtModel(opset);
}

/** The places of bytes that are not elements of tensors, found by walking model, graph, initialisers. */
function structuralPlaces(bytes: Uint8Array): readonly number[] {
  const isPayload = new Uint8Array(bytes.length);
  const varintAt = (at: number): [value: number, next: number] => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return [value, at];
    }
  };
  // Fields to descend into: model.graph, graph.initializer, graph.node, node.attribute, attribute.t.
  const walk = (from: number, to: number, path: string) => {
    for (let at = from; at < to; ) {
      const [tag, behindTag] = varintAt(at);
      const [length, start] = varintAt(behindTag);
      if ((tag & 7) === 5) at = behindTag + 4;
      else if ((tag & 7) === 1) at = behindTag + 8;
      else if ((tag & 7) === 0) at = start;
      else {
        at = start + length;
        const next = `${path}.${tag >> 3}`;
        if (/^(\.7|\.7\.5|\.7\.1|\.7\.1\.5|\.7\.1\.5\.5)$/.test(next)) walk(start, at, next);
        else if (/^\.7(\.5|\.1\.5\.5)\.(4|5|7|9|10|11)$/.test(next)) isPayload.fill(1, start, at);
      }
    }
  };
  walk(0, bytes.length, "");
  return Array.from(bytes.keys()).filter((at) => isPayload[at] === 0);
}

const edgeBytes = [0, 1, 0x7f, 0x80, 0xff];

/** A mutated copy: one to three small changes, the first of them at `at`. */
function mutate(bytes: Uint8Array, at: number, pick: (bound: number) => number): Uint8Array {
  const kind = pick(8);
  if (kind === 5) return bytes.slice(0, at);
  if (kind === 6) {
    const count = 1 + pick(16);
    return concatBytes([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + count))]);
  }
  if (kind === 7) {
    const from = pick(bytes.length);
    const inserted = bytes.subarray(from, from + 1 + pick(32));
    return concatBytes([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
  }
  const copy = bytes.slice();
  if (kind < 2) copy[at] ^= 1 << pick(8);
  else if (kind === 2) copy[at] = pick(256);
  else if (kind === 3) copy[at] = edgeBytes[pick(edgeBytes.length)];
  else for (let i = 0; i < 3; i++) copy[(at + i) % copy.length] = pick(256);
  return copy;
}

/** Reads, checks and writes as a command would; the code of the error, or how far it came. */
function outcomeOf(bytes: Uint8Array): string {
  try {
    const model = readModel(bytes);
    verifyGraph(model.graph);
    if (Buffer.compare(concatBytes(writeModel(model)), bytes) !== 0) return "written differently";
    const { graph } = model;
    const nodes = graph.nodes.map((node) => ({ ...node }));
    const constants = new Map([...graph.constants].map(([name, c]) => [name, { ...c }]));
    readModel(concatBytes(writeModel(model, { ...graph, nodes, constants })));
    inferTypes(graph);
    return "ok";
  } catch (error) {
    return error instanceof EspalierError ? error.code : `untyped: ${error}`;
  }
}

describe("mutations of a model", () => {
  it.each([
    { name: "mlperftiny_resnet8_bn.onnx", opset: 13 },
    { name: "yunet_n_320_320.onnx", opset: 11 },
  ])("of $name end in a result or a typed error", ({ name, opset }) => {
    const bytes = modelFor(name, opset);
    const places = structuralPlaces(bytes);
    const random = randomOf(opset, "mutations");
    const pick = (bound: number) => random.integer(bound);
    const histogram = new Map<string, number>();
    let slowestMs = 0;
    for (let i = 0; i < mutationsPerModel; i++) {
      const at = i % 2 === 0 ? places[pick(places.length)] : pick(bytes.length);
      const mutated = mutate(bytes, at, pick);
      const start = performance.now();
      const outcome = outcomeOf(mutated);
      slowestMs = Math.max(slowestMs, performance.now() - start);
      histogram.set(outcome, (histogram.get(outcome) ?? 0) + 1);
    }
    const lines = [...histogram].sort((a, b) => b[1] - a[1]).map(([code, n]) => `${n}\t${code}`);
    process.stdout.write(
      `${name}: ${bytes.length} bytes, ${places.length} structural, slowest ${slowestMs.toFixed(0)} ms\n${lines.join("\n")}\n`,
    );
    const bad = [...histogram.keys()].filter((outcome) => /untyped|differently/.test(outcome));
    expect(bad).toEqual([]);
    expect(slowestMs).toBeLessThan(2000);
    expect(histogram.get("ok")).toBeGreaterThan(0);
    expect(histogram.size).toBeGreaterThan(3);
  });
});
