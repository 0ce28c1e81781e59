/** @file `espalier compress`: as small as targets ask, or as a tolerance allows. */
import { Command } from "commander";
import type { CompressRunRequest } from "../../compress/compress-run.ts";
import type { PlanRequest } from "../../compress/dry-run/dry-run.ts";
import { EspalierError } from "../../errors.ts";
import type { CompressSettingsInput } from "../../runs/settings/compress-settings.ts";
import { addDataOptions, type DataFlags, dataOptionsOf } from "../options/data-options.ts";
import { addIsolateOption, type IsolationFlags } from "../options/isolation.ts";
import { addJsonOption, addThreadsOption } from "../options/model-options.ts";
import {
  addGroupOptions,
  addMethodOption,
  addTargetOptions,
  addWidthOptions,
  type GroupFlags,
  type TargetFlags,
  type WidthFlags,
} from "../options/removal-options.ts";
import {
  addTrainingOptions,
  type TrainingFlags,
  trainingSettingsOf,
} from "../options/training-options.ts";
import { fractionBelowOne, integerFrom, numberBetween, positiveValue } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { describePlan } from "../texts/compress-plan.ts";
import { describeCompression, exitCodeOf } from "../texts/compress-report.ts";
import { follow } from "./follow.ts";

/** Flags of `espalier compress`, as they are read. */
export interface Flags
  extends DataFlags,
    GroupFlags,
    IsolationFlags,
    TargetFlags,
    TrainingFlags,
    WidthFlags {
  readonly data: string;
  readonly output?: string;
  readonly method?: string;
  readonly option: ReadonlyMap<string, string>;
  readonly maxDrop?: number;
  readonly confidence?: number;
  readonly rounds?: number;
  readonly roundDrop?: number;
  readonly attempts?: number;
  readonly selectInputs?: true;
  readonly distill?: true;
  readonly finalEpochs?: number;
  readonly timeBudget?: number;
  readonly benchSeconds?: number;
  readonly sensitivity?: true;
  readonly posteriorSamples?: number;
  readonly dryRun?: true;
  readonly externalData?: true;
  readonly json?: true;
}

const explanation = `
Rounds of scoring, removal and fine-tuning. With --max-drop alone, each round
removes as much as costs at most --round-drop on select before tuning, and the
result is the smallest network whose drop is certified. With targets, each round
goes its share of the way. With both, a round that loses more is taken back,
and so is one whose tuning diverges; a smaller one is tried then. A round may not
spend the whole of --max-drop: of five rounds with --max-drop 0.02 and no target,
they may lose 0.5, 1, 1.5, 2 and 2 points on select after tuning; with targets 1.2,
1.4, 1.6, 1.8 and 2. Methods that
judge single weights (level=weights) set them to 0, where tuning leaves them.

Samples are used by role: fit trains, select chooses, certify guards, test is
read once, at the end. The tolerance is a claim about images that the network
has not seen: for a network that was trained on the train files of DIR
elsewhere, give --held-out, which cuts select, certify and test from the test
file. Images without labels will do: the original then says what is right, and
teaches.

RUN will hold model.onnx, plan.json, report.json, report.html, original.onnx,
every round, the predictions on test, events.jsonl and config.json. Stop with
Ctrl-C; \`espalier resume RUN\` goes on to the same bytes. --dry-run needs no RUN:
it tries a few steps, and says how long the run may take and whether certify has
images enough.

Exit code 3: done, but a target was missed or the drop could not be certified;
the best allowed result is written all the same. A time budget that is spent
ends with 0, in the middle of a round if need be: of what was accepted, the best
is verified and written, and what it missed stands in the report.

Examples:
  espalier compress net.onnx --data cifar10 --max-drop 0.01 --dry-run
  espalier compress net.onnx --data cifar10 --max-drop 0.01 -o run
  espalier compress net.onnx --data cifar10 --held-out --method bn \\
      --macs 0.5 --epochs 10 --lr 0.02 --augment crop,flip -o run
  espalier compress net.onnx --data photos --latency 0.6 --distill -o run
  espalier compress net.onnx --data mnist --density 0.05 --method magnitude \\
      --option level=weights -o run`;

