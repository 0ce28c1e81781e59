/**
 * @file `npm run same-bytes -- OLD [NEW]`: whether two states of the code do the same, for refactorings.
 *
 * OLD and NEW are commits; without NEW it is the working tree. Each is built, the commands of
 * `same-bytes-commands.ts` run, and every file that they write and what they print is compared byte for byte.
 * Only what a clock measures is left out. With ESPALIER_DATA, the networks in its folder `models` take part.
 * Exit code 1 when anything differs, or a command fails. Both sides are kept then, to be looked at.
 */
import { type SpawnSyncOptions, spawn, spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join, relative, resolve } from "node:path";
import { formatInteger } from "../src/words/numbers.ts";
import {
  type CommandLine,
  reports,
  steps,
  stepsOf,
  texts,
  writeInputs,
} from "./same-bytes-commands.ts";

const [old, changed] = process.argv.slice(2);
if (old === undefined) {
  process.stderr.write("usage: npm run same-bytes -- OLD [NEW]\n");
  process.exit(2);
}
const scratch = await mkdtemp(join(tmpdir(), "espalier-same-bytes-"));
let isKept = false;
process.on("exit", () => {
  if (!isKept) rmSync(scratch, { recursive: true, force: true });
});
process.once("SIGINT", () => process.exit(130));
const models = process.env.ESPALIER_DATA && join(resolve(process.env.ESPALIER_DATA), "models");
const modelSteps = models && existsSync(models) ? await stepsOf(models) : [];
const tsx = import.meta.resolve("tsx");
const failures: string[] = [];

/** Numbers that a clock gives, by their keys; quotes are escaped where a header holds a text in JSON. */
const clockKeys = [
  ...["latencyMs", "seconds", "secondsPerStep", "imagesPerSecond"],
  ...["trainingSeconds", "measuringSeconds", "totalSeconds"],
];
const clockNumbers = new RegExp(
  String.raw`(?<=\W(?:${clockKeys.join("|")})\\*":\s*)[-+\d.e]+`,
  "g",
);

type Side = "old" | "new";
for (const [side, commit] of [
  ["old", old],
  ["new", changed],
] as const) {
  const startedAt = performance.now();
  await checkOut(commit, join(scratch, `${side}-code`));
  const count = await runAll(side);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  process.stdout.write(
    `${side} (${commit ?? "working tree"}): ${count} commands in ${seconds} s\n`,
  );
}
const differences = await compare(join(scratch, "old"), join(scratch, "new"));
const isSame = differences.length + failures.length === 0;
for (const line of [...failures, ...differences]) process.stdout.write(`${line}\n`);
isKept = !isSame;
if (isKept) process.stdout.write(`${scratch} holds both sides\n`);
process.exit(isSame ? 0 : 1);

/** Writes the files of a commit, or of the working tree as it is now, into a folder, and builds the package. */
async function checkOut(commit: string | undefined, folder: string): Promise<void> {
  const env = { ...process.env, GIT_INDEX_FILE: join(scratch, "index") };
  must("git", ["read-tree", commit ?? "HEAD"], { env });
  if (commit === undefined) must("git", ["add", "--all"], { env });
  must("git", ["checkout-index", "--all", `--prefix=${folder}/`], { env });
  await rm(join(folder, "node_modules"), { force: true });
  await symlink(resolve("node_modules"), join(folder, "node_modules"), "dir");
  // The same version on both sides.
  const manifest = join(folder, "package.json");
  const text = await readFile(manifest, "utf8");
  await writeFile(manifest, text.replace(/"version": "[^"]*"/, '"version": "0.0.0"'));
  // What is compiled starts in a third of the time.
  must(process.execPath, ["--import", tsx, "scripts/build.ts"], { cwd: folder });
}

function must(program: string, argv: readonly string[], options: SpawnSyncOptions): void {
  const { status } = spawnSync(program, argv, {
    ...options,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (status !== 0) throw new Error(`${program} ${argv.join(" ")} ended with ${status}`);
}

/** Runs everything with the build of a side, and returns the number of commands. Both sides have the same absolute paths. */
async function runAll(side: Side): Promise<number> {
  const work = join(scratch, "work");
  await mkdir(join(work, "printed"), { recursive: true });
  await writeInputs(work);
  let count = 0;
  const go = async (
    line: CommandLine,
    { flags = ["--json"], stopAt = "", mayFail = false } = {},
  ) => {
    const lines = typeof line === "string" ? { old: line, new: line } : line;
    const argv = [...lines[side].split(" "), ...(await withoutTiming(side, lines[side]))];
    process.stderr.write(`${side}: ${argv.join(" ")}\n`);
    const { code, out, err } = await espalier(side, [...argv, ...flags], work, stopAt);
    const isExpected = stopAt === "" ? code === 0 || code === 3 : code === 130;
    if (!isExpected && !mayFail)
      failures.push(`${side}: ${argv.join(" ")} ended with ${code}\n${out}${err}`);
    // Progress depends on time.
    const messages = err.split("\n").filter((text) => /^(error|hint|warning|note):/.test(text));
    const name = `${String(++count).padStart(3, "0")} ${lines.new.replaceAll("/", "_").slice(0, 120)}.txt`;
    const text = [`exit code ${code}`, ...messages, out].join("\n");
    await writeFile(join(work, "printed", name), withoutTimes(text));
  };
  for (const step of steps) {
    if (typeof step === "object" && "remove" in step) await rm(join(work, step.remove));
    else if (typeof step === "object" && "run" in step) await go(step.run, { stopAt: step.stopAt });
    else await go(step);
  }
  for (const line of modelSteps) await go(line, { mayFail: true });
  for (const line of texts) await go(line, { flags: [] });
  for (const path of await filesIn(work)) await leaveOutTimes(join(work, path));
  for (const run of reports) await go(`report ${run}`);
  await rename(work, join(scratch, side));
  return count;
}

/** The flag by which a pruning leaves out what a clock measures, where a side has that flag. */
async function withoutTiming(side: Side, line: string): Promise<readonly string[]> {
  if (!line.startsWith("prune ") || line.includes("--help")) return [];
  const { out } = await espalier(side, ["prune", "--help"], scratch, "");
  return out.includes("--no-bench") ? ["--no-bench"] : [];
}

/** Runs a command with the build of a side; with `stopAt`, stops it as soon as it says that. */
async function espalier(side: Side, argv: readonly string[], cwd: string, stopAt: string) {
  const main = join(scratch, `${side}-code`, "dist/cli/espalier.cjs");
  const child = spawn(process.execPath, [main, ...argv], {
    ...{ cwd, stdio: ["ignore", "pipe", "pipe"] },
  });
  let [out, err] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const isBefore = !err.includes(stopAt);
    err += text;
    if (isBefore && err.includes(stopAt)) child.kill("SIGINT");
  });
  const code = await new Promise<number | null>((done) => child.on("close", done));
  return { code, out, err };
}

/** Paths of all files in a folder but the inputs, sorted. */
async function filesIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    .filter((path) => !path.startsWith("in/"))
    .sort();
}

