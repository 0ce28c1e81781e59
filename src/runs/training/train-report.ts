/** @file The report of a training run: its results in figures. */
import { z } from "zod";

const score = {
  /** `top1`, `miou` (label maps), or `objective` (the negative loss, where there are no labels). */
  metric: z.string(),
  value: z.number(),
  loss: z.number(),
};

/** The border at which a report that was written is read again. */
export const trainReport = z.object({
  command: z.literal("train"),
  network: z.string(),
  seed: z.number(),
  /** Epochs that were completed. */
  epochs: z.number(),
  steps: z.number(),
  end: z.enum(["completed", "early-stop", "time-budget", "rolled-back"]),
  /**
   * One entry an epoch, from 1: steps done, the learning rate of the last, means of loss and accuracy
   * over the training batches as they were fed, and the score on `select`.
   */
  history: z.array(
    z.object({
      epoch: z.number(),
      step: z.number(),
      rate: z.number(),
      loss: z.number(),
      accuracy: z.number().optional(),
      select: z.object(score).optional(),
    }),
  ),
  /** The epoch whose weights `model.onnx` has, with its score on `select`; null where nothing was scored. */
  best: z.object({ epoch: z.number(), ...score }).nullable(),
  /** `model.onnx` on `test`, read once; null without labelled samples that serve as `test`. */
  final: z
    .object({
      split: z.literal("test"),
      ...score,
      samples: z.number(),
      ci95: z.tuple([z.number(), z.number()]).optional(),
    })
    .nullable(),
  sizeBytes: z.number(),
  warnings: z.array(z.string()),
});

/** The report of a run. It holds no times, so that a resumed run has the same. */
export type TrainReport = Readonly<z.output<typeof trainReport>>;
