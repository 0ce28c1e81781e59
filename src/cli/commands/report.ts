/** @file `espalier report`: draws the page of a run. */
import { Command } from "commander";
import { escapeForTerminal } from "../../words/text.ts";
import { addFlags, type FlagsOf } from "../options/flag.ts";
import { jsonFlags } from "../options/model-options.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";

/** The flags of `espalier report`. */
export const flags = { "Options:": jsonFlags };

/** Flags of `espalier report`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
The page is one file, report.html in the run's folder. It shows the result with its
confidence intervals, what to do next, each layer, and the command that repeats the
run. The page loads nothing else, so it opens offline, on a phone and in print, and
can be sent to others as it is; its one script copies commands. The page is drawn
from the run's report.json, so the run must be finished.

Examples:
  espalier report run
  espalier report run --json`;

/** The command. */
export function reportCommand(io: Io): Command {
  const command = new Command("report")
    .argument("<RUN>", "folder of the run")
    .description("Draws report.html of a run, and prints its path.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (run: string, { json }: Flags) => {
    const { writeReportHtml } = await import("../../report/write.ts");
    const progress = newProgress(io);
    progress.phase("drawing");
    const path = await writeReportHtml(run).finally(progress.end);
    if (json) writeJson(io, { path });
    else io.out(`${escapeForTerminal(path)}\n`);
  });
}
