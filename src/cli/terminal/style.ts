/** @file Colours of words in a terminal, where it shows any. */

/** What a word is, which decides its colour. */
export type Style = "error" | "warning" | "success" | "hint" | "note" | "heading";

/** The codes of Select Graphic Rendition that turn each style on and off. */
const codes: Readonly<Record<Style, readonly [on: string, off: string]>> = {
  error: ["1;31", "22;39"],
  warning: ["33", "39"],
  success: ["32", "39"],
  hint: ["36", "39"],
  note: ["2", "22"],
  heading: ["1", "22"],
};

/** A text in the colour of its style, or as it is. */
export function styled(text: string, style: Style, hasColor: boolean | undefined): string {
  if (!hasColor) return text;
  const [on, off] = codes[style];
  return `\x1b[${on}m${text}\x1b[${off}m`;
}

/** Whether a stream shows colour: FORCE_COLOR turns it on, NO_COLOR off; otherwise a terminal that can show it does. */
export function showsColor(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal } = env;
  if (forced !== undefined && forced !== "") return forced !== "0" && forced !== "false";
  return isTerminal && terminal !== "dumb" && !refused;
}
