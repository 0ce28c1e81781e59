/** @file The parts that every page is made of: the document, its sections, tables and keys. */

import { copyScript, scriptPolicy } from "./copy-script.ts";
import { type Html, html, type Part, trusted } from "./html.ts";
import { styleSheet } from "./style.ts";

/** A part of a page with a heading. */
export interface Section {
  /** What links go to; unique on its page. */
  readonly id: string;
  readonly title: string;
  readonly body: Part;
}

/** A column of a table. */
export interface Column {
  readonly title: string;
  readonly kind?: "number" | "words" | "bars";
}

/** Longer tables are cut: a page is for reading, the figures are in `report.json`. */
const mostRows = 400;
/** Tables of so few rows stand on one sheet of paper. */
const mostTogether = 15;

/**
 * A whole page. Its policy forbids every request and all scripts but the one that copies commands, so that
 * it is safe and complete wherever it is opened.
 */
export function documentOf(page: {
  readonly title: string;
  readonly header: Part;
  readonly sections: readonly Section[];
  /** The file that the page was drawn from. Default `report.json`. */
  readonly source?: string;
}): string {
  const { title, header, sections, source = "report.json" } = page;
  const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; ${scriptPolicy}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(policy)}; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${trusted(styleSheet)}</style>
</head>
<body>
<header>
${header}
<nav aria-label="Sections"><ul>
${sections.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>\n`)}</ul></nav>
</header>
<main>
${sections.map(
  ({ id, title, body }) => html`<section id="${id}" aria-labelledby="${id}-title">
<h2 id="${id}-title">${title}</h2>
${body}
</section>
`,
)}</main>
<footer><p>Drawn by Espalier from <code>${source}</code>. This page loads nothing; its one script copies commands.</p></footer>
<script>${trusted(copyScript)}</script>
</body>
</html>
`.html;
}

/** A table that scrolls inside its own box where it is too wide. The first cell of a row heads it. */
export function dataTable(
  label: string,
  columns: readonly Column[],
  rows: readonly (readonly Part[])[],
): Html {
  const kindOf = (i: number) => columns[i].kind ?? "text";
  const left = rows.length - mostRows;
  const size = rows.length <= mostTogether ? "scroll whole" : "scroll";
  return html`<div class="${size}" role="region" aria-label="${label}" tabindex="0"><table>
<thead><tr>${columns.map(({ title }, i) => html`<th scope="col" class="${kindOf(i)}">${title}</th>`)}</tr></thead>
<tbody>
${rows
  .slice(0, mostRows)
  .map(
    (cells) =>
      html`<tr>${cells.map((cell, i) =>
        i === 0
          ? html`<th scope="row" class="${kindOf(i)}">${cell}</th>`
          : html`<td class="${kindOf(i)}">${cell}</td>`,
      )}</tr>\n`,
  )}</tbody>
</table></div>
${left > 0 && html`<p><small>${left} more rows are in report.json.</small></p>`}`;
}

/** No command of names that a file system has is longer; one that was cut would be another command. */
const longestCommand = 4000;

/** A command to copy: a click selects all of it, and with scripts there is a button. */
export function copyable(command: string): Html {
  if (command.length > longestCommand)
    return html`<p><small>The command is too long to show.</small></p>`;
  return html`<div class="command"><code>${command}</code><button class="copy" type="button" hidden aria-live="polite"
aria-label="copy the command">copy</button></div>`;
}

/** What is shown when asked for. */
export function folded(summary: string, body: Part): Html {
  return html`<details><summary>${summary}</summary>
${body}
</details>`;
}

/** Facts by name. */
export function factsOf(facts: readonly (readonly [name: Part, fact: Part])[]): Html {
  return html`<dl class="facts">
${facts.map(([name, fact]) => html`<dt>${name}</dt><dd>${fact}</dd>\n`)}</dl>`;
}

/** How a key's mark is drawn, as in its chart. */
export type Mark = "line" | "dashes" | "dot" | "ring" | "cross" | "bar" | "speck";

/** The key to a chart: marks in their colours (names of style variables), and what they mean. */
export function keysOf(
  keys: readonly { readonly mark: Mark; readonly color: string; readonly text: Part }[],
): Html {
  return html`<ul class="keys">
${keys.map(
  ({ mark, color, text }) =>
    html`<li><svg width="22" height="12" viewBox="0 0 22 12" aria-hidden="true">${drawMark(mark, color)}</svg><span>${text}</span></li>\n`,
)}</ul>`;
}

function drawMark(mark: Mark, color: string): Html {
  const ink = `var(--${color})`;
  switch (mark) {
    case "line":
      return html`<path d="M1 6H21" stroke="${ink}" stroke-width="2.5"/>`;
    case "dashes":
      return html`<path d="M1 6H21" stroke="${ink}" stroke-width="2" stroke-dasharray="5 3"/>`;
    case "dot":
      return html`<path d="M1 6H21" stroke="${ink}" stroke-width="2"/><circle cx="11" cy="6" r="4.5" fill="${ink}"/>`;
    case "ring":
      return html`<circle cx="11" cy="6" r="4" fill="none" stroke="${ink}" stroke-width="1.5"/>`;
    case "cross":
      return html`<path d="M7 2L15 10M15 2L7 10" stroke="${ink}" stroke-width="2"/>`;
    case "bar":
      return html`<rect x="3" y="1" width="16" height="10" rx="1.5" fill="${ink}"/>`;
    case "speck":
      return html`<circle cx="11" cy="6" r="2" fill="${ink}"/>`;
    default:
      return mark satisfies never;
  }
}
