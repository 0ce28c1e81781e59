/** @file The settings of a run whose number of replicas is to be found out before the run begins. */
import type { Dataset } from "../../data/dataset.ts";
import type { Graph } from "../../ir/graph.ts";
import { chooseReplicas } from "../../train/loop/choose-replicas.ts";
import type { TrainSource } from "../../train/network/network.ts";
import type { RunHooks } from "../folder/run-hooks.ts";
import { type TrainSettings, trainOptionsOf } from "../settings/train-settings.ts";

/**
 * The settings with a number in the place of `auto`, which is measured; others as they are. A run keeps them in its
 * configuration, so that it is repeated and resumed with that number. Fails as `chooseReplicas`.
 */
export async function withReplicasChosen(
  settings: TrainSettings,
  network: TrainSource,
  dataset: Dataset,
  teacher: Graph | undefined,
  { onPhase, onNote, signal }: RunHooks,
): Promise<TrainSettings> {
  if (settings.replicas !== "auto") return settings;
  if (settings.recalibrateOnly) return { ...settings, replicas: 1 };
  onPhase?.("choosing replicas");
  const options = trainOptionsOf({ ...settings, replicas: 1 }, dataset, teacher);
  const { replicas, timings } = await chooseReplicas(network, dataset, { ...options, signal });
  const times = timings.map((one) => `${one.replicas}: ${one.msPerStep.toFixed(1)} ms`).join(", ");
  onNote?.(`trains with ${replicas} replica${replicas === 1 ? "" : "s"} (a step with ${times})`);
  return { ...settings, replicas };
}
