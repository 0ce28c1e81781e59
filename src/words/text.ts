/** @file Names and sentences for a terminal: control characters are escaped, columns counted, and lines broken. */

/**
 * A name or message that came from a file, safe to print: control characters, directional overrides and line ends
 * become visible escapes.
 */
export function escapeForTerminal(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu,
    (char) => {
      if (char === "\n") return "\\n";
      if (char === "\t") return "\\t";
      const code = char.codePointAt(0) ?? 0;
      return code < 256
        ? `\\x${code.toString(16).padStart(2, "0")}`
        : `\\u${code.toString(16).padStart(4, "0")}`;
    },
  );
}

/** The number of columns of a text; East Asian wide characters and emoji take two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text)
    width += isWide(char.codePointAt(0) ?? 0) ? 2 : /\p{M}/u.test(char) ? 0 : 1;
  return width;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

/** The text in at most `width` columns; a longer text loses its middle. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const chars = [...text];
  const head: string[] = [];
  const tail: string[] = [];
  let left = width - 1;
  for (let takesHead = true; ; takesHead = !takesHead) {
    const next = (takesHead ? chars.shift() : chars.pop()) ?? "";
    left -= displayWidth(next);
    if (left < 0) break;
    if (takesHead) head.push(next);
    else tail.unshift(next);
  }
  return `${head.join("")}…${tail.join("")}`;
}

/**
 * Breaks a sentence into lines of at most `width` columns, the later ones indented. A word that is longer, such as a
 * path, stays whole.
 */
export function wrap(text: string, width: number, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    const room = width - (lines.length > 0 ? displayWidth(indent) : 0);
    if (line !== "" && displayWidth(longer) > room) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  lines.push(line);
  return lines.map((part, i) => (i === 0 ? part : `${indent}${part}`)).join("\n");
}
