/** @file `espalier prune`: prunes in one shot without training, and verifies the result before it is written. */
import { Command } from "commander";
import type { Verification } from "../../measure/equality/compare.ts";
import type { NotTimed, PairLatency } from "../../measure/latency/pair.ts";
import type { Model, ModelBytes } from "../../onnx/model.ts";
import type { Damage } from "../../prune/damage.ts";
import type { EstimatedLatency, MeasuredLatency } from "../../prune/latency.ts";
import type { PruneOptions } from "../../prune/prune.ts";
import { type Pruned, partsOf } from "../../prune/pruned.ts";
import { countWeights } from "../../structure/weights/layer-weights.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { open, warnOfInputs } from "../options/data-options.ts";
import { addFlags } from "../options/flag.ts";
import { inHost } from "../options/isolation.ts";
import { load } from "../options/model-options.ts";
import { requireWritable } from "../options/output-place.ts";
import { exitCodes } from "../terminal/failure.ts";
import { inFlags } from "../terminal/flag-names.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress, type Progress } from "../terminal/progress.ts";
import { describeDamage, describePruned, type ReportedLatency } from "../texts/prune-report.ts";
import { describeVerification } from "../texts/verify-report.ts";
import { type Flags, flags, optionsOf, requireConsistent } from "./prune-flags.ts";

const explanation = `
A target is the share of the original that may remain; with several targets all
are met. The channels with the lowest scores are removed first. With --option
level=weights single weights are set to 0 instead, and channels that this leaves
without effect are removed. The result is compared with the original whose removed
channels are set to 0, and is written only if both compute the same. Then the result
and the original answer a few inputs (of --verify-data or --refit, else random ones
that resemble photographs), and a warning is shown if their answers hardly agree.
The plan (the channels that stayed, and the parameters that compensate) lies beside
OUT as OUT.plan.json: edit it and apply it again with --plan. In the end the result and
the original take turns for 2 seconds, and the ratio of their latencies is shown; where
the result is slower, the operators that take longer, too.

Examples:
  espalier prune net.onnx -o small.onnx --macs 0.6
  espalier prune net.onnx -o small.onnx --macs 0.5 --round-to 1
  espalier prune net.onnx -o small.onnx --latency 0.7 --method magnitude
  espalier prune net.onnx -o small.onnx --macs 0.5 --except stream
  espalier prune net.onnx -o sparse.onnx --density 0.2 --method magnitude \\
      --option level=weights
  espalier prune net.onnx --params 0.3 --only '/layer3/*' --dry-run
  espalier prune net.onnx -o small.onnx --macs 0.5 --refit photos
  espalier prune net.onnx -o again.onnx --plan small.onnx.plan.json

\`espalier methods\` lists the methods and their options.`;

/** The number of images that verification takes from --verify-data. */
const verifyImages = 8;
/** Images of --verify-data or --refit on which the result is compared with the original. */
const damageImages = 32;

/** The command. */
export function pruneCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("prune")
    .argument("<MODEL>", "ONNX file")
    .description("Removes the channels with the lowest scores, verifies the result and writes it.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (path: string, given: Flags) =>
    end(await run(path, given, io)),
  );
}

async function run(path: string, flags: Flags, io: Io): Promise<number> {
  requireConsistent(path, flags);
  if (flags.output !== undefined) await requireWritable(path, flags.output);
  const progress = newProgress(io);
  try {
    return await inHost(flags, () => pruneAndWrite(path, flags, io, progress), io.signal);
  } finally {
    progress.end();
  }
}

