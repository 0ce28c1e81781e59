/** @file The options of the method `turbo-vbi`. */
import { advanced, choice, count, number, type OptionsOf, orAuto } from "../method/options.ts";
import { lambda, noise, rate } from "../variational/variational-options.ts";
import type { PosteriorTraining } from "../variational/variational-training.ts";
import { requirePrior, type TurboPrior, transitionForms } from "./turbo-layer.ts";
import { beliefForms } from "./turbo-precision.ts";
import { supportStructures } from "./turbo-support.ts";

/** What may be given. */
export const turboOptions = {
  structure: choice(
    supportStructures,
    "chain",
    "How active weights hang together: in a chain along each neuron's inputs, in chains along rows and columns, in a grid, by kernels, by neurons, or not at all (iid).",
  ),
  density: number(
    { above: 0, below: 1 },
    0.1,
    "Share of active weights that is expected beforehand: less of it leaves fewer.",
  ),
  rounds: count(1, 10, "Times that messages go over the support, each followed by training."),
  epochs: count(
    0,
    1,
    "Epochs of training after each time that messages went over the support; 0 trains nothing.",
  ),
  rate,
  lambda: lambda(1),
  length: advanced(
    number(
      { least: 1 },
      3,
      "Mean length of clusters of active weights that is expected beforehand.",
    ),
  ),
  // With less, the rates of inactive precisions would be lost beside those of active ones.
  contrast: advanced(
    number({ least: 1e-6, below: 1 }, 0.1, "Size of inactive weights beside active ones."),
  ),
  transitions: advanced(
    choice(
      transitionForms,
      "em",
      "What is learnt of density and length: nothing (fixed), the length, or both (em).",
    ),
  ),
  form: advanced(
    choice(
      ["auto", ...beliefForms],
      "auto",
      "Beliefs about precisions and support are one (joint), are one with weights judged at their means (collapsed), or stand apart as the paper prints (factorised); auto is collapsed, or joint for bits of several weights.",
    ),
  ),
  alone: advanced(
    orAuto(
      count(
        0,
        0,
        "Rounds at the beginning in which weights are judged without their neighbours; auto is none in the collapsed form, else a third of all.",
      ),
    ),
  ),
  noise,
  dof: advanced(
    choice(
      [0.5, 1],
      0.5,
      "What a weight adds to the shape of its precision: 0.5 as is right, 1 as the paper prints.",
    ),
  ),
  turns: advanced(
    count(1, 5, "Turns of precisions and support in each round, in the factorised form."),
  ),
};
/** The values of {@link turboOptions}. */
export type TurboOptions = OptionsOf<typeof turboOptions>;

/** The options, read. */
export interface TurboSettings extends PosteriorTraining, TurboPrior {
  readonly rounds: number;
  /** Rounds at the beginning in which bits say nothing to each other. */
  readonly alone: number;
}

/** What the options come to. Fails with `USAGE` for a prior that cannot hold. */
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
