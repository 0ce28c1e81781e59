/**
 * @file Cost tables as text: JSON, and CSV with a row for each time (`docs/cost-tables.md`). Both may come from anybody.
 */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import type { CostTable } from "./cost-table.ts";

/** Limits of what a table may hold; real ones are far below. */
const limits = { text: 2 ** 26, kinds: 10_000, widths: 1000, name: 300, size: 2 ** 31 };

const size = z.int().min(1).max(limits.size);
const text = z.string().max(limits.name);
const ms = z.number().min(0).max(1e9);
const ascending = (what: string) =>
  z
    .array(size)
    .min(1)
    .max(limits.widths)
    .refine((all) => all.every((each, i) => i === 0 || each > all[i - 1]), {
      error: `${what} must ascend`,
    });
const sizes = z.array(size).max(4);

const layerTimes = z
  .strictObject({
    operator: text.min(1),
    form: z.enum(["dense", "grouped", "depthwise"]),
    groups: size,
    dtype: z.enum(["float32", "float16", "float64"]),
    kernel: sizes,
    strides: sizes,
    dilations: sizes,
    input: sizes.min(1),
    output: sizes.min(1),
    inputs: ascending("inputs"),
    outputs: ascending("outputs"),
    ms: z.array(z.array(ms)),
  })
  .refine(({ inputs, ms }) => ms.length === inputs.length, {
    error: "ms must have a row for each of the inputs",
  })
  .refine(({ outputs, ms }) => ms.every((row) => row.length === outputs.length), {
    error: "each row of ms must have a time for each of the outputs",
  })
  .refine(({ kernel, strides, dilations }) =>
    [strides, dilations].every((list) => list.length === kernel.length),
  )
  .refine(({ form, groups }) => form === "grouped" || groups === 1, {
    error: "only grouped layers have groups",
  })
  .refine(({ form, inputs }) => form !== "depthwise" || inputs.join() === "1", {
    error: "filters of depthwise layers read one channel: inputs must be [1]",
  });

const otherTimes = z
  .strictObject({
    operator: text.min(1),
    detail: text,
    elements: ascending("elements"),
    ms: z.array(ms),
  })
  .refine(({ elements, ms }) => ms.length === elements.length, {
    error: "ms must have a time for each of the elements",
  });

const networkTime = z.strictObject({
  name: text,
  layers: z.int().min(0),
  macs: z.number().min(0),
  params: z.number().min(0),
  ms: ms.gt(0),
});

const source = z.strictObject({
  machine: text,
  engine: text,
  provider: text,
  threads: z.int().min(1).max(4096),
});

/** The form of a table, for files that hold one. */
export const costTableSchema: z.ZodType<CostTable, CostTable> = z.strictObject({
  format: z.literal("espalier-costs"),
  version: z.literal(1),
  source,
  nodeMs: ms,
  layers: z.array(layerTimes).max(limits.kinds),
  others: z.array(otherTimes).max(limits.kinds),
  networks: z.array(networkTime).max(limits.kinds),
});

/** A table as JSON text. */
export function costsToJson(table: CostTable): string {
  // A kind on a line of its own: tables of thousands of times stay readable.
  const lines = (list: readonly object[]) =>
    list.length === 0
      ? "[]"
      : `[\n    ${list.map((each) => JSON.stringify(each)).join(",\n    ")}\n  ]`;
  const { format, version, source: from, nodeMs, layers, others, networks } = table;
  const fields = [
    `"format": ${JSON.stringify(format)}`,
    `"version": ${version}`,
    `"source": ${JSON.stringify(from)}`,
    `"nodeMs": ${JSON.stringify(nodeMs)}`,
    `"layers": ${lines(layers)}`,
    `"others": ${lines(others)}`,
    `"networks": ${lines(networks)}`,
  ];
  return `{\n  ${fields.join(",\n  ")}\n}\n`;
}

/**
 * Reads a table from JSON or CSV, whichever the text is.
 * @throws EspalierError `COSTS_INVALID`, naming the faults.
 */
export function parseCosts(content: string): CostTable {
  if (content.length > limits.text) throw invalid(["the file is larger than 64 MiB"]);
  const raw = content.trimStart().startsWith("{") ? fromJson(content) : fromCsv(content);
  const result = costTableSchema.safeParse(raw);
  if (result.success) return result.data;
  throw invalid(
    result.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join(".")}: ${message}`,
    ),
  );
}

function invalid(faults: readonly string[]): EspalierError {
  const shown = faults.slice(0, 5).join("; ");
  return new EspalierError("COSTS_INVALID", `no cost table: ${shown}`, {
    hint: "`espalier profile -o FILE.json` writes a table; docs/cost-tables.md describes the form.",
    data: { faults },
  });
}

function fromJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw invalid(["the text is not JSON"]);
  }
}

const columns = [
  ...["table", "grid", "operator", "form", "groups", "dtype", "kernel", "strides", "dilations"],
  ...["input", "output", "inputs", "outputs", "elements", "detail", "ms"],
] as const;

/** A table as CSV: a comment line with the source, a line of names, and a row for each time. */
export function costsToCsv(table: CostTable): string {
  const { format, version, source: from, nodeMs, networks } = table;
  const head = { format, version, source: from, nodeMs, networks };
  const rows: string[][] = [[...columns]];
  for (const [grid, layer] of table.layers.entries())
    for (const [i, inputs] of layer.inputs.entries())
      for (const [o, outputs] of layer.outputs.entries())
        rows.push([
          ...[
            "layer",
            String(grid + 1),
            layer.operator,
            layer.form,
            String(layer.groups),
            layer.dtype,
          ],
          ...[layer.kernel, layer.strides, layer.dilations].map((each) => each.join("x")),
          ...[layer.input, layer.output].map((each) => each.join("x")),
          ...[String(inputs), String(outputs), "", "", String(layer.ms[i][o])],
        ]);
  for (const other of table.others)
    for (const [i, elements] of other.elements.entries())
      rows.push([
        ...["other", "", other.operator, "", "", "", "", "", "", "", "", "", ""],
        ...[String(elements), other.detail, String(other.ms[i])],
      ]);
  const lines = rows.map((row) => row.map(quoted).join(","));
  return `# ${JSON.stringify(head)}\n${lines.join("\n")}\n`;
}

