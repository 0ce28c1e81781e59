/** @file The command line as its users and their scripts see it. */
import { readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openDataset } from "../src/data/dataset.ts";
import { loadCosts, saveCosts } from "../src/files/cost-table-file.ts";
import { saveModel } from "../src/files/model-file.ts";
import { dataFeeds } from "../src/measure/inputs/data-feeds.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { writeModel } from "../src/onnx/writing/write.ts";
import { withSession } from "../src/runtime/session.ts";
import { toNumbers } from "../src/tensor/host-tensor.ts";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { idxFile, npyFile, zipFile } from "./data-files.ts";
import { residualNetwork } from "./residual-network.ts";

// Cost tables are cached below this folder.
beforeEach(async () => {
  vi.stubEnv("XDG_CACHE_HOME", await emptyFolder());
});
afterEach(() => vi.unstubAllEnvs());

/** A folder with `net.onnx`, and the paths of it and of a result beside it. */
async function workplace(bytes: Uint8Array = residualNetwork()) {
  const folder = await emptyFolder();
  const net = join(folder, "net.onnx");
  await writeFile(net, bytes);
  return { folder, net, small: join(folder, "small.onnx") };
}

/** 20 images of 3 x 8 x 8 in ten classes, of which 12 serve as `fit`. */
async function imagesBeside(folder: string): Promise<string> {
  const data = join(folder, "data.npz");
  const x = Float32Array.from({ length: 20 * 3 * 64 }, (_, i) => Math.sin(i));
  const y = Int32Array.from({ length: 20 }, (_, i) => i % 10);
  const archive = zipFile([
    { name: "x.npy", content: npyFile("<f4", [20, 3, 8, 8], x) },
    { name: "y.npy", content: npyFile("<i4", [20], y) },
  ]);
  await writeFile(data, archive);
  return data;
}

/** The only JSON document on stdout. */
function json(text: string): Record<string, unknown> {
  return JSON.parse(text);
}

const magnitude = ["--method", "magnitude"];

describe("inspect", () => {
  it("counts what the arithmetic says", async () => {
    const { net } = await workplace();
    const { exitCode, out } = await espalier(["inspect", net, "--json"]);
    expect(exitCode).toBe(0);
    // A stem of 3 to 8 and four convolutions of 8 to 8 channels, 3x3, on 8x8 positions; a dense layer.
    const macs = 64 * 9 * (3 * 8 + 4 * 8 * 8) + 8 * 5;
    const params = 9 * (3 * 8 + 4 * 8 * 8) + 5 * 4 * 8 + 8 * 5 + 5;
    expect(json(out)).toMatchObject({
      macs,
      params,
      sizeBytes: residualNetwork().length,
      opset: 17,
      inputs: [{ name: "x", dtype: "float32", shape: ["N", 3, 8, 8] }],
      outputs: [{ name: "logits", shape: ["N", 5] }],
      units: 8 * 3 + 5,
      prunableUnits: 8 * 3,
      groups: [
        { id: "stem", units: 8, prunableUnits: 8, isStream: true },
        { id: "block0.a", units: 8, prunableUnits: 8 },
        { id: "block1.a", units: 8, prunableUnits: 8 },
        { id: "dense", units: 5, prunableUnits: 0, reason: expect.stringContaining("output") },
      ],
    });
    expect(json(out).layers).toContainEqual(
      expect.objectContaining({ name: "stem", opType: "Conv", macs: 64 * 9 * 24, params: 216 }),
    );
  });

  it("draws tables that fit 80 columns, without colour", async () => {
    const { net } = await workplace(
      residualNetwork({ prefix: "a/very/long/name/of/a/".repeat(4) }),
    );
    const { exitCode, out, err } = await espalier(["inspect", net]);
    expect(exitCode).toBe(0);
    expect(err).toBe("");
    expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(out).not.toContain("\x1b");
    expect(out).toContain("units that must stay");
  });

  it("prints names from the file without obeying them", async () => {
    const hostile = "\x1b]0;owned\x07\x1b[2J\u202e\u009b31m\r\n";
    const { net } = await workplace(residualNetwork({ prefix: hostile }));
    for (const flags of [[], ["--layers"], ["--json"]]) {
      const { exitCode, out } = await espalier(["inspect", net, ...flags]);
      expect(exitCode).toBe(0);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not come out
      expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    }
    const { out } = await espalier(["inspect", net, "--json"]);
    expect(json(out)).toMatchObject({ groups: [{ id: `${hostile}stem` }, {}, {}, {}] });
  });

  it("takes sizes for symbolic dimensions, and refuses unknown ones", async () => {
    const { net } = await workplace();
    const one = await espalier(["inspect", net, "--json"]);
    const four = await espalier(["inspect", net, "--json", "--dims", "N=4"]);
    expect(json(four.out).macs).toBe(4 * Number(json(one.out).macs));
    const wrong = await espalier(["inspect", net, "--dims", "M=4"]);
    expect(wrong).toMatchObject({ exitCode: 2, out: "" });
    expect(wrong.err).toContain("N");
  });
});

