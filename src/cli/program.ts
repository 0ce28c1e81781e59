/** @file The command line as a whole: the commands, and the flags of all of them. */
import { Command } from "commander";
import { version } from "../runtime/versions.ts";
import { escapeForTerminal } from "../words/text.ts";
import { commands } from "./commands.ts";
import { applyConfig } from "./config-file.ts";
import { describeFlag } from "./options/flag.ts";
import { addOutputOptions, ioAsAsked } from "./options/output-options.ts";
import { environment, exitCodes, helpHint, reportFailure } from "./terminal/failure.ts";
import { explained } from "./terminal/help.ts";
import type { Io } from "./terminal/io.ts";
import { tell } from "./terminal/messages.ts";
import { styled } from "./terminal/style.ts";

const overview = `
Exit codes: 0 done; 1 a bug of ours; 2 the input or the command line is at fault;
3 done, but a target could not be reached; 4 verification failed, nothing was
written; 130 stopped.

A file espalier.config.{mjs,js,ts,json} in the current folder may hold flags by
command, in camel case: { compress: { maxDrop: 0.01 } }. Flags of the command line
win over it; flags that may be repeated add up. Commands whose files may come from
others (inspect, verify, unpack, resume) read only espalier.config.json or the file
of --config, and run no other code. In the folder of a run no such file is read.

Examples:
  espalier inspect net.onnx
  espalier train lenet5 --data mnist -o run
  espalier prune net.onnx -o small.onnx --macs 0.6
  espalier compress net.onnx --data cifar10 --max-drop 0.01 -o run
  espalier verify net.onnx small.onnx
  espalier bench net.onnx small.onnx
  espalier pack small.onnx -o small.esp

\`espalier help <command>\` explains a command.`;

/** The least width, in columns, of descriptions that are wrapped. */
const narrowestHelp = 16;

/**
 * Runs a command line (without the program's own name) and returns its exit code. Never throws and
 * never ends the process.
 */
export async function main(argv: readonly string[], outside: Io): Promise<number> {
  const io = ioAsAsked(outside, argv);
  let exitCode: number = exitCodes.done;
  const end = (code: number): void => {
    exitCode = code;
  };
  const program = new Command("espalier")
    .description("Makes trained convolutional networks smaller and faster: ONNX in, ONNX out.")
    .version(version(), "-v, --version", "Prints the version.")
    .option("--config <FILE>", "Reads flags from this file, which may be code.")
    .option("--no-config", "Reads flags from no file.")
    .addHelpText("after", explained(overview, io));
  const isHelp = argv.includes("-h") || argv.includes("--help");
  addOutputOptions(program);
  // Runs before the flags of the command itself are read, and only if there is a command.
  program.hook("preSubcommand", async (_, command) => {
    if (isHelp) return;
    const { config: named } = program.opts<{ readonly config?: string | false }>();
    const onNote = (note: string) => tell(io, "note", note);
    await applyConfig(program, command, { named, folder: io.folder, onNote });
  });
  program.hook("preAction", (_, command) => {
    if (io.verbosity === "verbose") io.err(describeCommand(command));
  });
  for (const { define } of Object.values(commands)) program.addCommand(define(io, end));
  for (const command of [program, ...program.commands])
    command
      .exitOverride()
      .helpOption("-h, --help", "Explains the command.")
      .configureHelp({
        showGlobalOptions: true,
        minWidthToWrap: narrowestHelp,
        optionDescription: describeFlag,
        styleTitle: (title) => styled(title, "heading", io.hasColor),
      })
      .configureOutput({
        writeOut: io.out,
        // The parser's own words begin with `error:`.
        outputError: (text) => {
          const [message, suggestion] = text.trim().split("\n");
          tell(io, "error", message.replace(/^error: /, ""));
          const hints = [suggestion?.replace(/^\((.*)\)$/, "$1"), helpHint];
          tell(io, "hint", hints.filter((hint) => hint !== undefined).join(" "));
        },
        getOutHelpWidth: () => io.columns,
        getErrHelpWidth: () => io.columns,
        getOutHasColors: () => io.hasColor,
      });
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return exitCodes.done;
    }
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    return reportFailure(error, io, wantsJson(program, argv));
  }
}

/** The command, its arguments, and the flags from the command line and from the configuration. */
function describeCommand(command: Command): string {
  const given = command.options.flatMap((option) => {
    const name = option.attributeName();
    const source = command.getOptionValueSource(name);
    if (source !== "cli" && source !== "config") return [];
    const value = command.getOptionValue(name);
    const shown = value === true ? "" : ` ${value instanceof Map ? [...value].join(" ") : value}`;
    return [`${option.long}${shown}${source === "config" ? " (from the configuration)" : ""}`];
  });
  const words = [...command.args, ...given].map(escapeForTerminal).join(" ");
  return `${environment()}\n${command.name()}: ${words}\n`;
}

/** Whether the command line or the configuration asks for JSON, even if the parser failed before it read the flag. */
function wantsJson({ commands: all }: Command, argv: readonly string[]): boolean {
  const command = all.find((candidate) => argv.includes(candidate.name()));
  return argv.includes("--json") || command?.getOptionValue("json") === true;
}
