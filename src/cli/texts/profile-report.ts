/** @file A cost table for people: the time of each kind of layer over its widths, as small bars. */
import {
  type CostTable,
  describeKind,
  type LayerTimes,
  type NetworkTime,
  type OtherTimes,
} from "../../structure/timing/cost-table.ts";
import { widthsThatPay } from "../../structure/timing/widths-that-pay.ts";
import { counted, formatMs } from "../../words/numbers.ts";
import { escapeForTerminal, shorten, wrap } from "../../words/text.ts";
import type { TableOptions } from "../terminal/table.ts";

/** What is shown of a network besides its table. */
export interface ShownNetwork {
  /** The sum of the times of layers and other nodes, in milliseconds. */
  readonly summedMs: number;
  /** How often the layers of each grid appear, by its place in the table. */
  readonly counts: ReadonlyMap<LayerTimes, number>;
  readonly measured: NetworkTime | undefined;
}

const bars = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;
const indent = "  ";

/** The picture: the layers that take longest first. */
export function describeCosts(
  table: CostTable,
  network: ShownNetwork,
  { columns }: TableOptions,
): string {
  const { machine, engine, provider, threads } = table.source;
  const from = `${machine}, ${engine}, ${provider}, ${counted(threads, "thread")}`;
  const grids = [...network.counts]
    .map(([grid, count]) => ({ grid, count, ms: count * widest(grid) }))
    .sort((a, b) => b.ms - a.ms);
  const parts = [
    wrap(escapeForTerminal(from), columns),
    ...grids.map(({ grid, count }) => describeGrid(grid, count, columns)),
    describeOthers(table.others, columns),
    wrap(describeTotal(network), columns),
  ];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function widest({ ms }: LayerTimes): number {
  return ms.at(-1)?.at(-1) ?? 0;
}

function describeGrid(grid: LayerTimes, count: number, columns: number): string {
  const { inputs, outputs, ms, form } = grid;
  const most = `${form === "depthwise" ? "" : `${inputs.at(-1)} → `}${outputs.at(-1)} channels`;
  const often = count > 1 ? `, ${counted(count, "layer")}` : "";
  const heading = `${escapeForTerminal(describeKind(grid))}, ${most}${often}: ${formatMs(widest(grid))}`;
  const rows = [
    curve("out", outputs, ms.at(-1) ?? []),
    ...(inputs.length > 1
      ? [
          curve(
            " in",
            inputs,
            ms.map((row) => row.at(-1) ?? 0),
          ),
        ]
      : []),
  ];
  return [shorten(heading, columns), ...rows.map((row) => shorten(row, columns))].join("\n");
}

/** Bars over widths; widths that do not pay stand in brackets. */
function curve(name: string, widths: readonly number[], ms: readonly number[]): string {
  if (widths.length === 1) return `${indent}${name}  ${widths[0]} (fixed)`;
  const largest = Math.max(...ms, Number.MIN_VALUE);
  const drawn = ms.map((each) => bars[Math.min(7, Math.floor((8 * each) / largest))]);
  const paying = new Set(widthsThatPay(widths, (width) => ms[widths.indexOf(width)]));
  const names = widths.map((width) => (paying.has(width) ? String(width) : `(${width})`));
  return `${indent}${name}  ${drawn.join("")}  ${names.join(" ")}`;
}

/** The other operators in a line each, the slowest first. */
const othersShown = 8;

function describeOthers(others: readonly OtherTimes[], columns: number): string {
  const sorted = others
    .map(({ operator, detail, elements, ms }) => ({
      text: `${operator} ${detail}`.trim(),
      elements: elements.at(-1) ?? 0,
      ms: ms.at(-1) ?? 0,
    }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, othersShown);
  if (sorted.length === 0) return "";
  const lines = sorted.map(({ text, elements, ms }) =>
    shorten(
      `${indent}${formatMs(ms)} for ${counted(elements, "element")}: ${escapeForTerminal(text)}`,
      columns,
    ),
  );
  return ["other operators, by the elements that they read and write", ...lines].join("\n");
}

function describeTotal({ summedMs, measured }: ShownNetwork): string {
  const sum = `layers and operators one by one: ${formatMs(summedMs)}`;
  if (measured === undefined) return sum;
  return `${sum}; the whole network: ${formatMs(measured.ms)}. Widths in brackets do not pay: a wider layer is as fast.`;
}
