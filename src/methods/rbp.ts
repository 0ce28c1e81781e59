/**
 * @file Method `rbp`: trains random gates layer by layer, each layer behind the pruned layers before it.
 *
 * After the idea of Zhou et al. (ICCV 2019); the derivation is ours. With the prior p(θ) = p(θ₁) Π p(θ_l | θ_l-1) and
 * posteriors of the same form, the evidence bound holds an expectation over θ_l-1 in every layer. When the noise of
 * layer l-1 is Dirac-like it is an evaluation: so layer l is trained with the gates before it at their means, without
 * the channels whose gates have closed, and with no gates behind it. The prior that makes noise Dirac-like is in
 * `gate-posterior.ts`.
 */

import type { Graph } from "../ir/graph.ts";
import { removalsInOrder } from "../structure/choice/select.ts";
import { type Removed, removeNothing, withDependants } from "../structure/units/removal.ts";
import { structureOf } from "../structure/units/units.ts";
import type { EpochRecord } from "../train/loop/checkpoint.ts";
import { compensatedEdits } from "./compensation/compensated-edits.ts";
import { scaleFilters } from "./gates/filter-gates.ts";
import type { Gate } from "./gates/filter-gates-sites.ts";
import { incomingShares } from "./gates/gate-coupling.ts";
import { type GatePosterior, snrSquared } from "./gates/gate-posterior.ts";
import { gateFacts, gateLosses, gateNotes, gateScores } from "./gates/gate-scores.ts";
import { gateOptions, gateTraining, gateWeights, randomGates } from "./gates/gate-settings.ts";
import { trainGates } from "./gates/gate-training.ts";
import { rbpStage } from "./gates/rbp-stage.ts";
import {
  defineLearnedMethod,
  type LearningContext,
  outputsTrained,
} from "./method/learned-method.ts";
import { advanced, count, type OptionsOf, toggle } from "./method/options.ts";
import { stageOf } from "./method/stages.ts";
import { collapseNotes } from "./posterior/monitors.ts";
import { gateMemory, withRandomGates } from "./posterior-network.ts";

const options = {
  ...gateOptions(
    count(
      1,
      2,
      "Epochs in each round for the gates of each layer; the network is trained in them as well.",
    ),
  ),
  coupling: advanced(
    toggle(false, "Raises lambda for filters of whose inputs only a small share is alive."),
  ),
};
type Options = OptionsOf<typeof options>;

/** The least share of live inputs that counts: with coupling λ is multiplied by at most 1 / this. */
const leastIncoming = 0.01;

export const rbp = defineLearnedMethod({
  name: "rbp",
  summary:
    "trains noisy gates layer by layer, each behind pruned layers, and removes the filters whose gates are mostly noise",
  source:
    "after the idea of Zhou et al.: Accelerate CNN via Recursive Bayesian Pruning, ICCV 2019; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  posterior: withRandomGates,
  learningEpochs(context) {
    return context.options.epochs * randomGates(context).length;
  },
  async learn(context) {
    const { structure, options } = context;
    const gates = randomGates(context, outputsTrained(context));
    const { lambda, weights } = await gateWeights(context, gates);
    const trained = await trainLayers(context, gates, { lambda, weights });
    const { posteriors, dead } = trained;
    // Later layers were trained without the dead units, so their removal needs no compensation.
    const graph = scaleFilters(trained.graph, [...posteriors.keys()], ({ units }) =>
      Float64Array.from(units, (unit) => 1 - dead[unit]),
    );
    const edits = compensatedEdits(structure, graph);
    return {
      graph,
      history: trained.history,
      memory: gateMemory(structure, graph, posteriors),
      scores: gateScores(structure, posteriors),
      // Dead units are removed already, so their loss is 0; with λ = 0 there are no losses.
      ...(lambda.value > 0 && {
        losses: gateLosses(structure, posteriors, weights).map((loss, unit) =>
          dead[unit] === 1 ? 0 : loss,
        ),
      }),
      posteriorFacts: gateFacts(structure, posteriors, options.threshold),
      edits: options.compensate
        ? (removed) => edits(removed.map((flag, unit) => (dead[unit] === 1 ? 0 : flag)))
        : () => [],
      notes: [
        ...gateNotes(context, posteriors, { lambda, threshold: options.threshold }),
        ...trained.rolledBack.map(
          (id) => `all gates of ${id} closed: λ is too large for it, and it was left as it was`,
        ),
        ...trained.collapses,
      ],
    };
  },
});

