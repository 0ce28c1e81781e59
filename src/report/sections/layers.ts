/** @file Where a network became smaller: one row for each layer, each figure over a bar. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { largestOf } from "../../tensor/extremes.ts";
import { formatBytes, formatCount, formatInteger } from "../../words/numbers.ts";
import { countedOnPage, formatShare } from "../page/figures.ts";
import { type Html, html, nameOf, type Part } from "../page/html.ts";
import { type Column, dataTable, folded, keysOf, type Section } from "../page/page.ts";

/** A figure of a layer before and after; none where it is not known. */
type Change = readonly [before: number, after: number] | undefined;

interface Row {
  readonly name: Part;
  readonly macs: number;
  readonly changes: readonly Change[];
}

/** A column of bars. */
interface Figure {
  readonly title: string;
  readonly write: (value: number) => string;
}

/** More layers are folded away; the dearest of them stand before. */
const mostRows = 12;
const dearestRows = 8;

/** Channels, multiply-accumulates, parameters and packed bytes of each layer, before and after. */
export function layersOf(report: CompressReport): Section | undefined {
  const costly = report.layers.filter(({ before }) => before.macs > 0 || before.params > 0);
  const hasMacs = costly.some(({ before }) => before.macs > 0);
  // Normalization and the like would hide the layers that count.
  const shown = costly.filter(({ before }) => !hasMacs || before.macs > 0);
  if (shown.length === 0) return undefined;
  const { figures, rows } = tableOf(report, shown, hasMacs);
  const after = (layer: (typeof shown)[number]) => layer.after.macs;
  const total = shown.reduce((sum, layer) => sum + after(layer), 0);
  const dearest = shown.reduce((best, layer) => (after(layer) > after(best) ? layer : best));
  const cut = report.groups.filter((group) => group.after < group.before).length;
  const isLong = rows.length > mostRows;
  const kept = new Set(rows.toSorted((a, b) => b.macs - a.macs).slice(0, dearestRows));
  return {
    id: "layers",
    title: "Layer by layer",
    body: html`<p>${
      report.groups.length > 0 &&
      html`${formatInteger(cut)} of ${countedOnPage(report.groups.length, "group")} of channels lost some. `
    }${
      total > 0 &&
      html`${nameOf(dearest.name)} has most MACs now: ${formatShare(after(dearest) / total)}. `
    }${shown.length < costly.length && "Layers without MACs are left out."}</p>
${keysOf([
  { mark: "bar", color: "before", text: "before" },
  { mark: "bar", color: "after", text: "after" },
])}
${
  isLong
    ? [
        drawRows(
          `The ${dearestRows} layers with most MACs`,
          rows.filter((row) => kept.has(row)),
          rows,
          figures,
        ),
        folded(`All ${rows.length} layers`, drawRows("All layers", rows, rows, figures)),
      ]
    : drawRows("Layers", rows, rows, figures)
}`,
  };
}

function tableOf(
  { groups, packing, sparsity }: CompressReport,
  layers: CompressReport["layers"],
  hasMacs: boolean,
): { readonly figures: readonly Figure[]; readonly rows: readonly Row[] } {
  const widths = new Map<string, Change>();
  for (const { layers: names, before, after } of groups)
    for (const name of new Set(names)) {
      const [was, is] = widths.get(name) ?? [0, 0];
      widths.set(name, [was + before, is + after]);
    }
  const packed = new Map<string, Change>();
  if (packing !== undefined && !("skipped" in packing))
    for (const { layer, supports, codes, tables } of packing.layers) {
      const bytes = supports + codes + tables;
      packed.set(layer, [bytes, bytes]);
    }
  const weights = new Map<string, Change>(
    sparsity.map(({ layer, before, after }) => [layer, [before.nonZero, after.nonZero]]),
  );
  type Layer = (typeof layers)[number];
  const all: readonly (Figure & { readonly pick: (layer: Layer) => Change })[] = [
    { title: "channels", write: formatInteger, pick: ({ name }) => widths.get(name) },
    ...(hasMacs
      ? [
          {
            title: "MACs",
            write: formatCount,
            pick: ({ before, after }: Layer): Change => [before.macs, after.macs],
          },
        ]
      : []),
    {
      title: "parameters",
      write: formatCount,
      pick: ({ before, after }) => [before.params, after.params],
    },
    { title: "weights, not 0", write: formatCount, pick: ({ name }) => weights.get(name) },
    { title: "packed", write: formatBytes, pick: ({ name }) => packed.get(name) },
  ];
  const figures = all.filter(({ pick }) => layers.some((layer) => pick(layer) !== undefined));
  const rows = layers.map((layer) => ({
    name: nameOf(layer.name, 40),
    macs: layer.before.macs,
    changes: figures.map(({ pick }) => pick(layer)),
  }));
  return { figures, rows };
}

/** Bars of a column have one scale, that of all rows, whichever are drawn. */
function drawRows(
  label: string,
  rows: readonly Row[],
  all: readonly Row[],
  figures: readonly Figure[],
): Html {
  const largest = figures.map((_, i) =>
    largestOf(all.map(({ changes }) => largestOf(changes[i] ?? [0]))),
  );
  const columns: readonly Column[] = [
    { title: "layer" },
    ...figures.map(({ title }): Column => ({ title, kind: "bars" })),
  ];
  return dataTable(
    label,
    columns,
    rows.map(({ name, changes }) => [
      name,
      ...figures.map(({ write }, i) => drawChange(changes[i], largest[i], write)),
    ]),
  );
}

function drawChange(change: Change, largest: number, write: (value: number) => string): Part {
  if (change === undefined) return "—";
  const [before, after] = change;
  const [first, second] = [write(before), write(after)];
  const width = (value: number) => ((100 * value) / Math.max(1, largest)).toFixed(1);
  return html`${before === after ? first : `${first} → ${second}`}<div class="bar" aria-hidden="true"><i
style="width:${width(before)}%"></i><i style="width:${width(after)}%"></i></div>`;
}