/** The command. */
export function compressCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("compress")
    .argument("<MODEL>", "ONNX file")
    .description("Prunes and fine-tunes in rounds, within a tolerance that is certified.")
    .requiredOption("--data <DIR>", "the data set")
    .option("-o, --output <RUN>", "folder of the run; it must be empty or not exist")
    .option("--dry-run", "show the plan and its cost, and write nothing")
    .option("--method <name>", "`espalier methods` lists them (default importance)");
  addMethodOption(command)
    .optionsGroup("What may be lost")
    .option("--max-drop <share>", "largest drop of the metric: 0.01 is one point", fractionBelowOne)
    .option(
      "--confidence <share>",
      "of that claim, above 0.5 (default 0.95)",
      numberBetween(0.5, 1),
    )
    .optionsGroup("Targets: the share that may remain, above 0 and up to 1");
  addTargetOptions(command)
    .optionsGroup("Rounds")
    .option("--rounds <n>", "at most (default 5)", integerFrom(1))
    .option(
      "--round-drop <share>",
      "on select, before tuning (default 4 x --max-drop, 0.02 at least)",
      numberBetween(0, 1),
    )
    .option("--attempts <n>", "smaller and smaller ones in a round (default 3)", integerFrom(1))
    .option("--final-epochs <n>", "of tuning after the last round (default 0)", integerFrom(0))
    .option("--distill", "the original teaches in place of labels")
    .option("--time-budget <seconds>", "when spent, the best so far is the result", positiveValue)
    .option("--bench-seconds <s>", "for comparing latencies (default 5)", positiveValue)
    .option("--sensitivity", "measure what each group is worth, for the report")
    .option(
      "--posterior-samples <n>",
      "draws on test from what was learnt (default 20)",
      integerFrom(0, 10_000),
    )
    .optionsGroup("What may go");
  addGroupOptions(command).option(
    "--select-inputs",
    "layers may leave out pixels and flattened features, by a Gather",
  );
  addWidthOptions(command);
  addTrainingOptions(command, {
    epochs: "of tuning in each round (default 2)",
    fewestEpochs: 0,
    seed: "of the method and of tuning (default 0)",
    freeze: "weights that tuning, not the method, leaves (repeatable)",
  })
    .optionsGroup("Options:")
    .option("--external-data", "allow weights in other files of the model's folder")
    .addHelpText("after", explained(explanation, io));
  addJsonOption(addIsolateOption(addThreadsOption(command)));
  return addDataOptions(command).action(async (network: string, flags: Flags) => {
    if (flags.dryRun) return plan(network, flags, io);
    const run = requireOutput(flags.output);
    const { compressRun } = await import("../../compress/compress-run.ts");
    const { writeReportHtml } = await import("../../report/write.ts");
    const report = await follow(io, flags, (hooks) =>
      compressRun({ ...requestOf(network, flags), run }, hooks),
    );
    await writeReportHtml(run);
    end(exitCodeOf(report));
    if (flags.json) writeJson(io, report);
    else io.out(describeCompression(run, report, io));
  });
}

async function plan(network: string, flags: Flags, io: Io): Promise<void> {
  const { planCompression } = await import("../../compress/dry-run/dry-run.ts");
  const run = flags.output;
  const request: PlanRequest = {
    ...requestOf(network, flags),
    ...(run !== undefined && { run }),
  };
  const planned = await follow(io, flags, async (hooks) => {
    const found = await planCompression(request, hooks);
    for (const warning of found.warnings) hooks.onWarning?.(warning);
    return found;
  });
  if (flags.json) writeJson(io, planned);
  else io.out(describePlan(planned, io));
}

function requireOutput(run: string | undefined): string {
  if (run !== undefined) return run;
  throw new EspalierError("USAGE", "no folder for the run was named", {
    hint: "Give -o RUN, or --dry-run.",
  });
}

/** What the flags ask for. */
export function requestOf(network: string, flags: Flags): Omit<CompressRunRequest, "run"> {
  return {
    network,
    data: flags.data,
    externalData: flags.externalData ?? false,
    dataOptions: dataOptionsOf(flags),
    settings: settingsOf(flags),
  };
}

/** The flags that were given, by the names of the settings. */
function settingsOf(flags: Flags): CompressSettingsInput {
  const { method, macs, params, bytes, density, latency, only, except, roundTo, minWidth } = flags;
  const { maxDrop, confidence, rounds, roundDrop, attempts, epochs, finalEpochs } = flags;
  const { timeBudget: timeBudgetSeconds, benchSeconds, distill: distills, sensitivity } = flags;
  const { selectInputs: selectsInputs, posteriorSamples } = flags;
  const given = {
    method,
    maxDrop,
    confidence,
    rounds,
    roundDrop,
    attempts,
    epochs,
    finalEpochs,
    timeBudgetSeconds,
    benchSeconds,
    distills,
    sensitivity,
    selectsInputs,
    posteriorSamples,
  };
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    methodOptions: Object.fromEntries(flags.option),
    targets: {
      ...(macs !== undefined && { macs }),
      ...(params !== undefined && { params }),
      ...(bytes !== undefined && { bytes }),
      ...(density !== undefined && { density }),
      ...(latency !== undefined && { latency }),
    },
    rules: {
      ...(only.length > 0 && { only: [...only] }),
      ...(except.length > 0 && { except: [...except] }),
      ...(roundTo !== undefined && { roundTo }),
      ...(minWidth !== undefined && { minWidth }),
    },
    tuning: trainingSettingsOf(flags),
  };
}
