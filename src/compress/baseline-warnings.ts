/** @file Warnings that follow from the baseline, before a compression begins. */
import { checkInputs, inputWarning } from "../measure/inputs/input-check.ts";
import { metricOf, type Outcomes, samplesOf } from "../measure/outcomes/outcomes.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { largestOf } from "../tensor/extremes.ts";
import { fittedPlan } from "../train/loop/batch.ts";
import { inPercent } from "../words/numbers.ts";
import type { CompressContext } from "./context/context.ts";

/**
 * Warnings, one sentence each: faults of the inputs or the batch, a network that was trained on `select`, or one with
 * hardly any accuracy to lose.
 */
export async function baselineWarnings(
  context: CompressContext,
  hasLabels: boolean,
): Promise<string[]> {
  const { original, dataset, tuning, session } = context;
  const { note } = fittedPlan(original.model.graph, dataset, tuning);
  const check = await checkInputs(original.model.graph, dataset, { ...session, role: "fit" });
  const told = [note, inputWarning(check)].filter((text) => text !== undefined);
  return [...told, ...(await labelWarnings(context, hasLabels))];
}

async function labelWarnings(
  { original: { model, select }, dataset, measureOutcomes }: CompressContext,
  hasLabels: boolean,
): Promise<string[]> {
  if (!hasLabels || select.kind === "values") return [];
  const warnings = chanceWarnings(select);
  if (dataset.size("certify") === 0) return warnings;
  const certify = await measureOutcomes(writeModel(model).chunks, "certify");
  const [a, b] = [metricOf(select), metricOf(certify)];
  const halfWidths = [a, b].map(({ ci95 }) => (ci95[1] - ci95[0]) / 2);
  if (a.value - b.value <= Math.max(0.02, Math.hypot(...halfWidths))) return warnings;
  return [
    ...warnings,
    `The network reaches ${inPercent(a.value)} on the ${samplesOf(select)} images for selection but ` +
      `${inPercent(b.value)} on the ${samplesOf(certify)} for certification: it may have been trained ` +
      "on the former. Give held-out data (`heldOut`).",
  ];
}

/** The warning about a classifier that is right no more often than one that always gives the same answer. */
export function chanceWarnings(select: Outcomes): string[] {
  if (select.kind !== "classes") return [];
  const counts = new Map<number, number>();
  for (const label of select.predictions.labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const commonest = largestOf(counts.values()) / samplesOf(select);
  const { value } = metricOf(select);
  if (counts.size < 2 || value > commonest) return [];
  return [
    `The network is right on ${inPercent(value)} of the images for selection; always giving the commonest ` +
      `class is right on ${inPercent(commonest)}. A small drop from there says nothing: check the ` +
      "preprocessing, or train it first.",
  ];
}
