/** @file The settings of a compression, as values that can be written to a file. */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { stagesOf } from "../../guard/ladder.ts";
import { allMethods } from "../../methods/learned-registry.ts";
import type { AnyChosenMethod } from "../../methods/method/learned-method.ts";
import { requireNoneBeside } from "../../methods/method/method.ts";
import { textOf, textsOf } from "../../methods/method/options.ts";
import type { SelectionRules } from "../../structure/choice/selection-rules.ts";
import { costTableSchema } from "../../structure/timing/cost-table-text.ts";
import { requireObjectiveFits, requireOptimizerFits, trainSettings } from "./train-settings.ts";

const share = z.number().gt(0).max(1);
const count = z.int().positive();

/** The border at which settings are checked: those of a caller, and those of a run's `config.json`. */
export const compressSettings = z.strictObject({
  method: z.string().default("importance"),
  /** Options of the method by their names on the command line; kept as the texts that they are there. */
  methodOptions: z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(textOf))
    .default({}),
  /** Shares of the original that may remain. */
  targets: z
    .strictObject({
      macs: share.optional(),
      params: share.optional(),
      bytes: share.optional(),
      /** The share of the weights of linear layers that are not 0. */
      density: share.optional(),
      latency: share.optional(),
    })
    .default({}),
  /** Largest drop of the metric, absolute: 0.01 is one point of accuracy. */
  maxDrop: z.number().min(0).lt(1).optional(),
  /** The confidence with which the guard claims that the drop is within the tolerance. */
  confidence: z.number().gt(0.5).lt(1).default(0.95),
  /** Rounds at most, each of learning, removal and fine-tuning. */
  rounds: count.default(5),
  /**
   * Without targets: the drop on `select` that the removal of one round may cause before fine-tuning.
   * Default: four times `maxDrop`, 0.02 at least.
   */
  roundDrop: z.number().gt(0).lt(1).optional(),
  /** Smaller and smaller removals that a round may try. */
  attempts: count.default(3),
  rules: z
    .strictObject({
      only: z.array(z.string()).optional(),
      except: z.array(z.string()).optional(),
      roundTo: z.union([count, z.literal("auto")]).default("auto"),
      minWidth: count.optional(),
      /** By its times layers keep widths, and a target for latency is aimed at; by default a table of this machine. */
      costs: costTableSchema.optional(),
    })
    .prefault({}),
  /** Layers may select what they read of inputs and of flattened maps, by a Gather that costs no MACs. */
  selectsInputs: z.boolean().default(false),
  /** The original teaches, instead of labels; always so where there are none. */
  distills: z.boolean().default(false),
  /** Epochs of fine-tuning in each round. */
  epochs: z.int().nonnegative().default(2),
  /** Epochs of fine-tuning after the last round. */
  finalEpochs: z.int().nonnegative().default(0),
  /**
   * Measures, at the end, what it costs to thin each group of the original by itself; not where the time
   * budget is spent by then.
   */
  sensitivity: z.boolean().default(false),
  /** Draws from the posterior of the result on `test`, where the method learns one; 0: none. */
  posteriorSamples: z.int().nonnegative().max(10_000).default(20),
  /** Whether the result is timed against the original in the end. */
  benches: z.boolean().default(true),
  /** Seconds for the comparison of latencies. */
  benchSeconds: z.number().positive().default(5),
  /** The time that the whole run may take. */
  timeBudgetSeconds: z.number().positive().optional(),
  /** How fine-tuning trains, but for its epochs. Its seed is that of the run. */
  tuning: trainSettings.omit({ epochs: true }).prefault({}),
});

/** Settings as a caller gives them; all have defaults, but a target or a tolerance must be there. */
export interface CompressSettingsInput
  extends Readonly<Omit<z.input<typeof compressSettings>, "method">> {
  /** A name, or a method with options of its own, such as `methods.snr({ lambda: 0.3 })`. Default `importance`. */
  readonly method?: string | AnyChosenMethod | undefined;
}
/** Settings, complete. */
export type CompressSettings = Readonly<z.output<typeof compressSettings>>;

/** Fills in the defaults. Fails with `USAGE` or `TARGET_INVALID`, naming every setting that is wrong. */
export function compressSettingsOf(input: CompressSettingsInput): CompressSettings {
  const parsed = compressSettings.safeParse(withNamedMethod(input));
  if (!parsed.success) {
    const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new EspalierError("USAGE", `settings: ${issues.join("; ")}`);
  }
  if (parsed.data.maxDrop === undefined && !hasTargets(parsed.data))
    throw new EspalierError("TARGET_INVALID", "neither a target nor a tolerance was given", {
      hint: "Say what may be lost (`maxDrop` 0.01), or what may remain (`macs` 0.5), or both.",
    });
  if (!parsed.data.benches && parsed.data.targets.latency !== undefined)
    throw new EspalierError("USAGE", "the result is not to be timed, but `latency` is a target", {
      hint: "Let it be timed: only a measurement tells whether that target is reached.",
    });
  requireOptimizerFits(parsed.data.tuning);
  // Without --distill, whether a network teaches is known once it is known whether samples have labels.
  if (parsed.data.distills) requireObjectiveFits(parsed.data.tuning, true);
  return parsed.data;
}

/** The settings with the method's name, and its options beside it. Fails with `USAGE` for a method that is not registered. */
function withNamedMethod({ method, ...others }: CompressSettingsInput): object {
  if (method === undefined) return others;
  if (typeof method === "string") return { ...others, method };
  const { name } = method.method;
  requireNoneBeside(method.method, others.methodOptions);
  if (!allMethods.some((own) => own === method.method))
    throw new EspalierError("USAGE", `compression knows no method ${name} of a program's own`, {
      hint: "It is resumed by the method's name: give one of `methods`.",
    });
  return { ...others, method: name, methodOptions: Object.fromEntries(textsOf(method.options)) };
}

/** Whether anything but the tolerance says how far to go. */
export function hasTargets({ targets }: Pick<CompressSettings, "targets">): boolean {
  return Object.values(targets).some((target) => target !== undefined);
}

/** The drop that a removal may cause before fine-tuning. */
export function roundDropOf({ roundDrop, maxDrop = 0 }: CompressSettings): number {
  return roundDrop ?? Math.max(0.02, 4 * maxDrop);
}

/**
 * The drop on `select` up to which a round is accepted. Where the tolerance alone says how far to go, its
 * stages, spread over the rounds. Targets say so themselves, and what comes first need not come to rest
 * below a fraction of the tolerance: half of it is enough, and more from round to round. Infinity
 * without a tolerance.
 */
export function acceptedDropOf(settings: CompressSettings, round: number): number {
  const { maxDrop, rounds } = settings;
  if (maxDrop === undefined) return Number.POSITIVE_INFINITY;
  const at = Math.min(round, rounds);
  if (hasTargets(settings)) return (maxDrop * (1 + at / rounds)) / 2;
  const stages = stagesOf(maxDrop, Math.min(4, rounds));
  return stages[Math.ceil((at * stages.length) / rounds) - 1];
}

/** The rules without what was not given. */
export function rulesOf({ rules }: CompressSettings): SelectionRules {
  const { only, except, roundTo, minWidth } = rules;
  return {
    ...(only && { only }),
    ...(except && { except }),
    roundTo,
    ...(minWidth !== undefined && { minWidth }),
  };
}
