/**
 * @file Runs a fuzz in a process of its own, watched from outside: an untyped error, more than 10 CPU
 * seconds or 1 GiB, a death and anything written outside the case's folder are failures.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Which seeds of which fuzz. */
export interface FuzzRun {
  /** The module's file name in this folder. */
  readonly module: string;
  readonly count: number;
  readonly firstSeed: number;
}

/** One seed that went wrong. */
export interface Failure {
  readonly seed: number;
  readonly what: string;
}

/** What came of all. */
export interface FuzzResult {
  /** How often each outcome occurred, the commonest first. */
  readonly outcomes: readonly (readonly [outcome: string, count: number])[];
  readonly failures: readonly Failure[];
  readonly slowestCpuSeconds: number;
  readonly slowestSeed: number;
  readonly peakMiB: number;
}

interface Answer {
  readonly outcome: string;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

const mostCpuSeconds = 10;
const mostMiB = 1024;
/** How often a process that does not answer is looked at. */
const lookMs = 250;
/** Without any progress for so long it is late, too. Without /proc only the clock tells. */
const mostWallMs = 60_000;

/** A process that attempts one seed after the other. */
class Child {
  readonly #process: ChildProcess;
  #settle: (answer: Answer | string) => void = () => {};

  constructor(module: string, folder: string) {
    const script = resolve(import.meta.dirname, "child.ts");
    this.#process = fork(script, [resolve(import.meta.dirname, module), folder], {
      cwd: folder,
      execArgv: ["--import", import.meta.resolve("tsx")],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let stderr = "";
    this.#process.stderr?.on("data", (chunk) => {
      stderr = `${stderr}${chunk}`.slice(-2000);
    });
    this.#process.on("message", (answer: Answer) => this.#settle(answer));
    this.#process.on("exit", (code, signal) =>
      this.#settle(`ended with ${signal ?? code}: ${stderr.trim().replaceAll("\n", " | ")}`),
    );
  }

  /** Once the fuzz is loaded. */
  async begin(): Promise<void> {
    const answer = await this.#next();
    if (typeof answer === "string" && answer !== "ready") throw new Error(answer);
  }

  /** The answer, or what ended the process. */
  async attempt(seed: number): Promise<Answer | string> {
    const start = performance.now();
    const cpuBefore = this.#look()?.cpuSeconds ?? 0;
    const answer = this.#next();
    let isOver = false;
    let [progressAt, progress] = [start, 0];
    const watch = setInterval(() => {
      const now = this.#look();
      const cpuSeconds = now === undefined ? 0 : now.cpuSeconds - cpuBefore;
      // A machine that is busy with other things makes nobody late who gets on.
      if (cpuSeconds > progress) [progressAt, progress] = [performance.now(), cpuSeconds];
      const isLate = cpuSeconds > mostCpuSeconds || performance.now() - progressAt > mostWallMs;
      if (!isOver && (isLate || (now?.miB ?? 0) > mostMiB)) {
        isOver = true;
        const figures = `${cpuSeconds.toFixed(1)} CPU s, ${now?.miB.toFixed(0)} MiB`;
        this.#settle(`took too much: ${figures}`);
        this.end();
      }
    }, lookMs);
    this.#process.send(seed);
    const settled = await answer;
    clearInterval(watch);
    return settled;
  }

  end(): void {
    this.#settle = () => {};
    this.#process.kill("SIGKILL");
  }

  #next(): Promise<Answer | string> {
    return new Promise((settle) => {
      this.#settle = settle;
    });
  }

  /** What the process took so far, by Linux's account of it. */
  #look(): { readonly cpuSeconds: number; readonly miB: number } | undefined {
    const { pid } = this.#process;
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
      const ticksPerSecond = 100;
      const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
      return { cpuSeconds, miB: Number(fields[21]) / 256 };
    } catch {
      return undefined; // another system: the clock alone tells
    }
  }
}

/** Runs all seeds, one at a time. */
export async function runFuzz({ module, count, firstSeed }: FuzzRun): Promise<FuzzResult> {
  const outside = mkdtempSync(join(tmpdir(), "espalier-fuzz-"));
  const inside = join(outside, "inside");
  mkdirSync(inside);
  writeFileSync(join(outside, "neighbour.txt"), "not theirs");
  const counts = new Map<string, number>();
  const failures: Failure[] = [];
  let slowestCpuSeconds = 0;
  let slowestSeed = firstSeed;
  let peakMiB = 0;
  let child: Child | undefined;
  try {
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      if (child === undefined) {
        child = new Child(module, inside);
        await child.begin();
      }
      const answer = await child.attempt(seed);
      const fail = (what: string) => failures.push({ seed, what });
      const tally = (outcome: string) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      if (typeof answer === "string") {
        fail(answer);
        tally("stopped");
        child.end();
        child = undefined;
        rmSync(join(inside, `case-${seed}`), { recursive: true, force: true });
        continue;
      }
      const { outcome, cpuSeconds } = answer;
      if (outcome.startsWith("untyped")) fail(outcome);
      if (cpuSeconds > mostCpuSeconds) fail(`${cpuSeconds.toFixed(1)} CPU s`);
      if (cpuSeconds > slowestCpuSeconds) [slowestCpuSeconds, slowestSeed] = [cpuSeconds, seed];
      peakMiB = Math.max(peakMiB, answer.peakMiB);
      tally(outcome.startsWith("untyped") ? "untyped" : outcome);
      if (answer.peakMiB > mostMiB) {
        fail(`${answer.peakMiB.toFixed(0)} MiB`);
        child.end(); // the next one must not be blamed for it
        child = undefined;
      }
      const left = [...readdirSync(outside), ...readdirSync(inside)].sort();
      if (left.join() !== "inside,neighbour.txt") fail(`left behind: ${left.join(", ")}`);
    }
    if (readFileSync(join(outside, "neighbour.txt"), "utf8") !== "not theirs")
      failures.push({ seed: firstSeed, what: "a file outside was changed" });
  } finally {
    child?.end();
    rmSync(outside, { recursive: true, force: true });
  }
  const outcomes = [...counts].sort((a, b) => b[1] - a[1]);
  return { outcomes, failures, slowestCpuSeconds, slowestSeed, peakMiB };
}
