/** @file Tables of text that fit a terminal. */

import { largestOf } from "../../tensor/extremes.ts";
import { displayWidth, escapeForTerminal, shorten, wrap } from "../../words/text.ts";
import { styled } from "./style.ts";

/** A column. */
export interface Column {
  readonly title: string;
  /** The alignment of cells; numbers are aligned right. Default `left`. */
  readonly align?: "left" | "right";
  /** Whether the column is shortened when the table is too wide; default false. */
  readonly isFlexible?: boolean;
}

/** How a table is drawn. */
export interface TableOptions {
  readonly columns: number;
  readonly hasColor?: boolean | undefined;
}

const gap = "  ";
const narrowest = 8;

/**
 * Rows under a heading, one line each, no wider than `columns` as long as flexible columns can be shortened. Cells are
 * escaped here, so names from files need no care.
 */
export function drawTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { columns: available, hasColor = false }: TableOptions,
): string {
  const safe = rows.map((row) => row.map(escapeForTerminal));
  const widths = columns.map(({ title }, i) =>
    Math.max(displayWidth(title), ...safe.map((row) => displayWidth(row[i] ?? ""))),
  );
  shrinkToFit(widths, columns, available);
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, i) => align(shorten(cells[i] ?? "", widths[i]), widths[i], column.align))
      .join(gap)
      .trimEnd();
  const heading = line(columns.map(({ title }) => title));
  const shown = styled(heading, "heading", hasColor);
  return `${[shown, ...safe.map(line)].join("\n")}\n`;
}

/** A name and its value; a value that is too long loses its middle, but prose is wrapped. */
export type Fact = readonly [name: string, value: string | { readonly prose: string }];

/** Two columns without a heading. */
export function drawFacts(facts: readonly Fact[], columns: number): string {
  const width = largestOf(facts.map(([name]) => displayWidth(name)));
  const room = columns - width - gap.length;
  const nextLine = `\n${" ".repeat(width)}${gap}`;
  return facts
    .map(([name, value]) => {
      const text =
        typeof value === "string"
          ? shorten(escapeForTerminal(value), room)
          : wrap(escapeForTerminal(value.prose), room).replaceAll("\n", nextLine);
      return `${align(name, width)}${gap}${text}\n`;
    })
    .join("");
}

function shrinkToFit(widths: number[], columns: readonly Column[], available: number): void {
  const total = (): number => widths.reduce((sum, width) => sum + width + gap.length, -gap.length);
  while (total() > available) {
    const flexible = widths.map((width, i) => (columns[i].isFlexible ? width : 0));
    const widest = Math.max(...flexible);
    if (widest <= narrowest) return;
    widths[flexible.indexOf(widest)]--;
  }
}

function align(text: string, width: number, side: Column["align"] = "left"): string {
  const padding = " ".repeat(Math.max(0, width - displayWidth(text)));
  return side === "left" ? text + padding : padding + text;
}
