/** @file Messages beside the result: errors, warnings, hints and notes, as wide as the terminal. */
import { escapeForTerminal, wrap } from "../../words/text.ts";
import { inFlags } from "./flag-names.ts";
import type { Io } from "./io.ts";
import { styled } from "./style.ts";

/** The kinds of message; with `--quiet` only errors and their hints are shown. */
export type MessageKind = "error" | "hint" | "warning" | "note";

/** Writes a message on lines of its own, with flags in place of options. Control characters are escaped here. */
export function tell(io: Io, kind: MessageKind, text: string): void {
  if (io.verbosity === "quiet" && (kind === "warning" || kind === "note")) return;
  const label = `${kind}:`;
  const lines = wrap(`${label} ${escapeForTerminal(inFlags(text))}`, io.errorColumns, "  ");
  io.err(`${styled(label, kind, io.hasErrorColor)}${lines.slice(label.length)}\n`);
}
