/** @file Folders of runs that came from somebody else: links, pipes and folders in the place of files lead nowhere. */
import { execFileSync } from "node:child_process";
import {
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compressRun } from "../src/compress/compress-run.ts";
import { writeReportHtml } from "../src/report/write.ts";
import { emptyFolder, espalier } from "./cli-io.ts";
import { makeWorkplace, type Workplace } from "./support/small-cnn.ts";

let made: Workplace;
/** A compression that was stopped in its second round. */
let stopped = "";

beforeAll(async () => {
  made = await makeWorkplace();
  const { net, data, run, folder } = made;
  const request = {
    network: net,
    data,
    settings: {
      method: "magnitude",
      maxDrop: 0.2,
      rounds: 2,
      epochs: 1,
      benchSeconds: 0.05,
      tuning: { batchSize: 20, learningRate: 0.05, threads: 1 },
    },
  };
  await compressRun({ ...request, run });
  await writeReportHtml(run);
  stopped = join(folder, "stopped");
  const controller = new AbortController();
  let phase = "";
  const hooks = {
    signal: controller.signal,
    onPhase(name: string) {
      phase = name;
    },
    onProgress() {
      if (phase === "round 2: fine-tuning") controller.abort();
    },
  };
  await compressRun({ ...request, run: stopped }, hooks).catch(() => undefined);
}, 120_000);
afterAll(() => rm(made.folder, { recursive: true, force: true }));

/** A copy of a run, and beside it a folder that is none of its business. */
async function copy(run: string) {
  const folder = await emptyFolder();
  const own = join(folder, "run");
  cpSync(run, own, { recursive: true });
  const outside = join(folder, "outside");
  mkdirSync(outside);
  return { own, outside };
}

/** All files of a folder with what is in them, and when they were changed. */
function stateOf(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .sort()
    .map((name) => {
      const found = statSync(join(folder, name));
      const text = found.isFile() ? readFileSync(join(folder, name), "base64") : "";
      return `${name} ${found.mtimeMs} ${found.size} ${text}`;
    });
}

/** Commands on the folder of a run; `report` and `verify` are for those that are over. */
const commands = (run: string): readonly (readonly string[])[] => [
  ["resume", run],
  ["report", run],
  ["verify", run],
  ["evaluate", run, "--threads", "1"],
  ["pack", run, "-o", join(dirname(run), "net.esp")],
];

/** Files and folders of a run that is over, and of one that goes on. */
const parts = [
  ...["config.json", "original.onnx", "events.jsonl", "report.json", "report.html", "model.onnx"],
  ...["plan.json", "checkpoint", "checkpoint/journal.json", "rounds", "rounds/01"],
  ...["rounds/01/plan.json", "rounds/02/tuned.onnx", "predictions"],
  "predictions/result.safetensors",
];

type Replace = (path: string, outside: string) => void;
const replacements: readonly (readonly [string, Replace])[] = [
  [
    "a symbolic link",
    (path, outside) => {
      const target = join(outside, basename(path));
      renameSync(path, target);
      // Half a line at its end, which mending would cut off.
      if (path.endsWith(".jsonl")) writeFileSync(target, '{"event":"x"}\n{"ev');
      symlinkSync(target, path);
    },
  ],
  [
    "a hard link",
    (path, outside) => {
      if (statSync(path).isDirectory())
        cpSync(path, join(outside, basename(path)), { recursive: true });
      const files = statSync(path).isDirectory()
        ? readdirSync(path, { recursive: true, encoding: "utf8" }).map((name) => join(path, name))
        : [path];
      const file = files.find((candidate) => statSync(candidate).isFile()) ?? path;
      linkSync(file, join(outside, "linked"));
    },
  ],
  [
    "a pipe",
    (path) => {
      rmSync(path, { recursive: true });
      execFileSync("mkfifo", [path]);
    },
  ],
  [
    "a thing of the other kind",
    (path) => {
      const isFolder = statSync(path).isDirectory();
      rmSync(path, { recursive: true });
      if (isFolder) writeFileSync(path, "");
      else mkdirSync(path);
    },
  ],
];

