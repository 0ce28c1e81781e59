/** @file The command line as a whole: the commands, and what they have in common. */
import { Command } from "commander";
import { escapeForTerminal } from "../report/text.ts";
import { version } from "../runtime/versions.ts";
import { benchCommand } from "./bench.ts";
import { compressCommand } from "./compress.ts";
import { applyConfig } from "./config-file.ts";
import { evaluateCommand } from "./evaluate.ts";
import { exitCodes, helpHint, reportFailure } from "./failure.ts";
import { inspectCommand } from "./inspect.ts";
import type { Io } from "./io.ts";
import { methodsCommand } from "./methods.ts";
import { packCommand } from "./pack.ts";
import { pruneCommand } from "./prune.ts";
import { reportCommand } from "./report.ts";
import { resumeCommand } from "./resume.ts";
import { sensitivityCommand } from "./sensitivity.ts";
import { trainCommand } from "./train.ts";
import { unpackCommand } from "./unpack.ts";
import { verifyCommand } from "./verify.ts";

const overview = `
Exit codes: 0 done; 1 a bug of ours; 2 the input or the command line is at fault;
3 done, but a target could not be reached; 4 verification failed, nothing was
written; 130 stopped.

Flags may stand in espalier.config.{mjs,js,ts,json} of the current folder, by
command and in camel case: { compress: { maxDrop: 0.01 } }. Those of the command
line win; those that may be repeated add up. Commands that look at what may come
from others (inspect, verify, unpack, resume) run no code that they find: they
read espalier.config.json, or the file of --config. None is read in the folder of
a run.

Examples:
  espalier inspect net.onnx
  espalier train lenet5 --data mnist -o run
  espalier prune net.onnx -o small.onnx --macs 0.6
  espalier compress net.onnx --data cifar10 --max-drop 0.01 -o run
  espalier verify net.onnx small.onnx
  espalier bench net.onnx small.onnx
  espalier pack small.onnx -o small.esp

\`espalier help <command>\` explains a command.`;

/**
 * Runs a command line (without the program's own name) and returns its exit code. Never throws and
 * never ends the process.
 */
export async function main(argv: readonly string[], io: Io): Promise<number> {
  let exitCode: number = exitCodes.done;
  const end = (code: number): void => {
    exitCode = code;
  };
  const program = new Command("espalier")
    .description("Makes trained convolutional networks smaller and faster: ONNX in, ONNX out.")
    .version(version(), "-v, --version", "print the version")
    .option("--config <FILE>", "read flags from this file, which may be code")
    .option("--no-config", "read flags from no file")
    .helpOption("-h, --help", "explain the command")
    .addHelpText("after", overview);
  const isHelp = argv.includes("-h") || argv.includes("--help");
  // Before the flags of the command itself are read, and only if there is a command.
  program.hook("preSubcommand", async (_, command) => {
    if (isHelp) return;
    const { config: named } = program.opts<{ readonly config?: string | false }>();
    const onNote = (note: string) => io.err(`note: ${escapeForTerminal(note)}\n`);
    await applyConfig(program, command, { named, folder: io.folder, onNote });
  });
  for (const define of commands) program.addCommand(define(io, end));
  for (const command of [program, ...program.commands])
    command
      .exitOverride()
      .showHelpAfterError(`hint: ${helpHint}`)
      .configureOutput({
        writeOut: io.out,
        writeErr: io.err,
        getOutHelpWidth: () => io.columns,
        getErrHelpWidth: () => io.columns,
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

/** Whether the command line or the configuration asks for JSON, though the parser may not have got that far. */
function wantsJson({ commands: all }: Command, argv: readonly string[]): boolean {
  const command = all.find((candidate) => argv.includes(candidate.name()));
  return argv.includes("--json") || command?.getOptionValue("json") === true;
}

const commands: readonly ((io: Io, end: (exitCode: number) => void) => Command)[] = [
  inspectCommand,
  pruneCommand,
  verifyCommand,
  evaluateCommand,
  trainCommand,
  compressCommand,
  resumeCommand,
  reportCommand,
  packCommand,
  unpackCommand,
  benchCommand,
  sensitivityCommand,
  methodsCommand,
];
