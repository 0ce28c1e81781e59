/** @file The runs that `bench:sparse` compares: networks whose weights are thinned out one by one or in clusters. */
import type { CompressSettingsInput } from "../src/runs/settings/compress-settings.ts";
import type { TrainSettingsInput } from "../src/runs/settings/train-settings.ts";
import { equalPlans, tuning } from "./compression-cases.ts";
import { type Base, baseOf, type DataName, dataNames, seeds, training } from "./lenet-bases.ts";

/** One compression of a base, and the pack of what it leaves. */
export interface SparseCase {
  readonly name: string;
  /** The name without the seed. */
  readonly kind: string;
  /** A network that is trained first, or the file of one that knows CIFAR-10. */
  readonly network: Base | string;
  readonly settings: CompressSettingsInput;
  /** Drop from the original on `select` that pruning and packing may cause together. */
  readonly tolerance: number;
  /** How each network is tuned that is tuned under its rounding. */
  readonly packTuning: TrainSettingsInput;
}

interface Variant {
  readonly name: string;
  readonly method: string;
  readonly options: Readonly<Record<string, string>>;
  /** Where it ends, if not at the density of the plan. */
  readonly density?: number;
}

const structures = ["chain", "rows-columns", "grid", "neuron", "iid"] as const;
const turbo = (structure: string): Variant => ({
  name: `turbo-${structure}`,
  method: "turbo-vbi",
  options: { structure },
});
const others: readonly Variant[] = ["snr", "magnitude"].map((method) => ({
  name: method,
  method,
  options: { level: "weights" },
}));

/** A LeNet-300-100 of 1.1 % error ends at the 1.9 % of published packs, a LeNet-5 below 1.0 %. */
const tolerances = { "lenet-300-100": 0.0075, "lenet5-caffe": 0.004 } as const;

/**
 * What all variants of a network have in common: the density at which they end, in `rounds` rounds of
 * `learning` and `tuning` epochs, with `last` epochs of tuning after them. Methods that learn nothing tune
 * for as long as the others do both.
 */
interface Plan {
  readonly density: number;
  readonly rounds: number;
  readonly learning: number;
  readonly tuning: number;
  readonly last: number;
}

/** Epochs that every LeNet is tuned for under each rounding that is tried. */
const packEpochs = 3;

/** 50 epochs at most, and 16 of the network whose epochs take longer. */
const plans = {
  "lenet-300-100": { density: 0.03, rounds: 4, learning: 6, tuning: 2, last: 15 },
  "lenet5-caffe": { density: 0.0125, rounds: 2, learning: 4, tuning: 1, last: 5 },
} as const;

/** The networks for CIFAR-10, whose epochs are of so many images, and what all of it may cost. */
const cifarPlans = {
  resnet20: {
    density: 0.3,
    rounds: 4,
    learning: 2,
    tuning: 1,
    last: 6,
    images: 4000,
    tolerance: 0.01,
  },
  vgg16: {
    density: 0.1,
    rounds: 4,
    learning: 2,
    tuning: 1,
    last: 8,
    images: 2000,
    tolerance: 0.005,
  },
} as const;

/** Images are few: a low rate, a cold posterior, and the density that is asked for is the one expected. */
const cifarMethodOptions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "turbo-vbi": { rate: "0.0003", lambda: "0.1", density: `${cifarPlans.resnet20.density}` },
  snr: { rate: "0.0003" },
};

/** On VGG-16 alone what learns nothing: few images are too few for 15 M weights to become random. */
const cifarVariants = {
  resnet20: [...(["chain", "iid"] as const).map(turbo), ...others].map((variant) => ({
    ...variant,
    options: { ...variant.options, ...cifarMethodOptions[variant.method] },
  })),
  vgg16: others.filter(({ method }) => method === "magnitude"),
};

export const cases: readonly SparseCase[] = [
  ...dataNames.flatMap((data) =>
    (["lenet-300-100", "lenet5-caffe"] as const).flatMap((architecture) =>
      seeds.flatMap((seed) =>
        variantsOf(architecture, data).map((variant) =>
          lenetCase(architecture, data, seed, variant),
        ),
      ),
    ),
  ),
  ...(["resnet20", "vgg16"] as const).flatMap((network) =>
    cifarVariants[network].map((variant) => cifarCase(network, variant)),
  ),
];

/**
 * Each structure of `turbo-vbi` on one network, and the best of them on the others. Where clusters cost far more
 * accuracy than single weights, they are tried with twice as many as well.
 */
function variantsOf(architecture: keyof typeof plans, data: DataName): readonly Variant[] {
  const isFirst = architecture === "lenet-300-100" && data === "mnist";
  const denser = { ...turbo("chain"), name: "turbo-chain-denser", density: 0.025 };
  return [
    ...(isFirst ? structures : (["chain", "iid"] as const)).map(turbo),
    ...(architecture === "lenet5-caffe" && data === "fashion" ? [denser] : []),
    ...others,
  ];
}

function lenetCase(
  architecture: keyof typeof plans,
  data: DataName,
  seed: number,
  variant: Variant,
): SparseCase {
  const network = baseOf(architecture, data, seed);
  const plan = plans[architecture];
  return {
    name: `${network.name}-${variant.name}`,
    network,
    tolerance: tolerances[architecture],
    kind: `${architecture}-${data}-${variant.name}`,
    settings: compressionOf(plan, variant, { ...training, temperature: 2, seed }),
    packTuning: { ...training, learningRate: 0.0005, epochs: packEpochs, seed },
  };
}

function cifarCase(network: keyof typeof cifarPlans, variant: Variant): SparseCase {
  const plan = cifarPlans[network];
  const { file, batchSize } = equalPlans[network];
  const short = { ...tuning, batchSize, epochSamples: plan.images };
  const name = `${network}-cifar-${variant.name}`;
  return {
    name,
    kind: name,
    network: file,
    tolerance: plan.tolerance,
    settings: compressionOf(plan, variant, short),
    packTuning: { ...short, learningRate: 0.001, epochs: 2 },
  };
}

function compressionOf(
  { density: planned, rounds, learning, tuning, last }: Plan,
  { method, options, density = planned }: Variant,
  trained: TrainSettingsInput,
): CompressSettingsInput {
  const learns = method !== "magnitude";
  const isTurbo = method === "turbo-vbi";
  return {
    method,
    rounds,
    targets: { density },
    distills: true,
    finalEpochs: last,
    epochs: learns ? tuning : learning + tuning,
    methodOptions: {
      ...options,
      ...(isTurbo && { rounds: `${learning / 2}`, epochs: "2" }),
      ...(learns && !isTurbo && { epochs: `${learning}` }),
    },
    tuning: trained,
    posteriorSamples: 0,
    benchSeconds: 1,
    rules: { roundTo: 1 },
  };
}
