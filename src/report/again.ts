/** @file The command line that makes a run again, from what the run recorded of itself. */

import type { RunConfig } from "../runs/folder/run-folder.ts";
import { compressSettings } from "../runs/settings/compress-settings.ts";
import { trainSettings } from "../runs/settings/train-settings.ts";
import { shellFlag, shellPath } from "./page/shell.ts";

/**
 * The command line that makes a run again beside it, from the folder in which that run lies: its own
 * `original.onnx`, its data where they lay, and every setting that is not the default. `undefined` where a
 * program gave what no flag can say.
 */
export function commandAgain(config: RunConfig, run: string): string | undefined {
  const words = flagsOf(config);
  if (words === undefined) return undefined;
  const teacher =
    config.command === "train" && config.hasTeacher
      ? [shellFlag("--distill", `${run}/teacher.onnx`)]
      : [];
  return [
    `espalier ${config.command} ${shellPath(`${run}/original.onnx`)}`,
    shellFlag("--data", config.data.path),
    ...words,
    ...teacher,
    ...(config.externalData ? ["--external-data"] : []),
    `-o ${shellPath(`${run}-again`)}`,
  ].join(" ");
}

function flagsOf(config: RunConfig): readonly string[] | undefined {
  if (config.command === "compress" && (config.custom.metric ?? config.custom.hasObjective))
    return undefined;
  const defaults =
    config.command === "compress" ? compressSettings.parse({}) : trainSettings.parse({});
  const leaves = [
    ...leavesOf(config.settings, defaults, ""),
    ...leavesOf(config.data.options, {}, "data."),
  ];
  const words = leaves.map(([place, value]) => flagOf(place, value));
  return words.every((word) => word !== undefined) ? words.flat() : undefined;
}

/** Settings that are not as by default, by their place: `tuning.batchSize`. */
function leavesOf(value: object, defaults: object, place: string): readonly [string, unknown][] {
  const known = new Map<string, unknown>(Object.entries(defaults));
  return Object.entries(value).flatMap(([name, own]: [string, unknown]): [string, unknown][] => {
    const usual = known.get(name);
    if (own === undefined || JSON.stringify(own) === JSON.stringify(usual)) return [];
    const isGroup = groups.includes(name) && typeof own === "object" && own !== null;
    if (!isGroup) return [[`${place}${name}`, own]];
    const inner = typeof usual === "object" && usual !== null ? usual : {};
    return [...leavesOf(own, inner, `${place}${name}.`)];
  });
}

/** Settings that hold others. */
const groups: readonly string[] = ["targets", "rules", "tuning"];

/** Settings that a flag sets, where the flag is not called as they are. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ["timeBudgetSeconds", "--time-budget"],
  ["distills", "--distill"],
  ["selectsInputs", "--select-inputs"],
  ["patience", "--early-stop"],
  ["methodOptions", "--option"],
  ...["", "tuning."].flatMap((place) =>
    [
      ["batchSize", "--batch"],
      ["learningRate", "--lr"],
      ["clipNorm", "--clip"],
      ["keepsZeros", "--keep-zeros"],
      ["rateFactors", "--lr-factor"],
    ].map(([setting, flag]) => [`${place}${setting}`, flag] as const),
  ),
]);

/** Settings of a program that no flag sets. */
const withoutFlag: readonly string[] = [
  ...[
    "rules.costs",
    "tuning.timeBudgetSeconds",
    "tuning.patience",
    "tuning.recalibrateOnly",
    "data.classes",
  ],
];

/** The words of a setting; `undefined` where no flag says it. */
function flagOf(place: string, value: unknown): readonly string[] | undefined {
  if (withoutFlag.includes(place) || value === null || value === undefined) return undefined;
  if (place === "benches") return value === false ? ["--no-bench"] : [];
  const last = place.slice(place.lastIndexOf(".") + 1);
  const flag =
    otherNames.get(place) ?? `--${last.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (value === true) return [flag];
  if (value === false) return [];
  if (last === "resize" || last === "crop")
    return [shellFlag(flag, Array.isArray(value) ? value.join("x") : String(value))];
  if (last === "augment") return [shellFlag(flag, augmentation(new Map(Object.entries(value))))];
  if (last === "mean" || last === "std") return [shellFlag(flag, String(value))];
  if (Array.isArray(value))
    return value.map((item: unknown) =>
      shellFlag(flag, Array.isArray(item) ? item.join("=") : String(item)),
    );
  if (typeof value === "object")
    return Object.entries(value).map(([name, own]) => shellFlag(flag, `${name}=${String(own)}`));
  return [shellFlag(flag, String(value))];
}

function augmentation(moves: ReadonlyMap<string, unknown>): string {
  const crop = moves.get("crop");
  return [
    ...(crop === undefined ? [] : [`crop=${String(crop)}`]),
    ...(moves.get("flip") === true ? ["flip"] : []),
  ].join(",");
}
