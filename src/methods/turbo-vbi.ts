/**
 * @file Method `turbo-vbi`: weights become random under a prior in which active weights form clusters.
 *
 * After the idea of Xia, Tsang and Lau (IEEE Transactions on Signal Processing 71, 2023); the derivation is ours. The
 * prior has three layers: a support s whose bits depend on each other, precisions ρ given s, and weights w ~ N(0, 1/ρ).
 * Each round updates the beliefs about all three: messages over the support (module B, `turbo-support.ts`), precisions
 * (module A, `turbo-precision.ts`), and some epochs of stochastic variational inference on q(w) = N(μ, σ²), whose loss
 * is
 *
 *     mean loss + λ / (N P) Σ KL(N(μ, σ²) ‖ N(0, 1/E[ρ]))
 *
 * for N samples of P positions each. The method starts from the trained weights, and ends with the probability of each
 * weight to be active. The network that is pruned has the means as its weights; its posterior is q(w).
 */
import { assert } from "../errors.ts";
import { digestOf } from "../files/tensor-file.ts";
import type { Graph } from "../ir/graph.ts";
import { type HostTensor, tensorOf } from "../tensor/host-tensor.ts";
import { withWeights } from "../train/network/parameters.ts";
import {
  defineLearnedMethod,
  type LearnedProposal,
  type LearningContext,
} from "./method/learned-method.ts";
import { type GivenOptions, textsOf } from "./method/options.ts";
import { stageOf } from "./method/stages.ts";
import { weightDeviations, withRandomWeights } from "./posterior-network.ts";
import {
  type SupportFacts,
  supportFacts,
  supportNotes,
  unitScores,
  weightScores,
} from "./turbo/turbo-clusters.ts";
import { believe, priorDeviations, type TurboLayer, turboLayers } from "./turbo/turbo-layer.ts";
import {
  type TurboOptions,
  type TurboSettings,
  turboOptions,
  turboSettings,
} from "./turbo/turbo-settings.ts";
import { type TurboState, type TurboStates, turboStates } from "./turbo/turbo-state.ts";
import {
  insertNoise,
  meanNetwork,
  momentsOfWeight,
  type VariationalGraph,
} from "./variational/variational.ts";
import { variationalScales } from "./variational/variational-layers.ts";
import type { Prior } from "./variational/variational-loss.ts";
import { rememberedIn } from "./variational/variational-start.ts";
import { trainPosterior } from "./variational/variational-training.ts";

/** The result of `turbo-vbi`: the proposal, and the supports that it has found. */
export interface TurboProposal extends LearnedProposal {
  /** The log odds of each weight being active, by the constant's name. */
  readonly weightScores: ReadonlyMap<string, Float64Array>;
  readonly facts: readonly SupportFacts[];
}

export const turboVbi = defineLearnedMethod({
  name: "turbo-vbi",
  summary:
    "learns which weights are active, in clusters, and removes those that are probably inactive",
  source:
    "after the idea of Xia, Tsang and Lau: Structured Bayesian Compression for Deep Neural Networks Based on the Turbo-VBI Approach, IEEE TSP 71, 2023; derivation ours",
  needs: { batchNorm: false, data: true },
  options: turboOptions,
  judgesWeights: () => true,
  learningEpochs({ options }) {
    const { rounds, epochs } = turboSettings(options);
    return rounds * epochs;
  },
  learn,
  posterior: withRandomWeights,
  weightDeviations,
});

