/**
 * @file The registry of methods that rank without training, which also run in a browser. The registry of all methods is
 * in `learned-registry.ts`.
 */
import { didYouMean, EspalierError } from "../errors.ts";
import { bn } from "./bn.ts";
import { fpgm } from "./fpgm.ts";
import { magnitude } from "./magnitude.ts";
import { chooser, type Method } from "./method/method.ts";
import { random } from "./random.ts";

/**
 * The methods that do not train, in the order in which they are listed to users: each as a function that gives it with
 * options of its own, for `prune` and `sensitivity`.
 *
 * @example
 * prune(model, { method: methods.bn({ compensate: false }), targets: { macs: 0.6 } });
 */
export const untrained = {
  /** Removes the channels that the next layers miss least, as batch normalization tells. */
  bn: chooser(bn),
  /** Removes the filters with the smallest weights, or single weights. */
  magnitude: chooser(magnitude),
  /** Removes the filters that others in the layer can best replace. */
  fpgm: chooser(fpgm),
  /** Removes units at random, by seed: the baseline for all others. */
  random: chooser(random),
};

/** The methods that do not train. */
export const untrainedMethods: readonly Method[] = Object.values(untrained).map(
  (choose) => choose().method,
);

/**
 * Names of the methods that train, in the order in which they are listed. The methods themselves cannot run in a
 * browser.
 */
export const learnedNames = ["importance", "snr", "rbp", "vib", "turbo-vbi"] as const;

/**
 * The method of a name among those that do not train. Fails with `METHOD_NEEDS_DATA` for one that does, and
 * with `METHOD_UNKNOWN`.
 */
export function methodNamed(name: string): Method {
  if (learnedNames.some((own) => own === name)) throw needsTraining(name);
  return namedAmong(untrainedMethods, name);
}

/** The error for a method that trains before it ranks. */
export function needsTraining(name: string): EspalierError {
  return new EspalierError(
    "METHOD_NEEDS_DATA",
    `the method ${name} trains before it ranks channels`,
    {
      hint: `Use \`espalier compress MODEL --data DIR --method ${name} -o RUN\`, or compressRun of espalier/train.`,
      data: { method: name },
    },
  );
}

/** The entry of `known` with this name; `METHOD_UNKNOWN` lists the names there are. */
export function namedAmong<T extends { readonly name: string }>(
  known: readonly T[],
  name: string,
): T {
  const method = known.find((candidate) => candidate.name === name);
  if (method !== undefined) return method;
  const names = known.map((candidate) => candidate.name);
  throw new EspalierError("METHOD_UNKNOWN", `there is no method "${name}"`, {
    hint: `${didYouMean(name, names)}Methods are ${names.join(", ")}; \`espalier methods\` describes them.`,
    data: { name, names },
  });
}
