/** @file Flags of every command for its output: how much is shown, and in which colours. */
import { type Command, Option } from "commander";
import type { Io, Verbosity } from "../terminal/io.ts";

/** Adds the output flags to the program, which takes them before and after the name of a command. */
export function addOutputOptions(program: Command): Command {
  return program
    .addOption(
      new Option(
        "-q, --quiet",
        "Shows results and errors only: no progress, warnings, notes.",
      ).conflicts("verbose"),
    )
    .option("--verbose", "Shows also each decision, and how long each phase takes.")
    .addOption(new Option("--force-color", "Shows colours, even if the output is not a terminal."))
    .option(
      "--no-color",
      "Shows no colours; so do NO_COLOR=1 and TERM=dumb, and FORCE_COLOR=1 forces them.",
    );
}

/**
 * The streams of a command with the output flags applied. These flags are read before the parser runs, because they
 * also decide how the parser's own errors are shown. A live line is drawn only without --json.
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
