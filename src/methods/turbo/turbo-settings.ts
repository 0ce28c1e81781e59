/** @file The options of the method `turbo-vbi`. */
import type { LearningContext } from "../method/learned-method.ts";
import { type MethodOption, numberOptionOf, optionOf } from "../method/method.ts";
import { noiseForms } from "../variational/variational-layers.ts";
import { lambdaOption, noiseOption, rateOption } from "../variational/variational-options.ts";
import type { PosteriorTraining } from "../variational/variational-training.ts";
import { requirePrior, type TurboPrior, transitionForms } from "./turbo-layer.ts";
import { beliefForms } from "./turbo-precision.ts";
import { supportStructures } from "./turbo-support.ts";

/** The method's name. */
export const turboName = "turbo-vbi";
/** What may be given. */
export const turboOptions: readonly MethodOption[] = [
  {
    name: "structure",
    values: [...supportStructures],
    default: "chain",
    description:
      "how active weights hang together: in a chain along each neuron's inputs, in chains along rows and columns, in a grid, by kernels, by neurons, or not at all (iid)",
  },
  {
    name: "form",
    values: ["auto", ...beliefForms],
    default: "auto",
    description:
      "beliefs about precisions and support are one (joint), with weights judged at their means (collapsed), or apart as the paper prints (factorised); auto: collapsed, for bits of several weights joint",
  },
  {
    name: "dof",
    values: ["0.5", "1"],
    default: "0.5",
    description: "what a weight adds to the shape of its precision: 0.5 as is right, 1 as printed",
  },
  {
    name: "density",
    values: [],
    default: "0.1",
    description: "share of active weights that is expected beforehand, between 0 and 1",
  },
  {
    name: "length",
    values: [],
    default: "3",
    description: "mean length of clusters that is expected beforehand",
  },
  {
    name: "contrast",
    values: [],
    default: "0.1",
    description: "size of inactive weights beside active ones, between 0 and 1",
  },
  {
    name: "transitions",
    values: [...transitionForms],
    default: "em",
    description: "density and length stay as given, the length is learnt, or both are (em)",
  },
  {
    name: "rounds",
    values: [],
    default: "10",
    description: "times that messages go over the support, each followed by training",
  },
  {
    name: "alone",
    values: [],
    default: "auto",
    description:
      "rounds at the beginning in which weights are judged without their neighbours; auto: none in the collapsed form, else a third of all",
  },
  {
    name: "epochs",
    values: [],
    default: "1",
    description: "epochs of training in each round; 0: none",
  },
  {
    name: "turns",
    values: [],
    default: "5",
    description: "turns of precisions and support in each round, in the factorised form",
  },
  noiseOption,
  rateOption,
  lambdaOption("1"),
];

/** The options, read. */
export interface TurboSettings extends PosteriorTraining, TurboPrior {
  readonly rounds: number;
  /** Rounds at the beginning in which bits say nothing to each other. */
  readonly alone: number;
}

/** Reads the options. Fails with `USAGE` for what cannot be. */
export function turboSettings(context: Pick<LearningContext, "options">): TurboSettings {
  const method = { name: turboName, options: turboOptions };
  const number = (option: string, least: number, isWhole = false) =>
    numberOptionOf(method, context, option, { least, isWhole });
  const choice = <T extends string>(option: string, values: readonly [T, ...T[]]): T =>
    values.find((value) => value === optionOf(method, context, option)) ?? values[0];
  const structure = choice("structure", supportStructures);
  const isGrouped = structure === "kernel" || structure === "neuron";
  const form = choice("form", ["auto", ...beliefForms]);
  const prior: TurboPrior = {
    structure,
    form: form === "auto" ? (isGrouped ? "joint" : "collapsed") : form,
    dof: Number(choice("dof", ["0.5", "1"])),
    density: number("density", 0),
    length: number("length", 1),
    contrast: number("contrast", 0),
    transitions: choice("transitions", transitionForms),
    turns: number("turns", 1, true),
    noise: choice("noise", ["auto", ...noiseForms]),
  };
  requirePrior(prior);
  const rounds = number("rounds", 1, true);
  const isAuto = optionOf(method, context, "alone") === "auto";
  const alone = prior.form === "collapsed" ? 0 : Math.ceil(rounds / 3);
  return {
    ...prior,
    usesBatchStatistics: false,
    rounds,
    alone: isAuto ? alone : number("alone", 0, true),
    epochs: number("epochs", 0, true),
    rate: number("rate", Number.MIN_VALUE),
    lambda: number("lambda", 0),
  };
}
