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
import { EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { writeModel } from "../onnx/write.ts";
import { sizeOf, toNumbers } from "../tensor/host-tensor.ts";
import { type Evaluator, evaluatorOf } from "../train/evaluation.ts";
import type { Objective } from "../train/objectives.ts";
import { adam, withScalar } from "../train/optimizers.ts";
import { objectiveFor, planOf } from "../train/options.ts";
import { train } from "../train/train.ts";
import { compensatedEdits } from "./compensated-edits.ts";
import type { LearnedMethod, LearnedProposal, LearningContext } from "./learned-method.ts";
import { type MethodOption, numberOptionOf, optionOf } from "./method.ts";
import { bestPrior, type WeightPosterior } from "./posterior.ts";
import { factNotes, type PosteriorFacts, posteriorFacts } from "./posterior-facts.ts";
import { scoredAxes } from "./snr-axes.ts";
import { type SnrScore, scoreUnits, snrScores } from "./snr-scores.ts";
import { insertNoise, meanNetwork, momentsOfWeight, type VariationalGraph } from "./variational.ts";
import {
  type NoiseForm,
  noiseForms,
  type VariationalWeight,
  variationalWeights,
} from "./variational-layers.ts";
import { emitTotalKl, type Prior } from "./variational-loss.ts";
import type { SigmaForm } from "./variational-noise.ts";

const name = "snr";
const options: readonly MethodOption[] = [
  {
    name: "score",
    values: [...snrScores],
    default: "kl",
    description:
      "what counts: what the data have told of a filter (kl), its ratio of signal to noise in several forms, or the evidence against its being 0",
  },
  {
    name: "sigma",
    values: ["weight", "filter"],
    default: "weight",
    description: "a deviation for each weight, or one for each filter",
  },
  {
    name: "noise",
    values: ["auto", ...noiseForms],
    default: "auto",
    description:
      "how noise is drawn: for each result of a layer (local), once for a batch (weight), with signs for each example (flipout), or as is exact (auto)",
  },
  {
    name: "prior",
    values: ["fixed", "learnt"],
    default: "fixed",
    description: "the deviation of the prior: from each layer's weights, or learnt in training",
  },
  {
    name: "epochs",
    values: [],
    default: "5",
    description: "epochs in which the posterior is learnt; 0: none",
  },
  {
    name: "rate",
    values: [],
    default: "0.001",
    description: "learning rate of the means, above 0; that of ln σ is 10 times as large",
  },
  {
    name: "lambda",
    values: [],
    default: "0.1",
    description: "weight of the KL in the loss; 1 is Bayes' rule",
  },
  {
    name: "images",
    values: [],
    default: "1024",
    description: "images on which inputs are measured (score input-weighted)",
  },
  {
    name: "compensate",
    values: ["on", "off"],
    default: "on",
    description: "replace removed channels by the value that batch normalization lets expect",
  },
];

/** Factor of the learning rate of ln σ, which has far to go. */
const spreadRate = 10;
/** Share of the steps over which λ rises from 0. */
const warmUpShare = 0.3;
/** σ begins at this share of the layer's root mean square, and not below `leastDeviation`. */
const firstShare = 0.1;
const leastDeviation = 1e-4;
/** The prior's deviation, as a multiple of the layer's root mean square, and its least value. */
const priorShare = 3;
const leastPrior = 0.1;
/** The scalar that holds λ(t) / N. */
const klWeight = "kl weight";

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
  learn: learnPosterior,
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
  const spreads = new Map(weights.map((own) => [own.weight, spreadOf(original, own)]));
  const noisy = insertNoise(original, weights, settings.sigma, ({ weight }) => {
    const { deviation, prior } = spreads.get(weight) ?? { deviation: 1, prior: 1 };
    return { deviation, limit: prior };
  });
  const priorOf = ({ weight }: VariationalWeight) => spreads.get(weight)?.prior ?? 1;
  const { trained, history } = await trainPosterior(context, settings, noisy, weights, priorOf);
  const posteriors = weights.map((own): WeightPosterior => {
    const { weight, shape, filterAxis } = own;
    const { means, deviations } = momentsOfWeight(trained, noisy, own, priorOf(own));
    const prior = settings.isPriorLearnt ? bestPrior(means, deviations) : priorOf(own);
    return { weight, shape, filterAxis, means, deviations, prior };
  });
  const graph = meanNetwork(original, trained);
  const { score, images } = settings;
  const data = { dataset, training, images, seed };
  const axes = await scoredAxes(structure, graph, weights, posteriors, {
    ...{ measured: score === "input-weighted" ? data : undefined },
  });
  const facts = posteriorFacts(structure, axes);
  return {
    ...{ graph, history, posteriors, facts },
    scores: scoreUnits(structure, axes, score),
    edits: settings.isCompensated ? compensatedEdits(structure, graph) : () => [],
    notes: factNotes(facts),
  };
}

