/**
 * @file Method `importance`: ranks filters by a trainable factor for each.
 *
 * After the idea of Sawant et al. (Applied Sciences 12(21):11184, 2022); the derivation is ours. The factors stand
 * behind normalization and before the activation, are trained with the task, optionally with a penalty on their size,
 * and are folded into the filters in the end.
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
import {
  defineLearnedMethod,
  type LearnedProposal,
  type LearningContext,
} from "./method/learned-method.ts";
import { unscoredNotes } from "./method/method.ts";
import {
  advanced,
  choice,
  count,
  number,
  type OptionsOf,
  orAuto,
  toggle,
} from "./method/options.ts";

/** The default number of epochs in which factors are trained. */
const defaultEpochs = 2;

const options = {
  score: choice(
    ["taylor", "magnitude", "absolute"],
    "taylor",
    "The score of a filter: the rise of the loss if its factor were 0 (taylor), the strength of factor and filter together, or the factor alone.",
  ),
  epochs: orAuto(
    count(
      0,
      defaultEpochs,
      `Epochs in each round in which factors are trained; auto is ${defaultEpochs}, or 0 where the original's outputs are learnt, from which training could only deviate.`,
    ),
  ),
  // The learning rate of fine-tuning suits the network; any other rate may wreck it before a filter is removed.
  rate: orAuto(
    number(
      { above: 0 },
      0.01,
      "Learning rate of the factors and the network; auto is the learning rate of fine-tuning.",
    ),
  ),
  weights: choice(
    ["joint", "frozen"],
    "joint",
    "Trains the network together with the factors; off trains only the factors.",
  ),
  init: advanced(
    choice(
      starts,
      "ones",
      "Initial values of the factors: ones, random values (uniform, normal), or a measure of the filter, by which the filter is then divided.",
    ),
  ),
  statistics: advanced(
    choice(
      ["frozen", "batch"],
      "frozen",
      "Batch normalization uses its running statistics while factors are trained (frozen), or those of batches.",
    ),
  ),
  penalty: advanced(
    number(
      { least: 0 },
      0.0001,
      "Weight of the sum of all |factors| in the loss: a larger value makes more factors small.",
    ),
  ),
  images: advanced(count(1, 1024, "Number of images on which the score taylor measures the loss.")),
  compensate: advanced(
    toggle(
      true,
      "Compensates for removed channels by their expected value according to batch normalization; off changes no parameter.",
    ),
  ),
};
type Options = OptionsOf<typeof options>;

export const importance = defineLearnedMethod({
  name: "importance",
  summary: "trains a factor for each filter and removes the filters whose factors matter least",
  source:
    "after the idea of Sawant et al.: Additional Importance-Weight-Based Filter Pruning, Applied Sciences 12(21):11184, 2022; derivation ours",
  needs: { batchNorm: false, data: true },
  options,
  learningEpochs: ({ options: { epochs } }) => (epochs === "auto" ? defaultEpochs : epochs),
  async learn(context) {
    const { structure, seed, options: asked } = context;
    const gates = gatesOf(structure);
    if (gates.length === 0)
      throw new EspalierError(
        "MODEL_UNSUPPORTED",
        "no layer's filters could have importance weights",
        {
          hint: "They stand behind layers with constant weights whose channels can be removed.",
        },
      );
    const started = startOf(structure.analysis.graph, gates, asked.init, seed);
    const gated = insertGates(started.graph, gates, (gate) => started.factors.get(gate) ?? []);
    const { network, history } = await trainGates(context, gated);
    const graph = foldGates(started.graph, network, gates, gated.names);
    const values = await scoresOf(context, gates, started, graph);
    const scores = new Float64Array(structure.units.length).fill(Number.POSITIVE_INFINITY);
    for (const [gate, own] of values)
      for (const [i, unit] of gate.units.entries()) scores[unit] = own[i];
    return {
      graph,
      history,
      scores,
      notes: unscoredNotes(context, scores, "no factor can stand behind them"),
      ...(asked.score === "taylor" && { losses: scores }),
      edits: asked.compensate ? compensatedEdits(structure, graph) : () => [],
    };
  },
});

async function trainGates(
  { dataset, training, seed, options }: LearningContext<Options>,
  { graph, names, prefix }: GatedGraph,
): Promise<{ readonly network: Graph; readonly history: LearnedProposal["history"] }> {
  const { rate, weights, statistics, penalty } = options;
  const unlessTold = dataset.answers === undefined ? defaultEpochs : 0;
  const epochs = options.epochs === "auto" ? unlessTold : options.epochs;
  if (epochs === 0) return { network: graph, history: [] };
  const task = objectiveFor(dataset, training);
  const { final, history } = await train(graph, dataset, {
    ...training,
    epochs,
    learningRate: rate === "auto" ? training.learningRate : rate,
    seed,
    statistics,
    checksMemorisation: false,
    objective: penalty === 0 ? task : sumOf([1, task], [penalty, sizeOfFactors(names)]),
    groups: [
      { match: `${prefix}*`, decay: 0 },
      ...(weights === "joint" ? [] : [{ match: "*", isFrozen: true }]),
    ],
    checkpoint: training.checkpoint && { ...training.checkpoint, resumes: true },
  });
  return { network: final.graph, history };
}

/** The penalty: Σ |a| over all factors. */
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
  { dataset, training, seed, options: { score, images } }: LearningContext<Options>,
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
