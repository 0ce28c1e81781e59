/** @file Where a run stands, on disk: everything that the rest of it depends on. */
import { z } from "zod";
import { EspalierError } from "../../errors.ts";
import { clearLeftovers, loadTensors, saveTensors } from "../../files/tensor-file.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** JSON has null for numbers that are not finite. */
const anyNumber = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);
const score = z.object({
  metric: z.string(),
  value: anyNumber,
  loss: anyNumber,
  /** What else is to be told of the network, by name. */
  facts: z.record(z.string(), anyNumber).optional(),
});
/** One epoch, as files hold it. */
export const epochRecord = z.object({
  epoch: z.int(),
  step: z.int(),
  /** The learning rate of its last step, which may be 0 at the end of a run. */
  rate: z.number(),
  loss: z.number(),
  /** Parts of the loss that the objective told apart, by name; means, too. */
  terms: z.record(z.string(), anyNumber).optional(),
  accuracy: z.number().optional(),
  select: score.optional(),
});
const position = z.object({
  /** Epochs that are done, and batches of the one at hand. */
  epoch: z.int(),
  batch: z.int(),
  /** Steps done since the beginning. */
  step: z.int(),
  /** Sums over the epoch at hand. */
  lossSum: z.number(),
  correct: z.number(),
  termSums: z.record(z.string(), anyNumber).optional(),
  history: z.array(epochRecord),
  bestEpoch: z.int().optional(),
  /** Why the run is over, if it is. */
  end: z.enum(["completed", "early-stop", "time-budget", "rolled-back"]).optional(),
  /** Seconds of training so far, for time budgets. */
  seconds: z.number(),
  warnings: z.array(z.string()),
  /** The channel blocks of its convolutions, where they are in blocked layout. */
  block: z.literal([8, 16]).optional(),
});
const note = z.object({
  version: z.literal(1),
  run: z.string(),
  origin: z.string().optional(),
  position,
});

/** How good a network is. */
export type Score = Readonly<z.infer<typeof score>>;
/** One epoch, in figures. `loss` and `accuracy` are means over its training batches as they were fed. */
export type EpochRecord = Readonly<z.infer<typeof epochRecord>>;
/** Where a run stands. */
export type Position = z.infer<typeof position>;

/** Everything that the rest of a run depends on. */
export interface Checkpoint {
  /** What makes the run what it is; a checkpoint serves no other. */
  readonly run: string;
  /** A digest of the files that the run began with, where it lies in a folder. */
  readonly origin?: string;
  readonly position: Position;
  readonly state: ReadonlyMap<string, HostTensor>;
  /** The state inputs with weights, as they were after the best epoch. */
  readonly best: ReadonlyMap<string, HostTensor>;
}

const whatRemains =
  "Put the file back as it was, or delete it: what it belongs to is then trained from its beginning, and all that was done before stays.";
const statePrefix = "state/";
const bestPrefix = "best/";

/** Writes a checkpoint. The file appears whole or not at all. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { run, origin, position, state, best } = checkpoint;
  const tensors = new Map([
    ...[...state].map(([name, tensor]) => [statePrefix + name, tensor] as const),
    ...[...best].map(([name, tensor]) => [bestPrefix + name, tensor] as const),
  ]);
  await saveTensors(path, { tensors, note: JSON.stringify({ version: 1, run, origin, position }) });
}

/**
 * Reads the checkpoint of a run; `undefined` where there is none.
 * Fails with `CHECKPOINT_INVALID` where it is damaged, belongs to another run, or to one that began with other files.
 */
export async function loadCheckpoint(
  path: string,
  run: string,
  origin?: string,
): Promise<Checkpoint | undefined> {
  await clearLeftovers(path);
  const file = await loadTensors(path, whatRemains);
  if (file === undefined) return undefined;
  const parsed = note.safeParse(jsonOf(file.note));
  if (!parsed.success)
    throw new EspalierError("CHECKPOINT_INVALID", `${path} holds no checkpoint`, {
      hint: whatRemains,
      data: { path },
    });
  if (parsed.data.run !== run)
    throw new EspalierError("CHECKPOINT_INVALID", `${path} belongs to another run`, {
      hint: "Resume with the same network, data and options, or begin in another folder.",
      data: { path, expected: run, got: parsed.data.run },
    });
  if ((parsed.data.origin ?? origin) !== origin)
    throw new EspalierError(
      "CHECKPOINT_INVALID",
      `${path} was written when the run had another config.json or another network to begin with`,
      {
        hint: `Put them back as they were. Or delete the checkpoint: training then begins anew, with what is there now.`,
        data: { path, expected: origin, got: parsed.data.origin },
      },
    );
  const under = (prefix: string) =>
    new Map(
      [...file.tensors].flatMap(([name, tensor]) =>
        name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
      ),
    );
  const { position } = parsed.data;
  return { run, position, state: under(statePrefix), best: under(bestPrefix) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema says what is wrong
  }
}
