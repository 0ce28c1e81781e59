/** @file The text below the flags of a command's help, as wide as the terminal. */
import { displayWidth, wrap } from "../../words/text.ts";
import type { Io } from "./io.ts";

/**
 * An explanation for `addHelpText`: paragraphs are wrapped; lines that are indented, such as examples, stay lines,
 * and go on behind a backslash where they are too long.
 */
export function explained(text: string, io: Pick<Io, "columns">): () => string {
  return () => reflow(text, io.columns);
}

/** The text wrapped to this many columns. */
export function reflow(text: string, columns: number): string {
  const [opening] = /^\n*/.exec(text) ?? [""];
  const paragraphs = text.slice(opening.length).split(/\n\n+/);
  return opening + paragraphs.map((paragraph) => reflowed(paragraph, columns)).join("\n\n");
}

function reflowed(paragraph: string, columns: number): string {
  const lines: string[] = [];
  let sentence: string[] = [];
  const finish = () => {
    if (sentence.length > 0) lines.push(wrap(sentence.join(" "), columns));
    sentence = [];
  };
  for (const line of paragraph.replaceAll(/\s*\\\n\s*/g, " ").split("\n")) {
    if (/^\s/.test(line)) {
      finish();
      lines.push(brokenCommand(line, columns));
    } else sentence.push(line);
  }
  finish();
  return lines.join("\n");
}

/** A command over several lines, as a shell takes it. A flag and its value stay on one line. */
function brokenCommand(line: string, columns: number): string {
  if (displayWidth(line) <= columns) return line;
  const continued = " \\";
  const parts = line.trim().split(/ (?=-)/);
  const lines = [`  ${parts[0]}`];
  for (const part of parts.slice(1)) {
    const last = lines[lines.length - 1];
    const longer = `${last} ${part}`;
    if (displayWidth(longer) + continued.length <= columns) lines[lines.length - 1] = longer;
    else lines.push(`      ${part}`);
  }
  return lines.join(`${continued}\n`);
}
