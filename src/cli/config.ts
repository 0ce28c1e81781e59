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

/** What may stand for a value that a command reads as a T. */
type Given<T> = T extends boolean
  ? boolean
  : T extends number
    ? number
    : T extends string
      ? T
      : Exclude<FlagValue, boolean>;

/** Flags of a command by their names in camel case. */
type Flags<T> = { readonly [K in keyof T]?: Given<Exclude<T[K], undefined>> };

type Commands = typeof commands;

/** The commands of which a configuration may speak. */
type Configurable = {
  [Name in keyof Commands]: Commands[Name]["config"] extends "none" ? never : Name;
}[keyof Commands];

/** What `espalier.config.{mjs,js,ts,json}` holds: the flags of each command. */
export type EspalierConfig = {
  readonly [Name in Configurable]?: Flags<FlagsOf<Commands[Name]["flags"]>>;
};

/**
 * The configuration itself: for editors, which then know the names of flags and their values.
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
