/** @file `espalier inspect`: shows the layers of a model, their cost, and the channels that can be pruned. */
import { Command } from "commander";
import type { GroupSummary, Inspection, Port } from "../../structure/inspect.ts";
import { isSparse } from "../../structure/weights/supports.ts";
import {
  counted,
  formatBytes,
  formatCount,
  formatInteger,
  inPercent,
} from "../../words/numbers.ts";
import { escapeForTerminal, shorten, wrap } from "../../words/text.ts";
import { addFlags, type FlagsOf, toggle } from "../options/flag.ts";
import { jsonFlags, load, modelFlags } from "../options/model-options.ts";
import { explained } from "../terminal/help.ts";
import { interruptible } from "../terminal/interruptible.ts";
import { type Io, writeJson } from "../terminal/io.ts";
import { newProgress } from "../terminal/progress.ts";
import { drawFacts, drawTable, type TableOptions } from "../terminal/table.ts";

/** The flags of `espalier inspect`. */
export const flags = {
  "Options:": {
    layers: toggle("Shows all layers. Default: the costliest."),
    selectInputs: toggle("Shows also the pixels and flattened features that layers may leave out."),
    ...modelFlags,
    ...jsonFlags,
  },
};

/** Flags of `espalier inspect`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

const explanation = `
A unit is a set of channels that can only be removed together; a group holds all
units of one layer and of the layers tied to it. A residual stream is one group.
For units that cannot be removed the reason is shown. Where more weights are 0
than chance explains, the share of nonzero weights stands beside each layer.

Examples:
  espalier inspect net.onnx
  espalier inspect net.onnx --layers
  espalier inspect net.onnx --dims height=480 --dims width=640
  espalier inspect net.onnx --json > net.json`;

/** The layers that are shown without --layers. */
const shownLayers = 10;
/** The number of layers that are named; the rest are counted. */
const shownNames = 4;
/** Columns of a name inside a sentence. */
const longestName = 40;

/** The command. */
export function inspectCommand(io: Io): Command {
  const command = new Command("inspect")
    .argument("<MODEL>", "ONNX file")
    .description("Shows the layers of a model, what each costs, and which channels can be pruned.")
    .addHelpText("after", explained(explanation, io));
  return addFlags(command, flags).action(async (path: string, given: Flags) => {
    const inspection = await inspected(path, given, io);
    if (given.json) writeJson(io, inspection);
    else io.out(describe(inspection, given.layers ?? false, io));
  });
}

async function inspected(path: string, flags: Flags, io: Io): Promise<Inspection> {
  const progress = newProgress(io);
  try {
    progress.phase("reading");
    const model = await load(path, flags);
    const { inspect } = await import("../../structure/inspect.ts");
    progress.phase("inspecting");
    return interruptible(() =>
      inspect(model, { dims: flags.dims, selectsInputs: flags.selectInputs ?? false }),
    );
  } finally {
    progress.end();
  }
}

