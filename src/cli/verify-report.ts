/** @file What `verify RUN` tells a person. */
import type { RunVerification } from "../compress/verify/verify-run.ts";
import { escapeForTerminal, formatInteger, formatScientific } from "../report/text.ts";
import { drawTable, type TableOptions } from "./table.ts";

/** Each check with its figures; where one failed, what is wrong. */
export function describeRunVerification(
  { passed, checks }: RunVerification,
  io: TableOptions,
): string {
  const table = drawTable(
    [{ title: "check", isFlexible: true }, { title: "" }, { title: "figures", isFlexible: true }],
    checks.map((check) => [check.name, check.passed ? "ok" : "FAILED", figuresOf(check.figures)]),
    io,
  );
  const failed = checks.filter((check) => !check.passed);
  if (passed) return `${table}\nverified: all ${checks.length} checks passed\n`;
  const heading = "VERIFICATION FAILED";
  const shown = io.hasColor ? `\x1b[31m${heading}\x1b[39m` : heading;
  const lines = failed.map(
    ({ name, problem = "" }) => `  ${escapeForTerminal(name)}: ${escapeForTerminal(problem)}\n`,
  );
  return `${table}\n${shown}: ${failed.length} of ${checks.length} checks\n${lines.join("")}`;
}

function figuresOf(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${wordsOf(name)} ${show(value)}`)
    .join(", ");
}

/** largestDifference as "largest difference". */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function show(value: number): string {
  return Number.isInteger(value) ? formatInteger(value) : formatScientific(value);
}
