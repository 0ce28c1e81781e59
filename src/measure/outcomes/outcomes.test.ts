/** @file Metrics and paired drops of outcomes, against closed forms and brute force. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../tensor/random.ts";
import type { StepProgress } from "../../tensor/steps.ts";
import { pairedDifferenceInterval } from "../evaluation/classification.ts";
import { wilsonInterval } from "../statistics/statistics.ts";
import {
  type ClassOutcomes,
  type MapOutcomes,
  metricOf,
  type Outcomes,
  pairedDrop,
  pairedDropAsync,
  type ValueOutcomes,
} from "./outcomes.ts";

/** `lost` samples that only a first network gets right, `won` that only a second does, `both` for both. */
function pairOf(lost: number, won: number, both: number, neither: number) {
  const of = (bits: readonly number[]): ClassOutcomes => {
    const samples = bits.length;
    const labels = new Int32Array(samples);
    return {
      kind: "classes",
      predictions: {
        indices: Int32Array.from({ length: samples }, (_, i) => i),
        labels,
        predicted: Int32Array.from(bits, (bit) => 1 - bit),
        isCorrect: Uint8Array.from(bits),
        confidences: new Float64Array(bits.length).fill(0.9),
        losses: new Float64Array(samples).fill(0.5),
        outputs: undefined,
      },
    };
  };
  const repeat = (bit: number, count: number) => Array.from({ length: count }, () => bit);
  const rest = [...repeat(1, both), ...repeat(0, neither)];
  return {
    first: of([...repeat(1, lost), ...repeat(0, won), ...rest]),
    second: of([...repeat(0, lost), ...repeat(1, won), ...rest]),
  };
}

function valuesOf(values: readonly number[], metric = "ap"): ValueOutcomes {
  const indices = Int32Array.from(values, (_, i) => i);
  return { kind: "values", metric, values: Float64Array.from(values), indices };
}

/** Images of two classes whose pixels are right with a chance of its own each. */
function mapsOf(images: number, accuracy: number, seed: string): MapOutcomes {
  const random = randomOf(seed);
  const confusions = new Float64Array(images * 4);
  for (let i = 0; i < images; i++) {
    const chance = Math.min(1, accuracy + 0.1 * (random.uniform() - 0.5));
    for (let pixel = 0; pixel < 100; pixel++) {
      const truth = pixel < 30 ? 1 : 0;
      const predicted = random.uniform() < chance ? truth : 1 - truth;
      confusions[i * 4 + 2 * truth + predicted]++;
    }
  }
  const indices = Int32Array.from({ length: images }, (_, i) => i);
  return { kind: "maps", classes: 2, confusions, losses: new Float64Array(images), indices };
}

function miouOf({ confusions }: MapOutcomes): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < confusions.length; i += 4) {
    a += confusions[i];
    b += confusions[i + 1];
    c += confusions[i + 2];
    d += confusions[i + 3];
  }
  return (a / (a + b + c) + d / (b + c + d)) / 2;
}

describe("metricOf", () => {
  it("of classes is accuracy with Wilson's interval", () => {
    const { first } = pairOf(10, 4, 70, 16);
    expect(metricOf(first)).toEqual({
      metric: "top1",
      value: 0.8,
      loss: 0.5,
      ci95: wilsonInterval(80, 100),
    });
  });

  it("of maps is the mean IoU of all images together", () => {
    const maps = mapsOf(40, 0.8, "maps");
    const { metric, value, ci95 } = metricOf(maps);
    expect(metric).toBe("miou");
    expect(value).toBeCloseTo(miouOf(maps), 12);
    expect(ci95[0]).toBeLessThan(value);
    expect(ci95[1]).toBeGreaterThan(value);
  });

  it("of values is their mean, with Wilson's interval where all are 0 or 1", () => {
    expect(metricOf(valuesOf([0, 1, 1, 1]))).toEqual({
      metric: "ap",
      value: 0.75,
      ci95: wilsonInterval(3, 4),
    });
    const normals = [...randomOf("values").normals(400)];
    const { value, ci95 } = metricOf(valuesOf(normals));
    expect(value).toBeCloseTo(normals.reduce((a, b) => a + b) / 400, 12);
    // The standard error of 400 standard normals is 0.05.
    expect((ci95[1] - ci95[0]) / (2 * 1.96)).toBeCloseTo(0.05, 2);
  });

  it("refuses no samples at all", () => {
    expect(() => metricOf(valuesOf([]))).toThrow(/no samples/);
  });
});

