/** @file The registry of built-in networks: the CLI and the docs go by it. */
import { didYouMean, EspalierError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { Architecture, NetworkOptions, NetworkPlan } from "./architecture.ts";
import { lenet5, lenet5Caffe, lenet300 } from "./lenet.ts";
import { resnet20, resnet56 } from "./resnet.ts";
import { ternausnet } from "./ternausnet.ts";
import { unet } from "./unet.ts";
import { vgg16 } from "./vgg.ts";

/** All networks that can be built from nothing, in the order in which they are listed to users. */
export const architectures: readonly Architecture[] = [
  lenet300,
  lenet5,
  lenet5Caffe,
  vgg16,
  resnet20,
  resnet56,
  unet,
  ternausnet,
];

/** The architecture of a name; `ARCHITECTURE_UNKNOWN` lists the names there are. */
export function architectureNamed(name: string): Architecture {
  const architecture = architectures.find((candidate) => candidate.name === name);
  if (architecture !== undefined) return architecture;
  const names = architectures.map((candidate) => candidate.name);
  throw new EspalierError("ARCHITECTURE_UNKNOWN", `there is no network "${name}" to build`, {
    hint: `${didYouMean(name, names)}Networks are ${names.join(", ")}.`,
    data: { name, names },
  });
}

/**
 * A network with untrained weights, in inference form: input `input` [N, C, H, W], output `logits`
 * [N, classes], or [N, classes, H, W] where every pixel has a class. One seed gives the same bytes on
 * every machine.
 *
 * Errors: `ARCHITECTURE_UNKNOWN`, `ARCHITECTURE_OPTION`.
 *
 * @example
 * const bytes = encodeGraph(buildNetwork("lenet5", { seed: 1 }));
 */
export function buildNetwork(name: string, options: NetworkOptions = {}): Graph {
  const architecture = architectureNamed(name);
  return architecture.build(networkPlanOf(architecture, options));
}

/** The options with the architecture's defaults, checked. */
function networkPlanOf(architecture: Architecture, options: NetworkOptions): NetworkPlan {
  const { name, minSize, sizeMultiple } = architecture;
  const [defaultChannels, defaultHeight, defaultWidth] = architecture.input;
  const { classes = architecture.classes, channels = defaultChannels, seed = 0 } = options;
  const [height, across] = options.size ?? [defaultHeight, defaultWidth];
  const width = options.width ?? architecture.width ?? 1;

  const refuse = (message: string, hint: string): never => {
    throw new EspalierError("ARCHITECTURE_OPTION", `${name}: ${message}`, {
      hint,
      data: { architecture: name, options },
    });
  };
  for (const [what, value] of Object.entries({ classes, channels, width }))
    if (!Number.isInteger(value) || value < 1 || value > maxCount)
      refuse(`${what} is ${value}`, `Give a whole number from 1 to ${maxCount}.`);
  if (options.width !== undefined && architecture.width === undefined)
    refuse("its width is fixed", "Leave out `width`.");
  for (const side of [height, across])
    if (!Number.isInteger(side) || side < minSize || side > maxSide || side % sizeMultiple > 0)
      refuse(`an input of ${height} x ${across} does not fit`, sizeHint(minSize, sizeMultiple));
  return { name, classes, input: [channels, height, across], width, seed };
}

/** Classes, channels and widths beyond it are slips of the keyboard. */
const maxCount = 65_536;
/** Sides of an input beyond it are slips of the keyboard. */
const maxSide = 65_536;

function sizeHint(minSize: number, sizeMultiple: number): string {
  const kind = sizeMultiple === 1 ? "be" : `be multiples of ${sizeMultiple},`;
  return `Height and width must ${kind} at least ${minSize}.`;
}
