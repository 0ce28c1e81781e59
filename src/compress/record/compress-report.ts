/**
 * @file What came of a compression, in figures: `report.json`, from which `report.html` is drawn.
 * It holds no times but the latencies, which are measured once and kept with the run: a resumed run
 * has the same report.
 */
import { z } from "zod";
import { packingRecord } from "./packing-record.ts";
import { posteriorRecord } from "./posterior-record.ts";
import { uncertaintyRecord } from "./uncertainty-record.ts";

const interval = z.tuple([z.number(), z.number()]);
/** Shares of the original's figures that remain. */
const remaining = z.object({
  macs: z.number(),
  params: z.number(),
  /** The share of the weights of linear layers that are not 0; it stands where single weights go, or a target asks. */
  density: z.number().optional(),
});
const figures = { macs: z.number(), params: z.number(), sizeBytes: z.number() };

/**
 * A metric on a role: `top1`, `miou`, `agreement` with the original, `similarity` of its outputs to the
 * original's, or the user's own.
 */
export const measured = z.object({
  value: z.number(),
  ci95: interval,
  loss: z.number().optional(),
  samples: z.number(),
});

/** One side of the comparison. `value` is on `test`; null where there is no such data. */
const side = z.object({
  value: z.number().nullable(),
  ci95: interval.nullable(),
  loss: z.number().nullable(),
  samples: z.number(),
  select: measured,
  ...figures,
  /** Absent where the networks were not timed. */
  latencyMs: z.number().optional(),
});

/** One epoch of learning or tuning; the first is 1. */
export const epochEntry = z.object({
  epoch: z.number(),
  step: z.number(),
  /** The learning rate of its last step, which may be 0 at the end of a run. */
  rate: z.number(),
  loss: z.number(),
  /** Parts of the loss, by name: `kl` is what the divergence of a posterior adds to it. */
  terms: z.record(z.string(), z.number()).optional(),
  accuracy: z.number().optional(),
  select: z
    .object({
      metric: z.string(),
      value: z.number(),
      loss: z.number(),
      /** What else a method tells of its network, by name. */
      facts: z.record(z.string(), z.number()).optional(),
    })
    .optional(),
});

/** One try of a round: so many units removed, and what that did. */
export const attemptRecord = z.object({
  units: z.number(),
  remaining,
  /** On `select`, right after the removal and after fine-tuning. */
  removed: measured,
  tuned: measured.nullable(),
  /** Original minus this one, on `select`, in the metric's units, and its one-sided upper bound. */
  drop: z.number(),
  upper: z.number(),
  /** Epoch by epoch. */
  tuning: z.array(epochEntry),
  verification: z.object({ maxError: z.number(), samples: z.number(), passed: z.boolean() }),
  isAccepted: z.boolean(),
  /** Whether tuning left the finite numbers; `drop` is then that of the network that was not tuned. */
  isDiverged: z.boolean().default(false),
  /** Why it was not accepted. */
  reason: z.string().optional(),
});

/** One network of a search. */
export const searchEntry = z.object({
  /** Removed; with `density`, the weights that are 0 instead. */
  units: z.number(),
  macs: z.number(),
  density: z.number().optional(),
  drop: z.number(),
});

/** More than any run makes; a page of more could not be drawn in reasonable time. */
const mostTries = 2000;

/** One round. */
export const roundRecord = z.object({
  /** From 1. */
  round: z.number(),
  /** After it. */
  remaining,
  attempts: z.array(attemptRecord),
  isAccepted: z.boolean(),
  /** What the search on `select` tried, before any fine-tuning: units removed (or weights), and the drop. */
  search: z.array(searchEntry),
  /** Learning of the method, epoch by epoch. */
  learning: z.array(epochEntry),
  /** What was learnt of each unit, where the method learns a posterior. */
  posterior: posteriorRecord.optional(),
  notes: z.array(z.string()),
  /** What in it must be acted on; absent where nothing must. */
  warnings: z.array(z.string()).optional(),
});

/** One consultation of `certify`. */
const look = z.object({
  round: z.number(),
  /** The one-sided level of its test. */
  level: z.number(),
  drop: z.number(),
  /** The upper bound of the drop at that level. */
  upper: z.number(),
  samples: z.number(),
  passed: z.boolean(),
  ladder: z.enum(["main", "milder"]),
});

/** Weights that are not 0, and how they stand in runs along what comes into each neuron. */
const supportFigures = z.object({
  weights: z.number(),
  nonZero: z.number(),
  neurons: z.number(),
  /** Neurons without incoming weights. */
  empty: z.number(),
  clusters: z.number(),
});

/** The ratio of two latencies, and where the result is slower, the operators that take longer. */
export const latencyFigures = z.object({
  ratio: z.number(),
  ci95: interval,
  threads: z.number(),
  provider: z.string(),
  slowerOperators: z
    .array(
      z.object({
        name: z.string(),
        opType: z.string(),
        isInserted: z.boolean(),
        /** Operators that ONNX Runtime inserts are counted together by their type. */
        count: z.object({ before: z.number(), after: z.number() }),
        beforeMs: z.number(),
        afterMs: z.number(),
      }),
    )
    .default([]),
});

