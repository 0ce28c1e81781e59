/** @file The configuration that a user keeps in a file: flags by command, for editors to complete. */
import type { commands } from "./commands.ts";
import type { FlagsOf } from "./options/flag.ts";

/** A flag's value: as on the command line, or as the number, list or pairs that it stands for. */
export type FlagValue =
  | string
  | number
  | boolean
  | readonly (string | number)[]
  | Readonly<Record<string, string | number>>;

/** The forms in which a configuration may give a value that a command reads as a T. */
type Given<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends string
      ? T
      : Exclude<FlagValue, boolean>;

/** The flags of a command, by their names in camel case. */
type Flags<T> = { readonly [K in keyof T]?: Given<Exclude<T[K], undefined>> };

type Commands = typeof commands;

/** The commands that a configuration may give flags to. */
type Configurable = {
  [Name in keyof Commands]: Commands[Name]["config"] extends "none" ? never : Name;
}[keyof Commands];

/** The contents of `espalier.config.{mjs,js,ts,json}`: the flags of each command. */
export type EspalierConfig = {
  readonly [Name in Configurable]?: Flags<FlagsOf<Commands[Name]["flags"]>>;
};

/**
 * Returns the configuration unchanged; its type tells editors the names of the flags and their values.
 *
 * @example
 * import { defineConfig } from "espalier";
 * export default defineConfig({
 *   compress: { data: "cifar10", maxDrop: 0.01, augment: "crop,flip", option: { epochs: 1 } },
 * });
 */
export function defineConfig(config: EspalierConfig): EspalierConfig {
  return config;
}