async function pruneAndWrite(
  path: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  const { signal } = io;
  progress.phase("reading");
  const model = await load(path, flags);
  const options = await optionsOf(flags);
  await requireData(model, flags, signal);
  signal.throwIfAborted();
  const {
    pruned: chosen,
    latency,
    estimate,
  } = await choose(model, options, flags, signal, progress);
  progress.detail(`channels were ranked by ${escapeForTerminal(chosen.method)}`);
  signal.throwIfAborted();
  const pruned = await refit(model, chosen, flags, signal, progress);
  for (const note of pruned.notes) progress.warn(escapeForTerminal(note));
  signal.throwIfAborted();

  let verification: Verification | undefined;
  let damage: Damage | undefined;
  let speed: PairLatency | NotTimed | undefined;
  if (!flags.dryRun) {
    progress.phase("verifying");
    verification = await verify(model, pruned, flags, signal);
    signal.throwIfAborted();
    progress.phase("comparing");
    damage = await lookAtDamage(model, pruned, flags, signal);
    if (damage.isDestroyed) progress.warn(escapeForTerminal(describeDamage(damage)));
    signal.throwIfAborted();
    if (verification.passed && flags.output !== undefined) {
      progress.phase("writing");
      await write(flags.output, model, pruned);
    }
    // What does not compute the same is not written, and its speed does not matter; nor does that of this machine where
    // a target was for another.
    const isForHere = estimate === undefined || latency !== undefined;
    if (verification.passed && isForHere && flags.bench !== false) {
      progress.phase("timing");
      speed = await timed(model, pruned, latency, flags, signal, progress);
    }
  }
  progress.end();
  report(pruned, { latency: speed ?? latency, estimate, verification, damage }, flags, io);
  if (verification !== undefined && !verification.passed) return exitCodes.verificationFailed;
  return pruned.isReached ? exitCodes.done : exitCodes.targetMissed;
}

/** Fails before anything is scored where data is missing or does not fit the network. */
async function requireData(model: Model, flags: Flags, signal: AbortSignal): Promise<void> {
  const { dataFeeds } = await import("../../measure/inputs/data-feeds.ts");
  for (const folder of new Set([flags.refit, flags.verifyData]))
    if (folder !== undefined)
      await dataFeeds(model.graph, await open(folder, flags, model), { count: 1, signal });
}

interface Chosen {
  readonly pruned: Pruned;
  readonly latency?: MeasuredLatency | undefined;
  readonly estimate?: EstimatedLatency | undefined;
}

async function choose(
  model: Model,
  options: PruneOptions,
  flags: Flags,
  signal: AbortSignal,
  progress: Progress,
): Promise<Chosen> {
  if (flags.latency === undefined) {
    progress.phase("pruning");
    const { prune } = await import("../../prune/prune.ts");
    const onProgress: PruneOptions["onProgress"] = ({ step, done, total }) =>
      progress.step({ done, total, note: step });
    return { pruned: interruptible(() => prune(model, { ...options, onProgress })) };
  }
  const { pruneToLatency } = await import("../../prune/latency.ts");
  const pruned = await pruneToLatency(model, options, {
    fraction: flags.latency,
    costs: options.rules?.costs,
    signal,
    threads: flags.threads,
    onCosts: ({ done, total }) => progress.step({ done, total, unit: "networks" }),
    onRound: ({ round, rounds }) => {
      if (round === 0) progress.phase("timing the layers");
      else progress.phase(`timing the result (${round} of at most ${rounds})`);
    },
  });
  return { pruned, latency: pruned.latency, estimate: pruned.estimate };
}

async function refit(
  model: Model,
  pruned: Pruned,
  flags: Flags,
  signal: AbortSignal,
  progress: Progress,
): Promise<Pruned> {
  if (flags.refit === undefined) return pruned;
  progress.phase("refitting");
  const dataset = await open(flags.refit, flags, model);
  await warnOfInputs(model, dataset, { progress, signal, role: "fit" });
  const { refitPruned } = await import("../../prune/refit.ts");
  return refitPruned(model, pruned, dataset, {
    images: flags.refitImages,
    threads: flags.threads,
    signal,
    onProgress: ({ done, total }) => progress.step({ done, total, unit: "layers" }),
  });
}

async function verify(
  model: Model,
  pruned: Pruned,
  flags: Flags,
  signal: AbortSignal,
): Promise<Verification> {
  const { verifyPruned } = await import("../../prune/verify.ts");
  const feeds = await feedsFor(model, flags, signal);
  const { threads, tolerance } = flags;
  return interruptible(() => verifyPruned(model, pruned, { signal, feeds, threads, tolerance }));
}

