/** @file `espalier compress`: makes a network as small as targets ask, or as a tolerance allows. */

import { Command } from "commander";
import type { CompressRunRequest } from "../../compress/compress-run.ts";
import type { PlanRequest } from "../../compress/dry-run/dry-run.ts";
import { EspalierError } from "../../errors.ts";
import type { CompressSettingsInput } from "../../runs/settings/compress-settings.ts";
import type { CostTable } from "../../structure/timing/cost-table.ts";
import { dataFlags, dataHeading, dataOptionsOf } from "../options/data-options.ts";
import {
  addFlags,
  advanced,
  asText,
  type FlagsOf,
  required,
  toggle,
  value,
} from "../options/flag.ts";
import { isolateFlags } from "../options/isolation.ts";
import {
  externalDataFlags,
  jsonFlags,
  noBenchFlags,
  threadsFlags,
} from "../options/model-options.ts";
import {
  costsFlags,
  costsFrom,
  groupFlags,
  methodOptionFlags,
  targetFlags,
  targetsHeading,
  widthFlags,
} from "../options/removal-options.ts";
import { trainingFlags, trainingSettingsOf } from "../options/training-options.ts";
import { fractionBelowOne, integerFrom, numberBetween, positiveValue } from "../options/values.ts";
import { warningsInFlags } from "../terminal/flag-names.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { describePlan } from "../texts/compress-plan.ts";
import { describeCompression, exitCodeOf } from "../texts/compress-report.ts";
import { follow } from "./follow.ts";

