/** @file The share of the way to the targets that each round goes. */
import { z } from "zod";
import { bench } from "../../measure/latency/bench.ts";
import { machineCosts } from "../../measure/latency/machine-costs.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { latencyBudget } from "../../prune/latency.ts";
import { budgetsOf } from "../../prune/prune.ts";
import type { Budget } from "../../structure/choice/select.ts";
import { costOf } from "../../structure/cost/cost.ts";
import { costTableSchema } from "../../structure/timing/cost-table-text.ts";
import { costsOfNetwork, timeModel } from "../../structure/timing/time-model.ts";
import type { Structure } from "../../structure/units/units.ts";
import { countWeights } from "../../structure/weights/layer-weights.ts";
import type { CompressContext } from "../context/context.ts";

/**
 * The budgets of a round, as shares of the network that it begins with: of what is still to go, each
 * round that is left takes the same share.
 */
export async function roundBudgets(
  context: CompressContext,
  round: number,
  { network, structure }: { readonly network: Model; readonly structure: Structure },
): Promise<readonly Budget[]> {
  const { settings, original } = context;
  const { macs, params, bytes, density, latency } = settings.targets;
  const now = costOf(network.graph, structure.analysis.dims);
  const before = original.cost;
  const left = Math.max(1, settings.rounds - round + 1);
  const aim = (target: number, share: number) => Math.min(1, target / share) ** (1 / left);
  const { weights, nonZero } = countWeights(network.graph);
  const dense = nonZero / original.weights;
  const budgets = budgetsOf(structure, {
    ...(macs !== undefined && { macs: aim(macs, now.macs / before.macs) }),
    ...(params !== undefined && { params: aim(params, now.params / before.params) }),
    ...(bytes !== undefined && { bytes: aim(bytes, now.parameterBytes / before.parameterBytes) }),
    ...(density !== undefined && { density: (aim(density, dense) * nonZero) / weights }),
  });
  if (latency === undefined) return budgets;
  const { journal, session, hooks } = context;
  hooks.onPhase?.(`round ${round}: timing`);
  const model = writeModel(network).chunks;
  const measured = z.object({ ratio: z.number(), costs: costTableSchema });
  const costed = { name: `round ${round}`, model: network, structure };
  const { ratio, costs } = await journal.once(`round ${round}/latency`, measured, async () => ({
    ratio: await latencyRatio(context, model),
    costs: costsOfNetwork(structure, settings.rules.costs ?? (await machineCosts(costed, session))),
  }));
  const budget = latencyBudget(timeModel(structure, costs), aim(latency, ratio));
  return [...budgets, budget];
}

/** The latency of a network as a share of the original's, measured interleaved. */
async function latencyRatio(
  { original, settings, session }: CompressContext,
  model: readonly Uint8Array[],
): Promise<number> {
  const { ratios } = await bench(
    [
      { name: "original", model: writeModel(original.model).chunks },
      { name: "now", model },
    ],
    { ...session, seconds: settings.benchSeconds },
  );
  return ratios[0].ratio;
}
