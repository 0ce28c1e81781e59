/** @file The registry of all methods, those that train among them. Needs ONNX Runtime. */
import { importance } from "./importance.ts";
import type { AnyMethod, LearnedMethod } from "./method/learned-method.ts";
import { rbp } from "./rbp.ts";
import { learnedNames, methods, namedAmong } from "./registry.ts";
import { snr } from "./snr.ts";
import { turboVbi } from "./turbo-vbi.ts";
import { vib } from "./vib.ts";

const byName: Readonly<Record<(typeof learnedNames)[number], LearnedMethod>> = {
  importance,
  snr,
  rbp,
  vib,
  "turbo-vbi": turboVbi,
};

/** The methods that train, in the order in which they are listed to users. */
export const learnedMethods: readonly LearnedMethod[] = learnedNames.map((name) => byName[name]);

/** All methods, those without data first. */
export const allMethods: readonly AnyMethod[] = [...methods, ...learnedMethods];

/** The method of a name, whether it trains or not. Fails with `METHOD_UNKNOWN`. */
export function anyMethodNamed(name: string): AnyMethod {
  return namedAmong(allMethods, name);
}
