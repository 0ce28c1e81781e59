/** @file `espalier pack` and `unpack` as users run them. */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildNetwork } from "../src/models/registry.ts";
import { encodeGraph } from "../src/onnx/writing/encode-graph.ts";
import { concatBytes } from "../src/onnx/writing/write.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { folderOf, idxFile } from "./data-files.ts";
import { residualNetwork } from "./residual-network.ts";
import { writeQuadrants } from "./support/quadrants.ts";
import { quadrantNetwork } from "./support/training.ts";

async function folderWithNetwork(): Promise<(name: string) => string> {
  const folder = await emptyFolder();
  const path = (name: string) => join(folder, name);
  await writeFile(path("net.onnx"), residualNetwork());
  return path;
}

describe("espalier pack and unpack", () => {
  it("bring the very same file back with --lossless", async () => {
    const path = await folderWithNetwork();
    const packed = await espalier(["pack", path("net.onnx"), "-o", path("net.esp"), "--lossless"]);
    expect(packed.exitCode).toBe(0);
    expect(packed.out).toMatch(/times smaller/);
    const unpacked = await espalier(["unpack", path("net.esp"), "-o", path("again.onnx")]);
    expect(unpacked.exitCode).toBe(0);
    expect(Buffer.compare(await readFile(path("again.onnx")), residualNetwork())).toBe(0);
  });

  it("tell their figures as JSON", async () => {
    const path = await folderWithNetwork();
    const packed = await espalier(["pack", path("net.onnx"), "-o", path("net.esp"), "--json"]);
    const figures = JSON.parse(packed.out);
    const size = (await readFile(path("net.esp"))).length;
    expect(figures).toMatchObject({ bytesBefore: residualNetwork().length, bytesAfter: size });
    expect(figures.ratio).toBeCloseTo(residualNetwork().length / size, 10);
    expect(figures.bitsPerWeight).toBeGreaterThan(4);
    expect(figures.tensors.length).toBeGreaterThan(8);
    const unpacked = await espalier(["unpack", path("net.esp"), "-o", path("b.onnx"), "--json"]);
    expect(JSON.parse(unpacked.out)).toMatchObject({
      bytesBefore: size,
      bytesAfter: residualNetwork().length,
    });
  });

  it("search the fewest bits within a tolerance, and report the drop on test", async () => {
    const path = await folderWithNetwork();
    const network = buildNetwork("lenet-300-100", {});
    await writeFile(path("lenet.onnx"), concatBytes(encodeGraph(network)));
    const images = 200;
    const data = await folderOf({
      "train-images-idx3-ubyte": idxFile([images, 28, 28]),
      "train-labels-idx1-ubyte": idxFile(
        [images],
        Uint8Array.from({ length: images }, (_, i) => i % 10),
      ),
    });
    const argv = ["pack", path("lenet.onnx"), "-o", path("l.esp"), "--json", "--data", data];
    const search = ["--max-drop", "0.9", "--provider", "cpu"];
    const { exitCode, out, err } = await espalier([...argv, ...search]);
    expect(exitCode, err).toBe(0);
    // Whatever an untrained network does, nine tenths of it may go: one bit is enough.
    const figures = JSON.parse(out);
    expect(figures.bits).toBe(1);
    expect(figures.drop.drop).toBeCloseTo(figures.baseline.value - figures.result.value, 10);
  });

  it("tune under the rounding, at fixed bits and within a tolerance", async () => {
    const path = await folderWithNetwork();
    const data = path("data");
    await writeQuadrants(data);
    await writeFile(path("q.onnx"), concatBytes(encodeGraph(quadrantNetwork())));
    const argv = ["pack", path("q.onnx"), "-o", path("q.esp"), "--data", data, "--threads", "1"];
    const tuning = ["--tune-epochs", "1", "--optimizer", "adam", "--lr", "0.01", "--batch", "40"];
    const fixed = await espalier([...argv, ...tuning, "--bits", "3", "--json"]);
    expect(fixed.exitCode, fixed.err).toBe(0);
    const figures = JSON.parse(fixed.out);
    expect(figures.training.history).toMatchObject([{ epoch: 1 }]);
    // The network knew nothing before.
    expect(figures.result.value).toBeGreaterThan(figures.baseline.value);
    const within = await espalier([...argv, ...tuning, "--distill", "--max-drop", "0.5"]);
    expect(within.exitCode, within.err).toBe(0);
    expect(within.out).toMatch(/accuracy on test/);
  }, 60_000);

  it.each([
    { flags: ["--tune-epochs", "1"], tells: /--data/ },
    { flags: ["--lr", "0.1"], tells: /--tune-epochs/ },
    { flags: ["--epoch-samples", "8"], tells: /--tune-epochs/ },
    { flags: ["--tune-epochs", "1", "--data", "d", "--temperature", "2"], tells: /--distill/ },
    {
      flags: ["--tune-epochs", "1", "--data", "d", "--distill", "--label-smoothing", "0.1"],
      tells: /--label-smoothing/,
    },
    {
      flags: ["--max-drop", "0.1", "--tune-epochs", "1", "--data", "d", "--temperature", "2"],
      tells: /--distill/,
    },
    {
      flags: ["--tune-epochs", "1", "--data", "d", "--loss", "dice", "--label-smoothing", "0.1"],
      tells: /--label-smoothing/,
    },
    {
      flags: ["--tune-epochs", "1", "--data", "d", "--optimizer", "adam", "--momentum", "0.5"],
      tells: /momentum/,
    },
    { flags: ["--tune-epochs", "1", "--data", "d", "--lambda", "1"], tells: /--lambda/ },
    { flags: ["--tune-epochs", "1", "--data", "d", "--lossless"], tells: /--lossless/ },
    { flags: ["--lossless", "--bits", "4"], tells: /--lossless/ },
    { flags: ["--max-drop", "0.1"], tells: /--data/ },
    { flags: ["--mean", "0.5"], tells: /--mean/ },
    { flags: ["--limit", "4"], tells: /--limit/ },
    { flags: ["--batch", "4"], tells: /--batch|--tune-epochs/ },
    { flags: ["--lambda", "1e9"], tells: /1000000/ },
    { flags: ["--codebook", "16", "--bits", "4"], tells: /--codebook/ },
    { flags: ["--bits", "20"], tells: /Bits/ },
  ])("refuse $flags", async ({ flags, tells }) => {
    const path = await folderWithNetwork();
    // Data that is named is not there: what contradicts itself is refused before it is looked at.
    const ran = await espalier(["pack", path("net.onnx"), "-o", path("net.esp"), ...flags]);
    expect(ran.exitCode).toBe(2);
    expect(ran.err).toMatch(tells);
    expect(existsSync(path("net.esp"))).toBe(false);
  });

  it.each([
    { output: "no/such/folder/FILE", tells: /folder .*such\/folder(.|\n)*hint: Make the folder/ },
    { output: "taken/FILE", tells: /taken\/FILE is a folder(.|\n)*hint:/ },
  ])("refuse the place $output before any work", async ({ output, tells }) => {
    const path = await folderWithNetwork();
    await mkdir(path("taken/FILE.esp"), { recursive: true });
    await mkdir(path("taken/FILE.onnx"));
    const place = path(output);
    // What would be read is not there: the place is looked at first.
    const packing = await espalier(["pack", path("none.onnx"), "-o", `${place}.esp`]);
    const unpacking = await espalier(["unpack", path("none.esp"), "-o", `${place}.onnx`]);
    for (const { exitCode, err } of [packing, unpacking]) {
      expect(exitCode).toBe(2);
      expect(err.replaceAll(/FILE\.(esp|onnx)/g, "FILE")).toMatch(tells);
    }
    const named = await espalier(["unpack", path("none.esp"), "-o", path("net")]);
    expect(named.err).toMatch(/does not end in \.onnx/);
  });

  it("refuse damaged packs and wrong names, and write nothing", async () => {
    const path = await folderWithNetwork();
    await espalier(["pack", path("net.onnx"), "-o", path("net.esp")]);
    const bytes = await readFile(path("net.esp"));
    await writeFile(path("bad.esp"), bytes.fill(7, 600, 604));
    const damaged = await espalier(["unpack", path("bad.esp"), "-o", path("b.onnx"), "--json"]);
    expect(damaged.exitCode).toBe(2);
    expect(JSON.parse(damaged.out)).toMatchObject({
      error: { code: "PACK_INVALID", data: { reason: "DAMAGED" } },
    });
    const missing = await espalier(["unpack", path("none.esp"), "-o", path("b.onnx")]);
    expect(missing.err).toMatch(/no such file/);
    const small = ["unpack", path("net.esp"), "-o", path("b.onnx"), "--max-bytes", "100"];
    expect((await espalier(small)).err).toMatch(/100 are allowed(.|\n)*--max-bytes/);
    const none = await espalier(["pack", path("no-run"), "-o", path("b.esp")]);
    expect(none.err).toMatch(/no-run: no such file/);
    const empty = await espalier(["pack", path("."), "-o", path("b.esp")]);
    expect(empty.err).toMatch(/holds no run/);
    const onto = await espalier(["pack", path("net.onnx"), "-o", path("net.onnx")]);
    expect(onto.exitCode).toBe(2);
    expect(existsSync(path("b.onnx"))).toBe(false);
  });
});
