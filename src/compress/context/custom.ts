/**
 * @file The parts of a run that a program may add, but that cannot be written to a file: a metric and an objective of
 * its own, for networks that no built-in ones fit (detectors, regressions).
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Role } from "../../data/splits.ts";
import { EspalierError } from "../../errors.ts";
import type { ValueOutcomes } from "../../measure/outcomes/outcomes.ts";
import type { ModelSource } from "../../runtime/values.ts";
import type { Objective } from "../../train/step/objectives.ts";

/** How good a network is, sample by sample. */
export interface CustomMetric {
  /** For reports. */
  readonly name: string;
  /**
   * One value for each sample of the role, in the order in which the data set serves them; larger is
   * better, and their mean is the metric.
   */
  readonly measure: (
    network: ModelSource,
    dataset: Dataset,
    role: Role,
  ) => Promise<ArrayLike<number>>;
}

/** Functions of the caller's. A run that was begun with them is resumed with them. */
export interface CustomParts {
  readonly metric?: CustomMetric | undefined;
  /** The objective that tuning and learning minimise, in place of a loss over labels or the original's outputs. */
  readonly objective?: Objective | undefined;
}

/** The names of the {@link CustomParts} with which a run was begun, for its `config.json`. */
export function customConfig({ metric, objective }: CustomParts) {
  return { metric: metric?.name ?? null, hasObjective: objective !== undefined };
}

/** Fails with `USAGE` unless the parts are those that the run was begun with, as far as their names tell. */
export function requireSameParts(begun: ReturnType<typeof customConfig>, parts: CustomParts): void {
  const now = customConfig(parts);
  if (now.metric === begun.metric && now.hasObjective === begun.hasObjective) return;
  const told = ({ metric, hasObjective }: typeof begun) =>
    `${metric === null ? "no metric" : `the metric "${metric}"`} and ${hasObjective ? "an" : "no"} objective of its own`;
  throw new EspalierError(
    "USAGE",
    `the run was begun with ${told(begun)}; it has ${told(now)} now`,
    {
      hint: "Resume it from the program that began it, with the same metric and objective.",
      data: { begun, now },
    },
  );
}

/** Measures by a metric of the caller's. Fails with `DATA_INVALID` for values that are no metric. */
export async function measureBy(
  { name, measure }: CustomMetric,
  network: ModelSource,
  dataset: Dataset,
  role: Role,
): Promise<ValueOutcomes> {
  const values = Float64Array.from(await measure(network, dataset, role));
  const samples = dataset.size(role);
  if (values.length !== samples || !values.every(Number.isFinite))
    throw new EspalierError(
      "DATA_INVALID",
      `the metric "${name}" gave ${values.length} values for ${samples} samples, or some that are no numbers`,
      { hint: "It must give one finite number for each sample." },
    );
  return { kind: "values", metric: name, values, indices: Int32Array.from(values.keys()) };
}
