/** @file Options that methods with random weights share. */
import { advanced, choice, count, number, toggle } from "../method/options.ts";
import { noiseForms } from "./variational-layers.ts";

/** The option for drawing noise. */
export const noise = advanced(
  choice(
    ["auto", ...noiseForms],
    "auto",
    "Draws noise for each result of a layer (local), once for a batch (weight), or with random signs for each example (flipout); auto chooses a form that is exact for each layer.",
  ),
);

/** The option for the learning rate of the posterior. */
export const rate = number(
  { above: 0 },
  0.001,
  "Learning rate of the means; the learning rate of ln σ is 10 times as large.",
);

/** The option for the weight of the KL. */
export const lambda = (byDefault: number) =>
  number(
    { least: 0 },
    byDefault,
    "Weight of the KL in the loss: with a larger weight more filters count as superfluous; 1 is Bayes' rule.",
  );

/** The option for the number of images on which inputs of layers are measured. */
export const images = advanced(
  count(1, 1024, "Number of images on which the inputs of layers are measured."),
);

/** The option for compensation. */
export const compensate = advanced(
  toggle(
    true,
    "Compensates for removed channels by their expected value; off changes no parameter.",
  ),
);
