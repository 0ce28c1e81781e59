/** @file What the system refuses of files is told in words and with a code of ours, never as a bug. */
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fileError } from "../src/files/file-error.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { pack } from "../src/pack/pack.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { residualNetwork } from "./residual-network.ts";
import { writeQuadrants } from "./support/quadrants.ts";

/** Names that no file can be read under or written to, with a part of what is said. */
function places(folder: string): readonly (readonly [name: string, says: RegExp])[] {
  symlinkSync("loop", join(folder, "loop"));
  writeFileSync(join(folder, "file"), "");
  mkdirSync(join(folder, "folder.onnx"));
  return [
    [join(folder, `${"x".repeat(300)}.onnx`), /name is too long/],
    [join(folder, "loop", "net.onnx"), /symbolic link/],
    [join(folder, "file", "net.onnx"), /a file, not a folder/],
    [join(folder, "none", "net.onnx"), /no such file or folder/],
    [join(folder, "folder.onnx"), /folder/],
  ];
}

/** Places that only some systems have, with what they are like. */
const special: readonly (readonly [path: string, isLike: string])[] = [
  ["/sys/net.onnx", "a file system that can only be read"],
  ["/proc/net.onnx", "a folder where nothing can be made"],
  ["/dev/full/net.onnx", "a device in place of a folder"],
];

async function workplace() {
  const folder = await emptyFolder();
  const net = join(folder, "net.onnx");
  const bytes = residualNetwork();
  await writeFile(net, bytes);
  const packed = join(folder, "net.esp");
  await writeFile(packed, pack(readModel(bytes), { isLossless: true }).bytes);
  const data = join(folder, "data");
  await writeQuadrants(data);
  return { folder, net, packed, data };
}

/** Expects a typed error of a command, which says something, and nothing new in the folder. */
async function expectTold(argv: readonly string[], folder: string, says: RegExp): Promise<void> {
  const before = readdirSync(folder).sort();
  const { exitCode, out, err } = await espalier([...argv, "--json"]);
  expect([argv, exitCode, err]).toEqual([argv, 2, expect.not.stringContaining("bug")]);
  const { code, message } = JSON.parse(out).error;
  expect([
    "FILE_UNREADABLE",
    "USAGE",
    "DATA_NOT_FOUND",
    "RUN_INVALID",
    "RUN_NOT_EMPTY",
    "CONFIG_INVALID",
  ]).toContain(code);
  expect(`${argv.join(" ")}: ${message}`).toMatch(says);
  expect(readdirSync(folder).sort()).toEqual(before);
}

describe("what cannot be", () => {
  it("read", async () => {
    const { folder, net } = await workplace();
    for (const [path, says] of places(folder)) {
      const reads: readonly (readonly string[])[] = [
        ["inspect", path],
        ["bench", path],
        ["prune", path, "-o", join(folder, "small.onnx"), "--macs", "0.5"],
        ["verify", net, path],
        ["verify", net, net, "--plan", path],
        ["pack", path, "-o", join(folder, "out.esp")],
        ["unpack", path, "-o", join(folder, "out.onnx")],
      ];
      // A folder may be that of a run, or of a plan's model: it is told of in other words.
      for (const argv of reads)
        await expectTold(argv, folder, path.endsWith("folder.onnx") ? /./ : says);
      for (const argv of [
        ["evaluate", net, "--data", path],
        ["resume", path],
        ["report", path],
        ["inspect", net, "--config", path],
      ])
        await expectTold(argv, folder, /./);
    }
  }, 60_000);

  it("written", async () => {
    const { folder, net, packed, data } = await workplace();
    for (const [path, says] of places(folder)) {
      await expectTold(["prune", net, "-o", path, "--macs", "0.5"], folder, says);
      await expectTold(["unpack", packed, "-o", path], folder, says);
      if (!path.endsWith("folder.onnx"))
        await expectTold(["pack", net, "-o", path.replace(/\.onnx$/, ".esp")], folder, /./);
      if (!/none|folder/.test(path))
        await expectTold(
          ["train", "lenet-300-100", "--data", data, "-o", path, "--epochs", "1"],
          folder,
          says,
        );
    }
  }, 60_000);

  it.each(special)(
    "written to %s, %s",
    async (path) => {
      if (!existsSync(join(path, ".."))) return;
      const { folder, net, packed, data } = await workplace();
      await expectTold(["prune", net, "-o", path, "--macs", "0.5"], folder, /Cannot write/);
      await expectTold(["unpack", packed, "-o", path], folder, /Cannot/);
      await expectTold(
        ["train", "lenet-300-100", "--data", data, "-o", path],
        folder,
        /Cannot make the run/,
      );
    },
    60_000,
  );
});

describe("each reason of the system", () => {
  it.each([
    ["EROFS", /can only be read/, /copy the folder/],
    ["ENOSPC", /disk is full/, /Make room/],
    ["EDQUOT", /share of the disk/, /Make room/],
    ["EACCES", /permission denied/, /permissions/],
    ["EPERM", /not permitted/, /permissions/],
    ["EMFILE", /too many files/, /ulimit/],
    ["EIO", /disk reports an error/, /Check the disk/],
  ])("%s has words and advice", (code, says, advises) => {
    const cause = Object.assign(new Error(`${code}: something`), { code, syscall: "open" });
    const error = fileError("write net.onnx", "net.onnx", cause);
    expect(error.code).toBe("FILE_UNREADABLE");
    expect(error.message).toMatch(says);
    expect(error.hint).toMatch(advises);
    expect(error.data).toEqual({ path: "net.onnx", code });
  });
});
