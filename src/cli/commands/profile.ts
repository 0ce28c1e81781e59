/** @file `espalier profile`: the time of each kind of layer over its widths, on this machine. */
import { Command } from "commander";
import type { CostTable, LayerTimes } from "../../structure/timing/cost-table.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { addFlags, asText, type FlagsOf, toggle, value } from "../options/flag.ts";
import { inHost, noIsolateFlags } from "../options/isolation.ts";
import { jsonFlags, load, modelFlags, threadsFlags } from "../options/model-options.ts";
import { requireWritable } from "../options/output-place.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress, type Progress } from "../terminal/progress.ts";
import { describeCosts, type ShownNetwork } from "../texts/profile-report.ts";

/** The flags of `espalier profile`. */
export const flags = {
  "Options:": {
    output: value("FILE", asText, "The table to write: .csv for CSV, any other name for JSON.", {
      short: "-o",
    }),
    fresh: toggle("Measures everything anew. Default: what is cached for this machine is kept."),
    provider: value("name", asText, "Execution provider of ONNX Runtime. Default: cpu."),
    ...modelFlags,
    ...threadsFlags,
    ...noIsolateFlags,
    ...jsonFlags,
  },
};

/** Flags of `espalier profile`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
The cost table says how long this machine takes for each kind of layer at some
dozens of widths: every kind that MODEL has, else those that most networks have. The
layers are timed in small networks of their own that take turns, which takes from
seconds to minutes. Close other programs first. The table is cached below
$XDG_CACHE_HOME (~/.cache) for this processor, version of ONNX Runtime, provider and
number of threads; \`prune --latency\` uses it, and measures what it lacks.

A table from elsewhere (a phone, an accelerator, a browser) serves prune and
compress as --costs FILE; docs/cost-tables.md describes its form.

Examples:
  espalier profile net.onnx
  espalier profile net.onnx --threads 1 -o costs.json
  espalier profile -o costs.csv`;

/** The command. */
export function profileCommand(io: Io): Command {
  const command = new Command("profile")
    .argument("[MODEL]", "ONNX file")
    .description("Measures the time of each kind of layer over its widths, on this machine.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action((path: string | undefined, given: Flags) =>
    inHost(given, () => run(path, given, io), io.signal),
  );
}

async function run(path: string | undefined, flags: Flags, io: Io): Promise<void> {
  if (flags.output !== undefined) await requireWritable(path ?? flags.output, flags.output);
  const progress = newProgress(io);
  try {
    const { table, shown } = await measured(path, flags, io, progress);
    if (flags.output !== undefined) {
      progress.phase("writing");
      const { saveCosts } = await import("../../files/cost-table-file.ts");
      await saveCosts(flags.output, table);
    }
    progress.end();
    if (flags.json) writeJson(io, table);
    else {
      io.out(describeCosts(table, shown, io));
      if (flags.output !== undefined) io.out(`written: ${escapeForTerminal(flags.output)}\n`);
    }
  } finally {
    progress.end();
  }
}

async function measured(
  path: string | undefined,
  flags: Flags,
  io: Io,
  progress: Progress,
): Promise<{ readonly table: CostTable; readonly shown: ShownNetwork }> {
  const { signal } = io;
  const { generalCosted, machineCosts } = await import("../../measure/latency/machine-costs.ts");
  progress.phase("reading");
  const network = path === undefined ? interruptible(generalCosted) : await costedFile(path, flags);
  progress.phase("timing the layers");
  const all = await machineCosts(network, {
    threads: flags.threads,
    providers: flags.provider === undefined ? undefined : [flags.provider],
    isFresh: flags.fresh ?? false,
    signal,
    onProgress: ({ done, total }) => progress.step({ done, total, unit: "networks" }),
  });
  const { costsOfNetwork, timeModel } = await import("../../structure/timing/time-model.ts");
  const table = costsOfNetwork(network.structure, all);
  const model = timeModel(network.structure, table);
  const counts = new Map<LayerTimes, number>();
  for (const { grid } of model.layers)
    if (grid !== undefined) counts.set(grid, (counts.get(grid) ?? 0) + 1);
  const [whole] = table.networks;
  return { table, shown: { summedMs: model.summedMs, counts, measured: whole } };
}

async function costedFile(path: string, flags: Flags) {
  const model = await load(path, flags);
  const { structureOf } = await import("../../structure/units/units.ts");
  const structure = interruptible(() => structureOf(model.graph, { dims: flags.dims }));
  const { basename } = await import("node:path");
  return { name: basename(path), model, structure };
}
