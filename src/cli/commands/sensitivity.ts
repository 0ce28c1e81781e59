/** @file `espalier sensitivity`: what it costs to thin each group of channels by itself. */
import { Command } from "commander";
import type { Role } from "../../data/splits.ts";
import type { Sensitivity } from "../../prune/sensitivity.ts";
import { escapeForTerminal } from "../../words/text.ts";
import {
  addDataOptions,
  type DataFlags,
  open,
  roleOption,
  tellLabelSize,
  warnOfInputs,
} from "../options/data-options.ts";
import { addIsolateOption, type IsolationFlags, inHost } from "../options/isolation.ts";
import {
  addJsonOption,
  addModelOptions,
  addOutputNameOption,
  addThreadsOption,
  load,
  type ModelFlags,
  type OutputFlags,
  outputNameOf,
} from "../options/model-options.ts";
import { addGroupOptions, type GroupFlags } from "../options/removal-options.ts";
import { integerFrom } from "../options/values.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { describeSensitivity } from "../texts/sensitivity-report.ts";

/** Flags of `espalier sensitivity`, as they are read. */
export interface Flags extends DataFlags, GroupFlags, IsolationFlags, ModelFlags, OutputFlags {
  readonly data: string;
  readonly method?: string;
  readonly split: Role;
  readonly limit?: number;
  readonly batch?: number;
  readonly points?: number;
  readonly seed?: number;
  readonly threads?: number;
  readonly json?: true;
}

const explanation = `
For each group alone, the lowest-scored share of its channels is removed,
without fine-tuning, and the network is measured: one run over the samples for
each group and share. Five points are 10, 30, 50, 70 and 90 % of what may go. A
drop is the original's metric minus the thinned network's, on the same samples;
--json gives its interval, and the share of the MACs that is left. Images
without labels will do: the drop is then one of agreement with the original, or
of the similarity of its outputs where they tell no classes apart.

A group whose drop stays small is wider than it need be; one whose drop is large
from the start is best left alone (\`compress --except GROUP\`).

Examples:
  espalier sensitivity net.onnx --data cifar10 --held-out
  espalier sensitivity net.onnx --data cifar10 --method bn --points 3 \\
      --limit 500
  espalier sensitivity net.onnx --data photos --only 'features*' --json`;

/** The command. */
export function sensitivityCommand(io: Io): Command {
  const command = new Command("sensitivity")
    .argument("<MODEL>", "ONNX file")
    .description("Shows what it costs to thin each group of channels by itself.")
    .requiredOption("--data <DIR>", "the data set")
    .option("--method <name>", "what goes first in a group (default magnitude)")
    .addOption(roleOption("select"))
    .option("--limit <n>", "only the first n samples of it (default 1000)", integerFrom(1))
    .option("--points <n>", "shares for each group (default 5)", integerFrom(1));
  addGroupOptions(command)
    .option("--seed <n>", "of a method that is random (default 0)", integerFrom(0))
    .option("--batch <n>", "samples per run (default 128)", integerFrom(1))
    .addHelpText("after", explained(explanation, io));
  addJsonOption(addIsolateOption(addThreadsOption(addModelOptions(addOutputNameOption(command)))));
  return addDataOptions(command).action(async (path: string, flags: Flags) => {
    const measured = await inHost(flags, () => run(path, flags, io), io.signal);
    if (flags.json) writeJson(io, measured);
    else io.out(describeSensitivity(measured, io));
  });
}

async function run(path: string, flags: Flags, io: Io): Promise<Sensitivity> {
  const { split, limit, batch: batchSize, threads, points, method, seed, dims } = flags;
  const { only, except } = flags;
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
      ...(seed !== undefined && { seed }),
      rules: { ...(only.length > 0 && { only }), ...(except.length > 0 && { except }) },
      onProgress: ({ done, total, group }) =>
        progress.step({ done, total, unit: "networks", note: escapeForTerminal(group) }),
    });
  } finally {
    progress.end();
  }
}
