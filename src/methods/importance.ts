/**
 * @file Method `importance`: a trainable factor for each filter tells what the filter is worth.
 *
 * After the idea of Sawant et al. (Applied Sciences 12(21):11184, 2022); derivation ours. The factors stand behind normalization and before the activation, are trained with the task,
 * optionally with a penalty on their size, and are folded into the filters in the end.
 */
import { EspalierError } from "../errors.ts";
import { l1Penalty } from "../grad/losses.ts";
import type { Graph } from "../ir/graph.ts";
import { algebraOf } from "../ops/operator/algebra.ts";
import { objectiveFor } from "../train/loop/options.ts";
import { train } from "../train/loop/train.ts";
import { type Objective, sumOf } from "../train/step/objectives.ts";
import { compensatedEdits } from "./compensation/compensated-edits.ts";
import { foldGates, type GatedGraph, insertGates } from "./gates/filter-gates.ts";
import { type Gate, gatesOf } from "./gates/filter-gates-sites.ts";
import { taylorScores } from "./gates/gate-taylor.ts";
import { absoluteFactors, magnitudes } from "./importance/importance-scores.ts";
import { type Started, startOf, starts } from "./importance/importance-start.ts";
import type { LearnedMethod, LearnedProposal, LearningContext } from "./method/learned-method.ts";
import { type MethodOption, numberOptionOf, optionOf, unscoredNotes } from "./method/method.ts";

const name = "importance";
/** What fine-tuning is given suits the network; any other rate may wreck it before anything is removed. */
const sameRate = "auto";
const options: readonly MethodOption[] = [
  {
    name: "score",
    values: ["taylor", "magnitude", "absolute"],
    default: "taylor",
    description:
      "what counts: the loss that a factor of 0 would cost, the strength of factor and filter together, or the factor alone",
  },
  {
    name: "init",
    values: [...starts],
    default: "ones",
    description:
      "how factors begin: as ones, at random, or as a measure of the filter, which is divided by it",
  },
  {
    name: "epochs",
    values: [],
    default: "2",
    description:
      "epochs in which factors are trained; 0: none, as by default where the original's outputs are followed, from which training could only lead away",
  },
  {
    name: "rate",
    values: [],
    default: sameRate,
    description: `learning rate, above 0; ${sameRate}: that of fine-tuning`,
  },
  {
    name: "weights",
    values: ["joint", "frozen"],
    default: "joint",
    description: "train the network with the factors, or the factors alone",
  },
  {
    name: "statistics",
    values: ["frozen", "batch"],
    default: "frozen",
    description: "whether batch normalization keeps its statistics in that training",
  },
  {
    name: "penalty",
    values: [],
    default: "0.0001",
    description: "weight of the sum of all |factors| in the loss",
  },
  {
    name: "images",
    values: [],
    default: "1024",
    description: "images on which the loss is looked at (score taylor)",
  },
  {
    name: "compensate",
    values: ["on", "off"],
    default: "on",
    description: "replace removed channels by the value that batch normalization lets expect",
  },
];

export const importance: LearnedMethod = {
  name,
  summary: "trains a factor for each filter and removes the filters whose factors matter least",
  source:
    "after the idea of Sawant et al.: Additional Importance-Weight-Based Filter Pruning, Applied Sciences 12(21):11184, 2022; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  learningEpochs: (context) => settingsOf(context).epochs,
  async learn(context) {
    const { structure, seed, dataset, options: given } = context;
    const isAtBest = dataset.answers !== undefined && !given.has("epochs");
    const settings = { ...settingsOf(context), ...(isAtBest && { epochs: 0 }) };
    const gates = gatesOf(structure);
    if (gates.length === 0)
      throw new EspalierError(
        "MODEL_UNSUPPORTED",
        "no layer's filters could have importance weights",
        {
          hint: "They stand behind layers with constant weights whose channels can be removed.",
        },
      );
    const started = startOf(structure.analysis.graph, gates, settings.start, seed);
    const gated = insertGates(started.graph, gates, (gate) => started.factors.get(gate) ?? []);
    const { network, history } = await trainGates(context, settings, gated);
    const graph = foldGates(started.graph, network, gates, gated.names);
    const values = await scoresOf(context, settings, gates, started, graph);
    const scores = new Float64Array(structure.units.length).fill(Number.POSITIVE_INFINITY);
    for (const [gate, own] of values)
      for (const [i, unit] of gate.units.entries()) scores[unit] = own[i];
    return {
      graph,
      history,
      scores,
      notes: unscoredNotes(context, scores, "no factor can stand behind them"),
      ...(settings.score === "taylor" && { losses: scores }),
      edits: settings.isCompensated ? compensatedEdits(structure, graph) : () => [],
    };
  },
};

