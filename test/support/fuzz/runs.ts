/**
 * @file Folders of runs that were damaged, mixed up or forged, each through one command. What lies beside the
 * folder must stay as it is.
 */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  cpSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { main } from "../../../src/cli/program.ts";
import { compressRun } from "../../../src/compress/compress-run.ts";
import { loadTensors, saveTensors } from "../../../src/files/tensor-file.ts";
import { writeReportHtml } from "../../../src/report/write.ts";
import { journalText } from "../../../src/runs/folder/journal.ts";
import { trainRun } from "../../../src/runs/training/train-run.ts";
import { plainIo } from "../../cli-io.ts";
import { writeQuadrants } from "../quadrants.ts";
import { smallCnn } from "../small-cnn.ts";
import type { Fuzz, Pick } from "./fuzz.ts";
import { mutatedText } from "./mutate-json.ts";
import { baseFolder } from "./run-bases.ts";

/** Runs to start from: a compression and a training that are over, and the same stopped half-way. */
const bases = ["compressed", "trained", "compressing", "training"] as const;
const base = baseFolder(process.ppid);
if (!existsSync(join(base, "whole"))) await makeBases();

async function makeBases(): Promise<void> {
  rmSync(base, { recursive: true, force: true });
  mkdirSync(base);
  const data = join(base, "data");
  await writeQuadrants(data);
  const network = join(base, "net.onnx");
  writeFileSync(network, smallCnn(4));
  const tuning = { batchSize: 20, learningRate: 0.05, threads: 1, checkpointEvery: 1 };
  for (const name of bases) {
    const controller = new AbortController();
    let phases = 0;
    const hooks = {
      signal: controller.signal,
      onPhase(phase: string) {
        if (/fine-tuning|training/.test(phase)) phases++;
      },
      onProgress() {
        if (/ing$/.test(name) && (phases > 1 || name === "training")) controller.abort();
      },
    };
    const request = { network, data, run: join(base, name) };
    const settings = {
      method: "magnitude",
      maxDrop: 0.9,
      rounds: 2,
      epochs: 1,
      benchSeconds: 0.02,
    };
    const work = name.startsWith("compress")
      ? compressRun({ ...request, settings: { ...settings, tuning } }, hooks)
      : trainRun({ ...request, settings: { ...tuning, epochs: 2 } }, hooks);
    await work.catch((error: unknown) => {
      if (!controller.signal.aborted) throw error;
    });
    if (!controller.signal.aborted) await writeReportHtml(join(base, name));
  }
  writeFileSync(join(base, "whole"), "");
}

export const fuzz: Fuzz = {
  async attempt({ pick, folder }) {
    const run = join(folder, "run");
    cpSync(join(base, pick.from(bases)), run, { recursive: true });
    const outside = join(folder, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "kept.jsonl"), '{"event":"kept"}\n{"ha');
    for (let damages = 1 + pick.below(3); damages > 0; damages--) await damage(run, outside, pick);
    const before = stateOf(outside);
    const command = pick.from(["resume", "resume", "report", "verify", "evaluate", "pack"]);
    const { exitCode, out, err } = await espalier(argvOf(command, run), folder);
    if (exitCode === 1) throw new Error(`${command}: ${err}`);
    if (stateOf(outside) !== before) throw new Error(`${command} changed what lies outside`);
    const code = exitCode === 0 || exitCode === 3 ? "ok" : codeIn(out);
    return `${command}: ${code}`;
  },
};

function argvOf(command: string, run: string): readonly string[] {
  const more: Record<string, readonly string[]> = {
    verify: ["--threads", "1", "--no-isolate"],
    evaluate: ["--threads", "1", "--limit", "8"],
    pack: ["-o", `${run}.esp`],
  };
  return [command, run, ...(more[command] ?? []), "--json"];
}

function codeIn(out: string): string {
  const { error, passed } = JSON.parse(out);
  return error?.code ?? (passed === false ? "a check failed" : "no reason");
}

async function espalier(argv: readonly string[], folder: string) {
  let [out, err] = ["", ""];
  const exitCode = await main(argv, {
    ...plainIo,
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    folder,
  });
  return { exitCode, out, err };
}

/** Paths of all that a run itself holds. Links are not followed: what they lead to is not to be changed. */
function partsOf(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? [path, ...partsOf(path)] : [path];
    });
}

