/** @file Pipes and devices where files are expected: each a typed error at once, and they stay what they are. */
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/support/scratch.ts";
import { requireWritable } from "../cli/options/output-place.ts";
import { openDataset } from "../data/dataset.ts";
import { fileDigest } from "./file-digest.ts";
import { loadModel, writeAtomically } from "./model-file.ts";
import { readPackFile } from "./pack-file.ts";
import { loadPlan } from "./plan-file.ts";

const folder = scratchFolder("kinds");
const isUnix = process.platform !== "win32";

/** A named pipe that nobody writes to: reading it would wait without end. */
function pipe(name: string): string {
  const path = join(folder, name);
  execFileSync("mkfifo", [path]);
  return path;
}

const unreadable = expect.objectContaining({ code: "FILE_UNREADABLE" });

describe.runIf(isUnix)("a pipe", () => {
  const readers: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
    "net.onnx": loadModel,
    "plan.json": loadPlan,
    digest: fileDigest,
    "pack.esp": async (path) => {
      for await (const _ of readPackFile(path)) break;
    },
  };

  it.each(Object.entries(readers))(
    "is not waited for when it is read as %s",
    async (name, read) => {
      await expect(read(pipe(name))).rejects.toThrow(unreadable);
    },
  );

  it("is not waited for where a data set is expected, nor in a folder of one", async () => {
    await expect(openDataset(pipe("x.npz"))).rejects.toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^(DATA_NOT_FOUND|FILE_UNREADABLE)$/),
      }),
    );
    mkdirSync(join(folder, "images"));
    pipe(join("images", "a.png"));
    await expect(openDataset(join(folder, "images"))).rejects.toThrow(
      expect.objectContaining({ code: "DATA_NOT_FOUND" }),
    );
  });

  it("is not replaced by a result", async () => {
    const path = pipe("result.onnx");
    await expect(writeAtomically(path, [Uint8Array.of(1)])).rejects.toThrow(unreadable);
    await expect(requireWritable("in.onnx", path)).rejects.toThrow(unreadable);
    expect(lstatSync(path).isFIFO()).toBe(true);
  });
});

it.runIf(process.platform === "linux")(
  "a file system where everybody may write and no file can be made is found out at once",
  async () => {
    await expect(requireWritable("in.onnx", "/proc/out.onnx")).rejects.toThrow(
      expect.objectContaining({
        code: "FILE_UNREADABLE",
        message: expect.stringMatching(/^Cannot write (\/proc\/out.onnx|into the folder \/proc)/),
      }),
    );
  },
);

it("asking whether a file can be written leaves nothing behind", async () => {
  mkdirSync(join(folder, "empty"));
  await requireWritable("in.onnx", join(folder, "empty", "out.onnx"));
  expect(readdirSync(join(folder, "empty"))).toEqual([]);
});
