/** @file Where a network became smaller: channels group by group, and cost layer by layer. */
import type { BarSeriesOption, EChartsOption } from "echarts";
import type { CompressReport } from "../compress/compress-report.ts";
import {
  type Canvas,
  drawChart,
  grid,
  heightOfRows,
  ink,
  labelBehind,
  letterWidth,
  longestRowName,
  rowsOf,
  still,
  titleOf,
} from "./chart.ts";
import { counted, formatShare } from "./figures.ts";
import { html, nameOf, type Part, plainName } from "./html.ts";
import { dataTable, folded, keysOf, type Section } from "./page.ts";
import { formatCount, formatInteger } from "./text.ts";

/** One thing before and after. */
interface Row {
  /** In the table below its chart, from 1. */
  readonly number: number;
  readonly name: string;
  readonly before: number;
  readonly after: number;
}

/** Up to so many rows stand one below the other with their names; more stand side by side, numbered. */
const mostNamed = 26;

/** Widths of the groups. */
export function widthsOf({ groups }: CompressReport): Section | undefined {
  if (groups.length === 0) return undefined;
  const rows = groups.map(({ id, before, after }, i) => ({
    ...{ number: i + 1, name: id },
    ...{ before, after },
  }));
  const [before, after] = [totalOf(rows, "before"), totalOf(rows, "after")];
  const cut = rows.filter((row) => row.after < row.before).length;
  return {
    id: "channels",
    title: "Channels, layer by layer",
    body: html`<p>Layers whose channels can only go together form a group. Of ${counted(groups.length, "group")},
${formatInteger(cut)} lost channels: ${formatInteger(after)} of ${formatInteger(before)} are left
(${formatShare(after / Math.max(1, before))}).</p>
${barsFigure("channels", "channels in each group", rows, formatInteger)}
${folded(
  "Channels as a table",
  dataTable(
    "Channels by group",
    [
      { title: "no.", kind: "number" },
      { title: "layers", kind: "words" },
      { title: "before", kind: "number" },
      { title: "after", kind: "number" },
      { title: "left", kind: "number" },
    ],
    groups.map(({ id, layers, before, after }, i): readonly Part[] => [
      i + 1,
      layersOf(id, layers),
      formatInteger(before),
      formatInteger(after),
      formatShare(after / Math.max(1, before)),
    ]),
  ),
)}`,
  };
}

/** Names of a group's layers; of many the first ones. */
function layersOf(id: string, layers: readonly string[]): Part {
  if (layers.length === 0) return nameOf(id);
  const shown = layers.slice(0, 6).map((layer) => nameOf(layer));
  const more = layers.length - shown.length;
  return html`${shown.map((name, i) => html`${i > 0 && ", "}${name}`)}${more > 0 && ` and ${more} more`}`;
}

/** Multiply-accumulates and parameters of the layers that have any. */
export function costsOf({ layers }: CompressReport): Section | undefined {
  const costly = layers.filter(({ before }) => before.macs > 0 || before.params > 0);
  if (costly.length === 0) return undefined;
  const hasMacs = costly.some(({ before }) => before.macs > 0);
  // Normalization and the like would hide the layers that count; they are in the table.
  const drawn = costly
    .map((layer, i) => ({ ...layer, number: i + 1 }))
    .filter(({ before }) => !hasMacs || before.macs > 0);
  const rowsBy = (figure: "macs" | "params") =>
    drawn.map(({ number, name, before, after }) => ({
      ...{ number, name, before: before[figure], after: after[figure] },
    }));
  const macs = hasMacs ? rowsBy("macs") : [];
  const params = rowsBy("params");
  const dearest = macs.reduce((best, row) => (row.after > best.after ? row : best), macs[0]);
  return {
    id: "cost",
    title: "Cost, layer by layer",
    body: html`${
      dearest !== undefined &&
      html`<p>The dearest layer that is left is ${nameOf(dearest.name)} with
${formatShare(dearest.after / Math.max(1, totalOf(macs, "after")))} of all multiply-accumulates.</p>`
    }
${drawn.length < costly.length && html`<p>Layers without multiply-accumulates are in the table only.</p>`}
${macs.length > 0 && barsFigure("macs", "multiply-accumulates", macs, formatCount)}
${params.length > 0 && barsFigure("params", "parameters", params, formatCount)}
${folded(
  "Cost as a table",
  dataTable(
    "Cost by layer",
    [
      { title: "no.", kind: "number" },
      { title: "layer", kind: "words" },
      { title: "operator" },
      { title: "MACs before", kind: "number" },
      { title: "after", kind: "number" },
      { title: "params before", kind: "number" },
      { title: "after", kind: "number" },
    ],
    costly.map(({ name, opType, before, after }, i): readonly Part[] => [
      i + 1,
      nameOf(name),
      plainName(opType, 24),
      formatCount(before.macs),
      formatCount(after.macs),
      formatCount(before.params),
      formatCount(after.params),
    ]),
  ),
)}`,
  };
}

