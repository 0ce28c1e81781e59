/** @file Options that methods with random weights share. */
import { advanced, choice, count, number, toggle } from "../method/options.ts";
import { noiseForms } from "./variational-layers.ts";

/** How noise is drawn. */
export const noise = advanced(
  choice(
    ["auto", ...noiseForms],
    "auto",
    "How noise is drawn: for each result of a layer (local), once for a batch (weight), with signs for each example (flipout), or as is exact (auto).",
  ),
);

/** How fast the posterior is learnt. */
export const rate = number(
  { above: 0 },
  0.001,
  "Learning rate of the means; that of ln σ is 10 times as large.",
);

/** What the KL counts. */
export const lambda = (byDefault: number) =>
  number(
    { least: 0 },
    byDefault,
    "Weight of the KL in the loss: more of it takes more filters for superfluous; 1 is Bayes' rule.",
  );

/** On how many images is measured what layers are given. */
export const images = advanced(
  count(1, 1024, "Images on which is measured what layers are given."),
);

/** Whether what goes is made up for. */
export const compensate = advanced(
  toggle(true, "Replaces removed channels by their expected value; off changes no parameter."),
);
