/**
 * @file Method `vib`: random gates on all filters at once; those whose noise drowns them go.
 *
 * The objective is that of VIBNet (Dai et al., "Compressing Neural Networks using the Variational
 * Information Bottleneck", ICML 2018); `gate-posterior.ts` says what its gates come to.
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
  summary: "trains noisy gates on all filters at once and removes what noise drowns",
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
      // A λ of 0 asks for no evidence, and tells of no loss.
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
