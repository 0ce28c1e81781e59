/** @file The flags of `espalier prune`, and the options of the library that they set. */
import { EspalierError } from "../../errors.ts";
import { autoMethod, type Method } from "../../methods/method/method.ts";
import { readOptions } from "../../methods/method/options.ts";
import type { PruneOptions } from "../../prune/prune.ts";
import { dataFlags, dataHeading, givenDataFlags } from "../options/data-options.ts";
import { advanced, asText, type FlagsOf, toggle, value } from "../options/flag.ts";
import { noIsolateFlags } from "../options/isolation.ts";
import {
  jsonFlags,
  modelFlags,
  noBenchFlags,
  threadsFlags,
  toleranceFlags,
} from "../options/model-options.ts";
import { requireModelName } from "../options/output-place.ts";
import {
  costsFlags,
  costsFrom,
  groupFlags,
  methodOptionFlags,
  selectionFlags,
  targetFlags,
  targetsHeading,
  widthFlags,
} from "../options/removal-options.ts";
import { integerFrom } from "../options/values.ts";

/** The flags of `espalier prune`. */
export const flags = {
  "Options:": {
    output: value("OUT", asText, "The smaller model to write; its plan lies beside it.", {
      short: "-o",
    }),
    dryRun: toggle("Shows what would be removed, and writes nothing."),
    plan: value("FILE", asText, "A plan that is applied instead of ranking channels.", {
      conflicts: [
        ...["macs", "params", "bytes", "density", "latency", "method", "mode"],
        ...["roundTo", "minWidth", "seed", "costs"],
      ],
    }),
    ...modelFlags,
    ...noBenchFlags,
    verifyData: advanced(
      value("DIR", asText, "A data set whose images are compared as well. Default: random inputs."),
    ),
    ...toleranceFlags,
    ...threadsFlags,
    ...noIsolateFlags,
    ...jsonFlags,
  },
  [targetsHeading]: targetFlags,
  "Method:": {
    method: value(
      "name",
      asText,
      "The method that ranks channels; `espalier methods` lists the methods. Default: auto, which is bn where most layers still have their batch normalization, else magnitude.",
    ),
    ...methodOptionFlags,
    refit: value(
      "DIR",
      asText,
      "A data set on whose images the layers that read removed channels are refitted; needs no labels. Default: none.",
    ),
    refitImages: advanced(
      value("n", integerFrom(1), "Images on which layers are refitted. Default: 256."),
    ),
    mode: advanced(value("value", asText, "Short for --option mode=VALUE.")),
    seed: advanced(value("n", integerFrom(0), "Seed of the method random. Default: 0.")),
  },
  "Channels that may be removed:": {
    ...groupFlags,
    ...widthFlags,
    ...costsFlags,
    ...selectionFlags,
  },
  [dataHeading]: dataFlags,
};

/** Flags of `espalier prune`, as they are read. */
export type Flags = FlagsOf<typeof flags>;

/** Refuses contradicting flags before any work is done. */
export function requireConsistent(path: string, flags: Flags): void {
  const usage = (message: string, hint: string): never => {
    throw new EspalierError("USAGE", message, { hint });
  };
  const { macs, params, bytes, density, latency, plan, output, dryRun } = flags;
  if ([macs, params, bytes, density, latency].every((target) => target === undefined) && !plan)
    usage("no target was given", "Say how much may remain, for example --macs 0.6.");
  if (output === undefined && !dryRun)
    usage("no output was given", "Name the smaller model with -o OUT.onnx, or try --dry-run.");
  if (output !== undefined) requireModelName(output);
  if (plan !== undefined && (flags.option.size > 0 || flags.only.length + flags.except.length > 0))
    usage(
      "--plan already holds the channels to remove",
      "Edit the plan, or leave out --option, --only and --except.",
    );
  if (flags.refitImages !== undefined && flags.refit === undefined)
    usage("--refit-images needs --refit", `Give the images: --refit DIR.`);
  const [given] = givenDataFlags(flags);
  if (given !== undefined && flags.refit === undefined && flags.verifyData === undefined)
    usage(
      `${given} is a data flag, but no data was given`,
      "Add --refit DIR or --verify-data DIR.",
    );
  if (output === path)
    usage(
      "the output is the model itself",
      "Keep the original: verification and a later --plan need it.",
    );
}

/** The options of `prune` that the flags set, but the latency, which is reached by measurement. */
export async function optionsOf(flags: Flags): Promise<PruneOptions> {
  const { dims, macs, params, bytes, density } = flags;
  const { roundTo, minWidth, only, except, seed, mode } = flags;
  if (flags.plan !== undefined) {
    const { loadPlan } = await import("../../files/plan-file.ts");
    return { dims, plan: await loadPlan(flags.plan) };
  }
  const costs = await costsFrom(flags);
  const methodOptions = {
    ...Object.fromEntries(flags.option),
    ...(mode !== undefined && { mode }),
  };
  // Options belong to one method; where none is named, they are taken as options of bn.
  const isTold = Object.keys(methodOptions).length > 0;
  const name = flags.method ?? (isTold ? "bn" : autoMethod);
  const method = name === autoMethod ? name : await methodWithoutData(name);
  if (typeof method === "object") readOptions(method.name, method.options, methodOptions);
  else if (isTold)
    throw new EspalierError("USAGE", "--method auto takes no options of a method", {
      hint: "Name the method that they belong to, such as --method bn.",
    });
  return {
    method,
    selectsInputs: flags.selectInputs ?? false,
    targets: { macs, params, bytes, density },
    rules: { roundTo, minWidth, except, costs, only: only.length > 0 ? only : undefined },
    methodOptions,
    dims,
    seed: seed ?? 0,
  };
}

/** The method of a name; fails where it trains, which `espalier prune` does not. */
async function methodWithoutData(name: string): Promise<Method> {
  const { anyMethodNamed } = await import("../../methods/learned-registry.ts");
  const { isLearned } = await import("../../methods/method/learned-method.ts");
  const method = anyMethodNamed(name);
  if (!isLearned(method)) return method;
  const { needsTraining } = await import("../../methods/registry.ts");
  throw needsTraining(name);
}