/** Compares the result with the original on the user's images, where any were given, else on random inputs. */
async function lookAtDamage(
  model: Model,
  pruned: Pruned,
  flags: Flags,
  signal: AbortSignal,
): Promise<Damage> {
  const { damageOfPruned } = await import("../../prune/damage.ts");
  const { threads, minWidth } = flags;
  const data = flags.verifyData ?? flags.refit;
  const options = { threads, minWidth, signal };
  if (data === undefined) return damageOfPruned(model, pruned, options);
  const { dataFeeds } = await import("../../measure/inputs/data-feeds.ts");
  const dataset = await open(data, flags, model);
  const feeds = await dataFeeds(model.graph, dataset, { count: damageImages, signal });
  return damageOfPruned(model, pruned, { ...options, feeds });
}

/** Real inputs for verification, where data was given for it. */
async function feedsFor(model: Model, flags: Flags, signal: AbortSignal) {
  if (flags.verifyData === undefined) return [];
  const { dataFeeds } = await import("../../measure/inputs/data-feeds.ts");
  const dataset = await open(flags.verifyData, flags, model);
  return dataFeeds(model.graph, dataset, { count: verifyImages, signal });
}

/** The latency of the result against the original's; what --latency has measured is not measured again. */
async function timed(
  model: Model,
  pruned: Pruned,
  measured: MeasuredLatency | undefined,
  { threads }: Flags,
  signal: AbortSignal,
  progress: Progress,
): Promise<PairLatency | NotTimed> {
  const { latencyOfPruned } = await import("../../prune/latency-of-pruned.ts");
  return latencyOfPruned(model, pruned, {
    measured,
    threads,
    signal,
    onProgress: ({ fraction }) => progress.step({ done: fraction, total: 1 }),
  });
}

async function write(output: string, model: Model, pruned: Pruned): Promise<void> {
  const { savePruned } = await import("../../files/plan-file.ts");
  await savePruned(output, await bytesFor(output, model, pruned), pruned.plan);
}

/** The bytes of the smaller model; external weights get a file that is named after `output`. */
async function bytesFor(output: string, model: Model, pruned: Pruned): Promise<ModelBytes> {
  if (pruned.bytes.external === undefined) return pruned.bytes;
  const { writeModel } = await import("../../onnx/writing/write.ts");
  const { externalLocationFor } = await import("../../files/model-file.ts");
  return writeModel(model, pruned.graph, { externalLocation: externalLocationFor(output) });
}

/** The share of the original's weights that are not 0, before and after. */
function densityOf(pruned: Pruned): {
  readonly before: number;
  readonly after: number;
} {
  const { weights, nonZero } = countWeights(partsOf(pruned).structure.analysis.graph);
  return { before: nonZero / weights, after: countWeights(pruned.graph).nonZero / weights };
}

/** The figures about a result. */
interface Measured {
  readonly latency: ReportedLatency | undefined;
  readonly estimate: EstimatedLatency | undefined;
  readonly verification: Verification | undefined;
  readonly damage: Damage | undefined;
}

function report(
  pruned: Pruned,
  { latency, estimate, verification, damage }: Measured,
  flags: Flags,
  io: Io,
): void {
  const isWritten = verification?.passed === true && flags.output !== undefined;
  const { method, methodReason, before, after, groups, selected, isReached, missed } = pruned;
  const files = isWritten ? { output: flags.output, plan: `${flags.output}.plan.json` } : {};
  if (flags.json) {
    writeJson(io, {
      method,
      ...(methodReason !== undefined && { methodReason }),
      before,
      after,
      groups,
      selected,
      isReached,
      missed,
      notes: pruned.notes.map(inFlags),
      ...(partsOf(pruned).zeros.size > 0 && { density: densityOf(pruned) }),
      ...(latency && { latency }),
      ...(estimate && { estimatedLatency: estimate }),
      ...(verification && { verification }),
      ...(damage && { damage }),
      ...files,
    });
    return;
  }
  if (methodReason !== undefined) io.out(`method ${method}: ${methodReason}\n\n`);
  io.out(describePruned(pruned, { latency, estimate }, io));
  if (verification !== undefined) io.out(`\n${describeVerification(verification, io)}`);
  if (isWritten) io.out(`written: ${escapeForTerminal(`${files.output}, ${files.plan}`)}\n`);
  else io.out(verification === undefined ? "dry run: nothing written\n" : "nothing was written\n");
}