describe("prune", () => {
  it("writes a verified model and its plan, and says what it did", async () => {
    const { folder, net, small } = await workplace();
    const argv = ["prune", net, "-o", small, "--macs", "0.5", ...magnitude, "--json"];
    const { exitCode, out } = await espalier(argv);
    expect(exitCode).toBe(0);
    const report = json(out);
    expect(report).toMatchObject({
      method: "magnitude",
      isReached: true,
      before: { sizeBytes: residualNetwork().length },
      after: { sizeBytes: (await stat(small)).size },
      verification: { passed: true, samples: 3 },
      output: small,
      plan: `${small}.plan.json`,
    });
    const inspected = json((await espalier(["inspect", small, "--json"])).out);
    expect(report.after).toMatchObject({ macs: inspected.macs, params: inspected.params });
    const whole = json((await espalier(["inspect", net, "--json"])).out);
    expect(Number(inspected.macs)).toBeLessThanOrEqual(Number(whole.macs) / 2);
    expect((await readdir(folder)).sort()).toEqual([
      "net.onnx",
      "small.onnx",
      "small.onnx.plan.json",
    ]);
  });

  it("ends with the latency against the original's, and writes the same bytes without", async () => {
    const { folder, net, small } = await workplace(residualNetwork({ width: 48, side: 16 }));
    const flags = ["--macs", "0.2", ...magnitude, "--threads", "1"];
    const untimed = join(folder, "untimed.onnx");
    const plain = await espalier(["prune", net, "-o", untimed, ...flags, "--json"]);
    expect(json(plain.out)).not.toHaveProperty("latency");
    const timed = await espalier(["prune", net, "-o", small, ...flags], {}, { isTimed: true });
    expect(timed.out).toMatch(
      /^latency: faster: [\d.]+ times as fast \(95 %: [\d.]+ to [\d.]+\), 1 thread$/m,
    );
    expect(timed.out).toMatch(/^latency +[\d.]+ ms +[\d.]+ ms +[\d.]+ %$/m);
    expect((await readFile(small)).equals(await readFile(untimed))).toBe(true);
  });

  it("applies an edited plan, and verifies the result by it", async () => {
    const { folder, net, small } = await workplace();
    const any = ["--round-to", "1"];
    await espalier(["prune", net, "-o", small, "--macs", "0.5", ...magnitude, ...any]);
    const plan = JSON.parse(await readFile(`${small}.plan.json`, "utf8"));
    const group = plan.groups.find(({ id }: { id: string }) => id === "block0.a");
    for (const axis of group.axes) axis.kept = [1, 4, 6];
    const edited = join(folder, "edited.json");
    await writeFile(edited, JSON.stringify(plan));
    const again = join(folder, "again.onnx");
    const pruned = await espalier(["prune", net, "-o", again, "--plan", edited, "--json"]);
    expect(pruned.exitCode).toBe(0);
    expect(json(pruned.out).groups).toContainEqual({ id: "block0.a", before: 8, after: 3 });
    expect(await espalier(["verify", net, again])).toMatchObject({ exitCode: 0 });
    // The first plan does not describe this file.
    expect(await espalier(["verify", net, again, "--plan", `${small}.plan.json`])).toMatchObject({
      exitCode: 4,
    });
  });

  it("gives the same bytes by the plan as by choosing", async () => {
    const { folder, net, small } = await workplace();
    await espalier(["prune", net, "-o", small, "--params", "0.5", ...magnitude]);
    const again = join(folder, "again.onnx");
    await espalier(["prune", net, "-o", again, "--plan", `${small}.plan.json`]);
    expect(await readFile(again)).toEqual(await readFile(small));
  });

  it("keeps to widths and groups that the user names", async () => {
    const { net, small } = await workplace(residualNetwork({ width: 16 }));
    const { exitCode, out } = await espalier([
      ...["prune", net, "-o", small, "--macs", "0.6", ...magnitude, "--json"],
      ...["--except", "stream", "--round-to", "4", "--min-width", "4"],
    ]);
    expect(exitCode).toBe(0);
    const groups = json(out).groups;
    expect(groups).toContainEqual({ id: "stem", before: 16, after: 16 });
    for (const { after } of Array.isArray(groups) ? groups.slice(0, 3) : [])
      expect([4, 8, 12, 16]).toContain(after);
  });

  it("reaches a latency that it measures, or says that it did not", async () => {
    const { net, small } = await workplace(residualNetwork({ width: 32, side: 16 }));
    const { exitCode, out } = await espalier([
      ...["prune", net, "-o", small, "--latency", "0.6", ...magnitude, "--json"],
      ...["--threads", "1"],
    ]);
    const { latency, isReached } = json(out);
    expect(exitCode).toBe(isReached ? 0 : 3);
    expect(latency).toMatchObject({
      ratio: expect.any(Number),
      ci95: [expect.any(Number), expect.any(Number)],
    });
    if (typeof latency === "object" && latency !== null && "ratio" in latency)
      expect(Number(latency.ratio) <= 0.6).toBe(isReached);
  }, 60_000);

  it("takes a table from elsewhere, and says that its latency is an estimate", async () => {
    const { folder, net, small } = await workplace(residualNetwork({ width: 32, side: 16 }));
    const [here, phone] = ["here.json", "phone.csv"].map((name) => join(folder, name));
    await espalier(["profile", net, "--threads", "1", "-o", here]);
    const table = await loadCosts(here);
    await saveCosts(phone, { ...table, source: { ...table.source, machine: "a phone" } });
    const argv = ["prune", net, "-o", small, "--latency", "0.7", ...magnitude, "--costs", phone];
    const { exitCode, out, err } = await espalier(argv);
    expect(exitCode).toBe(0);
    expect(out).toMatch(/latency, estimated/);
    expect(err).toContain("the latency is an estimate by a cost table of a phone");
    const { exitCode: refused, err: why } = await espalier([...argv.slice(0, -1), net]);
    expect(refused).toBe(2);
    expect(why).toContain("is no cost table");
  }, 60_000);

  it("verifies on images too, when it is given some", async () => {
    const { folder, net, small } = await workplace();
    const data = await imagesBeside(folder);
    const { exitCode, out } = await espalier([
      ...["prune", net, "-o", small, "--macs", "0.5", ...magnitude, "--json"],
      ...["--verify-data", data, "--mean", "0.1,0.2,0.3", "--std", "1/2"],
    ]);
    expect(exitCode).toBe(0);
    expect(json(out)).toMatchObject({ verification: { passed: true, samples: 3 + 8 } });
    const checked = await espalier(["verify", net, small, "--data", data, "--json"]);
    expect(json(checked.out)).toMatchObject({ passed: true, samples: 3 + 12 });
  });

  it("refits on a few images, so that the outputs come nearer to the original's", async () => {
    const { folder, net, small } = await workplace();
    const data = await imagesBeside(folder);
    const argv = ["prune", net, "--macs", "0.6", "--json"];
    const plain = await espalier([...argv, "-o", small]);
    const refitted = join(folder, "refitted.onnx");
    const ran = await espalier([
      ...[...argv, "-o", refitted, "--refit", data, "--refit-images", "12"],
    ]);
    expect([plain.exitCode, ran.exitCode]).toEqual([0, 0]);
    expect(json(ran.out).after).toMatchObject({ macs: Object(json(plain.out).after).macs });
    const plan = JSON.parse(await readFile(`${refitted}.plan.json`, "utf8"));
    expect(plan.method).toBe("bn, refitted on 12 images");
    expect(await espalier(["verify", net, refitted])).toMatchObject({ exitCode: 0 });

    const dataset = await openDataset(data);
    const [feeds] = await dataFeeds(readModel(residualNetwork()).graph, dataset, {
      count: 12,
      batchSize: 12,
    });
    const logits = async (path: string) => {
      const outputs = await withSession(await readFile(path), {}, (session) => session.run(feeds));
      const tensor = outputs.get("logits");
      return tensor ? toNumbers(tensor) : new Float64Array();
    };
    const original = await logits(net);
    const distance = async (path: string) => {
      const values = await logits(path);
      return values.reduce((sum, value, i) => sum + (value - original[i]) ** 2, 0);
    };
    expect(await distance(refitted)).toBeLessThan(0.5 * (await distance(small)));
  });

  it("reads weights from other files only when that is allowed", async () => {
    const { folder, small } = await workplace();
    const model = readModel(residualNetwork({ width: 16 }));
    const net = join(folder, "big.onnx");
    const bytes = writeModel(model, model.graph, {
      externalData: true,
      externalLocation: "big.onnx.data",
    });
    await saveModel(net, bytes);
    const argv = ["prune", net, "-o", small, "--macs", "0.5", ...magnitude];
    expect(await espalier(argv)).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining("--external-data"),
    });
    expect(await espalier([...argv, "--external-data"])).toMatchObject({ exitCode: 0 });
    expect(await espalier(["bench", net, small, "--external-data", "--runs", "4"])).toMatchObject({
      exitCode: 0,
    });
  });

  it("ends with 3 below what may go, and writes the most that may", async () => {
    const { net, small } = await workplace();
    const argv = ["prune", net, "-o", small, "--macs", "0.05", ...magnitude, "--min-width", "4"];
    const { exitCode, err } = await espalier(argv);
    expect(exitCode).toBe(3);
    expect(err).toContain("warning: the target --macs 0.05 is out of reach");
    expect(await espalier(["verify", net, small])).toMatchObject({ exitCode: 0 });
  });

  it("writes nothing on a dry run", async () => {
    const { folder, net } = await workplace();
    const ran = await espalier(["prune", net, "--macs", "0.5", ...magnitude, "--dry-run"]);
    expect(ran).toMatchObject({ exitCode: 0, out: expect.stringContaining("nothing written") });
    expect(await readdir(folder)).toEqual(["net.onnx"]);
  });

  it("leaves what stood at OUT alone when it fails", async () => {
    const { folder, net, small } = await workplace();
    await writeFile(small, "old");
    await writeFile(`${small}.plan.json`, "old plan");
    const failing = [
      ["prune", join(folder, "none.onnx"), "-o", small, "--macs", "0.5"],
      ["prune", net, "-o", small, "--macs", "0.5", "--method", "none"],
      ["prune", net, "-o", small, "--macs", "0.5", ...magnitude, "--only", "nothing*"],
      ["prune", net, "-o", small, "--plan", `${small}.plan.json`],
    ];
    for (const argv of failing) expect((await espalier(argv)).exitCode).toBe(2);
    expect(await readFile(small, "utf8")).toBe("old");
    expect(await readFile(`${small}.plan.json`, "utf8")).toBe("old plan");
    expect((await readdir(folder)).length).toBe(3);
  });

  it("never overwrites the original, by whatever name", async () => {
    const { folder, net } = await workplace();
    const link = join(folder, "link.onnx");
    await symlink(net, link);
    for (const output of [net, link])
      expect(
        await espalier(["prune", net, "-o", output, "--macs", "0.5", ...magnitude]),
      ).toMatchObject({ exitCode: 2, err: expect.stringContaining("itself") });
  });

  it.each([
    [["prune", "NET", "-o", "SMALL"], "no target"],
    [["prune", "NET", "--macs", "0.5"], "no output"],
    [["prune", "NET", "-o", "SMALL", "--macs", "1.5"], "above 0, at most 1"],
    [["prune", "NET", "-o", "SMALL", "--macs", "half"], "above 0, at most 1"],
    [["prune", "NET", "-o", "SMALL.txt", "--macs", "0.5"], ".onnx"],
    [["prune", "NET", "-o", "no/such/folder/x.onnx", "--macs", "0.5"], "folder"],
    [["prune", "NET", "-o", "SMALL", "--plan", "p", "--macs", "0.5"], "cannot be used"],
    [["prune", "NET", "-o", "SMALL", "--macs", "0.5", "--mean", "0.5"], "--mean is a data flag"],
    [["prune", "NET", "-o", "SMALL", "--macs", "0.5", ...magnitude, "--mode", "x"], "no option"],
    [
      ["prune", "NET", "-o", "SMALL", "--macs", "0.5", ...magnitude, "--option", "norm=l9"],
      "l1 or l2",
    ],
    [["prune", "NET", "-o", "SMALL", "--macros", "0.5"], "unknown option"],
    [["prune"], "missing required argument"],
    [["shear", "NET"], "unknown command"],
  ])("refuses %j", async (argv, message) => {
    const { folder, net, small } = await workplace();
    const line = argv.map((word) => word.replace(/^NET$/, net).replace(/^SMALL/, small));
    const ran = await espalier(line);
    expect(ran).toMatchObject({ exitCode: 2, out: "", err: expect.stringContaining(message) });
    expect(ran.err).toContain("hint:");
    expect(await readdir(folder)).toEqual(["net.onnx"]);
  });

  it.each([
    { argv: ["prune", "--macros", "0.5"], message: "unknown option '--macros'" },
    { argv: ["prune"], message: "missing required argument 'MODEL'" },
    { argv: ["prune", "NET", "--macs", "half"], message: /'--macs <share>'.*at most 1/ },
    { argv: ["shear"], message: "unknown command 'shear'" },
  ])("tells $argv as JSON, too", async ({ argv, message }) => {
    const { exitCode, out } = await espalier([...argv, "--json"]);
    expect(exitCode).toBe(2);
    const { error } = JSON.parse(out);
    expect(error).toMatchObject({ code: "USAGE", hint: "--help explains the command" });
    expect(error.message).toMatch(message);
  });

  it("stops when told, and writes nothing", async () => {
    const { folder, net, small } = await workplace(residualNetwork({ width: 32, side: 32 }));
    const controller = new AbortController();
    const { exitCode, out } = await espalier(
      ["prune", net, "-o", small, "--latency", "0.5", ...magnitude, "--json"],
      {
        signal: controller.signal,
        verbosity: "verbose",
        err: (text) => {
          if (text.includes("timing the layers")) controller.abort();
        },
      },
    );
    expect(exitCode).toBe(130);
    expect(json(out)).toMatchObject({
      error: { code: "ABORTED", message: expect.stringContaining("nothing was written") },
    });
    expect(await readdir(folder)).toEqual(["net.onnx"]);
  });
});

