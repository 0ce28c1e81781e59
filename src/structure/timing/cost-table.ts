/**
 * @file The cost table: the time that an engine takes for each kind of layer, over its widths.
 *
 * A table speaks of one engine on one machine, and of no network in particular: a phone, an accelerator or a browser
 * can fill it as well (`docs/cost-tables.md`). Times are of one run, in milliseconds.
 */

/** What a layer is besides its widths. */
export interface LayerKind {
  /** The type of the operator in ONNX: `Conv`, `ConvTranspose`, `Gemm` or `MatMul`. */
  readonly operator: string;
  /** `depthwise`: each filter reads the one channel of its own group. */
  readonly form: "dense" | "grouped" | "depthwise";
  /** 1 for dense layers, and for depthwise ones, whose groups are their channels. */
  readonly groups: number;
  readonly dtype: "float32" | "float16" | "float64";
  /** Sizes of the kernel, one for each spatial axis; none for products of matrices. */
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** The batch and the spatial sizes of what is read, without channels; the rows of a matrix. */
  readonly input: readonly number[];
  /** Likewise of what is computed. */
  readonly output: readonly number[];
}

/** The times of one kind of layer over its widths. */
export interface LayerTimes extends LayerKind {
  /** Input channels that one filter reads, ascending; [1] for depthwise layers. */
  readonly inputs: readonly number[];
  /** Filters, ascending. */
  readonly outputs: readonly number[];
  /** Milliseconds, [inputs][outputs]. */
  readonly ms: readonly (readonly number[])[];
}

/** The times of an operator without weights, over the elements that it reads and writes. */
export interface OtherTimes {
  readonly operator: string;
  /** Attributes that matter to its time, as text. */
  readonly detail: string;
  /** Ascending. */
  readonly elements: readonly number[];
  readonly ms: readonly number[];
}

/** A whole network that was timed beside its layers, recognised by its counts. */
export interface NetworkTime {
  readonly name: string;
  readonly layers: number;
  readonly macs: number;
  readonly params: number;
  readonly ms: number;
}

/** Where a table comes from. */
export interface CostSource {
  /** The processor or device, as it calls itself. */
  readonly machine: string;
  /** The engine with its version, such as `onnxruntime-node 1.30.0`. */
  readonly engine: string;
  readonly provider: string;
  readonly threads: number;
}

/** A cost table, as files hold it. */
export interface CostTable {
  readonly format: "espalier-costs";
  readonly version: 1;
  readonly source: CostSource;
  /** Milliseconds that a node takes however little it computes. */
  readonly nodeMs: number;
  readonly layers: readonly LayerTimes[];
  readonly others: readonly OtherTimes[];
  readonly networks: readonly NetworkTime[];
}

/** A text that two layers share exactly if they are of one kind. */
export function kindKey(kind: LayerKind): string {
  const { operator, form, groups, dtype, kernel, strides, dilations, input, output } = kind;
  return [operator, form, groups, dtype, kernel, strides, dilations, input, output]
    .map((part) => (Array.isArray(part) ? part.join("x") : String(part)))
    .join(" ");
}

/** The kind of a layer for people: `3x3 stride 2 on 32x32`. */
export function describeKind(kind: LayerKind): string {
  const { operator, form, groups, kernel, strides, dilations, input } = kind;
  const parts = [operator];
  if (kernel.length > 0) parts.push(kernel.join("x"));
  if (form === "depthwise") parts.push("depthwise");
  if (form === "grouped") parts.push(`in ${groups} groups`);
  if (strides.some((stride) => stride > 1)) parts.push(`stride ${same(strides)}`);
  if (dilations.some((dilation) => dilation > 1)) parts.push(`dilation ${same(dilations)}`);
  const [batch, ...spatial] = input;
  if (spatial.length > 0) parts.push(`on ${spatial.join("x")}`);
  if (batch > 1) parts.push(spatial.length > 0 ? `batch ${batch}` : `of ${batch} rows`);
  return parts.join(" ");
}

function same(sizes: readonly number[]): string {
  return sizes.every((size) => size === sizes[0]) ? String(sizes[0]) : sizes.join("x");
}

/** Two tables as one: what the second holds stands in place of the same in the first. */
export function mergedCosts(older: CostTable, newer: CostTable): CostTable {
  const merged = <T>(a: readonly T[], b: readonly T[], key: (each: T) => string): readonly T[] => [
    ...new Map([...a, ...b].map((each) => [key(each), each])).values(),
  ];
  return {
    ...newer,
    layers: merged(older.layers, newer.layers, gridKey),
    others: merged(older.others, newer.others, (other) => `${other.operator} ${other.detail}`),
    networks: merged(
      older.networks,
      newer.networks,
      ({ layers, macs, params }) => `${layers} ${macs} ${params}`,
    ),
  };
}

/** Kinds may be measured for several original widths: each grid stands for itself. */
function gridKey(layer: LayerTimes): string {
  return `${kindKey(layer)} | ${layer.inputs.at(-1)} | ${layer.outputs.at(-1)}`;
}