/** The flags of `espalier compress`. */
export const flags = {
  "Options:": {
    data: required("DIR", asText, "The data set. Must be given."),
    output: value("RUN", asText, "The folder of the run, which must be empty or not exist.", {
      short: "-o",
    }),
    dryRun: toggle("Shows the plan and its cost, and writes nothing."),
    method: value(
      "name",
      asText,
      "The method that ranks channels; `espalier methods` lists the methods. Default: importance.",
    ),
    ...methodOptionFlags,
    ...externalDataFlags,
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  "Tolerance:": {
    maxDrop: value(
      "share",
      fractionBelowOne,
      "Largest drop of the metric that is allowed: 0.01 is one point. Default: no limit.",
    ),
    confidence: advanced(
      value(
        "share",
        numberBetween(0.5, 1),
        "Confidence with which the drop is certified, above 0.5. Default: 0.95.",
      ),
    ),
  },
  [targetsHeading]: targetFlags,
  "Channels that may be removed:": {
    ...groupFlags,
    ...widthFlags,
    ...costsFlags,
    selectInputs: advanced(
      toggle(
        "Lets layers leave out pixels and flattened features of their inputs; a Gather in the file picks the rest. Default: layers read all of them.",
      ),
    ),
  },
  "Rounds and tuning:": {
    rounds: value(
      "n",
      integerFrom(1),
      "Rounds of scoring, removal and tuning, at most. Default: 5.",
    ),
    epochs: value("n", integerFrom(0), "Epochs of tuning in each round. Default: 2."),
    finalEpochs: value("n", integerFrom(0), "Epochs of tuning after the last round. Default: 0."),
    distill: toggle("The outputs of the original are learnt in place of labels."),
    timeBudget: value(
      "seconds",
      positiveValue,
      "Time after which the best network so far is the result. Default: no limit.",
    ),
    sensitivity: toggle("Measures the drop that thinning each group causes, for the report."),
    roundDrop: advanced(
      value(
        "share",
        numberBetween(0, 1),
        "Drop on select that the removal of a round may cause before tuning, where no target is given. Default: 4 x --max-drop, at least 0.02.",
      ),
    ),
    attempts: advanced(
      value(
        "n",
        integerFrom(1),
        "Number of removals, each smaller than the one before, that a round may try. Default: 3.",
      ),
    ),
    ...noBenchFlags,
    benchSeconds: advanced(value("s", positiveValue, "Time for comparing latencies. Default: 5.")),
    posteriorSamples: advanced(
      value(
        "n",
        integerFrom(0, 10_000),
        "Draws from the posterior for the figures on test, where the method learns one. Default: 20.",
      ),
    ),
    ...trainingFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier compress`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
A network is compressed in rounds of scoring, removal and fine-tuning. With --max-drop alone, each round
removes as many channels as cost at most --round-drop on select before tuning, and the
result is the smallest network whose drop is certified. With targets, each round
goes its share of the way. With both, a round that loses more is taken back,
and so is one whose tuning diverges; a smaller one is tried then. A round may not
spend the whole of --max-drop: of five rounds with --max-drop 0.02 and no target,
they may lose 0.5, 1, 1.5, 2 and 2 points on select after tuning; with targets 1.2,
1.4, 1.6, 1.8 and 2. Methods that
judge single weights (level=weights) set them to 0, where tuning leaves them.

Samples are used by role: fit trains, select chooses, certify guards, and test is
read once, at the end. The tolerance is a claim about images that the network
has not seen: for a network that was trained elsewhere on the train files of
DIR, give --held-out, which cuts select, certify and test from the test file.
Images without labels are enough: the answers of the original then stand in for
labels.

RUN will hold model.onnx, plan.json, report.json, report.html, original.onnx,
every round, the predictions on test, events.jsonl and config.json. Stop with
Ctrl-C; \`espalier resume RUN\` goes on to the same bytes. --dry-run needs no RUN:
it tries a few steps, and says how long the run may take and whether certify has
images enough.

Exit code 3: done, but a target was missed or the drop could not be certified;
the best allowed result is written all the same. A time budget that is spent
ends with 0, in the middle of a round if need be: the best accepted network is
verified and written, and the report says which targets it missed.

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
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (network: string, given: Flags) => {
    if (given.dryRun) return plan(network, given, io);
    const run = requireOutput(given.output);
    const { compressRun } = await import("../../compress/compress-run.ts");
    const { writeReportHtml } = await import("../../report/write.ts");
    const costs = await costsFrom(given);
    const report = await follow(io, given, (hooks) =>
      compressRun({ ...requestOf(network, given, costs), run }, hooks),
    );
    await writeReportHtml(run);
    end(exitCodeOf(report));
    if (given.json) writeJson(io, warningsInFlags(report));
    else io.out(describeCompression(run, report, io));
  });
}

async function plan(network: string, flags: Flags, io: Io): Promise<void> {
  const { planCompression } = await import("../../compress/dry-run/dry-run.ts");
  const run = flags.output;
  const request: PlanRequest = {
    ...requestOf(network, flags, await costsFrom(flags)),
    ...(run !== undefined && { run }),
  };
  const planned = await follow(io, flags, async (hooks) => {
    const found = await planCompression(request, hooks);
    for (const warning of found.warnings) hooks.onWarning?.(warning);
    return found;
  });
  if (flags.json) writeJson(io, warningsInFlags(planned));
  else io.out(describePlan(planned, io));
}

function requireOutput(run: string | undefined): string {
  if (run !== undefined) return run;
  throw new EspalierError("USAGE", "no folder for the run was named", {
    hint: "Give -o RUN, or --dry-run.",
  });
}

/** The run that the flags ask for, with the cost table that they name. */
export function requestOf(
  network: string,
  flags: Flags,
  costs?: CostTable,
): Omit<CompressRunRequest, "run"> {
  return {
    network,
    data: flags.data,
    externalData: flags.externalData ?? false,
    dataOptions: dataOptionsOf(flags),
    settings: settingsOf(flags, costs),
  };
}

/** The flags that were given, by the names of the settings. */
function settingsOf(flags: Flags, costs: CostTable | undefined): CompressSettingsInput {
  const { method, macs, params, bytes, density, latency, only, except, roundTo, minWidth } = flags;
  const { maxDrop, confidence, rounds, roundDrop, attempts, epochs, finalEpochs } = flags;
  const { timeBudget: timeBudgetSeconds, distill: distills, sensitivity } = flags;
  const { bench: benches, benchSeconds } = flags;
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
    benches,
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
      ...(costs !== undefined && { costs }),
    },
    tuning: trainingSettingsOf(flags),
  };
}