describe("verify", () => {
  it("fails for a file whose weights are not those of the original", async () => {
    const { net, small } = await workplace();
    await espalier(["prune", net, "-o", small, "--macs", "0.5", ...magnitude]);
    const bytes = await readFile(small);
    const { graph } = readModel(bytes);
    const values = graph.constants.get("dense.weight")?.read().data;
    if (!(values instanceof Float32Array)) throw new Error("the dense weights are float32");
    // The elements stand in the file as they are in memory: turn the first one's sign.
    const raw = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    bytes[bytes.indexOf(raw) + 3] ^= 0x80;
    await writeFile(small, bytes);
    const text = await espalier(["verify", net, small]);
    expect(text).toMatchObject({
      exitCode: 4,
      out: expect.stringContaining("VERIFICATION FAILED"),
    });
    const { exitCode, out } = await espalier(["verify", net, small, "--json"]);
    expect(exitCode).toBe(4);
    expect(json(out)).toMatchObject({ passed: false, checks: [{ passed: false }, {}] });
  });

  it("asks for the plan that is missing", async () => {
    const { net } = await workplace();
    const ran = await espalier(["verify", net, net]);
    expect(ran).toMatchObject({ exitCode: 2, err: expect.stringContaining(".plan.json") });
  });

  it("refuses a plan that is none", async () => {
    const { folder, net } = await workplace();
    const plan = join(folder, "plan.json");
    await writeFile(plan, '{"format":"espalier-plan","version":1,"method":"x","groups":[{}]}');
    const ran = await espalier(["verify", net, net, "--plan", plan]);
    expect(ran).toMatchObject({ exitCode: 2, err: expect.stringContaining("groups.0.id") });
  });
});

