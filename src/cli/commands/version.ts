/** @file `espalier version`: prints the versions of this program and of the software and machine that it runs on. */
import { Command } from "commander";
import { versions } from "../../runtime/versions.ts";
import { addFlags, type FlagsOf } from "../options/flag.ts";
import { jsonFlags } from "../options/model-options.ts";
import { explained } from "../terminal/help.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { drawFacts } from "../terminal/table.ts";

/** The flags of `espalier version`. */
export const flags = { "Options:": jsonFlags };

/** Flags of `espalier version`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
Figures may depend on all of these: quote them when you report a problem.
\`espalier --version\` prints only the version of Espalier.

Examples:
  espalier version
  espalier version --json`;

/** The command. */
export function versionCommand(io: Io): Command {
  const command = new Command("version")
    .description("Prints the versions of Espalier, Node and ONNX Runtime, and the machine.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(({ json }: Flags) => {
    const found = versions();
    if (json) writeJson(io, found);
    else io.out(drawFacts(Object.entries(found), io.columns));
  });
}