async function learn(
  context: LearningContext<TurboOptions>,
  given: GivenOptions,
): Promise<TurboProposal> {
  const settings = turboSettings(context.options);
  const { structure, training } = context;
  const { graph: original } = structure.analysis;
  const layers = turboLayers(structure, settings);
  const noisy = insertNoise(original, layers, "weight", (own) => own, { keepsZeros: true });
  const run: TurboRun = { context, settings, layers, noisy };
  const states = turboStates(training.checkpoint, runOf(context, given, original));
  let state = await states.load();
  if (state === undefined) {
    const beliefs = beliefsOf(run, noisy.graph, [], 0);
    state = { round: 0, weights: new Map(), beliefs, history: [] };
    await states.save(state);
  }
  const rounds = settings.epochs > 0 ? settings.rounds : 0;
  while (state.round < rounds) state = await nextRound(run, states, state);
  const { beliefs, history } = state;
  const trained = withWeights(noisy.graph, state.weights);
  const graph = meanNetwork(original, trained);
  const posteriors = layers.map((layer) => ({
    ...layer,
    ...momentsOfWeight(trained, noisy, layer, layer.limit),
  }));
  const scores = layers.map((layer, i) => weightScores(graph, layer, beliefs[i]));
  const facts = layers.map((layer, i) => supportFacts(layer, scores[i]));
  return {
    graph,
    history,
    facts,
    scores: unitScores(structure, layers, beliefs),
    memory: rememberedIn(graph, posteriors, variationalScales(structure, layers)),
    weightScores: new Map(layers.map(({ weight }, i) => [weight, scores[i]])),
    edits: () => [],
    notes: supportNotes(facts),
  };
}

/** The settings of all rounds. */
interface TurboRun {
  readonly context: LearningContext;
  readonly settings: TurboSettings;
  readonly layers: readonly TurboLayer[];
  readonly noisy: VariationalGraph;
}

/** Trains the weights under the beliefs of a state, then updates the beliefs, and saves the new state. */
async function nextRound(
  run: TurboRun,
  states: TurboStates,
  { round, weights, beliefs, history }: TurboState,
): Promise<TurboState> {
  const { context, settings, layers, noisy } = run;
  const place = stageOf(context, settings.epochs, round, settings.rounds, "round");
  const priors = new Map(
    layers.map((layer, i) => [layer.weight, aroundZero(priorDeviations(layer, beliefs[i]))]),
  );
  const { trained, history: told } = await trainPosterior(
    { ...context, seed: place.seed, training: place.training },
    { ...settings, warmUp: round === 0 ? firstWarmUp : 0 },
    { ...noisy, graph: withWeights(noisy.graph, weights) },
    layers,
    ({ weight }) => {
      const prior = priors.get(weight);
      assert(prior !== undefined, "every random weight has a prior");
      return prior;
    },
  );
  const state = {
    round: round + 1,
    weights: changedConstants(noisy, trained),
    beliefs: beliefsOf(run, trained, beliefs, round + 1),
    history: [...history, ...told.map(place.shifted)],
  };
  await states.save(state, place.training.checkpoint?.path);
  return state;
}

/** The beliefs about each layer, given a network with noise. */
function beliefsOf(
  { settings, layers, noisy }: TurboRun,
  graph: Graph,
  earlier: TurboState["beliefs"],
  round: number,
): TurboState["beliefs"] {
  const isAlone = round < settings.alone;
  return layers.map((layer, i) => {
    const moments = momentsOfWeight(graph, noisy, layer, layer.limit);
    return believe(layer, settings, moments, earlier[i], isAlone);
  });
}

/** Share of the first round over which the KL's weight rises. */
const firstWarmUp = 0.3;

function aroundZero(deviations: HostTensor): Prior {
  const { dtype, shape, data } = deviations;
  const means = tensorOf(dtype, shape, new Float64Array(data.length));
  return { kind: "given", means, deviations };
}

/** The constants that training has changed. */
function changedConstants({ graph }: VariationalGraph, trained: Graph): Map<string, HostTensor> {
  const changed = new Map<string, HostTensor>();
  for (const [key, constant] of graph.constants) {
    const own = trained.constants.get(key);
    if (own !== undefined && own.read !== constant.read) changed.set(key, own.read());
  }
  return changed;
}

/** A text that is equal for runs with equal settings and inputs. */
function runOf({ seed, training }: LearningContext, given: GivenOptions, graph: Graph): string {
  const weights = new Map([...graph.constants].map(([key, { read }]) => [key, read()]));
  const { limit, batchSize } = training;
  const own = textsOf(given).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ seed, own, limit, batchSize, weights: digestOf(weights) });
}