function totalOf(rows: readonly Row[], side: "before" | "after"): number {
  return rows.reduce((sum, row) => sum + row[side], 0);
}

function barsFigure(
  id: string,
  what: string,
  rows: readonly Row[],
  write: (value: number) => string,
): Part {
  const isNamed = rows.length <= mostNamed;
  const chart = drawChart({
    ...{ id: `${id}-chart`, span: "full" },
    label: `${what} before and after: ${write(totalOf(rows, "before"))} and ${write(totalOf(rows, "after"))} in all`,
    height: (canvas) => (isNamed ? heightOfRows(rows.length, canvas) : canvas.isNarrow ? 220 : 260),
    option: (canvas) => (isNamed ? namedBars : numberedBars)(canvas, what, rows, write),
  });
  return html`<figure>
${keysOf([
  { mark: "bar", color: "before", text: "before" },
  { mark: "bar", color: "after", text: "after" },
])}
${chart}
</figure>`;
}

/** The later bar lies on the earlier one. */
function barsOf(rows: readonly Row[], side: "before" | "after"): BarSeriesOption {
  return {
    ...{ type: "bar", ...still, barGap: "-100%", barCategoryGap: "28%" },
    itemStyle: { color: ink(side) },
    data: rows.map((row) => row[side]),
  };
}

function namedBars(
  canvas: Canvas,
  what: string,
  rows: readonly Row[],
  write: (value: number) => string,
): EChartsOption {
  const texts = rows.map(({ before, after }) =>
    before === after ? write(before) : `${write(before)} → ${write(after)}`,
  );
  const longest = Math.max(...texts.map((text) => text.length));
  const names = rows.map((row) => plainName(row.name, longestRowName(canvas)));
  return {
    title: titleOf(what),
    ...rowsOf(names, {
      max: Math.max(...rows.map((row) => row.before)),
      room: 14 + Math.ceil(0.9 * letterWidth * longest),
    }),
    series: [
      { ...barsOf(rows, "before"), label: labelBehind((row) => texts[row]) },
      barsOf(rows, "after"),
    ],
  };
}

function numberedBars(
  _: Canvas,
  what: string,
  rows: readonly Row[],
  write: (value: number) => string,
): EChartsOption {
  return {
    title: titleOf(what),
    grid: { ...grid, bottom: 34 },
    xAxis: {
      ...{ type: "category", data: rows.map((row) => String(row.number)) },
      ...{
        name: "number in the table below, from the input on",
        nameLocation: "middle",
        nameGap: 28,
      },
      nameTextStyle: { color: ink("muted"), fontSize: 12 },
      axisLine: { lineStyle: { color: ink("muted") } },
      axisTick: { show: false },
      axisLabel: { color: ink("muted"), fontSize: 12, hideOverlap: true },
    },
    yAxis: {
      type: "value",
      splitNumber: 4,
      axisLabel: {
        color: ink("muted"),
        fontSize: 12,
        formatter: (value: number) => withoutZeros(write(value)),
      },
      splitLine: { lineStyle: { color: ink("grid") } },
    },
    series: [barsOf(rows, "before"), barsOf(rows, "after")],
  };
}

/** `40.0 K` as `40 K`. */
function withoutZeros(text: string): string {
  return text.replace(/\.0+(?= |$)|(\.\d*[1-9])0+(?= |$)/, "$1");
}
