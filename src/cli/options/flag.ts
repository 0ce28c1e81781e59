/**
 * @file Flags of commands, each declared once, as a typed row of a table. The parser, the type that the command reads,
 * the type of the configuration and the help all follow from this row.
 *
 * A row's key is the flag's name: `roundTo` is `--round-to`.
 */
import { type Command, InvalidArgumentError, Option } from "commander";

/** One flag, which a command reads as a T. */
export interface Flag<T> {
  /** The placeholder behind the name, such as `<share>`; undefined for a switch. */
  readonly placeholder: string | undefined;
  /** Sentences that stand alone: what it is, what it does to the result, its default. */
  readonly description: string;
  /** Parses a text; a flag that may be repeated also gets the values that were given before. */
  readonly read: (text: string, soFar: unknown) => T;
  /** The value where the flag is not given. */
  readonly initial?: unknown;
  readonly choices?: readonly string[];
  readonly isRequired?: boolean;
  /** `--no-isolate` of the key `isolate`. */
  readonly isNegated?: boolean;
  readonly details: FlagDetails;
}

/** Settings that few flags need. */
export interface FlagDetails {
  /** The short name, such as `-o`. */
  readonly short?: string;
  /** Keys of flags that cannot be given together with this one. */
  readonly conflicts?: readonly string[];
  /** Whether the flag is shown under the heading of advanced flags. */
  readonly isAdvanced?: boolean;
  /** Whether the flag is left out of the help. */
  readonly isHidden?: boolean;
}

/** Flags, by their names in camel case. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

/** The flags of a command in the groups of its help, by their headings. */
export type FlagGroups = Readonly<Record<string, FlagTable>>;

/** The values of a table's flags. A flag that is not given is undefined; a list is then empty. */
export type ValuesOf<T extends FlagTable> = {
  readonly [K in keyof T]: ReturnType<T[K]["read"]>;
};

/** The values of all flags of a command. */
export type FlagsOf<G extends FlagGroups> = {
  [H in keyof G]: (values: ValuesOf<G[H]>) => void;
}[keyof G] extends (values: infer All) => void
  ? All
  : never;

/** A flag with a value. */
export function value<T>(
  placeholder: string,
  parse: (text: string) => T,
  description: string,
  details: FlagDetails = {},
): Flag<T | undefined> {
  return { placeholder: `<${placeholder}>`, description, read: parse, details };
}

/** A flag with a value that must be given. */
export function required<T>(
  placeholder: string,
  parse: (text: string) => T,
  description: string,
  details: FlagDetails = {},
): Flag<T> {
  return {
    placeholder: `<${placeholder}>`,
    description,
    read: parse,
    isRequired: true,
    details,
  };
}

/** A flag whose value is one of a few words. */
export function choice<const V extends string>(
  placeholder: string,
  values: readonly V[],
  description: string,
  details: FlagDetails = {},
): Flag<V | undefined> {
  const read = (text: string) => oneOf(values, text);
  return { placeholder: `<${placeholder}>`, description, read, choices: values, details };
}

/** A flag whose value is one of a few words, with a default. */
export function choiceOr<const V extends string>(
  placeholder: string,
  values: readonly V[],
  initial: NoInfer<V>,
  description: string,
): Flag<V> {
  const read = (text: string) => oneOf(values, text);
  return {
    placeholder: `<${placeholder}>`,
    description,
    read,
    choices: values,
    initial,
    details: {},
  };
}

/** A switch. */
export function toggle(description: string, details: FlagDetails = {}): Flag<true | undefined> {
  return { placeholder: undefined, description, read: () => true, details };
}

/** A switch that turns off what is on by default: `--no-isolate` of the key `isolate`. */
export function offSwitch(
  description: string,
  details: FlagDetails = {},
): Flag<boolean | undefined> {
  return { placeholder: undefined, description, read: () => false, isNegated: true, details };
}

/** A flag that may be repeated; its value is the list of all values. */
export function list<T>(
  placeholder: string,
  parse: (text: string) => T,
  description: string,
  details: FlagDetails = {},
): Flag<readonly T[]> {
  return {
    placeholder: `<${placeholder}>`,
    description,
    read: (text, soFar) => [...(Array.isArray(soFar) ? soFar : []), parse(text)],
    initial: [],
    details,
  };
}

/** A flag `name=value` that may be repeated; for the same name the last value counts. */
export function pairs<T>(
  placeholder: string,
  parse: (text: string) => T,
  description: string,
  details: FlagDetails = {},
): Flag<ReadonlyMap<string, T>> {
  return {
    placeholder: `<${placeholder}>`,
    description,
    read(text, soFar) {
      const at = text.indexOf("=");
      if (at <= 0) throw new InvalidArgumentError("Give NAME=VALUE.");
      const known = soFar instanceof Map ? [...soFar] : [];
      return new Map<string, T>([...known, [text.slice(0, at), parse(text.slice(at + 1))]]);
    },
    initial: new Map(),
    details,
  };
}

/** The flag as an advanced one, which few users need. */
export function advanced<T>(flag: Flag<T>): Flag<T> {
  return { ...flag, details: { ...flag.details, isAdvanced: true } };
}

/** The heading of advanced flags, which stand last in a command's help. */
const advancedHeading = "Advanced:";

/** Adds the flags of a command, the advanced ones last. */
export function addFlags(command: Command, groups: FlagGroups): Command {
  const rows = Object.entries(groups).flatMap(([heading, table]) =>
    Object.entries(table).map(([key, flag]) => ({ heading, key, flag })),
  );
  for (const isAdvanced of [false, true])
    for (const { heading, key, flag } of rows)
      if ((flag.details.isAdvanced ?? false) === isAdvanced)
        command.addOption(optionOf(key, flag).helpGroup(isAdvanced ? advancedHeading : heading));
  return command;
}

/** A flag's text in the help: its description, the words that it may be, and its default. */
export function describeFlag({ description, argChoices }: Option): string {
  if (argChoices === undefined) return description;
  return description.replace(/(?= Default:|$)/, ` One of ${argChoices.join(", ")}.`);
}

/** The name of a flag on the command line. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function optionOf(key: string, flag: Flag<unknown>): Option {
  const { placeholder, description, read, initial, choices, details } = flag;
  const { short, conflicts, isHidden = false } = details;
  const long = flag.isNegated ? flagName(key).replace("--", "--no-") : flagName(key);
  const name = [short, long].filter((part) => part !== undefined).join(", ");
  const option = new Option(
    placeholder === undefined ? name : `${name} ${placeholder}`,
    description,
  );
  if (placeholder !== undefined) option.argParser(read);
  if (choices !== undefined) option.choices(choices);
  if (initial !== undefined) option.default(initial);
  if (conflicts !== undefined) option.conflicts([...conflicts]);
  return option.makeOptionMandatory(flag.isRequired ?? false).hideHelp(isHidden);
}

function oneOf<V extends string>(values: readonly V[], text: string): V {
  const found = values.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw new InvalidArgumentError(`Allowed choices are ${values.join(", ")}.`);
}

/** A text as it is. */
export const asText = (text: string): string => text;
