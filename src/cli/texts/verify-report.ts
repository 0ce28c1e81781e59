/** @file What `verify` and the verification of `prune` tell a person. */

import type { CertificateVerification } from "../../certify/verify-certificate.ts";
import type { RunVerification } from "../../compress/verify/verify-run.ts";
import { problemsOf, type Verification } from "../../measure/equality/compare.ts";
import type { Finding } from "../../measure/equality/judgement.ts";
import { largestOf } from "../../tensor/extremes.ts";
import { counted, formatInteger, formatScientific } from "../../words/numbers.ts";
import { escapeForTerminal, wrap } from "../../words/text.ts";
import { type Style, styled } from "../terminal/style.ts";
import { drawTable, type TableOptions } from "../terminal/table.ts";

/** Writes each check with its figures, and the fault where one failed. */
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
  if (passed)
    return `${table}\n${styled("verified", "success", io.hasColor)}: all ${counted(checks.length, "check")} passed\n`;
  const heading = "VERIFICATION FAILED";
  const shown = styled(heading, "error", io.hasColor);
  const lines = failed.map(
    ({ name, problem = "" }) => `  ${escapeForTerminal(name)}: ${escapeForTerminal(problem)}\n`,
  );
  return `${table}\n${shown}: ${failed.length} of ${counted(checks.length, "check")}\n${lines.join("")}`;
}

/** Writes each check of a certificate, what was found wrong, and what could not be looked at. */
export function describeCertificateVerification(
  { passed, checks, notes, certificate }: CertificateVerification,
  io: TableOptions,
): string {
  const problems = checks.flatMap((check) =>
    check.problems.map((problem) => `  ${escapeForTerminal(`${check.name}: ${problem}`)}\n`),
  );
  const names = checks.map(({ name }) => name).join(", ");
  const remarks = notes.map((note) => `${wrap(escapeForTerminal(note), io.columns)}\n`).join("");
  if (!passed)
    return `${headed("VERIFICATION FAILED", "error", "the certificate does not stand", io)}${problems.join("")}${remarks}`;
  const summary = `${names} are as the certificate says; it says: ${escapeForTerminal(certificate.words[0])}`;
  return `${headed("verified", "success", summary, io)}${remarks}`;
}

function figuresOf(figures: Readonly<Record<string, number>>): string {
  return Object.entries(figures)
    .map(([name, value]) => `${wordsOf(name)} ${show(value)}`)
    .join(", ");
}

/** A name in camel case as words: largestDifference as "largest difference". */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function show(value: number): string {
  return Number.isInteger(value) ? formatInteger(value) : formatScientific(value);
}

/** The largest number of failed comparisons that are listed. */
const listedProblems = 8;

/** Why an output proves little, as the end of a sentence about it. */
const reasons: Readonly<Record<Exclude<Finding, "equal" | "different">, string>> = {
  constant: "does not depend on the inputs tried",
  empty: "is empty on the inputs tried",
  coarse: "holds whole numbers or truth values",
  rounding: "moves by more than 1 % of its range through rounding alone",
};

/** Writes the outcome of a verification: the comparisons that failed, and those of values besides outputs. */
export function describeVerification(verification: Verification, io: TableOptions): string {
  const { passed, maxError, samples, tolerance, innerTensors } = verification;
  const inner = innerTensors === 0 ? "" : `, ${counted(innerTensors, "inner tensor")} included`;
  const summary = `largest error ${formatScientific(maxError)} of the values' range (allowed ${formatScientific(tolerance)}), ${counted(samples, "input")}${inner}`;
  const notes = `${littleProof(verification)}${runtimeDifference(verification)}`;
  if (passed) return `${headed("verified", "success", summary, io)}${notes}`;
  const problems = problemsOf(verification);
  const shown = problems.slice(0, listedProblems).map((line) => `  ${escapeForTerminal(line)}\n`);
  const rest = problems.length - shown.length;
  const more = rest > 0 ? `  and ${rest} more\n` : "";
  const heading = "VERIFICATION FAILED";
  return `${headed(heading, "error", summary, io)}${shown.join("")}${more}${notes}`;
}

/** A sentence behind a coloured word, as wide as the terminal. */
function headed(heading: string, style: Style, text: string, io: TableOptions): string {
  const lines = wrap(`${heading}: ${text}`, io.columns, "  ");
  return `${styled(heading, style, io.hasColor)}${lines.slice(heading.length)}\n`;
}

/** The outputs that prove little, and why. */
function littleProof({ provesLittle, innerTensors, checks }: Verification): string {
  const lines = provesLittle.flatMap(({ output, finding }) => {
    if (finding === "equal" || finding === "different") return [];
    return [`output "${escapeForTerminal(output)}" proves little: it ${reasons[finding]}\n`];
  });
  if (lines.length === 0) return "";
  if (innerTensors === 0) return lines.join("");
  const isDead = checks.every(({ finding }) => finding === "constant" || finding === "empty");
  const dead = isDead ? ", of which none depends on them either: the network is constant" : "";
  return `${lines.join("")}compared instead: ${counted(innerTensors, "inner tensor")}${dead}\n`;
}

/** Writes where ONNX Runtime itself computes other values. */
function runtimeDifference({ checks }: Verification): string {
  const others = checks.filter(({ finding }) => finding === "runtime");
  if (others.length === 0) return "";
  const largest = largestOf(others.map(({ maxError }) => maxError));
  return `at optimization all, ONNX Runtime computes this quantised network with whole numbers, and differs by ${formatScientific(largest)}; at optimization disabled both are equal\n`;
}