/** The options, read. */
interface Settings {
  readonly score: SnrScore;
  readonly sigma: SigmaForm;
  readonly noise: NoiseForm | "auto";
  readonly isPriorLearnt: boolean;
  readonly epochs: number;
  readonly rate: number;
  readonly lambda: number;
  readonly images: number;
  readonly isCompensated: boolean;
}

function settingsOf(context: LearningContext): Settings {
  const method = { name, options };
  const number = (option: string, least: number, isWhole = false) =>
    numberOptionOf(method, context, option, { least, isWhole });
  const [score, noise] = ["score", "noise"].map((option) => optionOf(method, context, option));
  return {
    score: snrScores.find((candidate) => candidate === score) ?? "kl",
    sigma: optionOf(method, context, "sigma") === "filter" ? "filter" : "weight",
    noise: noiseForms.find((candidate) => candidate === noise) ?? "auto",
    isPriorLearnt: optionOf(method, context, "prior") === "learnt",
    epochs: number("epochs", 0, true),
    rate: number("rate", Number.MIN_VALUE),
    lambda: number("lambda", 0),
    images: number("images", 1, true),
    isCompensated: optionOf(method, context, "compensate") === "on",
  };
}

/** Where σ begins, and the deviation of the prior, both relative to the weights as they are. */
function spreadOf(graph: Graph, { weight }: VariationalWeight) {
  const constant = graph.constants.get(weight);
  const values = constant === undefined ? [] : toNumbers(constant.read());
  const rms = bestPrior(values, new Float64Array(values.length));
  return {
    deviation: Math.max(leastDeviation, firstShare * rms),
    prior: Math.max(leastPrior, priorShare * rms),
  };
}

async function trainPosterior(
  context: LearningContext,
  { epochs, rate, lambda, isPriorLearnt }: Settings,
  noisy: VariationalGraph,
  weights: readonly VariationalWeight[],
  priorOf: (weight: VariationalWeight) => number,
): Promise<{ readonly trained: Graph; readonly history: LearnedProposal["history"] }> {
  const { dataset, training, seed } = context;
  if (epochs === 0) return { trained: noisy.graph, history: [] };
  const { samples, steps } = planOf(dataset, { ...training, epochs });
  const warmUp = warmUpShare * steps;
  const lambdaAt = (step: number) => lambda * Math.min(1, (step + 1) / warmUp);
  const task = objectiveFor(dataset, training);
  const { final, history } = await train(noisy.graph, dataset, {
    ...training,
    ...{ epochs, learningRate: rate, seed, statistics: "frozen", checksMemorisation: false },
    optimizer: withScalar(adam(), klWeight, (step) => lambdaAt(step) / samples),
    objective: bayesian(task, noisy, weights, (own): Prior => {
      return isPriorLearnt ? { kind: "learnt" } : { kind: "fixed", deviation: priorOf(own) };
    }),
    groups: [
      ...noisy.fixed.map((match) => ({ match, isFrozen: true })),
      { match: `${noisy.prefix}*`, rateFactor: spreadRate },
    ],
    evaluator: ofMeans(context, task),
    checkpoint: training.checkpoint && { ...training.checkpoint, resumes: true },
  });
  return { trained: final.graph, history };
}

/** The task's loss and the KL of all weights, per sample and position. */
function bayesian(
  task: Objective,
  noisy: VariationalGraph,
  weights: readonly VariationalWeight[],
  priorOf: (weight: VariationalWeight) => Prior,
): Objective {
  return (context) => {
    const { emit, prediction, scalars } = context;
    const loss = task(context);
    const weight = scalars.get(klWeight);
    if (weight === undefined) return loss;
    const [batch, channels] = prediction.shape;
    const positions = emit.scalar(sizeOf(prediction.shape) / (batch * channels));
    const kl = emitTotalKl(context, weights, noisy, priorOf);
    return emit.add(loss, emit.mul(emit.div(weight, positions), kl));
  };
}

/** Scores the network of the means. */
function ofMeans(
  { structure, model, dataset, training }: LearningContext,
  task: Objective,
): Evaluator {
  const { batchSize = 64, output, teacher, providers, threads, signal } = training;
  const evaluator = evaluatorOf(dataset, {
    ...{ objective: task, batchSize, output, teacher },
    ...(providers && { providers }),
    ...(threads !== undefined && { threads }),
    ...(signal && { signal }),
  });
  return ({ graph }, role, limit) => {
    const means = meanNetwork(structure.analysis.graph, graph);
    return evaluator({ graph: means, bytes: writeModel(model, means) }, role, limit);
  };
}