describe.skipIf(process.platform === "win32")("in place of a part of a run", () => {
  it.each(replacements)(
    "%s is refused by every command, and nothing outside changes",
    async (_, replace) => {
      for (const part of parts) {
        const { own, outside } = await copy(made.run);
        replace(join(own, part), outside);
        const before = stateOf(outside);
        for (const argv of commands(own)) {
          const { exitCode, out, err } = await espalier([...argv, "--json"]);
          expect([part, argv[0], exitCode, err]).toEqual([part, argv[0], 2, expect.any(String)]);
          expect(JSON.parse(out).error.code, `${argv[0]}, ${part}`).toBe("RUN_INVALID");
          expect(stateOf(outside), `${argv[0]}, ${part}`).toEqual(before);
        }
      }
    },
    60_000,
  );

  it("links are refused in a run that goes on, too", async () => {
    const inner = readdirSync(join(stopped, "checkpoint")).find((name) =>
      /safetensors$/.test(name),
    );
    for (const part of ["events.jsonl", "checkpoint", "rounds", `checkpoint/${inner}`]) {
      const { own, outside } = await copy(stopped);
      replacements[0][1](join(own, part), outside);
      const before = stateOf(outside);
      const { exitCode, out } = await espalier(["resume", own, "--json"]);
      expect([part, exitCode, JSON.parse(out).error]).toEqual([
        part,
        2,
        {
          code: "RUN_INVALID",
          message: `run/${part} is a symbolic link, not a ${/[.]/.test(part) ? "file" : "folder"} of the run's own`,
          hint: expect.stringContaining("cp -rL"),
          data: expect.anything(),
        },
      ]);
      expect(stateOf(outside)).toEqual(before);
    }
  });

  it("a link to the whole run is the user's own way to it", async () => {
    const { own, outside } = await copy(made.run);
    const link = join(outside, "link");
    symlinkSync(own, link);
    expect((await espalier(["report", link])).exitCode).toBe(0);
  });
});

/** One byte of a file becomes another, in its middle. */
function changeByte(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] ^= 1;
  writeFileSync(path, bytes);
}

it.each(["original.onnx", "model.onnx", "rounds/01/before.onnx", "predictions/result.safetensors"])(
  "a hole of a terabyte in %s is not read through",
  async (part) => {
    const { own } = await copy(made.run);
    truncateSync(join(own, part), 2 ** 40);
    for (const argv of commands(own)) {
      const { exitCode, out } = await espalier([...argv, "--json"]);
      expect([argv[0], exitCode, JSON.parse(out).error.code]).toEqual([argv[0], 2, "RUN_INVALID"]);
    }
  },
);

it("a result that is not that of its run is neither packed nor evaluated by the name of the run", async () => {
  const { own } = await copy(made.run);
  cpSync(join(own, "original.onnx"), join(own, "model.onnx"));
  for (const argv of [
    ["pack", own, "-o", join(own, "..", "net.esp")],
    ["evaluate", own, "--threads", "1"],
  ]) {
    const { exitCode, out } = await espalier([...argv, "--json"]);
    expect(exitCode).toBe(2);
    expect(JSON.parse(out).error).toMatchObject({
      code: "RUN_INVALID",
      message: expect.stringContaining("is not the network that the run ended with"),
    });
  }
});

describe("a run that was stopped is not resumed from", () => {
  it.each([
    ["a byte of the journal", "checkpoint/journal.json", changeByte],
    ["a byte of a checkpoint", /^checkpoint\/.*\.safetensors$/, changeByte],
    [
      "a checkpoint that ends early",
      /^checkpoint\/.*\.safetensors$/,
      (path: string) => truncateSync(path, 5000),
    ],
    ["a byte of the network of a round", "rounds/01/tuned.onnx", changeByte],
    ["a byte of the plan of a round", "rounds/01/plan.json", changeByte],
    ["a round that is gone", "rounds/01/tuned.onnx", (path: string) => rmSync(path)],
    ["a byte of the original", "original.onnx", changeByte],
    [
      "another setting",
      "config.json",
      (path: string) =>
        writeFileSync(
          path,
          readFileSync(path, "utf8").replace('"learningRate": 0.05', '"learningRate": 0.06'),
        ),
    ],
  ] as const)("%s: CHECKPOINT_INVALID", async (_, part, change) => {
    const { own } = await copy(stopped);
    const names = readdirSync(own, { recursive: true, encoding: "utf8" });
    const name = names.find((own) => (typeof part === "string" ? own === part : part.test(own)));
    change(join(own, name ?? "none"));
    const { exitCode, out } = await espalier(["resume", own, "--json"]);
    const { code, hint } = JSON.parse(out).error;
    // A byte of the journal may leave no journal at all.
    expect(
      part === "checkpoint/journal.json"
        ? ["CHECKPOINT_INVALID", "RUN_INVALID"]
        : ["CHECKPOINT_INVALID"],
    ).toContain(code);
    expect(hint).toMatch(/as it was|begin a new run/);
    expect(exitCode).toBe(2);
  });

  it("but goes on from what is as it was", async () => {
    const { own } = await copy(stopped);
    const { exitCode, err } = await espalier(["resume", own]);
    expect(err).not.toMatch(/error/);
    expect([0, 3]).toContain(exitCode);
    expect(readFileSync(join(own, "model.onnx"))).toEqual(
      readFileSync(join(made.run, "model.onnx")),
    );
  }, 60_000);
});