describe("evaluate", () => {
  it("measures on the images of a folder", async () => {
    const { folder, net } = await workplace(residualNetwork({ classes: 10 }));
    const data = await imagesBeside(folder);
    const argv = ["evaluate", net, "--data", data, "--split", "fit", "--json"];
    const { exitCode, out } = await espalier(argv);
    expect(exitCode).toBe(0);
    expect(json(out)).toMatchObject({ metric: "top1", samples: 12, split: "fit", classes: 10 });
    expect(json(out)).not.toHaveProperty("predictions");
    const text = await espalier(argv.slice(0, -1));
    expect(text.out).toMatch(/accuracy +\d/);
  });

  it("says how images that do not fit could fit", async () => {
    const { folder, net } = await workplace();
    await writeFile(join(folder, "train-images-idx3-ubyte"), idxFile([4, 8, 8]));
    await writeFile(join(folder, "train-labels-idx1-ubyte"), idxFile([4], [0, 1, 2, 3]).fill(1, 8));
    const ran = await espalier(["evaluate", net, "--data", folder, "--split", "fit", "--json"]);
    expect(ran.exitCode).toBe(2);
    expect(json(ran.out)).toMatchObject({ error: { code: "DATA_MISMATCH" } });
    expect(ran.err).toContain("--color rgb");
  });
});

