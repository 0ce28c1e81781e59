/**
 * @file Text that becomes a page. Whatever is put into a template is escaped, unless it is itself what
 * a template gave: so nothing from a model or a folder can become markup.
 */
import { escapeForTerminal, shorten } from "../../words/text.ts";

/** A piece of a page that is safe as it stands. */
export interface Html {
  readonly html: string;
}

/** What a template takes: text, numbers, pieces, lists of them; nothing for `undefined` and `false`. */
export type Part = Html | string | number | false | undefined | readonly Part[];

/** A piece of a page. Values are escaped: `` html`<b>${name}</b>` ``. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const out = texts.map((text, i) => (i === 0 ? text : textOf(parts[i - 1]) + text));
  return { html: out.join("") };
}

/** Text that is a page's own already: a style sheet, a drawing. Never what came from a file. */
export function trusted(text: string): Html {
  return { html: text };
}

/** Text for content and quoted attributes; what would steer the text's direction becomes visible. */
export function escapeHtml(text: string): string {
  return escapeForTerminal(text).replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A name from a file, on one line of at most `width` columns, its middle left out where it is longer. */
export function plainName(name: string, width: number): string {
  return shorten(escapeForTerminal(name), width);
}

/** A name from a file, set as such. */
export function nameOf(name: string, width = 64): Html {
  return html`<code>${plainName(name, width)}</code>`;
}

/** Pieces with something between them. */
export function join(parts: readonly Part[], between: Part): readonly Part[] {
  return parts.flatMap((part, i) => (i === 0 ? [part] : [between, part]));
}

function textOf(part: Part): string {
  if (part === undefined || part === false) return "";
  if (typeof part === "string") return escapeHtml(part);
  if (typeof part === "number") return String(part);
  if ("html" in part) return part.html;
  return part.map(textOf).join("");
}
