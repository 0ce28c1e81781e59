/** @file Parsers of flag values: each returns a checked value, or fails with a message in the flag's own terms. */
import { InvalidArgumentError } from "commander";

/** A share that may remain, in (0, 1]. */
export function shareValue(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value <= 1) return value;
  throw new InvalidArgumentError(
    `Give the share that may remain: above 0, at most 1${asShare(text, "")}.`,
  );
}

/** A suggestion for a number that looks like a percentage, as the end of a sentence. */
function asShare(text: string, ifNone: string): string {
  const percent = Number(text.trim().replace(/\s*%$/, ""));
  const isPercent = percent > 1 || (text.includes("%") && percent > 0);
  return isPercent && percent < 100
    ? `; ${percent} % is ${Number((percent / 100).toPrecision(12))}`
    : ifNone;
}

/** A whole number of at least `least` and at most `most`. */
export function integerFrom(
  least: number,
  most = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  const range = most < Number.MAX_SAFE_INTEGER ? `from ${least} to ${most}` : `${least} or more`;
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number, ${range}.`);
    return value;
  };
}

/** A whole number above 0, or `auto`. */
export function countOrAuto(text: string): number | "auto" {
  return text === "auto" ? "auto" : integerFrom(1)(text);
}

/** A number above 0. */
export function positiveValue(text: string): number {
  const value = fractionOrNumber(text);
  if (value === undefined || value <= 0) throw new InvalidArgumentError("Give a number above 0.");
  return value;
}

/** A number, or a quotient such as `1/255`. */
export function numberValue(text: string): number {
  const value = fractionOrNumber(text);
  if (value === undefined) throw new InvalidArgumentError("Give a number, such as 0.5 or 1/255.");
  return value;
}

/** A number of at least 0. */
export function nonNegativeValue(text: string): number {
  const value = fractionOrNumber(text);
  if (value === undefined || value < 0) throw new InvalidArgumentError("Give a number, 0 or more.");
  return value;
}

/** A number in (low, high). */
export function numberBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = fractionOrNumber(text);
    if (value === undefined || value <= low || value >= high)
      throw new InvalidArgumentError(`Give a number above ${low} and below ${high}.`);
    return value;
  };
}

/** A share in [0, 1). */
export function fractionBelowOne(text: string): number {
  const value = fractionOrNumber(text);
  if (value === undefined || value < 0 || value >= 1)
    throw new InvalidArgumentError(
      `Give a number from 0 to below 1${asShare(text, "; 0.01 is 1 %")}.`,
    );
  return value;
}

/** Augmentations: `crop`, `crop=PIXELS` and `flip`, separated by commas. */
export function augmentValue(text: string): { readonly crop?: number; readonly flip?: boolean } {
  const moves = text.split(",").map((part) => {
    const crop = /^crop(?:=(\d{1,4}))?$/.exec(part);
    if (crop !== null) return { crop: Number(crop[1] ?? 4) };
    if (part === "flip") return { flip: true };
    throw new InvalidArgumentError("Give crop, crop=PIXELS or flip, separated by commas.");
  });
  return Object.assign({}, ...moves);
}

/** Numbers separated by commas: one, or one per channel. */
export function numbersValue(text: string): readonly number[] {
  return text.split(",").map(numberValue);
}

function fractionOrNumber(text: string): number | undefined {
  const parts = text.trim().split("/");
  const numbers = parts.map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  const value = parts.length === 2 ? numbers[0] / numbers[1] : numbers[0];
  return parts.length <= 2 && Number.isFinite(value) ? value : undefined;
}

/** A size such as `320x240`, width first. */
export function sizeValue(text: string): readonly [width: number, height: number] {
  const match = /^([1-9]\d{0,5})x([1-9]\d{0,5})$/i.exec(text);
  if (match === null) throw new InvalidArgumentError("Give WIDTHxHEIGHT, such as 224x224.");
  return [Number(match[1]), Number(match[2])];
}

/** A size such as `320x240`, or the length of the shorter side. */
export function sizeOrSideValue(text: string): readonly [width: number, height: number] | number {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : sizeValue(text);
}

/** A pair `pattern=factor`. */
export function factorValue(text: string): readonly [pattern: string, factor: number] {
  const at = text.lastIndexOf("=");
  if (at <= 0) throw new InvalidArgumentError("Give PATTERN=FACTOR.");
  return [text.slice(0, at), nonNegativeValue(text.slice(at + 1))];
}

/** A pattern of names. */
export function patternValue(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must not be empty.");
  return text;
}
