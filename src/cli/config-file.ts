/** @file Reads `espalier.config.{mjs,js,json}` and gives its flags to the commands, which may override them. */
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Command, InvalidArgumentError, type Option } from "commander";
import { z } from "zod";
import { EspalierError } from "../errors.ts";
import type { FlagValue } from "./config.ts";

const names = ["espalier.config.mjs", "espalier.config.js", "espalier.config.json"] as const;

const text = z.union([z.string(), z.number()]);
const configuration = z.record(
  z.string(),
  z.record(z.string(), z.union([text, z.boolean(), z.array(text), z.record(z.string(), text)])),
);

/**
 * Sets the flags that the configuration in `folder` gives, each checked as on the command line. Flags of
 * the command line win; those that may be repeated add up.
 *
 * Fails with `CONFIG_INVALID` where the file cannot be read, or names a command or flag that is not there,
 * or a value that the flag does not take.
 */
export async function applyConfig(program: Command, folder: string): Promise<void> {
  const file = await findConfig(folder);
  if (file === undefined) return;
  const parsed = configuration.safeParse(await readConfig(file));
  if (!parsed.success)
    throw invalid(file, `holds no flags by command: ${parsed.error.issues[0].path.join(".")}`);
  for (const [name, flags] of Object.entries(parsed.data)) {
    const command = program.commands.find((candidate) => candidate.name() === name);
    if (command === undefined) throw invalid(file, `names a command ${name}, which is not there`);
    for (const [flag, value] of Object.entries(flags)) {
      const option = command.options.find((candidate) => candidate.attributeName() === flag);
      if (option === undefined)
        throw invalid(file, `gives ${name} a flag ${flag}, which it has not`);
      const set = settingFor(file, `${name}.${flag}`, option, value);
      if (set !== undefined) command.setOptionValueWithSource(flag, set, "config");
    }
  }
}

async function findConfig(folder: string): Promise<string | undefined> {
  for (const name of names) {
    const file = join(folder, name);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

async function readConfig(file: string): Promise<unknown> {
  try {
    if (file.endsWith(".json")) return JSON.parse(await readFile(file, "utf8"));
    const { default: config } = await import(pathToFileURL(file).href);
    return config;
  } catch (cause) {
    throw invalid(file, `cannot be read: ${cause instanceof Error ? cause.message : cause}`);
  }
}

/** The value as the option's own parser makes it from text; undefined for a switch that stays as it is. */
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

/** What would stand on the command line: once, or once for each of a flag that may be repeated. */
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