describe("bench", () => {
  it("gives the latency, and the ratio of two networks", async () => {
    const { folder, net } = await workplace();
    const large = join(folder, "large.onnx");
    await writeFile(large, residualNetwork({ width: 64, side: 32, blocks: 4 }));
    const { exitCode, out } = await espalier([
      ...["bench", net, large, "--runs", "20", "--threads", "1", "--json"],
    ]);
    expect(exitCode).toBe(0);
    const { medianMs, ratio, verdict, threads, provider } = json(out);
    expect(Number(medianMs)).toBeGreaterThan(0);
    expect(Number(ratio)).toBeGreaterThan(2);
    expect(verdict).toBe("slower");
    expect([threads, provider]).toEqual([1, "cpu"]);
    const single = await espalier(["bench", net, "--runs", "20"]);
    expect(single).toMatchObject({ exitCode: 0, out: expect.stringContaining("net.onnx") });
  });

  it("names the operators that take longer, and says once which network is faster", async () => {
    const { folder, net: wide } = await workplace(residualNetwork({ width: 48, side: 16 }));
    const narrow = join(folder, "narrow.onnx");
    await writeFile(narrow, residualNetwork({ width: 8, side: 16 }));
    const flags = ["--runs", "10", "--seconds", "0.4", "--threads", "1", "--profile"];
    const slower = await espalier(["bench", narrow, wide, ...flags]);
    expect(slower.out.match(/is slower than|is faster than/g)).toHaveLength(1);
    expect(slower.out).toContain("net.onnx is slower than narrow.onnx: it takes");
    expect(slower.out).toMatch(/^block0\.a +Conv +[\d.]+ ms +[\d.]+ ms +slower$/m);
    const faster = await espalier(["bench", wide, narrow, ...flags, "--json"]);
    expect(json(faster.out)).toMatchObject({ verdict: "faster" });
    const { operators } = json(faster.out);
    expect(operators).toContainEqual(
      expect.objectContaining({ name: "block0.a", opType: "Conv", isSlower: false }),
    );
    const alone = await espalier(["bench", wide, ...flags]);
    expect(alone.out).toMatch(/^operator +type +time +share$/m);
  });
});

