/**
 * @file The options of a method, declared once as a table: the types that its code reads, what callers may give,
 * errors, help and docs all follow from it. It uses no package, because the part for browsers needs it, too.
 *
 * @example
 * const options = {
 *   mode: choice(["next", "rms"], "next", "Scores by the damage to readers, or by the activation's size."),
 *   images: advanced(count(1, 1024, "Number of images on which the loss is measured.")),
 * };
 */
import { assert, didYouMean, EspalierError } from "../../errors.ts";

/** The values that an option may have. */
export type OptionValue = string | number | boolean;

/**
 * Options as they may be written down, by the names of the command line (`gate-rate`): each in its own type or as the
 * text of it, `on` or `off` for a switch. An absent or undefined option takes its default.
 */
export type GivenOptions = Readonly<Record<string, OptionValue | undefined>>;

/** One option with a value of type T. */
export interface MethodOption<T extends OptionValue = OptionValue> {
  readonly default: T;
  /** The description: sentences that can be read on their own. */
  readonly description: string;
  /** Whether the option is advanced: of use only to those who know how the method works. */
  readonly isAdvanced: boolean;
  /** The texts that the value may be; empty where it is a number, or a number or `auto`. */
  readonly values: readonly string[];
  /** The allowed values in words. */
  readonly allowed: string;
  /** Parses a given value; undefined where it is not allowed. */
  readonly read: (given: OptionValue) => T | undefined;
}

/** The options of a method, by their names in code (`gateRate`), the most used first. */
export type OptionTable = Readonly<Record<string, MethodOption>>;

/** The values of the options of a table, which the code of a method reads. */
export type OptionsOf<T extends OptionTable> = { readonly [K in keyof T]: T[K]["default"] };

/** The options that a caller may give for a table, in their own types and by their names in code. */
export type InputOf<T extends OptionTable> = {
  readonly [K in keyof T]?: T[K]["default"] | undefined;
};

/** An option that is one of some values. */
export function choice<const V extends string | number>(
  values: readonly V[],
  byDefault: NoInfer<V>,
  description: string,
): MethodOption<V> {
  const texts = values.map(String);
  return {
    default: byDefault,
    description,
    isAdvanced: false,
    values: texts,
    allowed: texts.join(" or "),
    read: (given) => values.find((value) => value === given || String(value) === given),
  };
}

/** An option that is true or false, which is written `on` or `off`. */
export function toggle(byDefault: boolean, description: string): MethodOption<boolean> {
  return {
    default: byDefault,
    description,
    isAdvanced: false,
    values: ["on", "off"],
    allowed: "on or off",
    read: (given) => [true, false].find((value) => value === given || textOf(value) === given),
  };
}

/** The range of a number. */
export interface Range {
  readonly least?: number;
  readonly above?: number;
  readonly most?: number;
  readonly below?: number;
}

/** An option that is a number in a range. */
export function number(range: Range, byDefault: number, description: string): MethodOption<number> {
  const words = `a number ${wordsOf(range)}`;
  return numeric(words, (value) => isWithin(value, range), byDefault, description);
}

/** An option that is a whole number of `least` or more. */
export function count(least: number, byDefault: number, description: string): MethodOption<number> {
  const words = `a whole number of ${least} or more`;
  const isAllowed = (value: number) => Number.isSafeInteger(value) && value >= least;
  return numeric(words, isAllowed, byDefault, description);
}

/** The option with the further value `auto`, which is its default. */
export function orAuto(option: MethodOption<number>): MethodOption<number | "auto"> {
  return {
    ...option,
    default: "auto",
    allowed: `auto or ${option.allowed}`,
    read: (given) => (given === "auto" ? given : option.read(given)),
  };
}

/** The option as an advanced one, of use only to those who know how the method works. */
export function advanced<T extends OptionValue>(option: MethodOption<T>): MethodOption<T> {
  return { ...option, isAdvanced: true };
}

function numeric(
  allowed: string,
  isAllowed: (value: number) => boolean,
  byDefault: number,
  description: string,
): MethodOption<number> {
  return {
    default: byDefault,
    description,
    isAdvanced: false,
    values: [],
    allowed,
    read(given) {
      const isBlank = typeof given === "string" && given.trim() === "";
      const value = typeof given === "boolean" || isBlank ? Number.NaN : Number(given);
      return Number.isFinite(value) && isAllowed(value) ? value : undefined;
    },
  };
}

