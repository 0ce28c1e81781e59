/** @file The runs that `bench:compression` compares: networks, methods, targets, tolerances. */
import type { CompressSettingsInput } from "../src/compress/compress-settings.ts";

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

/** The networks are right on nearly all of their training images, whose labels teach them little more. */
const tuning = {
  learningRate: 0.005,
  decay: 1e-4,
  augment: { crop: 4, flip: true },
  threads: 1,
} as const;

/** The name of the case with a target. */
export function targetCase(network: Network, method: Method, macs: number): string {
  return `${network}-${method}-macs-${macs}`;
}

export const cases: readonly Case[] = networks.flatMap((network) =>
  methods.flatMap((method) => casesOf(network, method)),
);

function casesOf(network: Network, method: Method): readonly Case[] {
  const learns = method === "importance" ? 1 : 0;
  const common = {
    ...{ method, epochs: epochs - learns, distills: true },
    tuning: { ...tuning, limit: limits[network] },
    ...(learns > 0 && { methodOptions: { epochs: `${learns}`, rate: "0.001" } }),
  };
  const file = `akamaster_${network}_bn.onnx`;
  return [
    ...macsTargets.map((macs) => ({
      ...{ name: targetCase(network, method, macs), network: file },
      settings: { ...common, targets: { macs }, rounds: 1 },
    })),
    ...tolerances.map((maxDrop) => ({
      ...{ name: `${network}-${method}-drop-${maxDrop}`, network: file },
      settings: { ...common, maxDrop, rounds: 3 },
    })),
  ];
}