/** What training layer after layer comes to. */
interface TrainedLayers {
  /** The whole network, in which what is dead still has its parameters. */
  readonly graph: Graph;
  /** The posterior of each layer's gate, but of layers that were left as they were. */
  readonly posteriors: ReadonlyMap<Gate, GatePosterior>;
  readonly dead: Removed;
  readonly history: readonly EpochRecord[];
  /** The layers whose gates all closed, by the id of the group. */
  readonly rolledBack: readonly string[];
  /** Notes of training that collapsed. */
  readonly collapses: readonly string[];
}

/** Trains the gates of one layer after the other, each on what the layers before it have become. */
async function trainLayers(
  context: LearningContext<Options>,
  gates: readonly Gate[],
  { lambda, weights }: Awaited<ReturnType<typeof gateWeights>>,
): Promise<TrainedLayers> {
  const { structure, dataset, options } = context;
  const settings = gateTraining(options);
  const posteriors = new Map<Gate, GatePosterior>();
  const history: EpochRecord[] = [];
  const rolledBack: string[] = [];
  const collapses: string[] = [];
  const dead = removeNothing(structure);
  const factors = new Float64Array(dead.length).fill(1);
  let { graph } = structure.analysis;
  for (const [i, gate] of gates.entries()) {
    const stage = rbpStage(structureOf(graph, structure.analysis), gate, dead);
    const incoming = options.coupling ? incomingShares(structure, gate, factors) : undefined;
    const coupled = weights(gate).map(
      (weight, k) => weight / Math.max(leastIncoming, incoming?.[k] ?? 1),
    );
    const layer = structure.groups[gate.group].id;
    const place = stageOf(context, options.epochs, i, gates.length, layer);
    const trained = await trainGates({ structure: stage.structure, dataset }, settings, {
      graph: stage.structure.analysis.graph,
      gates: stage.gates,
      weights: stage.select(coupled),
      seed: place.seed,
      training: place.training,
    });
    history.push(...trained.history.map(place.shifted));
    if (settings.rollsBack)
      collapses.push(...collapseNotes(trained.history, lambda.value, i * options.epochs));
    const posterior = stage.posteriorOf(trained.posteriors);
    const dying = dyingUnits(context, gate, posterior, options.threshold);
    if (dying === "all") {
      rolledBack.push(layer);
      continue;
    }
    posteriors.set(gate, posterior);
    graph = stage.restore(trained.graph);
    for (const [k, unit] of gate.units.entries()) {
      dead[unit] ||= dying[unit];
      factors[unit] = dead[unit] === 1 ? 0 : posterior.means[k];
    }
    dead.set(withDependants(structure, dead));
  }
  return { graph, posteriors, dead, history, rolledBack, collapses };
}

/** The units of a gate that die, as far as the rules allow; `"all"` where none would live. */
function dyingUnits(
  { structure, rules }: LearningContext,
  gate: Gate,
  posterior: GatePosterior,
  threshold: number,
): Removed | "all" {
  const scores = gateScores(structure, new Map([[gate, posterior]]));
  const count = snrSquared(posterior).filter((ratio) => ratio <= threshold).length;
  if (count === gate.units.length) return "all";
  const { choose } = removalsInOrder(structure, scores, rules);
  const removed = choose(Math.min(count, candidatesIn(structure, gate)));
  return removed.map((flag, unit) => (flag === 1 && scores[unit] <= threshold ? 1 : 0));
}

function candidatesIn({ units }: LearningContext["structure"], gate: Gate): number {
  return gate.units.filter((unit) => units[unit].reason === undefined).length;
}
