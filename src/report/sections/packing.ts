/** @file The packed size of the result: bytes by part and by layer. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { formatBytes, formatInteger } from "../../words/numbers.ts";
import { countedOnPage, formatShare, spaced, timesOf } from "../page/figures.ts";
import { type Html, html, nameOf, type Part } from "../page/html.ts";
import { dataTable, folded } from "../page/page.ts";

type Packing = NonNullable<CompressReport["packing"]>;
type Packed = Exclude<Packing, { readonly skipped: string }>;

/** What it takes, in a sentence or two; nothing in reports of earlier versions. */
export function packedWords({ packing, result }: Pick<CompressReport, "packing" | "result">): Part {
  if (packing === undefined) return undefined;
  if ("skipped" in packing) return html`What it takes was not counted: ${packing.skipped}.`;
  const { bytes, bitsPerWeight } = packing;
  return html`It takes <b>${spaced(formatBytes(bytes))}</b>, ${timesOf(result.sizeBytes, bytes)} times less than
<code>model.onnx</code>: ${bitsPerWeight.toFixed(2)} bits a weight. What rounding to about 8 bits loses is not measured here;
<code>--data</code> and <code>--max-drop</code> measure it.`;
}

/** What the bytes are for, by part and by layer, to be unfolded; nothing where they were not countedOnPage. */
export function packedTables({ packing }: Pick<CompressReport, "packing">): Part {
  if (packing === undefined || "skipped" in packing) return undefined;
  return folded("What the packed bytes are for", [tableOfParts(packing), tableOfLayers(packing)]);
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
        countedOnPage(others.tensors, "other tensor"),
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