describe("methods", () => {
  it("lists the registry", async () => {
    const { out } = await espalier(["methods", "--json"]);
    expect(json(out).methods).toContainEqual(
      expect.objectContaining({ name: "magnitude", needs: { batchNorm: false, data: false } }),
    );
    expect(json(out).methods).toContainEqual(
      expect.objectContaining({ name: "importance", needs: { batchNorm: false, data: true } }),
    );
    expect((await espalier(["methods"])).out).toContain("magnitude\n");
  });

  it("that train are refused by prune, with a way out", async () => {
    const { net } = await workplace();
    const flags = ["--macs", "0.5", "--dry-run", "--method", "importance"];
    const { exitCode, err } = await espalier(["prune", net, ...flags]);
    expect(exitCode).toBe(2);
    expect(err).toContain("espalier compress");
  });
});

describe("espalier", () => {
  it("tells its version, and explains itself without arguments", async () => {
    expect((await espalier(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await espalier([])).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining("prune"),
    });
  });

  it("asks for a report of what is its own fault", async () => {
    const { net } = await workplace();
    const { exitCode, err } = await espalier(["inspect", net], {
      out: () => {
        throw new Error("a bug\x1b[31m");
      },
    });
    expect(exitCode).toBe(1);
    expect(err).toContain("Please report it");
    expect(err).toMatch(/espalier \d.*, Node v/);
    expect(err).not.toContain("\x1b");
  });

  it("ends with 130 on Ctrl-C, as a process", async () => {
    const { folder, net, small } = await workplace(residualNetwork({ width: 32, side: 32 }));
    const argv = ["prune", net, "-o", small, "--latency", "0.5", ...magnitude, "--verbose"];
    const child = startEspalier(argv);
    child.stderr.on("data", (text) => {
      if (String(text).includes("timing the layers")) child.kill("SIGINT");
    });
    const exitCode = await new Promise((ended) => child.on("exit", ended));
    expect(exitCode).toBe(130);
    expect(await readdir(folder)).toEqual(["net.onnx"]);
  });

  it("goes on when nobody reads its progress any more", async () => {
    const { net, small } = await workplace();
    const argv = ["prune", net, "-o", small, "--macs", "0.5", ...magnitude, "--no-bench"];
    const child = startEspalier(argv);
    child.stderr.destroy();
    let out = "";
    child.stdout.on("data", (text) => {
      out += text;
    });
    const exitCode = await new Promise((ended) => child.on("close", ended));
    expect(exitCode).toBe(0);
    expect(out).toContain("written:");
  });
});
