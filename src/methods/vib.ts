/**
 * @file Method `vib`: trains random gates on all filters at once and removes the filters whose gates are mostly noise.
 *
 * The objective is that of VIBNet (Dai et al., "Compressing Neural Networks using the Variational Information
 * Bottleneck", ICML 2018); the optimum of its gates is in `gate-posterior.ts`.
 */
import { compensatedEdits } from "./compensation/compensated-edits.ts";
import { gateFacts, gateLosses, gateNotes, gateScores } from "./gates/gate-scores.ts";
import { gateOptions, gateTraining, gateWeights, randomGates } from "./gates/gate-settings.ts";
import { trainGates } from "./gates/gate-training.ts";
import { defineLearnedMethod, outputsTrained } from "./method/learned-method.ts";
import { count } from "./method/options.ts";
import { collapseNotes } from "./posterior/monitors.ts";
import { gateMemory, withRandomGates } from "./posterior-network.ts";

const options = gateOptions(
  count(1, 10, "Epochs in each round in which gates and network are trained."),
);

export const vib = defineLearnedMethod({
  name: "vib",
  summary:
    "trains noisy gates on all filters at once and removes the filters whose gates are mostly noise",
  source:
    "Dai et al.: Compressing Neural Networks using the Variational Information Bottleneck, ICML 2018; λ and scores ours",
  needs: { batchNorm: false, data: true },
  options,
  posterior: withRandomGates,
  learningEpochs: ({ options: { epochs } }) => epochs,
  async learn(context) {
    const { structure, seed, training, options } = context;
    const gates = randomGates(context, outputsTrained(context));
    const { lambda, weights } = await gateWeights(context, gates);
    const settings = gateTraining(options);
    const { graph, posteriors, history } = await trainGates(context, settings, {
      graph: structure.analysis.graph,
      gates,
      weights,
      seed,
      training,
    });
    return {
      graph,
      history,
      memory: gateMemory(structure, graph, posteriors),
      scores: gateScores(structure, posteriors),
      // With λ = 0 no evidence is asked for, and there are no losses.
      ...(lambda.value > 0 && { losses: gateLosses(structure, posteriors, weights) }),
      edits: options.compensate ? compensatedEdits(structure, graph) : () => [],
      posteriorFacts: gateFacts(structure, posteriors, options.threshold),
      notes: [
        ...gateNotes(context, posteriors, { lambda, threshold: options.threshold }),
        ...(settings.rollsBack ? collapseNotes(history, lambda.value) : []),
      ],
    };
  },
});
