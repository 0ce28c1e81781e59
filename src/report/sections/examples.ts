/** @file Label maps to look at: image, truth, what the original says, what the result says, and the difference. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { inPercent } from "../../words/numbers.ts";
import { countedOnPage, spaced } from "../page/figures.ts";
import { type Html, html, type Part, plainName } from "../page/html.ts";
import { folded, type Section } from "../page/page.ts";
import { pngAddress, type Rgb } from "../page/png.ts";

/** Samples of `test` with their label maps; one class index a pixel. */
export interface Examples {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  /** [count, height, width, 3], RGB. */
  readonly images: Uint8Array;
  /** [count, height, width]; none where the data have no labels. */
  readonly truth?: Uint8Array;
  readonly original: Uint8Array;
  readonly compressed: Uint8Array;
}

/** More would make the page heavy; those behind the first are folded away. */
const mostExamples = 12;
const fewestExamples = 2;
/** Larger images are thinned to at most so many pixels a side. */
const largestSide = 256;

/**
 * Colours of classes: after Okabe and Ito's set for the colour-blind ("Color universal design", 2008),
 * with further ones of different lightness for more than eight. They repeat beyond.
 */
const classColors: readonly Rgb[] = [
  [27, 39, 51],
  [240, 201, 58],
  [86, 180, 233],
  [213, 94, 0],
  [0, 158, 115],
  [204, 121, 167],
  [0, 114, 178],
  [221, 221, 221],
  [136, 34, 85],
  [153, 153, 51],
  [120, 94, 240],
  [255, 176, 160],
];
const ignoredColor: Rgb = [127, 127, 127];

/** What a pixel of the difference says. */
const differences = {
  same: { color: [34, 48, 60], text: "right in both" },
  lost: { color: [242, 140, 56], text: "lost: only the original is right" },
  won: { color: [86, 180, 233], text: "won: only the result is right" },
  wrong: { color: [136, 147, 160], text: "wrong in both" },
  ignored: { color: [0, 0, 0], text: "does not count" },
} as const satisfies Readonly<Record<string, { readonly color: Rgb; readonly text: string }>>;
const kinds = ["same", "lost", "won", "wrong", "ignored"] as const;

/** The strip. */
export function examplesOf(
  { classes }: CompressReport,
  examples: Examples | undefined,
): Section | undefined {
  if (examples === undefined || examples.count === 0) return undefined;
  const known = new Set(classes.map(({ label }) => label));
  const isCounted = (label: number) => (known.size > 0 ? known.has(label) : label !== 255);
  const shown = thinned(examples);
  const strips = Array.from({ length: shown.count }, (_, i) => stripOf(shown, i, isCounted));
  return {
    id: "examples",
    title: "What the networks see",
    body: html`<p>${countedOnPage(shown.count, "sample")} of the test data; the last picture of a row shows where the networks
differ.</p>
${classKeys(shown, classes, isCounted)}
${differenceKeys(shown.truth !== undefined)}
${strips.slice(0, fewestExamples)}
${
  strips.length > fewestExamples &&
  folded(
    `${strips.length - fewestExamples} more ${strips.length - fewestExamples === 1 ? "sample" : "samples"}`,
    strips.slice(fewestExamples),
  )
}`,
  };
}

type Panel = readonly [title: string, alt: string, address: string];

function stripOf(examples: Examples, index: number, isCounted: (label: number) => boolean): Html {
  const { height, width, images, truth, original, compressed } = examples;
  const size = { height, width };
  const pixels = height * width;
  const maps = (all: Uint8Array) => all.subarray(index * pixels, (index + 1) * pixels);
  const labels = {
    truth: truth && maps(truth),
    original: maps(original),
    compressed: maps(compressed),
  };
  const difference = differenceOf(labels, isCounted);
  const share = (prediction: Uint8Array) =>
    labels.truth === undefined
      ? undefined
      : spaced(inPercent(shareEqual(labels.truth, prediction, isCounted), 1));
  const right = { original: share(labels.original), compressed: share(labels.compressed) };
  const rightWords = (text: string | undefined) =>
    text === undefined ? "" : `, ${text} of pixels right`;
  const map = (data: Uint8Array) => pngAddress(colored(data, isCounted), size, mapPalette);
  const isLost = (kind: number) => kind !== 0 && kind !== kinds.indexOf("ignored");
  const differing = difference.filter(isLost).length / Math.max(1, pixels);
  const image = images.subarray(index * pixels * 3, (index + 1) * pixels * 3);
  const panels: readonly Panel[] = [
    ["image", "the image", pngAddress(image, size)],
    ...(labels.truth === undefined
      ? []
      : [["truth", "the true classes", map(labels.truth)] satisfies Panel]),
    [
      `original${right.original === undefined ? "" : `, ${right.original} right`}`,
      `prediction of the original${rightWords(right.original)}`,
      map(labels.original),
    ],
    [
      `result${right.compressed === undefined ? "" : `, ${right.compressed} right`}`,
      `prediction of the compressed network${rightWords(right.compressed)}`,
      map(labels.compressed),
    ],
    [
      "difference",
      `pixels that are wrong in either network: ${inPercent(differing, 1)}`,
      pngAddress(
        difference,
        size,
        kinds.map((kind) => differences[kind].color),
      ),
    ],
  ];
  return html`<div class="example strip ${labels.truth === undefined && "unlabelled"}" role="group" aria-label="Example ${index + 1}">
${panels.map(
  ([title, alt, address]) => html`<figure><img src="${address}" width="${width}" height="${height}"
alt="Example ${index + 1}: ${alt}"><figcaption>${title}</figcaption></figure>
`,
)}</div>
`;
}

