/** @file What commands that remove have in common: what ranks channels, what may remain, what may go. */
import { type Command, Option } from "commander";
import type { Rounding } from "../../structure/selection-rules.ts";
import { addPair, addText, integerFrom, shareValue } from "./values.ts";

/** Flags of {@link addTargetOptions}: shares of the original that may remain, in (0, 1]. */
export interface TargetFlags {
  readonly macs?: number;
  readonly params?: number;
  readonly bytes?: number;
  readonly density?: number;
  readonly latency?: number;
}

/** Flags of {@link addGroupOptions}: patterns of groups or layers. */
export interface GroupFlags {
  readonly only: readonly string[];
  readonly except: readonly string[];
}

/** Flags of {@link addWidthOptions}. */
export interface WidthFlags {
  readonly roundTo?: Rounding;
  readonly minWidth?: number;
}

/** Adds `--option`; it may be given again. */
export function addMethodOption(command: Command): Command {
  return command.addOption(
    new Option("--option <name=value>", "an option of the method (repeatable)")
      .argParser(addPair)
      .default(new Map<string, string>(), "none"),
  );
}

/** Adds the flags of {@link TargetFlags}. */
export function addTargetOptions(command: Command): Command {
  return command
    .option("--macs <share>", "multiply-accumulates", shareValue)
    .option("--params <share>", "parameters", shareValue)
    .option("--bytes <share>", "bytes of the parameters, not of the file", shareValue)
    .option("--density <share>", "weights of layers that are not 0", shareValue)
    .option("--latency <share>", "latency, measured on this machine", shareValue);
}

/** Adds the flags of {@link GroupFlags}. */
export function addGroupOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--only <pattern>", "these groups or layers; * matches anything (repeatable)")
        .argParser(addText)
        .default([], "all"),
    )
    .addOption(
      new Option("--except <pattern>", "not these; `stream`: residual streams (repeatable)")
        .argParser(addText)
        .default([], "none"),
    );
}

/** Reads what widths are rounded to. */
function roundingFrom(text: string): Rounding {
  return text === "auto" ? text : integerFrom(1)(text);
}

/** Adds the flags of {@link WidthFlags}. */
export function addWidthOptions(command: Command): Command {
  return command
    .addOption(
      new Option(
        "--round-to <n>",
        "widths become multiples of n; auto: of 4, 8 or 16, which engines compute fastest; 1: any width",
      )
        .argParser(roundingFrom)
        .default(undefined, "auto"),
    )
    .option("--min-width <n>", "no layer gets narrower", integerFrom(1));
}