function quoted(cell: string): string {
  return /[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

type Row = ReadonlyMap<string, string>;

function fromCsv(content: string): unknown {
  const [first, ...rest] = content.split(/\r?\n/);
  if (!first.startsWith("# ")) throw invalid(["the first line is not `# {...}` with the source"]);
  const head = fromJson(first.slice(2));
  if (typeof head !== "object" || head === null) throw invalid(["the first line holds no source"]);
  const rows = rest.filter((line) => line.trim() !== "").map(cellsOf);
  const [names, ...body] = rows;
  if (names === undefined) throw invalid(["there is no line of column names"]);
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) throw invalid([`columns are missing: ${missing.join(", ")}`]);
  const named = body.map((cells): Row => new Map(names.map((name, i) => [name, cells[i] ?? ""])));
  return { ...head, layers: layersFrom(named), others: othersFrom(named) };
}

/** The cells of a line; a quoted one may hold commas and doubled quotes. */
function cellsOf(line: string): string[] {
  const cells: string[] = [];
  const pattern = /(?:^|,)(?:"((?:[^"]|"")*)"|([^,"]*))/g;
  for (const [, inQuotes, plain] of line.matchAll(pattern))
    cells.push(inQuotes === undefined ? plain : inQuotes.replaceAll('""', '"'));
  return cells;
}

const cell = (row: Row, name: string): string => row.get(name) ?? "";
const numberIn = (row: Row, name: string): number => Number(cell(row, name) || Number.NaN);
const sizesIn = (row: Row, name: string): readonly number[] =>
  cell(row, name) === "" ? [] : cell(row, name).split("x").map(Number);

function layersFrom(rows: readonly Row[]): readonly unknown[] {
  interface OpenGrid {
    readonly kind: object;
    readonly times: Map<string, number>;
    readonly rows: Row[];
  }
  const grids = new Map<string, OpenGrid>();
  for (const row of rows.filter((each) => cell(each, "table") === "layer")) {
    const kind = {
      operator: cell(row, "operator"),
      form: cell(row, "form"),
      groups: numberIn(row, "groups"),
      dtype: cell(row, "dtype"),
      kernel: sizesIn(row, "kernel"),
      strides: sizesIn(row, "strides"),
      dilations: sizesIn(row, "dilations"),
      input: sizesIn(row, "input"),
      output: sizesIn(row, "output"),
    };
    const key = `${cell(row, "grid")} ${JSON.stringify(kind)}`;
    const grid: OpenGrid = grids.get(key) ?? { kind, times: new Map(), rows: [] };
    grids.set(key, grid);
    grid.rows.push(row);
    grid.times.set(`${cell(row, "inputs")} ${cell(row, "outputs")}`, numberIn(row, "ms"));
  }
  return [...grids.values()].map(({ kind, times, rows: own }) => {
    const distinct = (name: string) =>
      [...new Set(own.map((row) => numberIn(row, name)))].sort((a, b) => a - b);
    const [inputs, outputs] = [distinct("inputs"), distinct("outputs")];
    if (inputs.length * outputs.length > Math.max(times.size, 1))
      throw invalid([`times are missing for some widths of ${JSON.stringify(kind)}`]);
    return {
      ...kind,
      inputs,
      outputs,
      ms: inputs.map((i) => outputs.map((o) => times.get(`${i} ${o}`))),
    };
  });
}

function othersFrom(rows: readonly Row[]): readonly unknown[] {
  const others = new Map<
    string,
    { operator: string; detail: string; points: [number, number][] }
  >();
  for (const row of rows.filter((each) => cell(each, "table") === "other")) {
    const [operator, detail] = [cell(row, "operator"), cell(row, "detail")];
    const key = `${operator} ${detail}`;
    const other = others.get(key) ?? { operator, detail, points: [] };
    others.set(key, other);
    other.points.push([numberIn(row, "elements"), numberIn(row, "ms")]);
  }
  return [...others.values()].map(({ operator, detail, points }) => {
    points.sort(([a], [b]) => a - b);
    return { operator, detail, elements: points.map(([n]) => n), ms: points.map(([, t]) => t) };
  });
}
