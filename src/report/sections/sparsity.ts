/** @file Which weights are left: density and clusters of each layer, and pictures of their supports. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { isSparse, type Support } from "../../structure/weights/supports.ts";
import { formatInteger } from "../../words/numbers.ts";
import { countedOnPage, formatShare } from "../page/figures.ts";
import { type Html, html, nameOf, type Part, plainName } from "../page/html.ts";
import { dataTable, folded, type Section } from "../page/page.ts";
import { pngAddress, type Rgb } from "../page/png.ts";

/** What is drawn of a layer, by its name. */
export type Supports = ReadonlyMap<
  string,
  {
    /** Where the original has zeros there, too. */
    readonly before?: Support;
    /** As many of the original's largest weights as are left; none where all are. */
    readonly magnitude?: Support;
    readonly after: Support;
  }
>;

type Layer = CompressReport["sparsity"][number];
type Figures = Layer["after"];

/** Layers that are drawn; the table has all. */
const mostDrawn = 24;
/** Larger supports are thinned to at most so many cells. */
const largest = { rows: 160, columns: 480 } as const;

/** From no weight at all in a cell to nothing but weights. */
const shades: readonly Rgb[] = Array.from({ length: 17 }, (_, i): Rgb => {
  const between = (from: number, to: number) => Math.round(from + ((to - from) * i) / 16);
  return [between(238, 17), between(241, 112), between(244, 184)];
});

/** The section; none where the result has no zeros beyond chance. */
export function sparsityOf({ sparsity }: CompressReport, supports: Supports): Section | undefined {
  if (sparsity.length === 0) return undefined;
  const total = (side: (layer: Layer) => Figures, figureOf: (figures: Figures) => number) =>
    sparsity.reduce((sum, layer) => sum + figureOf(side(layer)), 0);
  const before = total(
    (layer) => layer.before,
    ({ weights }) => weights,
  );
  const left = total(
    (layer) => layer.after,
    ({ nonZero }) => nonZero,
  );
  const clusters = total(
    (layer) => layer.after,
    ({ clusters }) => clusters,
  );
  const drawn = sparsity.filter(({ layer }) => supports.has(layer)).slice(0, mostDrawn);
  return {
    id: "weights",
    title: "Weights, layer by layer",
    body: html`<p>Of ${formatInteger(before)} weights of the original's layers ${formatInteger(left)} are left
(${formatShare(left / Math.max(1, before))}), in ${countedOnPage(clusters, "cluster")} of ${lengthOf(left, clusters)} on average:
runs along what comes into a neuron. Longer ones take fewer bytes. ${magnitudeWords(sparsity)}</p>
${tableOf(sparsity)}
${drawn.length > 0 && html`<p><small>In the pictures neurons are from top to bottom, and what comes into each is from left to right.</small></p>`}
${drawn.map((layer) => pictureOf(layer, supports))}
${sparsity.length > drawn.length && html`<p><small>${formatInteger(sparsity.length - drawn.length)} more layers are in the table only.</small></p>`}`,
  };
}

/** How as many weights would stand if magnitude had chosen them. */
function magnitudeWords(layers: readonly Layer[]): Part {
  const chosen = layers.flatMap(({ magnitude }) => magnitude ?? []);
  if (chosen.length < layers.length) return "";
  const clusters = chosen.reduce((sum, own) => sum + own.clusters, 0);
  const weights = chosen.reduce((sum, own) => sum + own.nonZero, 0);
  return html`As many of the original's weights, the largest of each layer, would stand in ${countedOnPage(clusters, "cluster")} of
${lengthOf(weights, clusters)}.`;
}

