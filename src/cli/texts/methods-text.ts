/** @file The text about a method that `espalier methods` prints. */

import type { AnyMethod } from "../../methods/method/learned-method.ts";
import { type MethodOption, textOf, writtenName } from "../../methods/method/options.ts";
import { counted } from "../../words/numbers.ts";
import { wrap } from "../../words/text.ts";

/** A method as a JSON value. */
export function methodJson({ name, summary, source, needs, options }: AnyMethod) {
  const table = Object.entries(options).map(([key, option]) => ({
    name: writtenName(key),
    values: option.values,
    default: textOf(option.default),
    allowed: option.allowed,
    isAdvanced: option.isAdvanced,
    description: option.description,
  }));
  return { name, summary, source, needs, options: table };
}

/** A method in lines of text; if everything is to be shown, with its source and its advanced options. */
export function describeMethod(
  { name, summary, source, needs, options }: AnyMethod,
  isWhole: boolean,
  columns: number,
): string {
  const line = (text: string, indent = "  ") =>
    `${indent}${wrap(text, columns - indent.length).replaceAll("\n", `\n${indent}`)}\n`;
  const linesOf = (isAdvanced: boolean) =>
    Object.entries(options)
      .filter(([, option]) => option.isAdvanced === isAdvanced)
      .map(([key, option]) => `${line(headOf(key, option))}${line(option.description, "      ")}`);
  const wants = [needs.batchNorm && "batch normalization", needs.data && "images"].filter(Boolean);
  const [simple, advanced] = [linesOf(false), linesOf(true)];
  const isCut = !isWhole && advanced.length > 0;
  return [
    `${name}\n`,
    line(summary),
    line(`Needs: ${wants.length > 0 ? wants.join(", ") : "nothing but the network"}.`),
    ...(isWhole ? [line(`Source: ${source}`)] : []),
    ...simple,
    ...(isCut
      ? [line(`(${counted(advanced.length, "advanced option")}: espalier methods ${name})`)]
      : []),
    ...(isWhole && advanced.length > 0 ? [line("Advanced:"), ...advanced] : []),
  ].join("");
}

function headOf(key: string, { values, allowed, default: byDefault }: MethodOption): string {
  const may = values.length > 0 ? values.join("|") : "NUMBER";
  const range = values.length > 0 ? "" : `${allowed}; `;
  return `${writtenName(key)}=${may} (${range}default ${textOf(byDefault)})`;
}