function describe(inspection: Inspection, showsAll: boolean, io: TableOptions): string {
  return [
    facts(inspection, io),
    layers(inspection, showsAll, io),
    unknowns(inspection, io),
    groups(inspection.groups, io),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function facts(inspection: Inspection, { columns }: TableOptions): string {
  const { inputs, outputs, opset, producer, dims, params, macs, sizeBytes } = inspection;
  const { units, prunableUnits, notUnderstood, density } = inspection;
  const bound = Object.entries(dims).map(([name, size]) => `${name}=${size}`);
  const rows: [string, string][] = [
    ...inputs.map((port): [string, string] => ["input", describePort(port)]),
    ...outputs.map((port): [string, string] => ["output", describePort(port)]),
    ["opset", producer === "" ? String(opset) : `${opset}, written by ${producer}`],
    ["size", `${formatBytes(sizeBytes)} (${formatInteger(sizeBytes)} bytes)`],
    ["params", formatInteger(params)],
    ["MACs", `${formatInteger(macs)}${bound.length > 0 ? ` with ${bound.join(", ")}` : ""}`],
    ...uncountedRows(inspection),
    ...(hasZeros(inspection)
      ? [["density", `${inPercent(density)} of the layers' weights are not 0`] as [string, string]]
      : []),
    ["units", `${formatInteger(units)}, ${formatInteger(prunableUnits)} of them prunable`],
  ];
  if (notUnderstood.length > 0) {
    const names = notUnderstood.map(({ operator }) => operator);
    rows.push(["not understood", `${names.join(", ")} (kept as they are)`]);
  }
  return drawFacts(rows, columns);
}

/** The layers that the figures leave out, because their cost is not known. */
function uncountedRows({ uncounted }: Inspection): readonly [string, string][] {
  if (uncounted.length === 0) return [];
  const names = uncounted.slice(0, shownNames).map(({ name, operator }) => `${operator} ${name}`);
  const rest = uncounted.length - names.length;
  const more = rest > 0 ? ` and ${formatInteger(rest)} more` : "";
  return [["", `without ${names.join(", ")}${more}: not known`]];
}

/** The operators without a rule: their nodes, the units that stay because of them, and the layers in their bodies. */
function unknowns({ notUnderstood }: Inspection, { columns }: TableOptions): string {
  if (notUnderstood.length === 0) return "";
  const lines = notUnderstood.map(({ operator, nodes, units, contents }) => {
    const named = nodes.slice(0, shownNames).map((name) => shorten(name, longestName));
    const rest = nodes.length - named.length;
    const { products, params } = contents;
    const facts = [
      `${named.join(", ")}${rest > 0 ? ` and ${formatInteger(rest)} more` : ""}`,
      ...(units > 0 ? [`${counted(units, "unit")} must stay because of it`] : []),
      ...(contents.nodes > 0
        ? [
            `its bodies, with ${counted(products, "layer")} that multiply and ` +
              `${counted(params, "parameter")}, are not looked into`,
          ]
        : []),
    ];
    const text = escapeForTerminal(`${operator}: ${facts.join("; ")}`);
    return `  ${wrap(text, columns - 2, "  ")}\n`;
  });
  return `operators without a rule\n${lines.join("")}`;
}

function describePort({ name, dtype, shape }: Port): string {
  const sizes = shape?.map((dim) => (typeof dim === "string" && dim.startsWith("?") ? "?" : dim));
  return `${name} ${dtype ?? "?"} [${sizes?.join(", ") ?? "?"}]`;
}

/** Whether any layer has zeros beyond chance. */
function hasZeros({ layers }: Inspection): boolean {
  return layers.some(({ density }) => density !== undefined && isSparse(density));
}

function layers(inspection: Inspection, showsAll: boolean, io: TableOptions): string {
  const { layers, macs, params } = inspection;
  const hasDensity = hasZeros(inspection);
  const costly = layers.filter((layer) => layer.macs > 0 || layer.params > 0);
  const rank = (layer: (typeof layers)[number]) =>
    layer.macs / Math.max(1, macs) + layer.params / Math.max(1, params);
  const shown = showsAll
    ? layers
    : costly.toSorted((a, b) => rank(b) - rank(a)).slice(0, shownLayers);
  if (shown.length === 0) return "";
  const table = drawTable(
    [
      { title: "layer", isFlexible: true },
      { title: "operator" },
      { title: "output", isFlexible: true },
      { title: "params", align: "right" },
      { title: "MACs", align: "right" },
      { title: "share", align: "right" },
      ...(hasDensity ? [{ title: "not 0", align: "right" as const }] : []),
    ],
    shown.map((layer) => [
      layer.name,
      layer.opType,
      layer.outputShape?.join(" x ") ?? "?",
      formatCount(layer.params),
      formatCount(layer.macs),
      inPercent(layer.macs / Math.max(1, macs)),
      ...(hasDensity ? [layer.density === undefined ? "" : inPercent(layer.density)] : []),
    ]),
    io,
  );
  const rest = costly.length - shown.length;
  return showsAll || rest <= 0 ? table : `${table}and ${rest} more; --layers shows all\n`;
}

function groups(groups: readonly GroupSummary[], io: TableOptions): string {
  if (groups.length === 0) return "no groups: nothing here can be pruned\n";
  const widthOf = ({ axes }: GroupSummary): string => {
    const widths = [...new Set(axes.map(({ width }) => width))].sort((a, b) => a - b);
    return widths.length > 3 ? `${widths[0]}..${widths.at(-1)}` : widths.join(", ");
  };
  const table = drawTable(
    [
      { title: "group", isFlexible: true },
      { title: "width", align: "right" },
      { title: "layers", align: "right" },
      { title: "units", align: "right" },
      { title: "prunable", align: "right" },
      { title: "" },
    ],
    groups.map((group) => [
      group.id,
      widthOf(group),
      String(new Set(group.axes.map(({ node }) => node)).size),
      String(group.units),
      String(group.prunableUnits),
      group.isStream ? "stream" : "",
    ]),
    io,
  );
  return `${table}${fixedUnits(groups, io)}`;
}

/** Why units must stay: a line for each reason, with the groups that it concerns. */
function fixedUnits(groups: readonly GroupSummary[], { columns }: TableOptions): string {
  const byReason = new Map<string, GroupSummary[]>();
  for (const group of groups)
    if (group.reason !== undefined)
      byReason.set(group.reason, [...(byReason.get(group.reason) ?? []), group]);
  if (byReason.size === 0) return "";
  const lines = [...byReason].map(([reason, held]) => {
    const units = held.reduce((sum, group) => sum + group.units - group.prunableUnits, 0);
    const names = held.slice(0, 3).map(({ id }) => id);
    const rest =
      held.length > names.length ? ` and ${counted(held.length - names.length, "more group")}` : "";
    const shown = names.map((name) => shorten(escapeForTerminal(name), longestName)).join(", ");
    const text = `${units} of ${shown}${rest}: ${escapeForTerminal(reason)}`;
    return `  ${wrap(text, columns - 2, "  ")}\n`;
  });
  return `\nunits that must stay\n${lines.join("")}`;
}
