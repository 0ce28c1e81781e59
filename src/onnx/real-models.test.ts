/** @file Real networks: the bytes that were read are the bytes that are written. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { verifyGraph } from "../ir/verify.ts";
import { withSession } from "../runtime/session.ts";
import { readModel } from "./reading/read.ts";
import { concatBytes, writeModel } from "./writing/write.ts";

const data = process.env.ESPALIER_DATA ?? "";
const models = join(data, "models");
const backendTests = join(data, "data", "onnx-v1.22.0-backend-test-data.tar.gz");
const hasModels = data !== "" && existsSync(models);
const hasBackendTests = data !== "" && existsSync(backendTests);

/** The `.onnx` files of a tar archive: 512-byte headers, contents padded to 512. */
function* onnxFilesOf(tar: Uint8Array): Generator<{ name: string; bytes: Uint8Array }> {
  const text = (at: number, length: number) =>
    new TextDecoder("latin1").decode(tar.subarray(at, at + length)).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= tar.length; ) {
    const name = text(at, 100);
    if (name === "") return;
    const size = Number.parseInt(text(at + 124, 12), 8);
    if (name.endsWith(".onnx")) yield { name, bytes: tar.subarray(at + 512, at + 512 + size) };
    at += 512 + Math.ceil(size / 512) * 512;
  }
}

/** All nodes and constants as new objects: everything that can be encoded is encoded again. */
function rewritten(bytes: Uint8Array): Uint8Array {
  const model = readModel(bytes);
  const { graph } = model;
  const nodes = graph.nodes.map((node) => ({ ...node }));
  const constants = new Map([...graph.constants].map(([name, c]) => [name, { ...c }]));
  return concatBytes(writeModel(model, { ...graph, nodes, constants }));
}

// Skipped without ESPALIER_DATA, a folder with real networks that the repository does not hold.
describe.skipIf(!hasModels)("a real network", () => {
  const names = hasModels ? readdirSync(models).filter((name) => name.endsWith(".onnx")) : [];
  it.each(names)("%s is written as it was read, and loads after a full rewrite", async (name) => {
    const bytes = new Uint8Array(readFileSync(join(models, name)));
    const model = readModel(bytes);
    verifyGraph(model.graph);
    expect(Buffer.compare(concatBytes(writeModel(model)), bytes)).toBe(0);
    const again = rewritten(bytes);
    const outputs = await withSession(again, { optimization: "disabled" }, async (session) =>
      session.outputs.map((output) => output.name),
    );
    expect(outputs).toEqual(model.graph.outputs);
  });
});

// Skipped without ESPALIER_DATA, a folder with ONNX's backend tests.
describe.skipIf(!hasBackendTests)("ONNX's own test models", () => {
  it("are written as they were read, or refused by a typed error", () => {
    const counts = { same: 0, refused: 0 };
    for (const { name, bytes } of onnxFilesOf(gunzipSync(readFileSync(backendTests)))) {
      try {
        const model = readModel(bytes);
        verifyGraph(model.graph);
        const same = Buffer.compare(concatBytes(writeModel(model)), bytes) === 0;
        expect(same, name).toBe(true);
        verifyGraph(readModel(rewritten(bytes)).graph);
        counts.same++;
      } catch (error) {
        expect(error, name).toMatchObject({ code: "MODEL_UNSUPPORTED" });
        counts.refused++;
      }
    }
    // The refused ones use opset 1 or 6, or no standard operator at all.
    expect(counts).toEqual({ same: 1784, refused: 130 });
  }, 120_000);
});
