/** @file `espalier resume`: goes on with a run that was stopped. */

import { Command } from "commander";
import { addFlags, asText, type FlagsOf, value } from "../options/flag.ts";
import { isolateFlags } from "../options/isolation.ts";
import { jsonFlags } from "../options/model-options.ts";
import { warningsInFlags } from "../terminal/flag-names.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { describeCompression, exitCodeOf } from "../texts/compress-report.ts";
import { describeTraining } from "../texts/train-report.ts";
import { follow } from "./follow.ts";

/** The flags of `espalier resume`. */
export const flags = {
  "Options:": {
    data: value(
      "DIR",
      asText,
      "The folder of the data now. Default: the folder that the run began with.",
    ),
    ...isolateFlags,
    ...jsonFlags,
  },
};

/** Flags of `espalier resume`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
The run goes on where it was stopped, with the settings that it began with. It ends
with the same model.onnx as without the interruption (on the same machine, with the
same versions and threads), and with the same report.json except for latencies,
which are measured again. It does not matter how the run was stopped. The data must
be the same, byte for byte; they may have moved. For a finished run the report is
shown again.

Examples:
  espalier resume run
  espalier resume run --data /new/place/of/mnist --json`;

/** The command. */
export function resumeCommand(io: Io, end: (exitCode: number) => void): Command {
  const command = new Command("resume")
    .argument("<RUN>", "folder of the run")
    .description("Goes on with a run that was stopped.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (run: string, given: Flags) => {
    const { data, json } = given;
    const { resumeRun } = await import("../../compress/resume-run.ts");
    const report = await follow(io, given, (hooks) => resumeRun(run, { ...hooks, data }));
    if (report.command === "compress") {
      const { writeReportHtml } = await import("../../report/write.ts");
      await writeReportHtml(run);
      end(exitCodeOf(report));
    }
    if (json) writeJson(io, warningsInFlags(report));
    else if (report.command === "train") io.out(describeTraining(run, report, io.columns));
    else io.out(describeCompression(run, report, io));
  });
}
