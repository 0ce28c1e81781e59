/** @file `espalier verify`: does a pruned file compute what it must, and does a run hold what it claims? */
import { Command } from "commander";
import { EspalierError } from "../../errors.ts";
import { dataFlags, dataHeading, givenDataFlags, open } from "../options/data-options.ts";
import { addFlags, advanced, asText, type FlagsOf, value } from "../options/flag.ts";
import { inHost, noIsolateFlags } from "../options/isolation.ts";
import {
  isFolder,
  jsonFlags,
  load,
  modelFlags,
  threadsFlags,
  toleranceFlags,
} from "../options/model-options.ts";
import { integerFrom } from "../options/values.ts";
import { exitCodes } from "../terminal/failure.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { describeRunVerification, describeVerification } from "../texts/verify-report.ts";

/** The flags of `espalier verify`. */
export const flags = {
  "Options:": {
    plan: value("FILE", asText, "The plan by which SMALL was made. Default: SMALL.plan.json."),
    data: value("DIR", asText, "A data set whose images are compared as well. Default: none."),
    ...toleranceFlags,
    ...modelFlags,
    samples: advanced(value("n", integerFrom(1), "Random inputs that are compared. Default: 3.")),
    seed: advanced(value("n", integerFrom(0), "Seed of the random inputs. Default: 0.")),
    ...threadsFlags,
    ...noIsolateFlags,
    ...jsonFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier verify`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
Of two files: the plan says which channels were removed and which parameters
were changed to compensate. From it and ORIGINAL a network is built that has all
its channels, but zeros wherever a removed one was read; SMALL must compute the
same, at two optimization levels of ONNX Runtime. What comes before a softmax, a
sigmoid or a choice of boxes is compared as well; so is what the layers compute,
where outputs do not depend on the inputs tried. Differences that rounding makes
in the original, too, count as none.

Of the folder that \`espalier compress\` made: the same for every round; then the
rounds must follow from one another and add up to plan.json and model.onnx, and
everything in report.json that follows from files is computed again from them:
costs, the metric on test with its intervals, the drop, calibration, classes,
and what the guard says. The data are not needed.

Ends with 4 if anything is not as it must be.

Examples:
  espalier verify net.onnx small.onnx
  espalier verify net.onnx small.onnx --plan other.plan.json
  espalier verify net.onnx small.onnx --data photos --resize 224x224 --json
  espalier verify run`;

/** Samples that are taken from --data. */
const dataSamples = 16;

/** The command. */
export function verifyCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("verify")
    .argument("<ORIGINAL>", "ONNX file that was pruned, or the folder of a run")
    .argument("[SMALL]", "ONNX file that came out")
    .description("Proves that a pruned network equals its original without the removed channels.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(
    async (first: string, small: string | undefined, given: Flags) => {
      const progress = newProgress(io);
      try {
        end(
          await inHost(
            given,
            () =>
              small === undefined
                ? verifyFolder(first, given, io, progress)
                : verifyPair(first, small, given, io, progress),
            io.signal,
          ),
        );
      } finally {
        progress.end();
      }
    },
  );
}

type Progress = ReturnType<typeof newProgress>;

async function verifyPair(
  original: string,
  small: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  const [given] = givenDataFlags(flags);
  if (given !== undefined && flags.data === undefined)
    throw new EspalierError("USAGE", `${given} speaks of data, but no data was given`, {
      hint: "Add --data DIR.",
    });
  progress.phase("reading");
  const { loadPlan, planPathFor } = await import("../../files/plan-file.ts");
  const [before, after, plan] = await Promise.all([
    load(original, flags),
    load(small, { ...flags, dims: new Map() }),
    loadPlan(flags.plan ?? planPathFor(small)),
  ]);
  const feeds =
    flags.data === undefined
      ? []
      : await (await import("../../measure/inputs/data-feeds.ts")).dataFeeds(
          before.graph,
          await open(flags.data, flags, before),
          { count: dataSamples, signal: io.signal },
        );
  const { verifyByPlan } = await import("../../prune/verify.ts");
  io.signal.throwIfAborted();
  progress.phase("verifying");
  const verification = await interruptible(() =>
    verifyByPlan(before, after, plan, { ...howOf(flags, io), dims: flags.dims, feeds }),
  );
  progress.end();
  if (flags.json) writeJson(io, verification);
  else io.out(describeVerification(verification, io));
  return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
}

async function verifyFolder(
  run: string,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<number> {
  if (!(await isFolder(run)))
    throw new EspalierError("USAGE", `${run} is no folder of a run, and no second file was named`, {
      hint: "Give ORIGINAL and SMALL, or the folder that `espalier compress` made.",
    });
  const given = [
    ...givenDataFlags(flags),
    ...(flags.data === undefined ? [] : ["--data"]),
    ...(flags.plan === undefined ? [] : ["--plan"]),
    ...(flags.dims.size === 0 ? [] : ["--dims"]),
    ...(flags.externalData ? ["--external-data"] : []),
  ];
  if (given.length > 0)
    throw new EspalierError("USAGE", `${given.join(", ")}: not for the folder of a run`, {
      hint: "A run is verified from its own files.",
    });
  const { verifyRun } = await import("../../compress/verify/verify-run.ts");
  progress.phase("verifying");
  const verification = await verifyRun(run, {
    ...howOf(flags, io),
    onCheck: ({ done, total }) => progress.step({ done, total, unit: "checks" }),
  });
  progress.end();
  if (flags.json) writeJson(io, verification);
  else io.out(describeRunVerification(verification, io));
  return verification.passed ? exitCodes.done : exitCodes.verificationFailed;
}

/** How removals are verified, as far as flags say. */
function howOf({ samples, tolerance, seed, threads }: Flags, { signal }: Io) {
  return {
    signal,
    ...(samples !== undefined && { samples }),
    ...(tolerance !== undefined && { tolerance }),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
  };
}
