/** @file Model files on disk: limits, atomic writing, and external data that is not trusted. */
import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as pb from "../../test/support/protobuf.ts";
import { readModel } from "../onnx/reading/read.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { externalLocationFor, loadModel, saveModel } from "./model-file.ts";

const code = (name: string) => expect.objectContaining({ code: name });
const entry = (key: string, value: string) => pb.len(13, pb.join(pb.len(1, key), pb.len(2, value)));

/** A model whose weight of `size` floats lies at `location`. */
function modelWithData(location: string, size = 2): Uint8Array {
  const weight = pb.tensor("w", 1, [size], entry("location", location), pb.int(14, 1));
  return pb.model(pb.relu({ nodes: [pb.node("Add", ["x", "w"], ["y"])], initializers: [weight] }));
}

let folder: string;
let outside: string;
beforeEach(() => {
  const root = mkdtempSync(join(tmpdir(), "espalier-files-"));
  folder = join(root, "model");
  outside = join(root, "outside");
  mkdirSync(folder);
  mkdirSync(outside);
  writeFileSync(join(outside, "secret"), new Uint8Array(8));
});
afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

const put = (bytes: Uint8Array): string => {
  const path = join(folder, "m.onnx");
  writeFileSync(path, bytes);
  return path;
};

describe("loadModel", () => {
  it("reads a file", async () => {
    const model = await loadModel(put(pb.model(pb.relu())));
    expect(model.graph.nodes).toHaveLength(1);
  });

  it("tells what is wrong with a path", async () => {
    await expect(loadModel(join(folder, "none.onnx"))).rejects.toThrow(/no such file/);
    await expect(loadModel(join(folder, "none.onnx"))).rejects.toThrow(code("FILE_UNREADABLE"));
    mkdirSync(join(folder, "dir.onnx"));
    await expect(loadModel(join(folder, "dir.onnx"))).rejects.toThrow(code("FILE_UNREADABLE"));
    writeFileSync(join(folder, "m.onnx.xz"), "");
    await expect(loadModel(join(folder, "m.onnx.xz"))).rejects.toThrow(/does not end in \.onnx/);
    await expect(loadModel(join(folder, "m"))).rejects.toThrow(/no such file/);
    await expect(loadModel(folder)).rejects.toMatchObject({
      message: expect.stringContaining("is a folder"),
      hint: expect.stringContaining("model.onnx"),
    });
  });

  it("refuses a file that is too large by its size, without reading it", async () => {
    const path = put(pb.model(pb.relu()));
    truncateSync(path, 3 * 2 ** 30); // sparse: takes no room on the disk
    const start = performance.now();
    await expect(loadModel(path)).rejects.toThrow(code("MODEL_TOO_LARGE"));
    expect(performance.now() - start).toBeLessThan(500);
  });
});