function isWithin(value: number, range: Range): boolean {
  const { least = Number.NEGATIVE_INFINITY, above = Number.NEGATIVE_INFINITY } = range;
  const { most = Number.POSITIVE_INFINITY, below = Number.POSITIVE_INFINITY } = range;
  return value >= least && value > above && value <= most && value < below;
}

function wordsOf({ least, above, most, below }: Range): string {
  const low = least !== undefined ? `of ${least} or more` : above !== undefined && `above ${above}`;
  const high = most !== undefined ? `up to ${most}` : below !== undefined && `below ${below}`;
  return [low, high].filter((words) => typeof words === "string").join(", ");
}

/** The name of an option on the command line and in files: `gate-rate` of `gateRate`. */
export function writtenName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The value of an option as it is written on the command line and in files. */
export function textOf(value: OptionValue): string {
  return typeof value === "boolean" ? (value ? "on" : "off") : String(value);
}

/** The options that are given, by name, each as it is written on the command line and in files. */
export function textsOf(given: GivenOptions): [name: string, text: string][] {
  return Object.entries(given).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, textOf(value)]],
  );
}

/** What is given of a table in its own types, as it may be written down. */
export function writtenOptions(given: Readonly<Record<string, OptionValue | undefined>>) {
  return Object.fromEntries(
    Object.entries(given).flatMap(([name, value]): [string, OptionValue][] =>
      value === undefined ? [] : [[writtenName(name), value]],
    ),
  );
}

/**
 * All options of a method, with defaults for those not given. Fails with `USAGE`, naming every option that the method
 * does not have, which would otherwise be silently ignored, and every value that is not allowed.
 */
export function readOptions<T extends OptionTable>(
  method: string,
  table: T,
  given: GivenOptions,
): OptionsOf<T> {
  const options = Object.entries(table).map(([name, option]) => ({ name, option }));
  const names = options.map(({ name }) => writtenName(name));
  const wrong = Object.keys(given)
    .filter((name) => !names.includes(name) && given[name] !== undefined)
    .map((name): Refusal => {
      const hint = names.length === 0 ? "It has none." : `Its options are: ${names.join(", ")}.`;
      const message = `the method ${method} has no option "${name}"`;
      return { name, message, hint: `${didYouMean(name, names)}${hint}` };
    });
  const values: Record<string, OptionValue> = {};
  for (const { name, option } of options) {
    const own = given[writtenName(name)];
    const value = own === undefined ? option.default : option.read(own);
    if (value !== undefined) values[name] = value;
    else if (own !== undefined) wrong.push(refusalOf(method, writtenName(name), option, own));
  }
  if (wrong.length > 0)
    throw new EspalierError("USAGE", wrong.map(({ message }) => message).join("; "), {
      hint: wrong.map(({ hint }) => hint).join(" "),
      data: { method, option: wrong[0].name, known: names },
    });
  assert(isComplete(table, values), `every option of ${method} has a value that it allows`);
  return values;
}

interface Refusal {
  readonly name: string;
  readonly message: string;
  readonly hint: string;
}

function refusalOf(
  method: string,
  name: string,
  { values, allowed }: MethodOption,
  given: OptionValue,
): Refusal {
  const text = textOf(given);
  // Numbers get no suggestions, because a number is no misspelling of another.
  const isWord = typeof given === "string" && Number.isNaN(Number(given));
  return {
    name,
    message: `the option ${name} of ${method} is "${text}"`,
    hint: `${isWord ? didYouMean(text, values) : ""}The option ${name} may be ${allowed}.`,
  };
}

function isComplete<T extends OptionTable>(table: T, values: object): values is OptionsOf<T> {
  const known = new Map<string, unknown>(Object.entries(values));
  return Object.entries(table).every(([name, option]) => {
    const value = known.get(name);
    return isOptionValue(value) && option.read(value) === value;
  });
}

function isOptionValue(value: unknown): value is OptionValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
