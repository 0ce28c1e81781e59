/** @file What commands that remove have in common: what ranks channels, what may remain, what may go. */
import type { Rounding } from "../../structure/choice/selection-rules.ts";
import { advanced, asText, list, pairs, toggle, value } from "./flag.ts";
import { integerFrom, patternValue, shareValue } from "./values.ts";

/** The heading of {@link targetFlags}. */
export const targetsHeading = "Targets: the share that may remain, above 0 and up to 1:";

/** Shares of the original that may remain; several hold together. */
export const targetFlags = {
  macs: value("share", shareValue, "Multiply-accumulates that may remain."),
  latency: value("share", shareValue, "Latency that may remain, measured on this machine."),
  params: value("share", shareValue, "Parameters that may remain."),
  bytes: value("share", shareValue, "Bytes of the parameters, not of the file, that may remain."),
  density: value("share", shareValue, "Weights of layers that may remain other than 0."),
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
    "Groups or layers from which alone something may go; * matches anything. May be repeated. Default: all.",
  ),
  except: list(
    "pattern",
    patternValue,
    "Groups or layers from which nothing goes; `stream` names residual streams. May be repeated. Default: none.",
  ),
};

/** How wide layers may become. */
export const widthFlags = {
  roundTo: value(
    "n",
    roundingFrom,
    "Widths become multiples of n. auto takes 4, 8 or 16, which engines compute fastest; 1 leaves any width. Default: auto.",
  ),
  minWidth: advanced(
    value("n", integerFrom(1), "The width below which no layer gets narrower. Default: 1."),
  ),
};

/** Whether layers may select. */
export const selectionFlags = {
  selectInputs: advanced(
    toggle(
      "Lets layers leave out pixels and flattened features that they read; a Gather in the file picks the rest.",
      { conflicts: ["plan"] },
    ),
  ),
};

/** Reads what widths are rounded to. */
function roundingFrom(text: string): Rounding {
  return text === "auto" ? text : integerFrom(1)(text);
}
