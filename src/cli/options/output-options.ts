/** @file Flags of every command about what it shows: how much, and in which colours. */
import { type Command, Option } from "commander";
import type { Io, Verbosity } from "../terminal/io.ts";

/** Adds them to the program, which takes them before and after the name of a command. */
export function addOutputOptions(program: Command): Command {
  return program
    .addOption(
      new Option(
        "-q, --quiet",
        "Shows results and errors only: no progress, warnings, notes.",
      ).conflicts("verbose"),
    )
    .option("--verbose", "Shows what was decided, too, and how long each phase takes.")
    .addOption(new Option("--force-color", "Shows colours, even if the output is no terminal."))
    .option(
      "--no-color",
      "Shows no colours; so do NO_COLOR=1 and TERM=dumb, and FORCE_COLOR=1 forces them.",
    );
}

/**
 * The outside of a command as these flags want it. They are looked for before the parser reads the command line,
 * because what the parser refuses is shown as they say, too. A live line is drawn only where nobody reads JSON.
 */
export function ioAsAsked(io: Io, argv: readonly string[]): Io {
  const end = argv.indexOf("--");
  const flags = new Set(end < 0 ? argv : argv.slice(0, end));
  const verbosity: Verbosity =
    flags.has("--quiet") || flags.has("-q")
      ? "quiet"
      : flags.has("--verbose")
        ? "verbose"
        : io.verbosity;
  const color = flags.has("--no-color") ? false : flags.has("--force-color") ? true : undefined;
  return {
    ...io,
    verbosity,
    hasColor: color ?? io.hasColor,
    hasErrorColor: color ?? io.hasErrorColor,
    isLive: io.isLive && !flags.has("--json"),
  };
}