/** The border at which a report that was written is read again. */
export const compressReport = z.object({
  command: z.literal("compress"),
  version: z.literal(1),
  network: z.string(),
  method: z.string(),
  methodOptions: z.record(z.string(), z.string()),
  seed: z.number(),
  /** `outputs`: what else a network may be for; its outputs are compared with the original's. */
  task: z.enum(["classification", "segmentation", "outputs", "custom"]),
  metric: z.string(),
  /** False where the metric is agreement with the original, as there are no labels. */
  hasLabels: z.boolean(),
  classNames: z.array(z.string()).nullable(),
  asked: z.object({
    /** Shares of the original that may remain. */
    macs: z.number().optional(),
    params: z.number().optional(),
    bytes: z.number().optional(),
    density: z.number().optional(),
    latency: z.number().optional(),
    /** Largest drop of the metric, absolute. */
    maxDrop: z.number().optional(),
    confidence: z.number(),
  }),
  samples: z.object({
    fit: z.number(),
    select: z.number(),
    certify: z.number(),
    test: z.number(),
  }),
  baseline: side,
  result: side,
  /** Result / baseline, measured interleaved; absent where that was not wanted. */
  latency: latencyFigures.optional(),
  /** Baseline minus result on `test`, paired; `certified` is what the guard says. */
  drop: z.object({
    value: z.number().nullable(),
    ci95: interval.nullable(),
    certified: z.boolean(),
    /** In words: certified and how, or why not, and how many images it would take. */
    words: z.string(),
  }),
  looks: z.array(look),
  rounds: z
    .array(roundRecord)
    .refine(
      (rounds) =>
        rounds.flatMap(({ attempts, search }) => [...attempts, ...search]).length <= mostTries,
      `expected at most ${mostTries} attempts and looks in all rounds`,
    ),
  /** The round whose network is the result; 0 is the original. */
  chosenRound: z.number(),
  /** How the result reaches the targets and the tolerance, in one sentence. */
  outcome: z.object({ isReached: z.boolean(), isTimeSpent: z.boolean(), words: z.string() }),
  groups: z.array(
    z.object({
      id: z.string(),
      layers: z.array(z.string()),
      before: z.number(),
      after: z.number(),
    }),
  ),
  /** Features that layers read, where they may select them: by a Gather that costs no MACs. */
  selected: z
    .array(z.object({ layer: z.string(), before: z.number(), after: z.number() }))
    .default([]),
  layers: z.array(
    z.object({
      name: z.string(),
      opType: z.string(),
      before: z.object({ macs: z.number(), params: z.number() }),
      after: z.object({ macs: z.number(), params: z.number() }),
    }),
  ),
  /** The weights of each linear layer, where the result has zeros beyond chance. */
  sparsity: z
    .array(
      z.object({
        layer: z.string(),
        before: supportFigures,
        /** As many of the original's largest weights as are left: where magnitude would have kept them. */
        magnitude: supportFigures.optional(),
        after: supportFigures,
      }),
    )
    .default([]),
  /** What `model.onnx` takes when it is packed; absent in reports of earlier versions. */
  packing: packingRecord.optional(),
  /** Removal = zeroing what is read, round by round; the largest error of all. */
  verification: z.object({ maxError: z.number(), samples: z.number(), passed: z.boolean() }),
  /** Classification: reliability on `test`, 15 bins of confidence, before and after. */
  calibration: z
    .object({
      before: z.object({ ece: z.number(), bins: z.array(calibrationBin()) }),
      after: z.object({ ece: z.number(), bins: z.array(calibrationBin()) }),
    })
    .nullable(),
  /** How well both networks know how sure they may be, on `test`; null without labels or without `test`. */
  uncertainty: uncertaintyRecord.nullable().default(null),
  /** Per class on `test`: accuracy of its samples, or its IoU. */
  classes: z.array(
    z.object({
      label: z.number(),
      name: z.string().nullable(),
      samples: z.number(),
      before: z.number().nullable(),
      after: z.number().nullable(),
    }),
  ),
  /** Drop on `select` against the share of a group that is removed, without fine-tuning. */
  sensitivity: z
    .array(
      z.object({
        id: z.string(),
        points: z.array(z.object({ share: z.number(), drop: z.number() })),
      }),
    )
    .nullable(),
  digests: z.object({ original: z.string(), model: z.string(), data: z.string() }),
  notes: z.array(z.string()),
  warnings: z.array(z.string()),
});

function calibrationBin() {
  return z.object({ confidence: z.number(), accuracy: z.number(), samples: z.number() });
}

/** A metric on a role. */
export type Measured = z.output<typeof measured>;
/** One try of a round. */
export type AttemptRecord = z.output<typeof attemptRecord>;
/** One round. */
export type RoundRecord = z.output<typeof roundRecord>;
/** The report of a compression. */
export type CompressReport = Readonly<z.output<typeof compressReport>>;

/** The attempt that a round ended with; `undefined` where none was accepted. */
export function acceptedOf({ attempts }: Pick<RoundRecord, "attempts">): AttemptRecord | undefined {
  return attempts.find(({ isAccepted }) => isAccepted);
}
