/** @file The sensitivity of a run's original, measured once in the run. */
import { z } from "zod";
import { isLearned } from "../../methods/method/learned-method.ts";
import { sensitivity } from "../../prune/sensitivity.ts";
import { rulesOf } from "../../runs/settings/compress-settings.ts";
import type { CompressContext } from "../context/context.ts";
import type { CompressReport } from "../record/compress-report.ts";

const curves = z.array(
  z.object({
    id: z.string(),
    points: z.array(z.object({ share: z.number(), drop: z.number() })),
  }),
);

/**
 * What it costs on `select` to thin each group of the original: by the scores of the run's method, or by
 * magnitude where the method would train for them. Null where nobody asked, the time is spent, or the
 * metric is the caller's: it is made for whole roles.
 */
export async function sensitivityOfRun(
  { journal, hooks, session, settings, original, dataset, method }: CompressContext,
  isTimeSpent: boolean,
): Promise<CompressReport["sensitivity"]> {
  const isBuiltIn = original.select.kind !== "values";
  if (!settings.sensitivity || isTimeSpent || !isBuiltIn) return null;
  const scoring = isLearned(method) ? {} : { method, methodOptions: settings.methodOptions };
  return journal.once("sensitivity", curves, async () => {
    hooks.onPhase?.("measuring sensitivity");
    const { groups } = await sensitivity(original.model, dataset, {
      ...session,
      ...scoring,
      seed: settings.tuning.seed,
      // Each share is looked at as it is.
      rules: { ...rulesOf(settings), roundTo: 1 },
      selectsInputs: settings.selectsInputs,
      onProgress: ({ done, total }) => hooks.onTest?.({ done, total, unit: "networks" }),
    });
    return groups.map(({ id, points }) => ({
      id,
      points: points.map(({ share, drop }) => ({ share, drop })),
    }));
  });
}
