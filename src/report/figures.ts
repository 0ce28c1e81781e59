/** @file Figures in words: how each metric is called and written, and how two sides compare. */
import { inPercent, inPoints } from "../measure/words.ts";
import { plainName } from "./html.ts";
import { formatInteger, shorten } from "./text.ts";

/** How a metric reads. */
export interface MetricWords {
  /** `accuracy`. */
  readonly name: string;
  /** A value of it: `92.96 %`. */
  readonly value: (value: number) => string;
  /** A value at an axis: `93 %`. */
  readonly tick: (value: number) => string;
  /** A difference, at least 0: `0.25 points`. */
  readonly difference: (value: number) => string;
  /** What differences are counted in. */
  readonly unit: string;
  /** A difference, at least 0, without its unit. */
  readonly amount: (value: number) => string;
  /** A difference at an axis, without its unit. */
  readonly amountTick: (value: number) => string;
}

/** Metrics that are shares of all: what they are called. */
const shares: ReadonlyMap<string, string> = new Map([
  ["top1", "accuracy"],
  ["top5", "top-5 accuracy"],
  ["accuracy", "pixel accuracy"],
  ["pixelAccuracy", "pixel accuracy"],
  ["miou", "mean IoU"],
  ["dice", "Dice"],
  ["agreement", "agreement with the original"],
]);

/** How to write of a metric; one that is not known keeps its name and its plain numbers. */
export function metricWords(metric: string): MetricWords {
  const share = shares.get(metric);
  if (share !== undefined)
    return {
      name: share,
      value: (value) => spaced(inPercent(value, 2)),
      tick: (value) => spaced(`${round(100 * value)} %`),
      difference: (value) => spaced(`${inPoints(value)} points`),
      unit: "points",
      amount: inPoints,
      amountTick: (value) => minus(String(round(100 * value))),
    };
  return {
    name: metric === "objective" ? "negative loss" : plainName(metric, 40),
    value: (value) => minus(String(Number(value.toPrecision(4)))),
    tick: (value) => minus(String(round(value))),
    difference: (value) => String(Number(value.toPrecision(3))),
    unit: plainName(metric, 16),
    amount: (value) => String(Number(value.toPrecision(3))),
    amountTick: (value) => minus(String(round(value))),
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
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return spaced(`${formatInteger(count)} ${count === 1 ? noun : plural}`);
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