describe("pairedDropAsync", () => {
  // Enough for several turns: 500 resamples of 4,000 values take some tenths of a second or more.
  const many = (name: string) => {
    const random = randomOf(name);
    return valuesOf(Array.from({ length: 4000 }, () => random.normal()));
  };

  it("gives the figures of pairedDrop bit for bit, and tells how far it is", async () => {
    const [original, other] = [many("first"), many("second")];
    const options = { level: 0.025, seed: 3, resamples: 500 };
    const told: StepProgress[] = [];
    const drop = await pairedDropAsync(original, other, {
      ...options,
      onProgress: (step) => told.push(step),
    });
    expect(drop).toEqual(pairedDrop(original, other, options));
    expect(told.length).toBeGreaterThan(0);
    expect(told.every(({ total }) => total === 500)).toBe(true);
    const done = told.map((step) => step.done);
    expect(done).toEqual([...new Set(done)].sort((a, b) => a - b));
  });

  it("hears a signal that comes from elsewhere while it resamples", async () => {
    const stop = new AbortController();
    const turns: number[] = [];
    const stopped = pairedDropAsync(many("first"), many("second"), {
      level: 0.025,
      signal: stop.signal,
      onProgress: ({ done }) => {
        turns.push(done);
        setTimeout(() => stop.abort(), 0);
      },
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(Math.max(...turns)).toBeLessThan(1999);
  });

  it("fails as pairedDrop", async () => {
    const refused = pairedDropAsync(valuesOf([1]), valuesOf([1, 2]), { level: 0.025 });
    await expect(refused).rejects.toMatchObject({ code: "DATA_MISMATCH" });
  });
});

describe("pairedDrop", () => {
  it("of classes is Tango's, turned round, its bound the end of the interval at 1 - 2 level", () => {
    const { first, second } = pairOf(12, 5, 900, 83);
    const drop = pairedDrop(first, second, { level: 0.05 });
    expect(drop).toMatchObject({ samples: 1000, method: "tango" });
    expect(drop.drop).toBeCloseTo(0.007, 12);
    const gain = pairedDifferenceInterval({ onlyFirst: 12, onlySecond: 5, samples: 1000 }, 0.9);
    expect(drop.upper).toBeCloseTo(-gain[0], 9);
    expect(drop.ci95[0]).toBeLessThan(0.007);
    expect(drop.ci95[1]).toBeGreaterThan(drop.upper);
  });

  it("of values that are 0 or 1 is that of classes", () => {
    const { first, second } = pairOf(6, 2, 50, 42);
    const of = ({ predictions }: ClassOutcomes) => valuesOf([...predictions.isCorrect], "top1");
    const options = { level: 0.025 };
    const expected = pairedDrop(first, second, options);
    expect(pairedDrop(of(first), of(second), options)).toEqual(expected);
  });

  it("of values is the paired mean, whose bound the normal distribution foretells", () => {
    const random = randomOf("paired");
    const original = Array.from({ length: 500 }, () => 5 + random.normal());
    const other = original.map((value) => value - 0.1 - 0.2 * random.normal());
    const drop = pairedDrop(valuesOf(original), valuesOf(other), { level: 0.025 });
    expect(drop.method).toBe("bootstrap");
    const mean = original.reduce((sum, value, i) => sum + value - other[i], 0) / 500;
    expect(drop.drop).toBeCloseTo(mean, 12);
    expect(drop.upper).toBeCloseTo(mean + (1.96 * 0.2) / Math.sqrt(500), 2);
    expect(drop.upper).toBeCloseTo(drop.ci95[1], 12);
  });

  it("of maps resamples both networks' images together", () => {
    const original = mapsOf(60, 0.9, "first");
    const other = mapsOf(60, 0.85, "second");
    const drop = pairedDrop(original, other, { level: 0.025, seed: 3, resamples: 200 });
    expect(drop.drop).toBeCloseTo(miouOf(original) - miouOf(other), 12);
    expect(drop.upper).toBeGreaterThan(drop.drop);
    const self = pairedDrop(original, original, { level: 0.025 });
    expect(self).toMatchObject({ drop: 0, upper: 0, ci95: [0, 0], samples: 60 });
    // Brute force: the same draws, whole matrices added up, and finite differences for the errors.
    const random = randomOf(3, "bootstrap");
    const statistic = (images: readonly number[]) => {
      const of = (weights: readonly number[]) => {
        const drawn = (maps: MapOutcomes) => {
          const rows = images.flatMap((i, at) =>
            Array.from(maps.confusions.subarray(4 * i, 4 * i + 4), (n) => n * weights[at]),
          );
          return miouOf({ ...maps, confusions: Float64Array.from(rows) });
        };
        return drawn(original) - drawn(other);
      };
      const value = of(images.map(() => 1));
      const squares = images.map((_, at) => {
        const more = of(images.map((_, i) => (i === at ? 1 + 1e-5 : 1)));
        return ((more - value) / 1e-5) ** 2;
      });
      return { value, error: Math.sqrt((squares.reduce((a, b) => a + b) * 60) / 59) };
    };
    const whole = statistic(Array.from({ length: 60 }, (_, i) => i));
    const scores = Array.from({ length: 200 }, () => {
      const { value, error } = statistic(Array.from({ length: 60 }, () => random.integer(60)));
      return (value - whole.value) / error;
    }).sort((a, b) => a - b);
    const position = 0.025 * 199;
    const below = scores[Math.floor(position)];
    const score = below + (position % 1) * (scores[Math.ceil(position)] - below);
    expect(drop.upper).toBeCloseTo(whole.value - whole.error * score, 5);
  });

  const maps = mapsOf(4, 0.9, "a");
  const { first } = pairOf(1, 1, 2, 0);
  const different: Record<string, readonly [Outcomes, Outcomes]> = {
    "another kind": [first, maps],
    "other samples": [maps, { ...maps, indices: Int32Array.of(0, 1, 2, 4) }],
    "fewer samples": [valuesOf([1, 2, 3]), valuesOf([1, 2])],
    "other classes": [maps, { ...maps, classes: 3, confusions: new Float64Array(36) }],
    "other truth": [maps, { ...maps, confusions: maps.confusions.toReversed() }],
    "another metric": [valuesOf([1, 2]), valuesOf([1, 2], "f1")],
  };
  it.each(Object.keys(different))("refuses %s", (name) => {
    const [original, other] = different[name];
    expect(() => pairedDrop(original, other, { level: 0.05 })).toThrow(/two evaluations/);
  });

  it("refuses a level that is none", () => {
    expect(() => pairedDrop(maps, maps, { level: 0.5 })).toThrow(/level is 0.5/);
  });
});
