/**
 * @file The guard on simulated segmentation networks: whole confusion matrices of two classes for each
 * image, and the mean IoU of all. Images differ in what they show, in how well the original does, and
 * in how much pruning harms them; the drop that a candidate is made for is that of 20,000 images.
 */
import { type MapOutcomes, pairedDrop } from "../../src/measure/outcomes/outcomes.ts";
import { type Random, randomOf } from "../../src/tensor/random.ts";
import { guardedRun, type Outcome, shapeOf, summarize } from "./guard-simulation.ts";

/** One kind of run. `select` has 0.4 times as many images. */
export interface MapScenario {
  readonly curve: "dense" | "above";
  readonly maxDrop: number;
  /** Images of `certify`. */
  readonly samples: number;
  /** Share of the images that pruning harms, each by an exponentially distributed amount. */
  readonly harmed: number;
}

/** Every combination that is reported. */
export const mapScenarios: readonly MapScenario[] = [100, 400].flatMap((samples) =>
  [1, 0.4, 0.1].flatMap((harmed) =>
    (["dense", "above"] as const).map((curve) => ({ curve, samples, harmed, maxDrop: 0.02 })),
  ),
);

/** Pixels of an image. */
const pixels = 128 * 128;

/** What one image is like. */
interface Image {
  readonly share: number;
  readonly missed: number;
  readonly invented: number;
  readonly harm: number;
  readonly churn: Random;
}

/** Runs all of it `runs` times. */
export async function simulateMaps(
  scenario: MapScenario,
  runs: number,
  seed = 0,
): Promise<Outcome> {
  const root = randomOf(seed, "guard-maps", JSON.stringify(scenario));
  const drops = shapeOf(scenario.curve, scenario.maxDrop);
  const strengths = strengthsFor(drops, imagesOf(20_000, scenario.harmed, root.split("all")));
  const results = [];
  for (let run = 0; run < runs; run++) {
    const role = (name: string, samples: number) => {
      const images = imagesOf(samples, scenario.harmed, root.split(name, run));
      const original = outcomesOf(images, 0, 0);
      const of = (resamples: number) => (k: number, level: number) =>
        pairedDrop(original, outcomesOf(images, strengths[k], k), { level, resamples });
      return { measure: of(500), dropOf: (k: number) => of(1)(k, 0.025).drop };
    };
    const { measure: select, dropOf } = role("select", Math.round(0.4 * scenario.samples));
    const { measure: certify } = role("certify", scenario.samples);
    results.push(await guardedRun({ ...scenario, drops, dropOf, select, certify }));
  }
  return summarize(results);
}

function imagesOf(count: number, harmed: number, random: Random): readonly Image[] {
  return Array.from({ length: count }, (_, i) => ({
    share: Math.min(0.6, 0.15 * Math.exp(0.8 * random.normal())),
    missed: Math.min(0.6, 0.06 * Math.exp(0.9 * random.normal())),
    invented: Math.min(0.6, 0.06 * Math.exp(0.9 * random.normal())),
    harm: random.uniform() < harmed ? -Math.log(1 - random.uniform()) / harmed : 0,
    churn: random.split("churn", i),
  }));
}

/** The confusion matrices under harm of some strength; each candidate k but 0 adds churn of its own. */
function outcomesOf(images: readonly Image[], strength: number, k: number): MapOutcomes {
  const confusions = new Float64Array(4 * images.length);
  for (const [i, { share, missed, invented, harm, churn }] of images.entries()) {
    const noise = k === 0 ? 0 : 0.01 * churn.split(k).normal();
    const more = Math.max(-missed, strength * harm + noise);
    const object = Math.round(pixels * share);
    const lost = Math.round(object * Math.min(1, missed + more));
    const gained = Math.round(
      Math.min(pixels - object, object * Math.max(0, invented + 0.5 * more)),
    );
    confusions.set([pixels - object - gained, gained, lost, object - lost], 4 * i);
  }
  const indices = Int32Array.from({ length: images.length }, (_, i) => i);
  const losses = new Float64Array(images.length);
  return { kind: "maps", classes: 2, confusions, losses, indices };
}

/** The strengths of harm that cause these drops, by bisection. Churn is left out: its mean is 0. */
function strengthsFor(drops: readonly number[], all: readonly Image[]): readonly number[] {
  const before = miouOf(outcomesOf(all, 0, 0));
  return drops.map((drop, k) => {
    if (k === 0) return 0;
    let [low, high] = [0, 0.5];
    for (let i = 0; i < 12; i++) {
      const middle = (low + high) / 2;
      if (before - miouOf(outcomesOf(all, middle, 0)) < drop) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  });
}

function miouOf({ confusions }: MapOutcomes): number {
  const sum = [0, 0, 0, 0];
  for (let i = 0; i < confusions.length; i++) sum[i % 4] += confusions[i];
  const [right, invented, missed, hit] = sum;
  const wrong = invented + missed;
  return (right / (right + wrong) + hit / (hit + wrong)) / 2;
}
