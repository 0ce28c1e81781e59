/**
 * @file `npm run bench:peers [-- gradients|losses|speed [NETWORK ...]]`: training beside PyTorch, from
 * the same weights and batches, on the same two threads. Ends with 1 where gradients or losses
 * differ by more than they may.
 *
 * `npm run bench:peers -- training --data DIR [--epochs N] [--limit N] [--threads N] [--run DIR]`:
 * ResNet-20 from scratch on CIFAR-10, to the end; about an hour. With `--run` it can be interrupted,
 * and goes on when it is run again.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compareGradients, compareLosses, threads } from "./accuracy.ts";
import { gradientCases, lossCases, speedCases } from "./cases.ts";
import { compareSpeed, type SideResult, type SpeedResult } from "./speed.ts";
import { torchVersion } from "./torch.ts";
import { compareTraining } from "./training.ts";

const parts = ["gradients", "losses", "speed", "training"] as const;

async function main([part, ...names]: readonly string[]): Promise<number> {
  const found = torchVersion();
  if ("missing" in found) {
    print(found.missing);
    return 2;
  }
  if (part !== undefined && !parts.some((known) => known === part)) {
    print(`There is no part "${part}"; parts are ${parts.join(", ")}.`);
    return 2;
  }
  const isWanted = (of: { readonly network: string }) =>
    names.length === 0 || names.includes(of.network);
  print(`PyTorch ${found.version}, Node ${process.version}, ${cpus()[0].model}`);
  if (part === "training") return training(names);
  const folder = mkdtempSync(join(tmpdir(), "espalier-peers-"));
  let isGood = true;
  try {
    if (part === undefined || part === "gradients") {
      print("\nGradients of one batch, ‖difference‖ / ‖PyTorch's‖; at most 1e-4");
      for (const of of gradientCases.filter(isWanted))
        isGood = (await compareGradients(of, folder)) && isGood;
    }
    if (part === undefined || part === "losses") {
      print("\nLosses of SGD with rate 0.01; at most 1 % apart");
      for (const of of lossCases.filter(isWanted))
        for (const momentum of [0, 0.9])
          isGood = (await compareLosses(of, folder, momentum)) && isGood;
    }
    if (part === undefined || part === "speed") {
      print(
        `\nA full training step (forward, backward, SGD with momentum), ${threads} threads, in turns`,
      );
      for (const { network } of speedCases.filter(isWanted)) printSpeed(measureAlone(network));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return isGood ? 0 : 1;
}

async function training(args: readonly string[]): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { data: text, epochs: text, limit: text, threads: text, run: text },
  });
  const { data, run } = values;
  if (data === undefined) {
    print("Say where CIFAR-10 lies, in its binary form: --data DIR.");
    return 2;
  }
  const folder = run ?? mkdtempSync(join(tmpdir(), "espalier-peers-"));
  mkdirSync(folder, { recursive: true });
  try {
    await compareTraining({
      data,
      folder,
      epochs: Number(values.epochs ?? 15),
      limit: values.limit === undefined ? undefined : Number(values.limit),
      threads: values.threads === undefined ? threads : Number(values.threads),
    });
  } finally {
    if (run === undefined) rmSync(folder, { recursive: true });
  }
  return 0;
}

/** Measures a network in a process of its own. */
function measureAlone(network: string): SpeedResult {
  const output = execFileSync(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), "measure", network],
    { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  );
  return JSON.parse(output);
}

async function measure(network: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "espalier-peers-"));
  try {
    for (const of of speedCases)
      if (of.network === network) print(JSON.stringify(await compareSpeed(of, folder)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function printSpeed({ network, ours, torch, ratio, bestRatio, othersBusy }: SpeedResult): void {
  const side = ({ medianMs, cpuMs, peakBytes, startBytes }: SideResult) =>
    `${medianMs.toFixed(1).padStart(7)} ms (${cpuMs.toFixed(1)} of processors), ${megabytes(peakBytes)} MB (${megabytes(startBytes)} before)`;
  const [low, high] = ratio.ci95.map((end) => end.toFixed(2));
  print(
    `${network.padEnd(9)} ours ${side(ours)}   PyTorch ${side(torch)}   ` +
      `ratio ${ratio.value.toFixed(2)} (${low} to ${high}), fastest blocks ${bestRatio.toFixed(2)}, ` +
      `others busy ${othersBusy.toFixed(2)}`,
  );
}

function megabytes(bytes: number): string {
  return String(Math.round(bytes / 1e6)).padStart(4);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === "measure") for (const network of rest) await measure(network);
else process.exitCode = await main(process.argv.slice(2));
process.exit();
