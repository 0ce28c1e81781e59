/**
 * @file Method `snr`: weights become random, and what the data have told of a filter says what it is worth.
 *
 * After the idea of Lin and Yu (ICCECE 2023); derivation ours. Every weight w ~ N(μ, σ²) of the linear
 * layers is trained by stochastic variational inference against a prior N(0, s²): the loss is
 *
 *     mean loss + λ(t) / (N P) Σ KL(N(μ, σ²) ‖ N(0, s²))
 *
 * for N samples of P positions each, with λ rising over the first part of the run. What the data need
 * not tell apart from the prior has a KL near 0: such filters go first. The network that is pruned is that
 * of the means.
 */
import { assert, EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { compensatedEdits, momentsWithoutStatistics } from "./compensation/compensated-edits.ts";
import type { MeasureOptions } from "./compensation/measured-moments.ts";
import type {
  LearnedMethod,
  LearnedProposal,
  LearningContext,
  PosteriorFacts,
} from "./method/learned-method.ts";
import { type MethodOption, numberOptionOf, optionOf, unscoredNotes } from "./method/method.ts";
import { collapseNotes, collapseOption, rollsBackCollapse } from "./posterior/monitors.ts";
import { bestPrior, type WeightPosterior } from "./posterior/posterior.ts";
import { weightDeviations, withRandomWeights } from "./posterior-network.ts";
import { evidenceNotes, factNotes, posteriorFacts } from "./variational/posterior-facts.ts";
import { scoredAxes } from "./variational/snr-axes.ts";
import { type SnrScore, scoreUnits, snrScores } from "./variational/snr-scores.ts";
import { insertNoise, momentsOfWeight } from "./variational/variational.ts";
import {
  type NoiseForm,
  noiseForms,
  variationalScales,
  variationalWeights,
} from "./variational/variational-layers.ts";
import type { SigmaForm } from "./variational/variational-noise.ts";
import {
  compensationOptions,
  lambdaOption,
  noiseOption,
  rateOption,
} from "./variational/variational-options.ts";
import { rememberedIn, type Start, startOf } from "./variational/variational-start.ts";
import {
  atMeans,
  type PosteriorTraining,
  spreadRate,
  trainPosterior,
} from "./variational/variational-training.ts";

const name = "snr";
const options: readonly MethodOption[] = [
  {
    name: "score",
    values: [...snrScores],
    default: "kl",
    description:
      "what counts: what the data have told of a filter (kl), its ratio of signal to noise in several forms, the evidence against its being 0, or what the loss rises by, weighed against what is saved",
  },
  {
    name: "level",
    values: ["filters", "weights"],
    default: "filters",
    description:
      "what goes: whole filters, or single weights by |μ|/σ with the units that they leave empty",
  },
  {
    name: "sigma",
    values: ["weight", "filter"],
    default: "weight",
    description: "a deviation for each weight, or one for each filter",
  },
  noiseOption,
  {
    name: "prior",
    values: ["fixed", "learnt"],
    default: "fixed",
    description: "the deviation of the prior: from each layer's weights, or learnt in training",
  },
  {
    name: "posterior",
    values: ["fresh", "keep"],
    default: "fresh",
    description:
      "begin anew in every round, or take what the round before has learnt of deviations as the prior",
  },
  {
    name: "normalization",
    values: ["frozen", "gamma"],
    default: "frozen",
    description:
      "batch normalization keeps its statistics, or takes those of batches, and its scales γ are random, too",
  },
  {
    name: "epochs",
    values: [],
    default: "5",
    description: "epochs in which the posterior is learnt; 0: none",
  },
  rateOption,
  lambdaOption("0.1"),
  collapseOption,
  ...compensationOptions,
];

/** What `snr` answers: besides the proposal, what it has learnt. */
export interface SnrProposal extends LearnedProposal {
  readonly posteriors: readonly WeightPosterior[];
  readonly facts: readonly PosteriorFacts[];
}

export const snr: LearnedMethod = {
  name,
  summary: "learns how sure each weight is and removes the filters of which the data tell least",
  source: "after the idea of Lin and Yu: Bayesian Filter Pruning, ICCECE 2023; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  judgesWeights,
  learningEpochs: (context) => settingsOf(context).epochs,
  learn: learnPosterior,
  posterior: withRandomWeights,
  weightDeviations,
};

/** `snr.learn`, with all that it finds out. Throws what a method that learns throws. */
export async function learnPosterior(context: LearningContext): Promise<SnrProposal> {
  const settings = settingsOf(context);
  const { structure, dataset, training, seed } = context;
  const { graph: original } = structure.analysis;
  const weights = variationalWeights(structure, settings.noise);
  if (weights.length === 0)
    throw new EspalierError("MODEL_UNSUPPORTED", "no layer's weights could be random", {
      hint: "They are those of convolutions and matrix products, as constants of the graph.",
    });
  const allScales = variationalScales(structure, weights);
  const scales = settings.usesBatchStatistics ? allScales : [];
  const { sigma, isPriorLearnt } = settings;
  const memory = settings.keepsPosterior ? context.memory : undefined;
  const random = [...weights, ...scales].map((own) => ({
    ...own,
    ...startOf(original, own, { sigma, isPriorLearnt, memory }),
  }));
  const noisy = insertNoise(original, random, sigma, (own) => own, {
    keepsZeros: settings.isByWeight && sigma === "weight",
  });
  const posteriorsIn = (trained: Graph) =>
    new Map(
      random.map((own): [string, WeightPosterior] => {
        const { weight, shape, filterAxis, limit } = own;
        const { means, deviations } = momentsOfWeight(trained, noisy, own, limit);
        const prior = own.prior.kind === "learnt" ? bestPrior(means, deviations) : limit;
        const zeros = noisy.zeros.get(weight);
        return [weight, { weight, shape, filterAxis, means, deviations, prior, zeros }];
      }),
    );
  const how: PosteriorTraining = {
    ...settings,
    rollsBack: rollsBackCollapse(context),
    async monitor(trained) {
      const of = posteriorsIn(trained);
      const axes = await scoredAxes(structure, original, { weights, scales, of }, undefined);
      return posteriorFacts(structure, axes);
    },
  };
  const { trained, history } = await trainPosterior(
    context,
    how,
    noisy,
    random,
    ({ prior }) => prior,
  );
  const of = posteriorsIn(trained);
  const { graph } = await atMeans(context, settings, trained);
  const { score, images, isCompensated } = settings;
  const look: MeasureOptions = { dataset, training, images, seed };
  const looksAtInputs = score === "input-weighted" || score === "loss" ? look : undefined;
  const axes = await scoredAxes(structure, graph, { weights, scales, of }, looksAtInputs);
  // Behind single weights nothing goes but units that are constant: what they read is exact without it.
  const moments =
    isCompensated && !settings.isByWeight
      ? await momentsWithoutStatistics(structure, graph, look)
      : undefined;
  const facts = posteriorFacts(structure, axes);
  const scores = scoreUnits(structure, axes, score);
  return {
    graph,
    history,
    facts,
    posteriorFacts: facts,
    posteriors: [...of.values()],
    memory: rememberedIn(graph, of.values(), settings.usesBatchStatistics ? [] : allScales),
    scores,
    ...(score === "loss" && { losses: scores }),
    ...(settings.isByWeight && {
      weightScores: new Map(weights.map(({ weight }) => [weight, signalToNoise(of.get(weight))])),
    }),
    edits: moments ? compensatedEdits(structure, graph, moments) : () => [],
    warnings: lengthWarnings(settings, random, history),
    notes: [
      ...(settings.isByWeight
        ? []
        : unscoredNotes(context, scores, "none of their weights are random")),
      ...(score === "evidence" ? evidenceNotes(structure, axes) : []),
      ...factNotes(facts),
      ...(how.rollsBack ? collapseNotes(history, settings.lambda) : []),
    ],
  };
}

/** |μ|/σ of each element. */
function signalToNoise(posterior: WeightPosterior | undefined): Float64Array {
  assert(posterior !== undefined, "every random weight has a posterior");
  const { means, deviations } = posterior;
  return means.map((mean, i) => Math.abs(mean) / deviations[i]);
}

/** Warns of a run in which no σ can have reached its prior, so that nothing can look dead. */
function lengthWarnings(
  { epochs, rate }: Settings,
  random: readonly Start[],
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
    `${steps} steps are too few to tell what is superfluous: a deviation needs ${most} to reach its prior (more epochs or a higher rate help; the order of score=snr-l2 suffers less)`,
  ];
}

