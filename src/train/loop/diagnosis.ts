/** @file What went wrong when a step was not finite. */
import { EspalierError } from "../../errors.ts";
import type { BlockSize } from "../../ops/passes/blocked.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { emitStep } from "../network/provider-form.ts";
import type { TrainingStep } from "../step/step.ts";

/**
 * Runs a step again that its guard refused, and gives the error that names the first value which is
 * not finite. `feeds` are those of the step, its state included.
 */
export async function diagnosisOf(
  step: TrainingStep,
  feeds: Feeds,
  at: { readonly step: number; readonly epoch: number },
  options: SessionOptions & { readonly block: BlockSize | undefined },
): Promise<EspalierError> {
  const { graph, output, suspects } = step.probe();
  const wanted = new Map([...feeds].filter(([name]) => graph.inputs.includes(name)));
  const results = await withSession(emitStep(graph, options, options.block), options, (session) =>
    session.run(wanted, [output]),
  );
  const zeros = results.get(output);
  const index = zeros === undefined ? -1 : toNumbers(zeros).findIndex(Number.isNaN);
  // Sums of finite numbers may overflow, and noise may fall otherwise in another session.
  const what = suspects[index] ?? "the norm of all gradients";
  return new EspalierError(
    "TRAINING_DIVERGED",
    `Step ${at.step} (epoch ${at.epoch + 1}): ${what} is not finite.`,
    {
      hint: "Use a lower learning rate, a warm-up or clipping; check that samples and weights are finite.",
      data: { ...at, tensor: what },
    },
  );
}
