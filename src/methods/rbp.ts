/**
 * @file Method `rbp`: random gates layer by layer, each layer on what the layers before it have become.
 *
 * After the idea of Zhou et al. (ICCV 2019); derivation ours. With the prior p(θ) = p(θ₁) Π p(θ_l | θ_l-1)
 * and posteriors of the same form, the evidence bound holds an expectation over θ_l-1 in every layer. When
 * the noise of layer l-1 is Dirac-like it is an evaluation: so layer l is trained with the gates before it
 * at their means, without the channels whose gates have closed, and with no gates behind it. Which prior
 * makes noise Dirac-like, `gate-posterior.ts` says.
 */
import { type Removed, removeNothing, withDependants } from "../structure/removal.ts";
import { removalsInOrder } from "../structure/select.ts";
import { structureOf } from "../structure/units.ts";
import type { EpochRecord } from "../train/loop/checkpoint.ts";
import { compensatedEdits } from "./compensation/compensated-edits.ts";
import { scaleFilters } from "./gates/filter-gates.ts";
import type { Gate } from "./gates/filter-gates-sites.ts";
import { incomingShares } from "./gates/gate-coupling.ts";
import { type GatePosterior, snrSquared } from "./gates/gate-posterior.ts";
import { gateFacts, gateLosses, gateNotes, gateScores } from "./gates/gate-scores.ts";
import { gateOptions, gateSettings, gateWeights, randomGates } from "./gates/gate-settings.ts";
import { trainGates } from "./gates/gate-training.ts";
import { rbpStage } from "./gates/rbp-stage.ts";
import {
  type LearnedMethod,
  type LearningContext,
  outputsTrained,
} from "./method/learned-method.ts";
import { type MethodOption, optionOf } from "./method/method.ts";
import { stageOf } from "./method/stages.ts";
import { collapseNotes } from "./posterior/monitors.ts";
import { gateMemory, withRandomGates } from "./posterior-network.ts";

const name = "rbp";
const options: readonly MethodOption[] = [
  ...gateOptions({
    name: "epochs",
    values: [],
    default: "2",
    description: "epochs for the gates of each layer, in which the network is trained, too",
  }),
  {
    name: "coupling",
    values: ["off", "on"],
    default: "off",
    description: "whether lambda counts more where little of what a filter reads is alive",
  },
];

/** With coupling λ counts at most 1 / this times as much. */
const leastIncoming = 0.01;

export const rbp: LearnedMethod = {
  name,
  summary:
    "trains noisy gates layer by layer, on pruned layers before, and removes what noise drowns",
  source:
    "after the idea of Zhou et al.: Accelerate CNN via Recursive Bayesian Pruning, ICCV 2019; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  posterior: withRandomGates,
  learningEpochs(context) {
    const settings = gateSettings({ name, options }, context);
    return settings.epochs * randomGates(context, settings).length;
  },
  async learn(context) {
    const method = { name, options };
    const settings = gateSettings(method, context);
    const isCoupled = optionOf(method, context, "coupling") === "on";
    const { structure, dataset } = context;
    const gates = randomGates(context, settings, outputsTrained(context));
    const { lambda, weights } = await gateWeights(context, gates, settings);
    const posteriors = new Map<Gate, GatePosterior>();
    const history: EpochRecord[] = [];
    const rolledBack: string[] = [];
    const collapses: string[] = [];
    const dead = removeNothing(structure);
    const factors = new Float64Array(dead.length).fill(1);
    let { graph } = structure.analysis;
    for (const [i, gate] of gates.entries()) {
      const stage = rbpStage(structureOf(graph, structure.analysis), gate, dead);
      const incoming = isCoupled ? incomingShares(structure, gate, factors) : undefined;
      const coupled = weights(gate).map(
        (weight, k) => weight / Math.max(leastIncoming, incoming?.[k] ?? 1),
      );
      const layer = structure.groups[gate.group].id;
      const place = stageOf(context, settings.epochs, i, gates.length, layer);
      const trained = await trainGates({ structure: stage.structure, dataset }, settings, {
        graph: stage.structure.analysis.graph,
        gates: stage.gates,
        weights: stage.select(coupled),
        seed: place.seed,
        training: place.training,
      });
      history.push(...trained.history.map(place.shifted));
      if (settings.rollsBack)
        collapses.push(...collapseNotes(trained.history, lambda.value, i * settings.epochs));
      const posterior = stage.posteriorOf(trained.posteriors);
      const dying = dyingUnits(context, gate, posterior, settings.threshold);
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
    // Later layers were trained without what is dead: it is nothing now, and nothing makes up for it.
    graph = scaleFilters(graph, [...posteriors.keys()], ({ units }) =>
      Float64Array.from(units, (unit) => 1 - dead[unit]),
    );
    const edits = compensatedEdits(structure, graph);
    return {
      graph,
      history,
      memory: gateMemory(structure, graph, posteriors),
      scores: gateScores(structure, posteriors),
      // What has died is gone already, and costs nothing; a λ of 0 tells of no loss.
      ...(lambda.value > 0 && {
        losses: gateLosses(structure, posteriors, weights).map((loss, unit) =>
          dead[unit] === 1 ? 0 : loss,
        ),
      }),
      posteriorFacts: gateFacts(structure, posteriors, settings.threshold),
      edits: settings.isCompensated
        ? (removed) => edits(removed.map((flag, unit) => (dead[unit] === 1 ? 0 : flag)))
        : () => [],
      notes: [
        ...gateNotes(context, posteriors, { lambda, threshold: settings.threshold }),
        ...rolledBack.map(
          (id) => `all gates of ${id} closed: λ is too large for it, and it was left as it was`,
        ),
        ...collapses,
      ],
    };
  },
};

/** What dies of a gate's units as far as the rules allow; `"all"` where none would live. */
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