function tableOf(layers: readonly Layer[]): Part {
  const hasBefore = layers.some(({ before }) => isSparse(densityOf(before)));
  const hasMagnitude = layers.some(({ magnitude }) => magnitude !== undefined);
  const table = dataTable(
    "Weights by layer",
    [
      { title: "layer", kind: "words" },
      { title: "weights", kind: "number" },
      ...(hasBefore ? [{ title: "density before", kind: "number" as const }] : []),
      { title: "density", kind: "number" },
      ...(hasBefore ? [{ title: "length before", kind: "number" as const }] : []),
      { title: "clusters", kind: "number" },
      { title: "per neuron", kind: "number" },
      { title: "mean length", kind: "number" },
      ...(hasMagnitude ? [{ title: "by magnitude", kind: "number" as const }] : []),
      { title: "neurons", kind: "number" },
      { title: "empty", kind: "number" },
    ],
    layers.map(({ layer, before, magnitude, after }): readonly Part[] => [
      nameOf(layer),
      formatInteger(after.weights),
      ...(hasBefore ? [formatShare(densityOf(before))] : []),
      formatShare(densityOf(after)),
      ...(hasBefore ? [lengthOf(before.nonZero, before.clusters)] : []),
      formatInteger(after.clusters),
      (after.clusters / Math.max(1, after.neurons)).toFixed(1),
      lengthOf(after.nonZero, after.clusters),
      ...(hasMagnitude ? [magnitude ? lengthOf(magnitude.nonZero, magnitude.clusters) : ""] : []),
      formatInteger(after.neurons),
      formatInteger(after.empty),
    ]),
  );
  return layers.length > 8 ? folded(`All ${layers.length} layers`, table) : table;
}

function densityOf({ weights, nonZero }: Figures): number {
  return nonZero / Math.max(1, weights);
}

function lengthOf(nonZero: number, clusters: number): string {
  return clusters === 0 ? "0" : (nonZero / clusters).toFixed(1);
}

function pictureOf({ layer, magnitude, after }: Layer, supports: Supports): Html {
  const own = supports.get(layer);
  const clusters = ({ nonZero, clusters: count }: Figures) =>
    `in clusters of ${lengthOf(nonZero, count)}`;
  const kept = countedOnPage(after.nonZero, "weight");
  const sides = [
    { side: "before", words: "before", support: own?.before },
    {
      side: "before, by magnitude",
      words: html`before, the ${kept} of largest magnitude${magnitude && `: ${clusters(magnitude)}`}`,
      support: own?.magnitude,
    },
    {
      side: "after",
      words: html`after, the ${kept} that are left (${formatShare(densityOf(after))}): ${clusters(after)}`,
      support: own?.after,
    },
  ];
  const name = plainName(layer, 64);
  return html`<h3>${nameOf(layer)}</h3>
<div class="supports">
${sides.map(
  ({ side, words, support }) =>
    support &&
    html`<figure><img src="${drawSupport(support)}" width="${widthOf(support)}"
alt="the weights of ${name} that are not 0, ${side}">
<figcaption>${words}</figcaption></figure>\n`,
)}</div>`;
}

/** Pixels across; small supports are magnified. */
function widthOf({ rows, columns }: Support): number {
  const cells = Math.min(columns, largest.columns);
  const scale = Math.max(1, Math.floor(Math.min(320 / cells, 120 / Math.min(rows, largest.rows))));
  return cells * Math.min(8, scale);
}

/** A picture in which the darker a cell is the more of its weights are not 0. */
function drawSupport({ rows, columns, flags }: Support): string {
  const height = Math.min(rows, largest.rows);
  const width = Math.min(columns, largest.columns);
  const sums = new Float64Array(height * width);
  const counts = new Float64Array(height * width);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      const y = Math.floor((row * height) / rows);
      const cell = y * width + Math.floor((column * width) / columns);
      sums[cell] += flags[row * columns + column];
      counts[cell]++;
    }
  // Not even a single weight among many is lost from sight.
  const pixels = Uint8Array.from(sums, (sum, cell) =>
    Math.ceil(((shades.length - 1) * sum) / counts[cell]),
  );
  return pngAddress(pixels, { height, width }, shades);
}