/** The options, read. */
interface Settings extends PosteriorTraining {
  readonly score: SnrScore;
  readonly sigma: SigmaForm;
  readonly noise: NoiseForm | "auto";
  readonly isByWeight: boolean;
  readonly isPriorLearnt: boolean;
  readonly keepsPosterior: boolean;
  readonly images: number;
  readonly isCompensated: boolean;
}

function judgesWeights(context: Pick<LearningContext, "options">): boolean {
  return optionOf({ options }, context, "level") === "weights";
}

function settingsOf(context: Pick<LearningContext, "options">): Settings {
  const method = { name, options };
  const number = (option: string, least: number, isWhole = false) =>
    numberOptionOf(method, context, option, { least, isWhole });
  const [score, noise] = ["score", "noise"].map((option) => optionOf(method, context, option));
  const hasScales = optionOf(method, context, "normalization") === "gamma";
  if (hasScales && score === "evidence")
    throw new EspalierError(
      "USAGE",
      "behind a normalization by batches there is no evidence that a filter is 0",
      { hint: "Give normalization=frozen, or another score." },
    );
  return {
    score: snrScores.find((candidate) => candidate === score) ?? "kl",
    sigma: optionOf(method, context, "sigma") === "filter" ? "filter" : "weight",
    noise: noiseForms.find((candidate) => candidate === noise) ?? "auto",
    isByWeight: judgesWeights(context),
    isPriorLearnt: optionOf(method, context, "prior") === "learnt",
    keepsPosterior: optionOf(method, context, "posterior") === "keep",
    usesBatchStatistics: hasScales,
    epochs: number("epochs", 0, true),
    rate: number("rate", Number.MIN_VALUE),
    lambda: number("lambda", 0),
    images: number("images", 1, true),
    isCompensated: optionOf(method, context, "compensate") === "on",
  };
}
