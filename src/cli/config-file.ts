/**
 * @file Reads `espalier.config.*` and gives its flags to the commands, which may override them.
 *
 * Such a file may be code, and it may lie in a folder that came from somebody else. A file that is not named by
 * --config is read only for commands that take flags from a file. Code is run only for commands that work on the user's
 * own files. No file is read from the folder of a run.
 */
import { access, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import { requireRegular } from "../files/plain-file.ts";
import { commands } from "./commands.ts";
import type { FlagValue } from "./config.ts";

const codeNames = ["mjs", "js", "mts", "ts"].map((ending) => `espalier.config.${ending}`);
const dataName = "espalier.config.json";
/** Names that look like a configuration, but are not read. */
const otherNames = ["cjs", "cts", "jsonc", "toml", "yaml", "yml"].map(
  (ending) => `espalier.config.${ending}`,
);

/** The commands, and which flags a configuration may give them. */
const byName: ReadonlyMap<string, { readonly config: "code" | "data" | "none" }> = new Map(
  Object.entries(commands),
);

const text = z.union([z.string(), z.number()]);
const configuration = z.record(
  z.string(),
  z.record(z.string(), z.union([text, z.boolean(), z.array(text), z.record(z.string(), text)])),
);

/** The sources of flags besides the command line. */
export interface ConfigPlace {
  /** A file that the user names; `false` where no file is to be read. */
  readonly named: string | false | undefined;
  /** The folder in which a file is looked for otherwise. */
  readonly folder: string;
  /** Called with the reason why a file is not read. */
  readonly onNote: (note: string) => void;
}

/**
 * Sets the flags of `command` that a configuration gives, each checked as on the command line. Flags of the command
 * line win; those that may be repeated add up. The flags for the other commands of `program` are checked, too.
 *
 * Fails with `CONFIG_INVALID` where the file cannot be read, or names a command or flag that is not there,
 * or a value that the flag does not take.
 */
export async function applyConfig(
  program: Command,
  command: Command,
  place: ConfigPlace,
): Promise<void> {
  const file = await findConfig(command.name(), place);
  if (file === undefined) return;
  const parsed = configuration.safeParse(await readConfig(file));
  if (!parsed.success)
    throw invalid(file, `holds no flags by command: ${parsed.error.issues[0].path.join(".")}`);
  for (const [name, flags] of Object.entries(parsed.data)) {
    const command = program.commands.find((candidate) => candidate.name() === name);
    if (command === undefined) throw invalid(file, `names the command ${name}, which is not there`);
    if (!isConfigurable(name))
      throw invalid(file, `names the command ${name}, which takes no flags from a file`);
    for (const [flag, value] of Object.entries(flags)) {
      const option = command.options.find((candidate) => candidate.attributeName() === flag);
      if (option === undefined)
        throw invalid(file, `gives ${name} a flag ${flag}, which it has not`);
      const set = settingFor(file, `${name}.${flag}`, option, value);
      if (set !== undefined) command.setOptionValueWithSource(flag, set, "config");
    }
  }
}

/** The configuration file to read for a command, if any. */
async function findConfig(
  command: string,
  { named, folder, onNote }: ConfigPlace,
): Promise<string | undefined> {
  if (named === false || !isConfigurable(command)) return undefined;
  if (named !== undefined) return resolve(folder, named);
  const name = await firstThere(folder, [...codeNames, dataName]);
  if (name === undefined) {
    const other = await firstThere(folder, otherNames);
    if (other === undefined) return undefined;
    throw new EspalierError(
      "CONFIG_INVALID",
      `${join(folder, other)} is not a format that is read`,
      {
        hint: `Name it ${codeNames[0]} or ${dataName}, or give --no-config.`,
        data: { file: join(folder, other) },
      },
    );
  }
  const passOver = (why: string): undefined => {
    onNote(`${name} is not read: ${why}; --config ${name} reads it`);
  };
  const { isInRun } = await import("../runs/folder/run-folder.ts");
  if (await isInRun(folder)) return passOver("it lies in the folder of a run");
  if (name !== dataName && byName.get(command)?.config !== "code")
    return passOver(`it is code, which ${command} does not run unasked`);
  return join(folder, name);
}

function isConfigurable(command: string): boolean {
  return (byName.get(command)?.config ?? "none") !== "none";
}

async function firstThere(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    const isThere = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (isThere) return name;
  }
  return undefined;
}

async function readConfig(file: string): Promise<unknown> {
  await requireRegular(file);
  try {
    // Reading a pipe would wait for its writer.
    if (!(await stat(file)).isFile()) throw new Error("it is not a regular file");
    if (file.endsWith(".json")) return JSON.parse(await readFile(file, "utf8"));
    const { default: config } = await import(pathToFileURL(file).href);
    return config;
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_UNKNOWN_FILE_EXTENSION")
      throw new EspalierError(
        "CONFIG_INVALID",
        `${file} cannot be read: Node ${process.version} does not run TypeScript`,
        {
          hint: "Node 22.18 and newer do. With an older one, rename it to espalier.config.mjs and remove its types.",
          data: { file },
        },
      );
    throw invalid(file, `cannot be read: ${cause instanceof Error ? cause.message : cause}`);
  }
}

/** The value that the option's own parser makes from the text; undefined for a switch that is not set. */
function settingFor(file: string, where: string, option: Option, value: FlagValue): unknown {
  const isSwitch = option.isBoolean() || option.negate;
  if (isSwitch || typeof value === "boolean") {
    if (typeof value !== "boolean") throw invalid(file, `${where}: expected true or false`);
    if (!isSwitch) throw invalid(file, `${where}: expected a value, not ${value}`);
    return value === option.negate ? undefined : value;
  }
  try {
    return textsOf(option, value).reduce<unknown>(
      (previous, each) => (option.parseArg ? option.parseArg(each, previous) : each),
      option.defaultValue,
    );
  } catch (cause) {
    if (cause instanceof InvalidArgumentError) throw invalid(file, `${where}: ${cause.message}`);
    throw cause;
  }
}

/** The value as texts of the command line: one, or one for each value of a flag that may be repeated. */
function textsOf(option: Option, value: Exclude<FlagValue, boolean>): readonly string[] {
  const isRepeatable = typeof option.defaultValue === "object";
  if (typeof value === "string" || typeof value === "number") return [`${value}`];
  if (!Array.isArray(value)) return Object.entries(value).map(([name, each]) => `${name}=${each}`);
  return isRepeatable ? value.map((each) => `${each}`) : [value.join(",")];
}

function invalid(file: string, what: string): EspalierError {
  return new EspalierError("CONFIG_INVALID", `${file} ${what}`, {
    hint: "It holds flags by command, in camel case: { compress: { maxDrop: 0.01 } }.",
    data: { file },
  });
}
