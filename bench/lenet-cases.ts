/** @file The runs that `bench:lenets` compares: LeNets, methods, seeds, and what may remain or be lost. */
import type { CompressSettingsInput } from "../src/runs/settings/compress-settings.ts";
import {
  type Architecture,
  architectures,
  type Base,
  baseOf,
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
type Options = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What they are told besides their epochs, on the way to a target; from `select` of the first LeNet-300-100. */
const options: Readonly<Record<Architecture, Options>> = {
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

/**
 * Within a tolerance little may be lost on the way: milder rates, images shifted as the network saw them, and
 * fewer rounds, whose share of the tolerance is larger. 24 epochs, and 12 of LeNet-5.
 */
const tolerantPlans = {
  "lenet-300-100": { rounds: 4, learning: 3, tuning: 3 },
  "lenet5-caffe": { rounds: 3, learning: 2, tuning: 2 },
} as const;
const tolerantOptions: Options = {
  vib: { rate: "0.0003" },
  rbp: { rate: "0.0003" },
  snr: { score: "loss", rate: "0.0003" },
};
const tolerances = [0.005, 0.01] as const;

export const cases: readonly Case[] = dataNames.flatMap((data) =>
  architectures.flatMap((architecture) =>
    seeds.flatMap((seed) => {
      const base = baseOf(architecture, data, seed);
      return data === "mnist" ? targetCases(base, seed) : tolerantCases(base, seed);
    }),
  ),
);

/** As small as the smallest published networks. */
function targetCases(base: Base, seed: number): readonly Case[] {
  const { inputs, units, rounds, learning, tuning, last } = plans[base.architecture];
  return methods.flatMap((method) => {
    const settings: CompressSettingsInput = {
      ...planOf(method, learning, tuning, options[base.architecture]),
      rounds,
      tuning: { ...training, temperature: 2, seed },
      finalEpochs: last,
      rules: { roundTo: 1 },
    };
    return [
      caseOf(base, method, "inputs", {
        ...settings,
        targets: { macs: inputs },
        selectsInputs: true,
      }),
      caseOf(base, method, "units", { ...settings, targets: { macs: units } }),
    ];
  });
}

/** As small as each tolerance allows. */
function tolerantCases(base: Base, seed: number): readonly Case[] {
  const { rounds, learning, tuning } = tolerantPlans[base.architecture];
  const augment = { crop: 2, flip: false };
  return methods.flatMap((method) =>
    tolerances.map((maxDrop) =>
      caseOf(base, method, `drop-${maxDrop}`, {
        ...planOf(method, learning, tuning, tolerantOptions),
        rounds,
        maxDrop,
        tuning: { ...training, learningRate: 0.0005, augment, seed },
        selectsInputs: true,
        rules: { roundTo: 1 },
      }),
    ),
  );
}

/** Epochs of a method in each round. Those of rbp are of one layer, of which there are three or four. */
function planOf(method: (typeof methods)[number], learning: number, tuning: number, told: Options) {
  if (method === "magnitude") return { method, epochs: learning + tuning };
  const epochs = method === "rbp" ? Math.ceil(learning / 3) : learning;
  return { method, epochs: tuning, methodOptions: { epochs: `${epochs}`, ...told[method] } };
}

function caseOf(base: Base, method: string, what: string, settings: CompressSettingsInput): Case {
  return {
    name: `${base.name}-${method}-${what}`,
    base,
    method,
    kind: `${base.architecture}-${base.data}-${method}-${what}`,
    settings: { ...settings, distills: true, posteriorSamples: 0, benchSeconds: 2 },
  };
}
