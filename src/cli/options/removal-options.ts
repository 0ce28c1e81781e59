/** @file Flags of all commands that remove channels: the method, the targets, and the layers that may lose channels. */
import type { Rounding } from "../../structure/choice/selection-rules.ts";
import type { CostTable } from "../../structure/timing/cost-table.ts";
import { advanced, asText, list, pairs, toggle, type ValuesOf, value } from "./flag.ts";
import { integerFrom, patternValue, shareValue } from "./values.ts";

/** The heading of {@link targetFlags}. */
export const targetsHeading = "Targets: the share that may remain, above 0 and up to 1:";

/** Shares of the original that may remain; several hold together. */
export const targetFlags = {
  macs: value("share", shareValue, "Multiply-accumulates that may remain."),
  latency: value(
    "share",
    shareValue,
    "Latency that may remain, on this machine or that of --costs.",
  ),
  params: value("share", shareValue, "Parameters that may remain."),
  bytes: value("share", shareValue, "Bytes of the parameters, not of the file, that may remain."),
  density: value("share", shareValue, "Share of the weights of layers that may stay nonzero."),
};

/** The options of a method. */
export const methodOptionFlags = {
  option: pairs(
    "name=value",
    asText,
    "An option of the method; `espalier methods` lists them. May be repeated.",
  ),
};

/** Patterns of groups or layers. */
export const groupFlags = {
  only: list(
    "pattern",
    patternValue,
    "Removes channels only from these groups or layers; * matches anything. May be repeated. Default: all.",
  ),
  except: list(
    "pattern",
    patternValue,
    "Removes no channels from these groups or layers; `stream` names residual streams. May be repeated. Default: none.",
  ),
};

/** The flags for the widths of layers. */
export const widthFlags = {
  roundTo: value(
    "n",
    roundingFrom,
    "Widths become multiples of n. auto takes 4, 8 or 16, which engines compute fastest; 1 leaves any width. Default: auto.",
  ),
  minWidth: advanced(value("n", integerFrom(1), "The least width that a layer keeps. Default: 1.")),
};

/** The flag for a cost table. */
export const costsFlags = {
  costs: value(
    "FILE",
    asText,
    "A cost table, which `espalier profile` writes: --latency aims with it, and --round-to auto keeps the widths that it says pay. With a table of another machine or engine, --latency is an estimate, and nothing is timed here. Default: --latency measures a table of this machine, or takes the cached one.",
  ),
};

/** The cost table that the flags name. */
export async function costsFrom({
  costs,
}: ValuesOf<typeof costsFlags>): Promise<CostTable | undefined> {
  if (costs === undefined) return undefined;
  const { loadCosts } = await import("../../files/cost-table-file.ts");
  return loadCosts(costs);
}

/** The flag that lets layers select their inputs. */
export const selectionFlags = {
  selectInputs: advanced(
    toggle(
      "Lets layers leave out pixels and flattened features of their inputs; a Gather in the file picks the rest. Default: layers read all of them.",
      { conflicts: ["plan"] },
    ),
  ),
};

/** Parses the value of --round-to. */
function roundingFrom(text: string): Rounding {
  return text === "auto" ? text : integerFrom(1)(text);
}