/** A text in which all that a clock measures is 1, and no digest covers it. */
function withoutTimes(text: string): string {
  const masked = text
    .replaceAll(clockNumbers, "1")
    .replaceAll(/(?<="at":")\d{4}-[^"]*/g, "")
    .replaceAll(/"latency": \{[^{}]*\}/g, (measured) =>
      measured.replaceAll(/\d+\.\d+(e-\d+)?/g, "1"),
    )
    .replaceAll(/(?<=Training stopped after )\d+/g, "1");
  return masked === text ? text : masked.replaceAll(/(?<="sha256":\s*")[0-9a-f]+/g, "");
}

/** Does that to a file, where it holds such things. */
async function leaveOutTimes(path: string): Promise<void> {
  const bytes = await readFile(path);
  if (/\.jsonl?$/.test(path)) await writeFile(path, withoutTimes(bytes.toString()));
  if (!path.endsWith(".safetensors")) return;
  // The length of the header, the header, which spaces bring to a multiple of 8, and the elements.
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = withoutTimes(bytes.subarray(8, end).toString()).trimEnd();
  await writeFile(path, Buffer.concat([Buffer.from(header), bytes.subarray(end)]));
}

/** What differs between two folders, file by file; says how much was compared. */
async function compare(a: string, b: string): Promise<readonly string[]> {
  const paths = new Set([...(await filesIn(a)), ...(await filesIn(b))]);
  const differences: string[] = [];
  const compared = new Map<string, { readonly count: number; readonly sizeBytes: number }>();
  for (const path of [...paths].sort()) {
    const [first, second] = [a, b].map((folder) => join(folder, path));
    if (!existsSync(first) || !existsSync(second)) {
      differences.push(`${path}: ${existsSync(first) ? "old" : "new"} alone has it`);
      continue;
    }
    const [before, after] = [await readFile(first), await readFile(second)];
    const kind = path.startsWith("printed") ? "printed" : extname(path);
    const { count, sizeBytes } = compared.get(kind) ?? { count: 0, sizeBytes: 0 };
    compared.set(kind, { count: count + 1, sizeBytes: sizeBytes + after.length });
    if (!before.equals(after)) differences.push(`${path}: ${firstDifference(before, after)}`);
  }
  const kinds = [...compared].map(
    ([kind, { count, sizeBytes }]) => `${count} ${kind} (${formatInteger(sizeBytes)} bytes)`,
  );
  process.stdout.write(`compared ${kinds.join(", ")}: ${differences.length} differ\n`);
  return differences;
}

/** Where two files first differ, with the lines there if they are text. */
function firstDifference(before: Buffer, after: Buffer): string {
  let at = 0;
  while (at < before.length && before[at] === after[at]) at++;
  const place = `differs from byte ${at} on (${before.length} and ${after.length} bytes)`;
  if (before.includes(0) || after.includes(0)) return place;
  const shown = [before, after].map(
    (bytes) =>
      bytes
        .subarray(Math.max(bytes.lastIndexOf("\n", at - 1) + 1, at - 80), at + 80)
        .toString()
        .split("\n")[0],
  );
  return `${place}\n  old: ${shown[0]}\n  new: ${shown[1]}`;
}
