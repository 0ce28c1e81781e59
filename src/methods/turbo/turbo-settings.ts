/** @file The options of the method `turbo-vbi`. */
import { advanced, choice, count, number, type OptionsOf, orAuto } from "../method/options.ts";
import { lambda, noise, rate } from "../variational/variational-options.ts";
import type { PosteriorTraining } from "../variational/variational-training.ts";
import { requirePrior, type TurboPrior, transitionForms } from "./turbo-layer.ts";
import { beliefForms } from "./turbo-precision.ts";
import { supportStructures } from "./turbo-support.ts";

/** The table of options. */
export const turboOptions = {
  structure: choice(
    supportStructures,
    "chain",
    "The dependence between active weights: a chain along each neuron's inputs, chains along rows and columns, a grid, kernels, neurons, or none (iid).",
  ),
  density: number(
    { above: 0, below: 1 },
    0.1,
    "Prior share of active weights: a smaller share leaves fewer weights.",
  ),
  rounds: count(
    1,
    10,
    "Number of rounds, each with messages over the support followed by training.",
  ),
  epochs: count(0, 1, "Epochs of training in each of these rounds; 0 trains nothing."),
  rate,
  lambda: lambda(1),
  length: advanced(number({ least: 1 }, 3, "Prior mean length of clusters of active weights.")),
  // With a smaller contrast, the rates of inactive precisions would vanish beside those of active ones.
  contrast: advanced(
    number({ least: 1e-6, below: 1 }, 0.1, "Size of inactive weights relative to active ones."),
  ),
  transitions: advanced(
    choice(
      transitionForms,
      "em",
      "Learns neither density nor length of clusters (fixed), the length, or both (em).",
    ),
  ),
  form: advanced(
    choice(
      ["auto", ...beliefForms],
      "auto",
      "Form of the beliefs about precisions and support: one joint belief (joint), one with weights judged at their means (collapsed), or separate beliefs as in the paper (factorised); auto is collapsed, or joint for bits of several weights.",
    ),
  ),
  alone: advanced(
    orAuto(
      count(
        0,
        0,
        "First rounds in which weights are judged without their neighbours; auto is 0 in the collapsed form, else a third of all rounds.",
      ),
    ),
  ),
  noise,
  dof: advanced(
    choice(
      [0.5, 1],
      0.5,
      "Shape that a weight adds to its precision: 0.5, which is exact for real weights, or 1 as in the paper.",
    ),
  ),
  turns: advanced(
    count(
      1,
      5,
      "Number of updates of precisions and support in each round, in the factorised form.",
    ),
  ),
};
/** The values of {@link turboOptions}. */
export type TurboOptions = OptionsOf<typeof turboOptions>;

/** The options after they were read. */
export interface TurboSettings extends PosteriorTraining, TurboPrior {
  readonly rounds: number;
  /** First rounds in which bits exchange no messages. */
  readonly alone: number;
}

/** The settings that follow from the options. Fails with `USAGE` for an inconsistent prior. */
export function turboSettings(options: TurboOptions): TurboSettings {
  const { structure, form: asked, alone, rounds } = options;
  const isGrouped = structure === "kernel" || structure === "neuron";
  const form = asked === "auto" ? (isGrouped ? "joint" : "collapsed") : asked;
  const aloneByDefault = form === "collapsed" ? 0 : Math.ceil(rounds / 3);
  const settings: TurboSettings = {
    ...options,
    form,
    alone: alone === "auto" ? aloneByDefault : alone,
    usesBatchStatistics: false,
  };
  requirePrior(settings);
  return settings;
}
