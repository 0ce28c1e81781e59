/** @file What the result takes when it is packed: bytes by part and by layer. */
import type { EChartsOption } from "echarts";
import type { CompressReport } from "../compress/compress-report.ts";
import {
  type Canvas,
  drawChart,
  heightOfRows,
  ink,
  labelBehind,
  letterWidth,
  longestRowName,
  rowsOf,
  still,
  titleOf,
} from "./chart.ts";
import { counted, formatShare, spaced, timesOf } from "./figures.ts";
import { type Html, html, nameOf, type Part, plainName } from "./html.ts";
import { dataTable, folded, keysOf, type Section } from "./page.ts";
import { formatBytes, formatInteger } from "./text.ts";

type Packing = NonNullable<CompressReport["packing"]>;
type Packed = Exclude<Packing, { readonly skipped: string }>;

/** What bytes are for, in the order of the bars. */
const parts = [
  { name: "structure", color: "before", text: "the graph without its tensors, and the frame" },
  { name: "supports", color: "s2", text: "supports: where weights are not 0" },
  { name: "codes", color: "s1", text: "codes: their values" },
  { name: "tables", color: "s3", text: "tables that codes refer to" },
] as const;
type PartName = (typeof parts)[number]["name"];

/** A bar: bytes by part. */
interface Row extends Readonly<Record<PartName, number>> {
  readonly name: string;
}

/** Bars that have room one below the other; of more layers the largest are drawn. */
const mostLayers = 24;

/** The section; none in reports of earlier versions. */
export function packingOf({ packing, result }: CompressReport): Section | undefined {
  if (packing === undefined) return undefined;
  return {
    id: "packed",
    title: "Packed for download",
    body:
      "skipped" in packing ? skippedBody(packing.skipped) : packedBody(packing, result.sizeBytes),
  };
}

function skippedBody(why: string): Html {
  return html`<p>What the network takes when it is packed was not counted: ${why}. <code>espalier pack</code> with the
folder of this run tells.</p>`;
}

function packedBody(packed: Packed, sizeBytes: number): Html {
  const { bytes, bitsPerWeight } = packed;
  const rows = barsOf(packed);
  const used = parts.filter(({ name }) => rows.some((row) => row[name] > 0));
  return html`<p><code>espalier pack</code> makes of the ${spaced(formatBytes(sizeBytes))} of <code>model.onnx</code> a file of
${spaced(formatBytes(bytes))}, ${timesOf(sizeBytes, bytes)} times smaller: ${bitsPerWeight.toFixed(2)} bits for each of its
weights, zeros included. Weights are then rounded to steps of about 8 bits each, which was not measured here; with
<code>--max-drop</code> it measures, and finds the fewest bits that hold.</p>
${tableOfParts(packed)}
<figure>
${keysOf(used.map(({ color, text }) => ({ mark: "bar", color, text })))}
${drawChart({
  ...{ id: "packed-chart", span: "full" },
  label: `bytes of the packed network by layer and part: ${formatInteger(bytes)} in all`,
  height: (canvas) => heightOfRows(rows.length, canvas),
  option: (canvas) => stackedBars(canvas, rows),
})}
</figure>
${folded("Packed layers as a table", tableOfLayers(packed))}`;
}

/** The largest layers in their order, and what is left of the file. */
function barsOf({ layers, others, parts: total }: Packed): readonly Row[] {
  const size = (layer: Packed["layers"][number]) => layer.supports + layer.codes + layer.tables;
  const largest = new Set(layers.toSorted((a, b) => size(b) - size(a)).slice(0, mostLayers));
  const rest = layers.filter((layer) => !largest.has(layer));
  const sum = (of: (layer: Packed["layers"][number]) => number) =>
    rest.reduce((bytes, layer) => bytes + of(layer), 0);
  const { supports, codes, tables } = others;
  return [
    ...layers
      .filter((layer) => largest.has(layer))
      .map((layer) => ({ ...layer, name: layer.layer, structure: 0 })),
    ...(rest.length > 0
      ? [
          {
            ...{ name: counted(rest.length, "more layer"), structure: 0 },
            supports: sum((layer) => layer.supports),
            codes: sum((layer) => layer.codes),
            tables: sum((layer) => layer.tables),
          },
        ]
      : []),
    ...(others.tensors > 0
      ? [{ name: "other tensors", structure: 0, supports, codes, tables }]
      : []),
    {
      ...{ name: "graph", structure: total.structure + total.framing },
      ...{ supports: 0, codes: 0, tables: 0 },
    },
  ];
}

function stackedBars(canvas: Canvas, rows: readonly Row[]): EChartsOption {
  const totals = rows.map((row) => parts.reduce((sum, { name }) => sum + row[name], 0));
  const texts = totals.map(formatBytes);
  const longest = Math.max(...texts.map((text) => text.length));
  return {
    title: titleOf("bytes when packed"),
    ...rowsOf(
      rows.map((row) => plainName(row.name, longestRowName(canvas))),
      { max: Math.max(...totals), room: 14 + Math.ceil(letterWidth * longest) },
    ),
    series: parts.map(({ name, color }, i) => ({
      ...{ type: "bar", ...still, stack: "bytes", barCategoryGap: "28%" },
      itemStyle: { color: ink(color) },
      data: rows.map((row) => row[name]),
      ...(i === parts.length - 1 && { label: labelBehind((row) => texts[row]) }),
    })),
  };
}

function tableOfParts({ bytes, parts: total }: Packed): Html {
  const rows: readonly (readonly [string, number])[] = [
    ["structure: the graph without its tensors", total.structure],
    ["supports: where weights are not 0", total.supports],
    ["codes: their values", total.codes],
    ["tables that codes refer to", total.tables],
    ["framing: header and checksums", total.framing],
  ];
  return dataTable(
    "Packed bytes by part",
    [
      { title: "part", kind: "words" },
      { title: "bytes", kind: "number" },
      { title: "share", kind: "number" },
    ],
    rows
      .filter(([, own]) => own >= 0.5)
      .map(([name, own]) => [name, formatInteger(own), formatShare(own / bytes)]),
  );
}

function tableOfLayers({ layers, others }: Packed): Html {
  const bits = (own: number, weights: number) => ((8 * own) / Math.max(1, weights)).toFixed(2);
  return dataTable(
    "Packed bytes by layer",
    [
      { title: "layer", kind: "words" },
      { title: "weights", kind: "number" },
      { title: "density", kind: "number" },
      { title: "bytes before", kind: "number" },
      { title: "packed", kind: "number" },
      { title: "supports", kind: "number" },
      { title: "codes", kind: "number" },
      { title: "bits per weight", kind: "number" },
      { title: "per weight that is not 0", kind: "number" },
    ],
    [
      ...layers.map(({ layer, weights, density, bytesBefore, ...own }): readonly Part[] => {
        const all = own.supports + own.codes + own.tables;
        return [
          nameOf(layer),
          formatInteger(weights),
          formatShare(density),
          formatInteger(bytesBefore),
          formatInteger(all),
          formatInteger(own.supports),
          formatInteger(own.codes),
          bits(all, weights),
          bits(all, weights * density),
        ];
      }),
      [
        counted(others.tensors, "other tensor"),
        ...["", ""],
        formatInteger(others.bytesBefore),
        formatInteger(others.supports + others.codes + others.tables),
        formatInteger(others.supports),
        formatInteger(others.codes),
        ...["", ""],
      ],
    ],
  );
}
