/** @file The registry of all methods, including those that train. Needs ONNX Runtime. */
import { importance } from "./importance.ts";
import type { AnyMethod, LearnedMethod } from "./method/learned-method.ts";
import { chooser } from "./method/method.ts";
import { rbp } from "./rbp.ts";
import { namedAmong, untrained, untrainedMethods } from "./registry.ts";
import { snr } from "./snr.ts";
import { turboVbi } from "./turbo-vbi.ts";
import { vib } from "./vib.ts";

/** The methods that train, in the order in which they are listed to users; `learnedNames` has their names. */
const learned = {
  /** Trains a factor for each filter and removes the filters whose factors matter least. */
  importance: chooser(importance),
  /** Learns a posterior of each weight and removes the filters that the data say least about. */
  snr: chooser(snr),
  /** Trains noisy gates layer by layer and removes the filters whose gates are mostly noise. */
  rbp: chooser(rbp),
  /** Trains noisy gates on all filters at once and removes the filters whose gates are mostly noise. */
  vib: chooser(vib),
  /** Learns which weights are active, in clusters, and removes those that are probably inactive. */
  turboVbi: chooser(turboVbi),
};

/**
 * All methods, each as a function that gives it with options of its own: those that do not train for `prune`,
 * `sensitivity` and `compressRun`, those that train for `compressRun`.
 *
 * @example
 * const settings = { method: methods.snr({ lambda: 0.3 }), maxDrop: 0.01 };
 * await compressRun({ network: "net.onnx", data: "photos", run: "run", settings });
 */
export const methods = { ...untrained, ...learned };

/** The methods that train. */
export const learnedMethods: readonly LearnedMethod[] = Object.values(learned).map(
  (choose) => choose().method,
);

/** All methods, those without data first. */
export const allMethods: readonly AnyMethod[] = [...untrainedMethods, ...learnedMethods];

/** The method of a name, whether it trains or not. Fails with `METHOD_UNKNOWN`. */
export function anyMethodNamed(name: string): AnyMethod {
  return namedAmong(allMethods, name);
}
