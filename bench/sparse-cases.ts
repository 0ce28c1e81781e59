/** @file The runs that `bench:sparse` compares: LeNets whose weights are thinned out one by one or in clusters. */
import type { CompressSettingsInput } from "../src/compress/compress-settings.ts";
import { type Base, baseOf, type DataName, dataNames, seeds, training } from "./lenet-bases.ts";

/** One compression of a base, and the pack of what it leaves. */
export interface SparseCase {
  readonly name: string;
  /** The name without the seed. */
  readonly kind: string;
  readonly base: Base;
  readonly settings: CompressSettingsInput;
  /** Drop from the original on `select` that pruning and packing may cause together. */
  readonly tolerance: number;
  /** Epochs for each network that is tuned under its rounding. */
  readonly packEpochs: number;
}

interface Variant {
  readonly name: string;
  readonly method: string;
  readonly options: Readonly<Record<string, string>>;
}

const structures = ["chain", "rows-columns", "grid", "neuron", "iid"] as const;
const turbo = (structure: string): Variant => ({
  ...{ name: `turbo-${structure}`, method: "turbo-vbi", options: { structure } },
});
const others: readonly Variant[] = ["snr", "magnitude"].map((method) => ({
  ...{ name: method, method, options: { level: "weights" } },
}));

/** A LeNet-300-100 of 1.1 % error ends at the 1.9 % of published packs, a LeNet-5 below 1.0 %. */
const tolerances = { "lenet-300-100": 0.0075, "lenet5-caffe": 0.004 } as const;

/**
 * What all variants of an architecture have in common: the density at which they end, in `rounds` rounds
 * of `learning` and `tuning` epochs, with `last` epochs of tuning after them. Methods that learn nothing tune
 * for as long as the others do both. 50 epochs at most, and 16 of the network whose epochs take longer.
 */
const plans = {
  "lenet-300-100": { density: 0.03, rounds: 4, learning: 6, tuning: 2, last: 15, packEpochs: 3 },
  "lenet5-caffe": { density: 0.02, rounds: 2, learning: 4, tuning: 1, last: 5, packEpochs: 1 },
} as const;

export const cases: readonly SparseCase[] = dataNames.flatMap((data) =>
  (["lenet-300-100", "lenet5-caffe"] as const).flatMap((architecture) =>
    seeds.flatMap((seed) =>
      variantsOf(architecture, data).map((variant) => caseOf(architecture, data, seed, variant)),
    ),
  ),
);

/** Each structure of `turbo-vbi` on one network, and the best of them on the others. */
function variantsOf(architecture: keyof typeof plans, data: DataName): readonly Variant[] {
  const isFirst = architecture === "lenet-300-100" && data === "mnist";
  return [...(isFirst ? structures : (["chain", "iid"] as const)).map(turbo), ...others];
}

function caseOf(
  architecture: keyof typeof plans,
  data: DataName,
  seed: number,
  { name, method, options }: Variant,
): SparseCase {
  const base = baseOf(architecture, data, seed);
  const { density, rounds, learning, tuning, last, packEpochs } = plans[architecture];
  const learns = method !== "magnitude";
  const isTurbo = method === "turbo-vbi";
  return {
    ...{ name: `${base.name}-${name}`, kind: `${architecture}-${data}-${name}`, base },
    ...{ tolerance: tolerances[architecture], packEpochs },
    settings: {
      ...{ method, rounds, targets: { density }, distills: true, finalEpochs: last },
      epochs: learns ? tuning : learning + tuning,
      methodOptions: {
        ...options,
        ...(isTurbo && { rounds: `${learning / 2}`, epochs: "2" }),
        ...(learns && !isTurbo && { epochs: `${learning}` }),
      },
      ...{ tuning: { ...training, temperature: 2, seed }, posteriorSamples: 0, benchSeconds: 1 },
    },
  };
}