/** The options, read. */
interface Settings {
  readonly score: string;
  readonly start: (typeof starts)[number];
  readonly epochs: number;
  /** `undefined`: that of fine-tuning. */
  readonly rate: number | undefined;
  readonly trainsWeights: boolean;
  readonly statistics: "frozen" | "batch";
  readonly penalty: number;
  readonly images: number;
  readonly isCompensated: boolean;
}

function settingsOf(context: Pick<LearningContext, "options">): Settings {
  const method = { name, options };
  const number = (option: string, least: number, isWhole = false) =>
    numberOptionOf(method, context, option, { least, isWhole });
  const start = optionOf(method, context, "init");
  return {
    score: optionOf(method, context, "score"),
    start: starts.find((candidate) => candidate === start) ?? "ones",
    epochs: number("epochs", 0, true),
    rate:
      optionOf(method, context, "rate") === sameRate ? undefined : number("rate", Number.MIN_VALUE),
    trainsWeights: optionOf(method, context, "weights") === "joint",
    statistics: optionOf(method, context, "statistics") === "batch" ? "batch" : "frozen",
    penalty: number("penalty", 0),
    images: number("images", 1, true),
    isCompensated: optionOf(method, context, "compensate") === "on",
  };
}

async function trainGates(
  { dataset, training, seed }: LearningContext,
  { epochs, rate, trainsWeights, statistics, penalty }: Settings,
  { graph, names, prefix }: GatedGraph,
): Promise<{ readonly network: Graph; readonly history: LearnedProposal["history"] }> {
  if (epochs === 0) return { network: graph, history: [] };
  const task = objectiveFor(dataset, training);
  const { final, history } = await train(graph, dataset, {
    ...training,
    epochs,
    learningRate: rate ?? training.learningRate,
    seed,
    statistics,
    checksMemorisation: false,
    objective: penalty === 0 ? task : sumOf([1, task], [penalty, sizeOfFactors(names)]),
    groups: [
      { match: `${prefix}*`, decay: 0 },
      ...(trainsWeights ? [] : [{ match: "*", isFrozen: true }]),
    ],
    checkpoint: training.checkpoint && { ...training.checkpoint, resumes: true },
  });
  return { network: final.graph, history };
}

/** Σ |a| over all factors. */
function sizeOfFactors(names: readonly string[]): Objective {
  return ({ emit, parameters }) => {
    const zero = emit.scalar(0);
    const t = algebraOf(emit, zero);
    return names.reduce((sum, name) => {
      const factors = parameters.get(name);
      return factors === undefined ? sum : t.add(sum, t.cast(l1Penalty(emit, factors)));
    }, zero);
  };
}

async function scoresOf(
  { dataset, training, seed }: LearningContext,
  { score, images }: Settings,
  gates: readonly Gate[],
  started: Started,
  folded: Graph,
): Promise<ReadonlyMap<Gate, Float64Array>> {
  if (score === "taylor") return taylorScores(folded, gates, dataset, { training, images, seed });
  return new Map(
    gates.map((gate) => [
      gate,
      score === "magnitude"
        ? magnitudes(folded, gate)
        : absoluteFactors(folded, started.graph, gate),
    ]),
  );
}
