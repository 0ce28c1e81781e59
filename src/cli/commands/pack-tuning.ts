/** @file The flags of `espalier pack` that need data: the tolerance, and tuning under the rounding. */
import type { PackedTuned } from "../../compress/packing/pack-tuned.ts";
import type { PackedWithin } from "../../compress/packing/pack-within.ts";
import type { Dataset } from "../../data/dataset.ts";
import type { Model } from "../../onnx/model.ts";
import type { PackOptions } from "../../pack/quantising/contents.ts";
import type { TrainSettings } from "../../runs/settings/train-settings.ts";
import type { TrainOptions } from "../../train/loop/options.ts";
import { inPoints } from "../../words/numbers.ts";
import { escapeForTerminal } from "../../words/text.ts";
import { type DataFlags, open, tellLabelSize, warnOfInputs } from "../options/data-options.ts";
import { asText, toggle, type ValuesOf, value } from "../options/flag.ts";
import {
  epochFlags,
  learningFlags,
  runFlags,
  trainingSettingsOf,
} from "../options/training-options.ts";
import { fractionBelowOne, integerFrom } from "../options/values.ts";
import type { Io } from "../terminal/io.ts";
import type { Progress } from "../terminal/progress.ts";
import { stepOf } from "./follow.ts";

/** The tolerance, and the data on which the loss is measured. */
export const toleranceFlags = {
  maxDrop: value(
    "d",
    fractionBelowOne,
    "Largest drop on `select` that is allowed, for which the fewest bits are searched: 0.005 is half a point. Default: no search.",
  ),
  data: value("DIR", asText, "The data set, for --max-drop and --tune-epochs."),
};

/** The flags of tuning. */
export const tuningFlags = {
  tuneEpochs: value(
    "n",
    integerFrom(1),
    "Epochs for which each network that is tried is trained with its weights rounded. Default: 0.",
  ),
  distill: toggle("The outputs of the network before rounding are learnt in place of labels."),
  ...epochFlags,
  seed: runFlags.seed,
  replicas: runFlags.replicas,
  ...learningFlags,
};

/** Flags that need data. */
export type TuningFlags = ValuesOf<typeof toleranceFlags> &
  ValuesOf<typeof tuningFlags> &
  DataFlags & {
    readonly batch: number | undefined;
    readonly limit: number | undefined;
    readonly threads: number | undefined;
  };

/** The options that tuning shares with measuring. */
const shared = new Set(["batchSize", "limit", "threads", "provider", "outputName"]);

/** Whether any flag was given that only tuning reads. */
export function isTuningGiven(flags: TuningFlags): boolean {
  const given = Object.entries(trainingSettingsOf(flags)).some(
    ([name, value]) => !shared.has(name) && !(Array.isArray(value) && value.length === 0),
  );
  return given || flags.distill !== undefined;
}

/** The pack that --max-drop or --tune-epochs ask for; `undefined` without them. */
export async function measured(
  model: Model,
  options: PackOptions,
  flags: TuningFlags,
  io: Io,
  progress: Progress,
): Promise<PackedWithin | PackedTuned | undefined> {
  const { data, maxDrop, limit, batch: batchSize, threads, provider } = flags;
  const { outputName: output } = flags;
  if (data === undefined) return undefined;
  const { withLabelsOrAnswers } = await import("../../measure/unlabelled/pseudo-outputs.ts");
  const { sessionOptionsOf } = await import("../../runtime/session.ts");
  const { writeModel } = await import("../../onnx/writing/write.ts");
  const session = sessionOptionsOf({
    signal: io.signal,
    threads,
    providers: provider === undefined ? undefined : [provider],
  });
  const samples = await openChecked(data, model, flags, io, progress);
  const { chunks } = writeModel(model);
  const dataset = await withLabelsOrAnswers(samples, chunks, { ...session, output });
  const outcomeOptions = {
    ...session,
    ...(limit !== undefined && { limit }),
    ...(batchSize !== undefined && { batchSize }),
    ...(output !== undefined && { output }),
    pack: options,
  };
  const tuning = await tuningOf(model, dataset, flags, { signal: io.signal, progress });
  let isTuning = false;
  const followed = tuning && {
    ...tuning,
    signal: io.signal,
    onProgress(at: Parameters<NonNullable<TrainOptions["onProgress"]>>[0]) {
      if (!isTuning) progress.phase("tuning");
      isTuning = true;
      progress.step(stepOf(at));
    },
    onWarning: (warning: string) => progress.warn(escapeForTerminal(warning)),
  };
  if (maxDrop === undefined) {
    if (followed === undefined) return undefined;
    const { packTuned } = await import("../../compress/packing/pack-tuned.ts");
    return packTuned(model, dataset, { ...outcomeOptions, tuning: followed });
  }
  const { packWithin } = await import("../../compress/packing/pack-within.ts");
  progress.phase("searching");
  let done = 0;
  return packWithin(model, dataset, {
    ...outcomeOptions,
    maxDrop,
    ...(followed && { tuning: followed }),
    onCandidate({ bits, drop, isTuned }) {
      const note = `${bits} bits${isTuned ? ", tuned," : ""} lose ${inPoints(drop)} points`;
      if (isTuned) progress.note(note);
      else progress.step({ done: ++done, total: 8, unit: "packs", note });
      isTuning = false;
    },
  });
}

/** The data set; what is remarkable about its labels and its inputs is told. */
async function openChecked(
  data: string,
  model: Model,
  flags: TuningFlags,
  { signal }: Io,
  progress: Progress,
): Promise<Dataset> {
  const dataset = await open(data, flags, model);
  await tellLabelSize(model, dataset, { progress, output: flags.outputName });
  await warnOfInputs(model, dataset, { progress, signal });
  return dataset;
}

/**
 * The settings of tuning; `undefined` without it. Fails with `USAGE` where they contradict each other; this check needs
 * neither the network nor data.
 */
export async function tuningSettingsOf(flags: TuningFlags): Promise<TrainSettings | undefined> {
  const { tuneEpochs: epochs, distill = false } = flags;
  if (epochs === undefined) return undefined;
  const { requireObjectiveFits, settingsOf } = await import(
    "../../runs/settings/train-settings.ts"
  );
  const settings = settingsOf({ ...trainingSettingsOf(flags), epochs });
  requireObjectiveFits(settings, distill);
  return settings;
}

async function tuningOf(
  model: Model,
  dataset: Dataset,
  flags: TuningFlags,
  { signal, progress }: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<TrainOptions | undefined> {
  const asked = await tuningSettingsOf(flags);
  if (asked === undefined) return undefined;
  const { trainOptionsOf } = await import("../../runs/settings/train-settings.ts");
  const { withReplicasChosen } = await import("../../runs/training/replicas-chosen.ts");
  const teacher = flags.distill ? model.graph : undefined;
  const settings = await withReplicasChosen(asked, model, dataset, teacher, {
    signal,
    onPhase: progress.phase,
    onNote: progress.note,
  });
  return trainOptionsOf(settings, dataset, teacher);
}
