/** @file `espalier sensitivity`: measures the drop when each group of channels is thinned by itself. */
import { Command } from "commander";
import type { Sensitivity } from "../../prune/sensitivity.ts";
import { escapeForTerminal } from "../../words/text.ts";
import {
  dataFlags,
  dataHeading,
  open,
  splitFlags,
  tellLabelSize,
  warnOfInputs,
} from "../options/data-options.ts";
import { addFlags, advanced, asText, type FlagsOf, required, value } from "../options/flag.ts";
import { inHost, isolateFlags } from "../options/isolation.ts";
import {
  jsonFlags,
  load,
  modelFlags,
  outputNameFlags,
  outputNameOf,
  threadsFlags,
} from "../options/model-options.ts";
import { groupFlags, methodOptionFlags } from "../options/removal-options.ts";
import { integerFrom } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { describeSensitivity } from "../texts/sensitivity-report.ts";

/** The flags of `espalier sensitivity`. */
export const flags = {
  "Options:": {
    data: required("DIR", asText, "The data set. Must be given."),
    method: value(
      "name",
      asText,
      "The method, one without training, that ranks the channels of a group. Default: magnitude.",
    ),
    ...methodOptionFlags,
    ...splitFlags("select"),
    limit: value(
      "n",
      integerFrom(1),
      "Measures on the first n samples of the split. Default: 1000.",
    ),
    points: value(
      "n",
      integerFrom(1),
      "Number of shares that are tried for each group. Default: 5.",
    ),
    ...groupFlags,
    ...modelFlags,
    seed: advanced(value("n", integerFrom(0), "Seed of the method random. Default: 0.")),
    batch: advanced(value("n", integerFrom(1), "Samples per run. Default: 128.")),
    ...outputNameFlags,
    ...threadsFlags,
    ...isolateFlags,
    ...jsonFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier sensitivity`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
For each group alone, the lowest-scored share of its channels is removed without
fine-tuning, and the network is measured: one run over the samples for each group
and share. Five points are 10, 30, 50, 70 and 90 % of the channels that may be
removed. A drop is the original's metric minus the thinned network's, on the same
samples; --json gives its confidence interval, and the share of the MACs that is
left. Images without labels are enough: the drop is then a drop of agreement with
the original, or of the similarity of the outputs where they hold no classes.

A group whose drop stays small is wider than it needs to be. A group whose drop is
large from the start is best left alone (\`compress --except GROUP\`).

Examples:
  espalier sensitivity net.onnx --data cifar10 --held-out
  espalier sensitivity net.onnx --data cifar10 --method bn --points 3 \\
      --limit 500
  espalier sensitivity net.onnx --data photos --only 'features*' --json`;

/** The command. */
export function sensitivityCommand(io: Io): Command {
  const command = new Command("sensitivity")
    .argument("<MODEL>", "ONNX file")
    .description("Shows the drop when each group of channels is thinned by itself.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (path: string, given: Flags) => {
    const measured = await inHost(given, () => run(path, given, io), io.signal);
    if (given.json) writeJson(io, measured);
    else io.out(describeSensitivity(measured, io));
  });
}

async function run(path: string, flags: Flags, io: Io): Promise<Sensitivity> {
  const { split, limit, batch: batchSize, threads, points, method, seed, dims } = flags;
  const { only, except, option } = flags;
  const output = outputNameOf(flags);
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const model = await load(path, flags);
    const dataset = await open(flags.data, flags, model);
    await tellLabelSize(model, dataset, { progress, output });
    await warnOfInputs(model, dataset, { progress, signal: io.signal, role: split });
    const { sensitivity } = await import("../../prune/sensitivity.ts");
    io.signal.throwIfAborted();
    progress.phase("measuring");
    return await sensitivity(model, dataset, {
      split,
      dims,
      signal: io.signal,
      ...(limit !== undefined && { limit }),
      ...(batchSize !== undefined && { batchSize }),
      ...(output !== undefined && { output }),
      ...(threads !== undefined && { threads }),
      ...(points !== undefined && { points }),
      ...(method !== undefined && { method }),
      methodOptions: Object.fromEntries(option),
      ...(seed !== undefined && { seed }),
      rules: { ...(only.length > 0 && { only }), ...(except.length > 0 && { except }) },
      onProgress: ({ done, total, group }) =>
        progress.step({ done, total, unit: "networks", note: escapeForTerminal(group) }),
    });
  } finally {
    progress.end();
  }
}