describe("external data", () => {
  const load = (location: string, size = 2) =>
    loadModel(put(modelWithData(location, size)), { externalData: true });

  it("is read from the model's folder when allowed, and only then", async () => {
    writeFileSync(join(folder, "w.bin"), pb.raw(Float32Array.of(1, 2)));
    await expect(loadModel(put(modelWithData("w.bin")))).rejects.toThrow(code("EXTERNAL_DATA_OFF"));
    const { graph } = await load("w.bin");
    expect(graph.constants.get("w")?.read().data).toEqual(Float32Array.of(1, 2));
  });

  it("may lie in a folder below", async () => {
    mkdirSync(join(folder, "sub"));
    writeFileSync(join(folder, "sub", "w.bin"), pb.raw(Float32Array.of(1, 2)));
    await expect(load("sub/w.bin")).resolves.toMatchObject({ opset: 13 });
  });

  it("that is missing or too short is bad", async () => {
    await expect(load("none.bin")).rejects.toThrow(code("EXTERNAL_DATA_BAD"));
    writeFileSync(join(folder, "w.bin"), new Uint8Array(7));
    await expect(load("w.bin")).rejects.toThrow(code("EXTERNAL_DATA_BAD"));
  });

  it("that shrinks after it was checked is bad", async () => {
    writeFileSync(join(folder, "w.bin"), new Uint8Array(8));
    const { graph } = await load("w.bin");
    truncateSync(join(folder, "w.bin"), 4);
    expect(() => graph.constants.get("w")?.read()).toThrow(code("EXTERNAL_DATA_BAD"));
  });

  it.each([
    { what: "a path upwards", location: "../outside/secret" },
    { what: "a nested path upwards", location: "sub/../../outside/secret" },
    { what: "a path upwards with backslashes", location: "..\\outside\\secret" },
    { what: "an absolute path", location: "/etc/passwd" },
    { what: "a drive", location: "C:\\secret" },
    { what: "a NUL", location: "w\0.bin" },
    { what: "the folder itself", location: "." },
  ])("is unsafe: $what", async ({ location }) => {
    mkdirSync(join(folder, "sub"));
    await expect(load(location)).rejects.toThrow(code("EXTERNAL_DATA_UNSAFE"));
  });

  it("is unsafe: a symbolic link, also one in the path", async () => {
    symlinkSync(join(outside, "secret"), join(folder, "w.bin"));
    await expect(load("w.bin")).rejects.toThrow(code("EXTERNAL_DATA_UNSAFE"));
    symlinkSync(outside, join(folder, "sub"));
    await expect(load("sub/secret")).rejects.toThrow(code("EXTERNAL_DATA_UNSAFE"));
    writeFileSync(join(folder, "real.bin"), new Uint8Array(8));
    symlinkSync("real.bin", join(folder, "inside.bin"));
    await expect(load("inside.bin")).rejects.toThrow(code("EXTERNAL_DATA_UNSAFE"));
  });

  it("is unsafe: a hard link", async () => {
    linkSync(join(outside, "secret"), join(folder, "w.bin"));
    await expect(load("w.bin")).rejects.toThrow(/hard links/);
  });

  it("is unsafe: a pipe, which is not waited for", async () => {
    execFileSync("mkfifo", [join(folder, "w.bin")]);
    await expect(load("w.bin")).rejects.toThrow(/no regular file/);
  });
});

describe("saveModel", () => {
  const model = readModel(pb.model(pb.relu({ initializers: [pb.zeros("w", [512])] })));

  it("writes and replaces a file, and leaves nothing else", async () => {
    const path = put(new Uint8Array(3));
    await saveModel(path, writeModel(model));
    expect(new Uint8Array(readFileSync(path))).toEqual(model.file.bytes);
    expect(readdirSync(folder)).toEqual(["m.onnx"]);
  });

  it("writes external data beside, and reads them back", async () => {
    const path = join(folder, "big.onnx");
    const externalLocation = externalLocationFor(path);
    await saveModel(path, writeModel(model, model.graph, { externalData: true, externalLocation }));
    expect(readdirSync(folder).sort()).toEqual(["big.onnx", "big.onnx.data"]);
    const { graph } = await loadModel(path, { externalData: true });
    expect(graph.constants.get("w")?.read().data).toEqual(new Float32Array(512));
  });

  it("leaves the old file and no temporary one when it fails", async () => {
    // A disk that fills up after the first chunk.
    function* full(): Generator<Uint8Array> {
      yield new Uint8Array(4);
      throw Object.assign(new Error("write"), { code: "ENOSPC" });
    }
    const chunks = { [Symbol.iterator]: full } as unknown as readonly Uint8Array<ArrayBuffer>[];
    const path = put(new Uint8Array(3));
    const failing = { chunks, byteLength: 8, external: undefined };
    await expect(saveModel(path, failing)).rejects.toThrow(/disk is full/);
    expect(readFileSync(path)).toHaveLength(3);
    expect(readdirSync(folder)).toEqual(["m.onnx"]);
    await expect(saveModel(join(folder, "no", "m.onnx"), writeModel(model))).rejects.toThrow(
      code("FILE_UNREADABLE"),
    );
  });

  it("does not follow a link that stands at the target", async () => {
    symlinkSync(join(outside, "secret"), join(folder, "m.onnx"));
    await saveModel(join(folder, "m.onnx"), writeModel(model));
    expect(readFileSync(join(outside, "secret"))).toHaveLength(8);
  });
});
