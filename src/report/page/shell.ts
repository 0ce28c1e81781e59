/** @file Commands as they can be pasted into a shell, whatever the names in them hold. */
import { escapeForTerminal } from "../../words/text.ts";

/** What no shell reads as more than text. */
const plainWord = /^[\w@%+:,./-][\w@%+=:,./-]*$/;

/**
 * One word of a command line: quoted where a shell would read more in it. Control characters become visible
 * escapes, so that nothing that is pasted ends a line.
 */
export function shellWord(text: string): string {
  const safe = escapeForTerminal(text);
  return plainWord.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`;
}

/** A file or folder as a word: one whose name begins with a hyphen is no flag. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith("-") ? `./${path}` : path);
}

/** A flag with its value: a value that begins with a hyphen is no other flag. */
export function shellFlag(name: string, value: string): string {
  return value.startsWith("-") ? `${name}=${shellWord(value)}` : `${name} ${shellWord(value)}`;
}
