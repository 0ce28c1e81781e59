/** @file `espalier version`: of this program, and of what it runs on. */
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
Numbers may depend on all of these: give them when you report something.
\`espalier --version\` prints the first alone.

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
