/** @file Figures as a page writes them: numbers stay with their units, differences have their signs. */
import { type MetricWords, metricWords } from "../../words/metrics.ts";
import { counted, formatInteger, inPercent } from "../../words/numbers.ts";
import { shorten } from "../../words/text.ts";
import { plainName } from "./html.ts";

/** How a metric reads on a page: its parts stay on one line, and what is below 0 has a minus sign. */
export interface PageWords extends MetricWords {
  /** A value at an axis: `93 %`. */
  readonly tick: (value: number) => string;
  /** A difference at an axis, without its unit. */
  readonly amountTick: (value: number) => string;
}

/** How to write of a metric on a page. A name that a user made is escaped, and no longer than a line. */
export function metricOnPage(metric: string): PageWords {
  const words = metricWords(metric);
  const { isShare } = words;
  return {
    ...words,
    name: isShare ? words.name : plainName(words.name, 40),
    unit: isShare ? words.unit : plainName(words.unit, 16),
    value: (value) => spaced(minus(words.value(value))),
    difference: (value) => spaced(words.difference(value)),
    shortDifference: (value) => spaced(words.shortDifference(value)),
    tick: (value) => (isShare ? spaced(`${round(100 * value)} %`) : minus(String(round(value)))),
    amountTick: (value) => minus(String(round(isShare ? 100 * value : value))),
  };
}

/** A number and its unit that stay on one line. */
export function spaced(text: string): string {
  return text.replaceAll(" ", "\u00a0");
}

/** A number with a minus sign instead of a hyphen. */
export function minus(text: string): string {
  return text.replace(/^-/, "\u2212");
}

/** A difference with its sign: `+0.12 points`, `−0.25 points`, and `±0` for none. */
export function signed(value: number, write: (value: number) => string): string {
  const text = write(Math.abs(value));
  if (text === write(0)) return `±${text}`;
  return `${value < 0 ? "\u2212" : "+"}${text}`;
}

/** A drop: without a sign where something was lost, with a minus where something was won. */
export function formatDrop(drop: number, write: (value: number) => string): string {
  const text = write(Math.abs(drop));
  return drop < 0 && text !== write(0) ? `\u2212${text}` : text;
}

/** An interval of differences, each with its sign. */
export function signedInterval(
  [low, high]: readonly [number, number],
  write: (value: number) => string,
): string {
  return `${signed(low, write)} to ${signed(high, write)}`;
}

/** What is left of something: `47 %`; small shares, and those that are nearly all, with a digit more. */
export function formatShare(share: number): string {
  const isFine = share < 0.0995 || (share >= 0.995 && share < 1);
  return spaced(inPercent(share, isFine ? 1 : 0));
}

/** How many times smaller: `2.1`. */
export function timesOf(before: number, after: number): string {
  const times = before / after;
  return times >= 99.5 ? formatInteger(times) : times.toPrecision(2);
}

/** A counted noun: `1 image`, `1,500 images`. */
export function countedOnPage(count: number, noun: string, plural = `${noun}s`): string {
  return spaced(counted(count, noun, plural));
}

/** Longer sentences hold names from a file that do not end; they lose their middle. */
const longestSentence = 1000;

/** A first word that no name of a layer is: letters and hyphens, with what ends a word behind them. */
const plainWord = /^[a-z](?=[a-z']*(?:-\w+)*(?:[\s,;]|[.!?](?:\s|$)))/;

/** A text that begins a sentence and ends it. Names (`fc1.weight: ...`) and symbols such as λ stay small. */
export function sentence(text: string): string {
  const trimmed = shorten(text.trim(), longestSentence);
  const ended = /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
  return ended.replace(plainWord, (letter) => letter.toUpperCase());
}

function round(value: number): number {
  return Number(value.toFixed(Math.abs(value) < 1 ? 3 : 2));
}
