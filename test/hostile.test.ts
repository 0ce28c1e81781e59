/** @file Hostile and unlucky files: each ends as it must, fast, in little memory, writing nothing. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostileFiles } from "./support/hostile-files.ts";

interface Outcome {
  readonly file: string;
  readonly code: string;
  readonly ms: number;
  readonly message: string;
}

const nameOf = (index: number): string =>
  `${hostileFiles[index].allowed ? "allowed" : "plain"}-${String(index).padStart(3, "0")}.onnx`;

let root = "";
let before: ReadonlyMap<string, string>;
const outcomes = new Map<string, Outcome>();
let peakMiB = Number.POSITIVE_INFINITY;

/** Every file below the folder, with a digest of its bytes. */
function snapshot(): ReadonlyMap<string, string> {
  const files = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return new Map(
    files.map((file) => [file, createHash("sha256").update(readFileSync(file)).digest("hex")]),
  );
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "espalier-hostile-"));
  const folder = join(root, "models");
  mkdirSync(folder);
  writeFileSync(join(root, "data.bin"), new Uint8Array(12));
  writeFileSync(join(root, "linked.bin"), new Uint8Array(12));
  writeFileSync(join(folder, "data.bin"), new Uint8Array(12));
  symlinkSync(join(root, "data.bin"), join(folder, "link.bin"));
  linkSync(join(root, "linked.bin"), join(folder, "hard.bin"));
  for (const [index, { bytes }] of hostileFiles.entries())
    writeFileSync(join(folder, nameOf(index)), bytes());
  before = snapshot();
  const script = resolve(import.meta.dirname, "support", "load-files.ts");
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", script, folder],
    { maxBuffer: 2 ** 26 },
  );
  for (const line of stdout.trim().split("\n")) {
    const parsed = JSON.parse(line);
    if ("peakMiB" in parsed) peakMiB = parsed.peakMiB;
    else outcomes.set(parsed.file, parsed);
  }
}, 120_000);

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("a hostile or unlucky file", () => {
  it.each(hostileFiles.map(({ what, ends }, index) => ({ what, ends, index })))(
    "$what: $ends",
    ({ index, ends }) => {
      const outcome = outcomes.get(nameOf(index));
      expect(outcome?.code, outcome?.message).toBe(ends);
      expect(outcome?.ms).toBeLessThan(2000);
    },
  );

  it("is one of at least 40, and none was passed over", () => {
    expect(hostileFiles.length).toBeGreaterThanOrEqual(40);
    expect(outcomes.size).toBe(hostileFiles.length);
  });

  it("takes less than 350 MB, whichever comes before it", () => {
    expect(peakMiB).toBeLessThan(350);
  });

  it("writes nothing, and changes nothing", () => {
    expect([...snapshot()]).toEqual([...before]);
  });
});
