/**
 * @file The state of a run of Turbo-VBI between its rounds, on disk: weights, beliefs, and the epochs that were
 * reported. Within a round the checkpoint of its training says more; it is gone when the round is over.
 */
import { rm } from "node:fs/promises";
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { fileError } from "../../files/file-error.ts";
import { clearLeftovers, loadTensors, saveTensors } from "../../files/tensor-file.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { type EpochRecord, epochRecord } from "../../train/loop/checkpoint.ts";
import type { LearningContext } from "../method/learned-method.ts";
import type { LayerBeliefs } from "./turbo-layer.ts";

/** The state that the rest of a run depends on. */
export interface TurboState {
  /** Rounds that are done. */
  readonly round: number;
  /** Constants that training has changed, by name. */
  readonly weights: ReadonlyMap<string, HostTensor>;
  /** The beliefs about each layer; none before the first round. */
  readonly beliefs: readonly LayerBeliefs[];
  readonly history: readonly EpochRecord[];
}

/** Where states are kept. */
export interface TurboStates {
  /** The last state; `undefined` where the run begins. */
  readonly load: () => Promise<TurboState | undefined>;
  /** Saves a state in place of the last one, and removes the checkpoint of the round that led to it. */
  readonly save: (state: TurboState, roundCheckpoint?: string) => Promise<void>;
}

const transitions = z.object({ p01: z.number(), p10: z.number() });
const note = z.object({
  version: z.literal(1),
  run: z.string(),
  round: z.int(),
  transitions: z.array(transitions),
  history: z.array(epochRecord),
});
const parts = ["logits", "evidence", "precisions", "logPrecisions"] as const;

/**
 * The states of a run, beside its checkpoint; without one nothing is kept.
 *
 * @param run The settings and inputs that identify the run: its states serve no other run.
 */
export function turboStates(
  checkpoint: LearningContext["training"]["checkpoint"],
  run: string,
): TurboStates {
  if (checkpoint === undefined)
    return { load: () => Promise.resolve(undefined), save: () => Promise.resolve() };
  const path = checkpoint.path.replace(/(\.[^./\\]*)?$/, ".turbo$1");
  return {
    async load() {
      await clearLeftovers(path);
      const file = await loadTensors(path);
      if (file === undefined) return undefined;
      const { data } = note.safeParse(jsonOf(file.note));
      if (data?.run !== run)
        throw new EspalierError("CHECKPOINT_INVALID", `${path} belongs to another run`, {
          hint: "Resume with the same network, data and options, or begin in another folder.",
          data: { path },
        });
      const read = (name: string) => {
        const tensor = file.tensors.get(name);
        if (tensor !== undefined) return toNumbers(tensor);
        throw new EspalierError("CHECKPOINT_INVALID", `${path} lacks "${name}"`, {
          data: { path },
        });
      };
      const beliefs = data.transitions.map((own, i): LayerBeliefs => {
        const [logits, evidence, precisions, logPrecisions] = parts.map((part) =>
          read(`beliefs/${i}/${part}`),
        );
        return { logits, evidence, precisions, logPrecisions, transitions: own };
      });
      const weights = [...file.tensors].flatMap(([name, tensor]) =>
        name.startsWith("weights/") ? [[name.slice("weights/".length), tensor] as const] : [],
      );
      return { round: data.round, weights: new Map(weights), beliefs, history: data.history };
    },
    async save({ round, weights, beliefs, history }, roundCheckpoint) {
      const tensors = new Map<string, HostTensor>();
      for (const [name, tensor] of weights) tensors.set(`weights/${name}`, tensor);
      for (const [i, own] of beliefs.entries())
        for (const part of parts)
          tensors.set(`beliefs/${i}/${part}`, tensorOf("float64", [own[part].length], own[part]));
      const text = { version: 1, run, round, history };
      const learnt = beliefs.map((own) => own.transitions);
      await saveTensors(path, { tensors, note: JSON.stringify({ ...text, transitions: learnt }) });
      if (roundCheckpoint === undefined) return;
      await rm(roundCheckpoint, { force: true }).catch((cause: unknown) => {
        throw fileError(`remove ${roundCheckpoint}`, roundCheckpoint, cause);
      });
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema reports the fault
  }
}
