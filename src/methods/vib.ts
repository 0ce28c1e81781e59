/**
 * @file Method `vib`: random gates on all filters at once; those whose noise drowns them go.
 *
 * The objective is that of VIBNet (Dai et al., "Compressing Neural Networks using the Variational
 * Information Bottleneck", ICML 2018); `gate-posterior.ts` says what its gates come to.
 */
import { compensatedEdits } from "./compensation/compensated-edits.ts";
import { gateFacts, gateLosses, gateNotes, gateScores } from "./gates/gate-scores.ts";
import { gateOptions, gateSettings, gateWeights, randomGates } from "./gates/gate-settings.ts";
import { trainGates } from "./gates/gate-training.ts";
import { type LearnedMethod, outputsTrained } from "./method/learned-method.ts";
import { collapseNotes } from "./posterior/monitors.ts";
import { gateMemory, withRandomGates } from "./posterior-network.ts";

const name = "vib";
const options = gateOptions({
  name: "epochs",
  values: [],
  default: "10",
  description: "epochs in which gates and network are trained",
});

export const vib: LearnedMethod = {
  name,
  summary: "trains noisy gates on all filters at once and removes what noise drowns",
  source:
    "Dai et al.: Compressing Neural Networks using the Variational Information Bottleneck, ICML 2018; λ and scores ours",
  needs: { batchNorm: false, data: true },
  options,
  posterior: withRandomGates,
  learningEpochs: (context) => gateSettings({ name, options }, context).epochs,
  async learn(context) {
    const settings = gateSettings({ name, options }, context);
    const { structure, seed, training } = context;
    const gates = randomGates(context, settings, outputsTrained(context));
    const { lambda, weights } = await gateWeights(context, gates, settings);
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
      edits: settings.isCompensated ? compensatedEdits(structure, graph) : () => [],
      posteriorFacts: gateFacts(structure, posteriors, settings.threshold),
      notes: [
        ...gateNotes(context, posteriors, { lambda, threshold: settings.threshold }),
        ...(settings.rollsBack ? collapseNotes(history, lambda.value) : []),
      ],
    };
  },
};
