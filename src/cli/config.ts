/** @file The configuration that a user keeps in a file: flags by command, for editors to complete. */
import type { Flags as Bench } from "./commands/bench.ts";
import type { Flags as Compress } from "./commands/compress.ts";
import type { Flags as Evaluate } from "./commands/evaluate.ts";
import type { Flags as Inspect } from "./commands/inspect.ts";
import type { Flags as Pack } from "./commands/pack.ts";
import type { Flags as Prune } from "./commands/prune.ts";
import type { Flags as Resume } from "./commands/resume.ts";
import type { Flags as Sensitivity } from "./commands/sensitivity.ts";
import type { Flags as Train } from "./commands/train.ts";
import type { Flags as Unpack } from "./commands/unpack.ts";
import type { Flags as Verify } from "./commands/verify.ts";

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

/** What `espalier.config.{mjs,js,ts,json}` holds. */
export interface EspalierConfig {
  readonly inspect?: Flags<Inspect>;
  readonly prune?: Flags<Prune>;
  readonly verify?: Flags<Verify>;
  readonly evaluate?: Flags<Evaluate>;
  readonly train?: Flags<Train>;
  readonly compress?: Flags<Compress>;
  readonly bench?: Flags<Bench>;
  readonly sensitivity?: Flags<Sensitivity>;
  readonly pack?: Flags<Pack>;
  readonly unpack?: Flags<Unpack>;
  readonly resume?: Flags<Resume>;
}

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
