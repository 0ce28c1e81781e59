/** @file Options that methods with random weights share. */
import type { MethodOption } from "../method/method.ts";
import { noiseForms } from "./variational-layers.ts";

/** How noise is drawn. */
export const noiseOption: MethodOption = {
  name: "noise",
  values: ["auto", ...noiseForms],
  default: "auto",
  description:
    "how noise is drawn: for each result of a layer (local), once for a batch (weight), with signs for each example (flipout), or as is exact (auto)",
};

/** How fast the posterior is learnt. */
export const rateOption: MethodOption = {
  name: "rate",
  values: [],
  default: "0.001",
  description: "learning rate of the means, above 0; that of ln σ is 10 times as large",
};

/** What the KL counts. */
export function lambdaOption(value: string): MethodOption {
  return {
    name: "lambda",
    values: [],
    default: value,
    description: "weight of the KL in the loss; 1 is Bayes' rule",
  };
}

/** What is measured, and made up for. */
export const compensationOptions: readonly MethodOption[] = [
  {
    name: "images",
    values: [],
    default: "1024",
    description: "images on which is measured what layers are given",
  },
  {
    name: "compensate",
    values: ["on", "off"],
    default: "on",
    description: "replace removed channels by their expected value",
  },
];