/** One change of one part of a run. */
async function damage(run: string, outside: string, pick: Pick): Promise<void> {
  const parts = partsOf(run);
  if (parts.length === 0) return;
  const path = pick.from(parts);
  if (pick.onceIn(5)) return replace(path, outside, pick);
  const found = lstatSync(path);
  if (!found.isFile() || found.nlink > 1) return;
  const kind = pick.below(9);
  if (kind === 0) truncateSync(path, pick.below(found.size + 1));
  else if (kind === 1) rmSync(path);
  else if (kind === 2) appendFileSync(path, pick.from(["\0", "{}", "\n\n", "x".repeat(1000)]));
  // Holes: more than any limit, and no room on the disk.
  else if (kind === 3) truncateSync(path, pick.from([2 ** 26 + 1, 2 ** 31, 2 ** 40]));
  else if (kind === 4) takePlaceOf(path, join(base, pick.from(bases), relative(run, path)));
  else if (kind === 5) takePlaceOf(path, pick.from(parts));
  else if (found.size > largestChanged) return;
  else if (kind === 6) changeBytes(path, pick);
  else await forge(path, pick);
}

/** Files that are read to be changed are no larger: those with holes are. */
const largestChanged = 2 ** 20;

/** Copies another file over this one. */
function takePlaceOf(path: string, other: string): void {
  const found = existsSync(other) ? lstatSync(other) : undefined;
  if (path !== other && found?.isFile() && found.size < largestChanged)
    writeFileSync(path, readFileSync(other));
}

function replace(path: string, outside: string, pick: Pick): void {
  const target = join(outside, "kept.jsonl");
  const moved = join(outside, `moved-${readdirSync(outside).length}`);
  if (pick.onceIn(6)) {
    renameSync(path, moved);
    symlinkSync(moved, path);
    return;
  }
  rmSync(path, { recursive: true });
  const targets = [target, outside, "..", "none", "/dev/zero", "/proc/self"];
  const kind = pick.below(5);
  if (kind === 0) symlinkSync(pick.from(targets), path);
  else if (kind === 1) linkSync(target, path);
  else if (kind === 2) execFileSync("mkfifo", [path]);
  else if (kind === 3) mkdirSync(path);
  else writeFileSync(path, "");
}

function changeBytes(path: string, pick: Pick): void {
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  for (let count = 1 + pick.below(3); count > 0; count--)
    bytes[pick.below(bytes.length)] = pick.below(256);
  writeFileSync(path, bytes);
}

/** A change that knows the format; half of those of files with digests bring the right digest along. */
async function forge(path: string, pick: Pick): Promise<void> {
  const signs = pick.onceIn(2);
  if (path.endsWith(".json") && isJson(path)) {
    const text = mutatedText(readFileSync(path, "utf8"), pick);
    writeFileSync(path, signs && path.endsWith("journal.json") ? signed(text) : text);
  } else if (path.endsWith(".safetensors")) {
    const file = await loadTensors(path).catch(() => undefined);
    if (file === undefined) return changeBytes(path, pick);
    const { note, tensors } = file;
    const kept = [...tensors].filter(() => !pick.onceIn(8));
    await saveTensors(path, {
      note: note !== "" && pick.onceIn(2) ? mutatedText(note, pick) : note,
      tensors: new Map(pick.onceIn(2) ? kept : tensors),
    });
  } else changeBytes(path, pick);
}

function isJson(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, "utf8"));
    return true;
  } catch {
    return false; // an earlier change left none
  }
}

/** The journal with the digest that its contents should have, where it still has contents. */
function signed(text: string): string {
  try {
    const { seconds, entries, origin, files } = JSON.parse(text);
    return journalText({ seconds, entries, origin, files });
  } catch {
    return text;
  }
}

/** What lies in a folder: names, sizes, times, and the contents of small files. */
function stateOf(folder: string): string {
  return partsOf(folder)
    .map((path) => {
      const found = lstatSync(path);
      const isSmall = found.isFile() && found.size < largestChanged;
      const text = isSmall ? readFileSync(path, "base64") : "";
      return `${path} ${found.size} ${found.mtimeMs} ${text}`;
    })
    .join("\n");
}
