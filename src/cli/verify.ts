/** @file `espalier verify`: does a pruned file compute what it must? */
import { Command } from "commander";
import { EspalierError } from "../errors.ts";
import { addDataOptions, type DataFlags, givenDataFlags, open } from "./data-options.ts";
import { exitCodes } from "./failure.ts";
import { type Io, writeJson } from "./io.ts";
import {
  addJsonOption,
  addModelOptions,
  addThreadsOption,
  load,
  type ModelFlags,
} from "./model-options.ts";
import { newProgress } from "./progress.ts";
import { describeVerification } from "./prune-report.ts";
import { integerFrom, positiveValue } from "./values.ts";

interface Flags extends ModelFlags, DataFlags {
  readonly plan?: string;
  readonly data?: string;
  readonly samples?: number;
  readonly tolerance?: number;
  readonly seed?: number;
  readonly threads?: number;
  readonly json?: true;
}

const explanation = `
The plan says which channels were removed and which parameters were changed to
compensate. From it and ORIGINAL a network is built that has all its channels,
but zeros wherever a removed one was read; SMALL must compute the same, at two
optimization levels of ONNX Runtime. Ends with 4 if it does not.

Examples:
  espalier verify net.onnx small.onnx
  espalier verify net.onnx small.onnx --plan other.plan.json
  espalier verify net.onnx small.onnx --data photos --resize 224x224 --json`;

/** Samples that are taken from --data. */
const dataSamples = 16;

/** The command. */
export function verifyCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("verify")
    .argument("<ORIGINAL>", "ONNX file that was pruned")
    .argument("<SMALL>", "ONNX file that came out")
    .description("Proves that a pruned network equals its original without the removed channels.")
    .option("--plan <FILE>", "the plan (default SMALL.plan.json)")
    .option("--data <DIR>", "verify on images of this data set too")
    .option("--samples <n>", "random inputs (default 3)", integerFrom(1))
    .option("--tolerance <share>", "largest error allowed, of the output's range", positiveValue)
    .option("--seed <n>", "seed of the random inputs (default 0)", integerFrom(0))
    .addHelpText("after", explanation);
  addJsonOption(addThreadsOption(addModelOptions(command)));
  return addDataOptions(command).action(async (original: string, small: string, flags: Flags) =>
    end(await run(original, small, flags, io)),
  );
}

async function run(original: string, small: string, flags: Flags, io: Io): Promise<number> {
  const [given] = givenDataFlags(flags);
  if (given !== undefined && flags.data === undefined)
    throw new EspalierError("USAGE", `${given} speaks of data, but no data was given`, {
      hint: "Add --data DIR.",
    });
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const { loadPlan, planPathFor } = await import("../files/plan-file.ts");
    const [before, after, plan] = await Promise.all([
      load(original, flags),
      load(small, { ...flags, dims: new Map() }),
      loadPlan(flags.plan ?? planPathFor(small)),
    ]);
    const feeds =
      flags.data === undefined
        ? []
        : await (await import("../measure/data-feeds.ts")).dataFeeds(
            before.graph,
            await open(flags.data, flags, before),
            { count: dataSamples, signal: io.signal },
          );
    const { verifyFiles } = await import("../compress/verify.ts");
    io.signal.throwIfAborted();
    progress.phase("verifying");
    const verification = await verifyFiles(before, after, plan, {
      dims: flags.dims,
      samples: flags.samples,
      tolerance: flags.tolerance,
      seed: flags.seed,
      threads: flags.threads,
      signal: io.signal,
      feeds,
    });
    progress.end();
    if (flags.json) writeJson(io, verification);
    else io.out(describeVerification(verification, io));
    return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
  } finally {
    progress.end();
  }
}