/** Index of the colour of a label; the last one is that of labels that do not count. */
const mapPalette: readonly Rgb[] = [...classColors, ignoredColor];

function colorIndexOf(label: number, isCounted: (label: number) => boolean): number {
  return isCounted(label) ? label % classColors.length : classColors.length;
}

function colored(labels: Uint8Array, isCounted: (label: number) => boolean): Uint8Array {
  const index = Uint8Array.from({ length: 256 }, (_, label) => colorIndexOf(label, isCounted));
  return labels.map((label) => index[label]);
}

/** Index into `kinds` for every pixel. Without a truth the original is taken for it. */
function differenceOf(
  maps: {
    readonly truth: Uint8Array | undefined;
    readonly original: Uint8Array;
    readonly compressed: Uint8Array;
  },
  isCounted: (label: number) => boolean,
): Uint8Array {
  const { truth = maps.original, original, compressed } = maps;
  return truth.map((label, i) => {
    if (!isCounted(label)) return kinds.indexOf("ignored");
    const [was, is] = [original[i] === label, compressed[i] === label];
    return kinds.indexOf(was && is ? "same" : was ? "lost" : is ? "won" : "wrong");
  });
}

function shareEqual(
  truth: Uint8Array,
  prediction: Uint8Array,
  isCounted: (label: number) => boolean,
): number {
  let equal = 0;
  let countedOnPage = 0;
  for (let i = 0; i < truth.length; i++) {
    if (!isCounted(truth[i])) continue;
    countedOnPage++;
    if (truth[i] === prediction[i]) equal++;
  }
  return equal / Math.max(1, countedOnPage);
}

function swatch(color: Rgb, text: Part): Html {
  return html`<li><span class="swatch" style="background:rgb(${color.join(",")})"></span><span>${text}</span></li>\n`;
}

function classKeys(
  { truth, original, compressed }: Examples,
  classes: CompressReport["classes"],
  isCounted: (label: number) => boolean,
): Html {
  const seen = new Set<number>();
  for (const map of [truth, original, compressed]) for (const label of map ?? []) seen.add(label);
  const names = new Map(classes.map(({ label, name }) => [label, name]));
  const labels = [...seen].sort((a, b) => a - b);
  const counting = labels.filter(isCounted);
  return html`<ul class="keys" aria-label="Classes">
${counting.map((label) => swatch(classColors[label % classColors.length], plainName(names.get(label) ?? `class ${label}`, 32)))}${
  counting.length < labels.length && swatch(ignoredColor, "ignored")
}</ul>`;
}

function differenceKeys(hasTruth: boolean): Html {
  const { same, lost, won, wrong } = differences;
  return html`<ul class="keys" aria-label="Differences">
${
  hasTruth
    ? [same, lost, won, wrong].map(({ color, text }) => swatch(color, text))
    : [swatch(same.color, "the same"), swatch(lost.color, "different")]
}</ul>`;
}

/** The first examples, their pixels thinned where they are many. */
function thinned(examples: Examples): Examples {
  const { height, width, images, truth, original, compressed } = examples;
  const count = Math.min(examples.count, mostExamples);
  const step = Math.max(1, Math.ceil(Math.max(height, width) / largestSide));
  const rows = Math.ceil(height / step);
  const columns = Math.ceil(width / step);
  const thin = (data: Uint8Array, channels: number): Uint8Array => {
    const out = new Uint8Array(count * rows * columns * channels);
    let at = 0;
    for (let n = 0; n < count; n++)
      for (let y = 0; y < height; y += step)
        for (let x = 0; x < width; x += step) {
          const from = ((n * height + y) * width + x) * channels;
          for (let c = 0; c < channels; c++) out[at++] = data[from + c];
        }
    return out;
  };
  return {
    count,
    height: rows,
    width: columns,
    images: thin(images, 3),
    ...(truth && { truth: thin(truth, 1) }),
    original: thin(original, 1),
    compressed: thin(compressed, 1),
  };
}
