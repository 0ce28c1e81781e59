/**
 * @file Method `snr`: weights become random, and filters are ranked by the information that the data give about them.
 *
 * After the idea of Lin and Yu (ICCECE 2023); the derivation is ours. Every weight w ~ N(μ, σ²) of the linear layers is
 * trained by stochastic variational inference against a prior N(0, s²): the loss is
 *
 *     mean loss + λ(t) / (N P) Σ KL(N(μ, σ²) ‖ N(0, s²))
 *
 * for N samples of P positions each, with λ rising over the first part of the run. Filters whose posterior stays close
 * to the prior have a KL near 0 and are removed first. The network that is pruned has the means as its weights.
 */
import { assert, EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { compensatedEdits, momentsWithoutStatistics } from "./compensation/compensated-edits.ts";
import type { MeasureOptions } from "./compensation/measured-moments.ts";
import {
  defineLearnedMethod,
  type LearnedProposal,
  type LearningContext,
  type PosteriorFacts,
} from "./method/learned-method.ts";
import { unscoredNotes } from "./method/method.ts";
import { advanced, choice, count, type OptionsOf } from "./method/options.ts";
import { collapse, collapseNotes, rollsBackCollapse } from "./posterior/monitors.ts";
import { bestPrior, type WeightPosterior } from "./posterior/posterior.ts";
import { weightDeviations, withRandomWeights } from "./posterior-network.ts";
import { evidenceNotes, factNotes, posteriorFacts } from "./variational/posterior-facts.ts";
import { scoredAxes } from "./variational/snr-axes.ts";
import { scoreUnits, snrScores } from "./variational/snr-scores.ts";
import { insertNoise, momentsOfWeight, type VariationalGraph } from "./variational/variational.ts";
import {
  type VariationalScale,
  type VariationalWeight,
  variationalScales,
  variationalWeights,
} from "./variational/variational-layers.ts";
import { compensate, images, lambda, noise, rate } from "./variational/variational-options.ts";
import { rememberedIn, type WeightStart, weightStartOf } from "./variational/variational-start.ts";
import {
  atMeans,
  type PosteriorTraining,
  spreadRate,
  trainPosterior,
} from "./variational/variational-training.ts";

const options = {
  score: choice(
    snrScores,
    "kl",
    "The score of a filter: the information that the data give about it (kl), its signal-to-noise ratio in several forms, the evidence against its being 0, or the rise of the loss over the saving.",
  ),
  level: choice(
    ["filters", "weights"],
    "filters",
    "Removes whole filters, or sets single weights to 0 by |μ|/σ and removes the units that become empty.",
  ),
  epochs: count(
    0,
    5,
    "Epochs in each round in which the posterior is learnt; with 0 it is not learnt.",
  ),
  rate,
  lambda: lambda(0.1),
  sigma: advanced(
    choice(
      ["weight", "filter"],
      "weight",
      "Learns a deviation for each weight, or one for each filter.",
    ),
  ),
  noise,
  prior: advanced(
    choice(
      ["fixed", "learnt"],
      "fixed",
      "The deviation of the prior: taken from each layer's weights, or learnt in training.",
    ),
  ),
  posterior: advanced(
    choice(
      ["fresh", "keep"],
      "fresh",
      "Starts every round with a new posterior, or takes the deviations that the round before has learnt as the prior.",
    ),
  ),
  normalization: advanced(
    choice(
      ["frozen", "gamma"],
      "frozen",
      "Batch normalization uses its running statistics (frozen), or those of batches, and its scales γ are then random as well.",
    ),
  ),
  collapse,
  images,
  compensate,
};
type Options = OptionsOf<typeof options>;

/** The result of `snr`: the proposal, and the posteriors. */
export interface SnrProposal extends LearnedProposal {
  readonly posteriors: readonly WeightPosterior[];
  readonly facts: readonly PosteriorFacts[];
}

export const snr = defineLearnedMethod({
  name: "snr",
  summary:
    "learns a posterior of each weight and removes the filters that the data say least about",
  source: "after the idea of Lin and Yu: Bayesian Filter Pruning, ICCECE 2023; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  judgesWeights: ({ level }) => level === "weights",
  learningEpochs({ options }) {
    requireEvidence(options);
    return options.epochs;
  },
  learn,
  posterior: withRandomWeights,
  weightDeviations,
});

async function learn(context: LearningContext<Options>): Promise<SnrProposal> {
  const { structure, dataset, training, seed, options } = context;
  requireEvidence(options);
  const { score } = options;
  const isByWeight = options.level === "weights";
  const network = randomNetwork(context);
  const { weights, scales, random, noisy } = network;
  const how = trainingOf(context, network);
  const { trained, history } = await trainPosterior(
    context,
    how,
    noisy,
    random,
    ({ prior }) => prior,
  );
  const posteriors = posteriorsIn(trained, network);
  const { graph } = await atMeans(context, how, trained);
  const look: MeasureOptions = { dataset, training, images: options.images, seed };
  const looksAtInputs = score === "input-weighted" || score === "loss" ? look : undefined;
  const axes = await scoredAxes(structure, graph, { weights, scales, posteriors }, looksAtInputs);
  // After single weights only constant units are removed, and their removal is exact without compensation.
  const moments =
    options.compensate && !isByWeight
      ? await momentsWithoutStatistics(structure, graph, look)
      : undefined;
  const facts = posteriorFacts(structure, axes);
  const scores = scoreUnits(structure, axes, score);
  return {
    graph,
    history,
    facts,
    posteriorFacts: facts,
    posteriors: [...posteriors.values()],
    memory: rememberedIn(graph, posteriors.values(), network.certain),
    scores,
    ...(score === "loss" && { losses: scores }),
    ...(isByWeight && {
      weightScores: new Map(
        weights.map(({ weight }) => [weight, signalToNoise(posteriors.get(weight))]),
      ),
    }),
    edits: moments ? compensatedEdits(structure, graph, moments) : () => [],
    warnings: lengthWarnings(options, random, history),
    notes: [
      ...(isByWeight ? [] : unscoredNotes(context, scores, "none of their weights are random")),
      ...(score === "evidence" ? evidenceNotes(structure, axes) : []),
      ...factNotes(facts),
      ...(how.rollsBack ? collapseNotes(history, options.lambda) : []),
    ],
  };
}

/** A network whose weights are random, as training begins. */
interface RandomNetwork {
  readonly weights: readonly VariationalWeight[];
  /** The scales of batch normalization behind the weights: those that are random, and those that are not. */
  readonly scales: readonly VariationalScale[];
  readonly certain: readonly VariationalScale[];
  /** Weights and scales that are random, and where each begins. */
  readonly random: readonly (VariationalWeight & WeightStart)[];
  readonly noisy: VariationalGraph;
}

/** Puts noise into the network. Fails with `MODEL_UNSUPPORTED` where no weight can be random. */
function randomNetwork({
  structure,
  options,
  memory: remembered,
}: LearningContext<Options>): RandomNetwork {
  const { sigma, level, noise, prior, posterior, normalization } = options;
  const { graph } = structure.analysis;
  const weights = variationalWeights(structure, noise);
  if (weights.length === 0)
    throw new EspalierError("MODEL_UNSUPPORTED", "no layer's weights could be random", {
      hint: "They are those of convolutions and matrix products, as constants of the graph.",
    });
  const all = variationalScales(structure, weights);
  const [scales, certain] = normalization === "gamma" ? [all, []] : [[], all];
  const isPriorLearnt = prior === "learnt";
  const memory = posterior === "keep" ? remembered : undefined;
  const random = [...weights, ...scales].map((own) => ({
    ...own,
    ...weightStartOf(graph, own, { sigma, isPriorLearnt, memory }),
  }));
  const keepsZeros = level === "weights" && sigma === "weight";
  const noisy = insertNoise(graph, random, sigma, (own) => own, { keepsZeros });
  return { weights, scales, certain, random, noisy };
}

/** The posteriors of weights and scales in a network with noise, by the name of the constant. */
function posteriorsIn(
  trained: Graph,
  { random, noisy }: RandomNetwork,
): ReadonlyMap<string, WeightPosterior> {
  return new Map(
    random.map((own): [string, WeightPosterior] => {
      const { weight, shape, filterAxis, limit } = own;
      const { means, deviations } = momentsOfWeight(trained, noisy, own, limit);
      const prior = own.prior.kind === "learnt" ? bestPrior(means, deviations) : limit;
      const zeros = noisy.zeros.get(weight);
      return [weight, { weight, shape, filterAxis, means, deviations, prior, zeros }];
    }),
  );
}

/** How the posterior is trained; after each epoch, what it says of every group is told. */
function trainingOf(
  { structure, options }: LearningContext<Options>,
  network: RandomNetwork,
): PosteriorTraining {
  const { epochs, rate, lambda, normalization } = options;
  const { weights, scales } = network;
  return {
    epochs,
    rate,
    lambda,
    usesBatchStatistics: normalization === "gamma",
    rollsBack: rollsBackCollapse(options.collapse),
    async monitor(trained) {
      const posteriors = posteriorsIn(trained, network);
      const known = { weights, scales, posteriors };
      const axes = await scoredAxes(structure, structure.analysis.graph, known, undefined);
      return posteriorFacts(structure, axes);
    },
  };
}

/** The score |μ|/σ of each element. */
function signalToNoise(posterior: WeightPosterior | undefined): Float64Array {
  assert(posterior !== undefined, "every random weight has a posterior");
  const { means, deviations } = posterior;
  return means.map((mean, i) => Math.abs(mean) / deviations[i]);
}

/** Warns of a run too short for any σ to reach its prior, in which no unit can look dead. */
function lengthWarnings(
  { epochs, rate }: Options,
  random: readonly WeightStart[],
  history: LearnedProposal["history"],
): readonly string[] {
  const steps = history.at(-1)?.step ?? 0;
  const needed = random.map(({ deviation, limit }) => {
    const way = typeof deviation === "number" ? Math.log(limit / deviation) : 0;
    return Math.ceil(way / (rate * spreadRate));
  });
  const most = Math.max(...needed);
  if (epochs === 0 || steps >= most) return [];
  return [
    `${steps} steps are too few to show which weights are superfluous: a deviation needs ${most} to reach its prior (more epochs or a higher rate help; the order of score=snr-l2 suffers less)`,
  ];
}

/** Fails with `USAGE` where the score does not work with the chosen normalization. */
function requireEvidence({ normalization, score }: Options): void {
  if (normalization === "frozen" || score !== "evidence") return;
  throw new EspalierError(
    "USAGE",
    "behind a normalization by batches there is no evidence that a filter is 0",
    { hint: "Give normalization=frozen, or another score." },
  );
}
