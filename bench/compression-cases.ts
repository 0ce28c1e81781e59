/** @file The runs that `bench:compression` compares: networks, methods, targets, tolerances. */
import type { CompressSettingsInput } from "../src/runs/settings/compress-settings.ts";

/** One run. */
export interface Case {
  readonly name: string;
  /** File of the network. */
  readonly network: string;
  readonly settings: CompressSettingsInput;
}

export const methods = ["importance", "bn", "magnitude", "random"] as const;
export const networks = ["resnet20", "resnet56"] as const;
/** Shares of the multiply-accumulates that may remain. */
export const macsTargets = [0.7, 0.5, 0.35] as const;
const tolerances = [0.01, 0.02] as const;

type Network = (typeof networks)[number];
type Method = (typeof methods)[number];

/** Images of an epoch. */
const limits = { resnet20: 10_000, resnet56: 5_000 };

/** In each round, for all methods. `importance` learns for one of them. */
const epochs = 3;

/** What the networks for CIFAR-10 are given; they have seen the train images, so roles are cut from the test file. */
export const cifarOptions = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  heldOut: true,
} as const;

/** The networks are right on nearly all of their training images, whose labels teach them little more. */
export const tuning = {
  learningRate: 0.005,
  decay: 1e-4,
  augment: { crop: 4, flip: true },
  threads: 1,
} as const;

/** The name of the case with a target. */
export function targetCase(network: Network, method: Method, macs: number): string {
  return `${network}-${method}-macs-${macs}`;
}

/** Methods that learn posteriors, and two that do not, all of which get as many epochs. */
const equalMethods = ["vib", "rbp", "snr", "importance", "magnitude"] as const;

/**
 * `rbp` learns for one epoch in each of `stages` layers, the others as long in one go; `magnitude`, which
 * learns nothing, tunes instead. An epoch takes so few images, drawn anew each time, that gates have to
 * move faster.
 */
export const equalPlans = {
  resnet20: { file: "akamaster_resnet20_bn.onnx", images: 4000, batchSize: 64, stages: 9, last: 5 },
  vgg16: { file: "vgg16bn_cifar10.onnx", images: 1000, batchSize: 32, stages: 13, last: 3 },
} as const;
const equalTargets = { resnet20: [0.7, 0.5], vgg16: [0.5, 0.286] } as const;
/**
 * Chosen on `select`: λ by `vib` of 1, 100 and 1,000 on ResNet-20 at half of its multiply-accumulates, and of 1,000
 * and 30 on VGG-16, which has twelve times as many gates; there `rbp`, with few steps for each layer, got
 * faster gates than the first time, and `snr` a smaller λ, since the KL of 15 M weights drowned the
 * data, and after `loss` and `kl` a score that knows no sizes.
 */
const gatesOf = (lambda: string, rate: string) => ({ rate: "0.0003", "gate-rate": rate, lambda });
const others = { snr: { score: "loss" }, importance: { rate: "0.001" } } as const;
const equalOptions: Readonly<
  Record<keyof typeof equalPlans, Readonly<Record<string, Readonly<Record<string, string>>>>>
> = {
  resnet20: { vib: gatesOf("1000", "0.03"), rbp: gatesOf("1000", "0.03"), ...others },
  vgg16: {
    vib: gatesOf("30", "0.03"),
    rbp: gatesOf("300", "0.1"),
    ...others,
    snr: { score: "snr-l2", rate: "0.0003", lambda: "0.001" },
  },
};

export const cases: readonly Case[] = [
  ...networks.flatMap((network) => methods.flatMap((method) => casesOf(network, method))),
  ...(["resnet20", "vgg16"] as const).flatMap((network) =>
    equalMethods.flatMap((method) => equalCases(network, method)),
  ),
];

/** Methods are compared by what they choose, not by what rounding makes of it. */
const anyWidth = { roundTo: 1 };

function equalCases(
  network: keyof typeof equalPlans,
  method: (typeof equalMethods)[number],
): readonly Case[] {
  const { file, images, batchSize, stages, last } = equalPlans[network];
  const learns = method !== "magnitude";
  return equalTargets[network].map((macs) => ({
    name: `${network}-${method}-equal-${macs}`,
    network: file,
    settings: {
      method,
      rounds: 1,
      epochs: learns ? last : stages + last,
      distills: true,
      ...(learns && {
        methodOptions: {
          epochs: `${method === "rbp" ? 1 : stages}`,
          ...equalOptions[network][method],
        },
      }),
      tuning: { ...tuning, batchSize, epochSamples: images },
      targets: { macs },
      rules: anyWidth,
      posteriorSamples: 0,
      benchSeconds: 2,
    },
  }));
}

function casesOf(network: Network, method: Method): readonly Case[] {
  const learns = method === "importance" ? 1 : 0;
  const common = {
    method,
    epochs: epochs - learns,
    distills: true,
    tuning: { ...tuning, limit: limits[network] },
    rules: anyWidth,
    ...(learns > 0 && { methodOptions: { epochs: `${learns}`, rate: "0.001" } }),
  };
  const file = `akamaster_${network}_bn.onnx`;
  return [
    ...macsTargets.map((macs) => ({
      name: targetCase(network, method, macs),
      network: file,
      settings: { ...common, targets: { macs }, rounds: 1 },
    })),
    ...tolerances.map((maxDrop) => ({
      name: `${network}-${method}-drop-${maxDrop}`,
      network: file,
      settings: { ...common, maxDrop, rounds: 3 },
    })),
  ];
}
