/** @file The runs that `bench:lenets` compares: LeNets, methods, seeds, and what may remain or be lost. */
import type { CompressSettingsInput } from "../src/compress/compress-settings.ts";
import {
  type Architecture,
  architectures,
  type Base,
  baseOf,
  type DataName,
  dataNames,
  seeds,
  training,
} from "./lenet-bases.ts";

/** One compression of a base. */
export interface Case {
  readonly name: string;
  /** The name without the seed. */
  readonly kind: string;
  readonly base: Base;
  readonly method: string;
  readonly settings: CompressSettingsInput;
}

const methods = ["vib", "rbp", "snr", "importance", "magnitude"] as const;
/** What they are told besides their epochs, chosen on `select` of the first LeNet-300-100. */
const options: Readonly<
  Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>
> = {
  "lenet-300-100": { vib: { lambda: "100" }, rbp: { lambda: "30" }, snr: { score: "loss" } },
  "lenet5-caffe": { snr: { score: "loss" } },
};

/**
 * What may remain of the multiply-accumulates. With selected inputs: what the smallest published
 * LeNet-300-100 has left (97-71-33: 3.6 %), and what keeps LeNet-5 under 158 K FLOPs. Without, a
 * LeNet-300-100 has to read every pixel, and keeps more.
 *
 * In each round the method learns, and then the network is tuned; methods that learn nothing tune for as
 * long as the others do both. `last` epochs of tuning end it: 60 epochs, and 21 of the network whose epochs
 * are four times as long. Many small rounds, no augmentation and a low temperature were chosen on `select`
 * of one LeNet-300-100, by `vib`: what remains is too small to learn shifted digits, too.
 */
const plans = {
  "lenet-300-100": { inputs: 0.035, units: 0.12, rounds: 8, learning: 3, tuning: 2, last: 20 },
  "lenet5-caffe": { inputs: 0.066, units: 0.066, rounds: 5, learning: 2, tuning: 1, last: 6 },
} as const;

export const cases: readonly Case[] = dataNames.flatMap((data) =>
  architectures.flatMap((architecture) =>
    seeds.flatMap((seed) => casesOf(architecture, data, seed)),
  ),
);

function casesOf(architecture: Architecture, data: DataName, seed: number): readonly Case[] {
  const base = baseOf(architecture, data, seed);
  const { inputs, units, rounds, learning, tuning, last } = plans[architecture];
  return methods.flatMap((method) => {
    const learns = method !== "magnitude";
    // The epochs of rbp are those of one layer, of which there are three or four.
    const epochs = method === "rbp" ? Math.ceil(learning / 3) : learning;
    const caseOf = (what: string, settings: CompressSettingsInput): Case => ({
      ...{ name: `${base.name}-${method}-${what}`, base, method },
      kind: `${architecture}-${data}-${method}-${what}`,
      settings: {
        ...{ method, rounds, epochs: learns ? tuning : learning + tuning, distills: true },
        ...(learns && { methodOptions: { epochs: `${epochs}`, ...options[architecture][method] } }),
        ...{ tuning: { ...training, temperature: 2, seed }, posteriorSamples: 0, benchSeconds: 2 },
        ...{ finalEpochs: last, selectsInputs: true, ...settings },
      },
    });
    if (data === "fashion")
      return [0.005, 0.01].map((maxDrop) => caseOf(`drop-${maxDrop}`, { maxDrop }));
    return [
      caseOf("inputs", { targets: { macs: inputs } }),
      caseOf("units", { targets: { macs: units }, selectsInputs: false }),
    ];
  });
}
