/** @file Expected damage against its definition: Schur complements of the whole covariance. */
import { describe, expect, it } from "vitest";
import { chain } from "../../../test/support/bn-network.ts";
import { structureOf } from "../../structure/units/units.ts";
import {
  cholesky,
  inverse,
  product,
  productWithTranspose,
  subMatrix,
} from "../../tensor/linear-algebra.ts";
import { randomOf } from "../../tensor/random.ts";
import { resultVariance, type Source, substitutes } from "./channel-model.ts";
import { normalizedWeights } from "./normalized-weights.ts";
import { readersOf } from "./readers.ts";
import { damageModel, removalOrder } from "./removal-order.ts";

const width = 6;
const graph = chain({ scale: [1, 1, 1, 1, 1, 1], shift: [0, 0, 0, 0, 0, 0], padding: 1 });
const structure = structureOf(graph);

/** Random correlations, positive definite. */
function correlations(): Float64Array {
  const m = Float64Array.from(randomOf(5, "correlations").normals(width * (width + 3)));
  const gram = productWithTranspose(m, m, width, width, width + 3);
  return gram.map((x, i) => {
    const [a, b] = [Math.floor(i / width), i % width];
    return x / Math.sqrt(gram[a * width + a] * gram[b * width + b]);
  });
}

function source(between: Float64Array | undefined): Source {
  const channels = {
    deviation: Float64Array.of(1, 0.5, 2, 0.1, 1.5, 0.7),
    correlations: between,
    factor: between && cholesky(between, width),
  };
  const readers = readersOf(structure)
    .filter((reader) => reader.source === "h")
    .map((reader) => ({
      ...reader,
      resultVariance: resultVariance(reader, channels),
    }));
  const { sourceUnits: units } = readers[0];
  return { name: "h", units, mean: new Float64Array(width), ...channels, readers };
}

/** What the network answers of each result of the second convolution. */
const shares = Float64Array.of(0.1, 0.4, 0.2, 0.3);
const [{ result }] = readersOf(structure).filter((reader) => reader.source === "h");
const answers = new Map([[result, shares]]);

/** Σ over outputs and taps of gain · w_R (C_RR - C_RK C_KK⁻¹ C_KR) w_Rᵀ. */
function expectedDamage(
  { readers, deviation }: Source,
  between: Float64Array,
  gone: number[],
  weights = [1, 1, 1, 1],
) {
  const kept = [...Array(width).keys()].filter((c) => !gone.includes(c));
  const across = subMatrix(between, width, gone, kept);
  const among = inverse(subMatrix(between, width, kept, kept), kept.length);
  const told = productWithTranspose(
    product(across, among, gone.length, kept.length, kept.length),
    across,
    gone.length,
    gone.length,
    kept.length,
  );
  const untold = subMatrix(between, width, gone, gone).map((x, i) => x - told[i]);
  const [reader] = readers;
  const scales = reader.batchNorm?.scale ?? new Float64Array();
  const gains = scales.map((s, o) => (weights[o] * s ** 2) / (reader.resultVariance[o] + 1e-5));
  let damage = 0;
  const { taps } = reader.weight;
  const rows = normalizedWeights(reader, deviation);
  for (const [o, gain] of gains.entries())
    for (let row = o * taps * width; row < (o + 1) * taps * width; row += width)
      for (const [i, a] of gone.entries())
        for (const [j, b] of gone.entries())
          damage += gain * rows[row + a] * rows[row + b] * untold[i * gone.length + j];
  return damage;
}

describe("the damage model", () => {
  const between = correlations();

  it("gives the damage of one removal, and step by step that of several", () => {
    const of = source(between);
    const model = damageModel(structure.units.length, [of], [], answers);
    const total = expectedDamage(of, between, [0, 1, 2, 3, 4, 5]);
    let sum = 0;
    const gone: number[] = [];
    for (const channel of [4, 1, 3, 0]) {
      // Damage counts in proportion to what is left, squared.
      sum += model.damageOf(of.units[channel]) * (1 - sum / total) ** 2;
      model.remove(of.units[channel]);
      gone.push(channel);
      expect(sum).toBeCloseTo(expectedDamage(of, between, gone), 8);
    }
  });

  it("without correlations counts each channel alone, relative to what is left", () => {
    const of = source(undefined);
    const model = damageModel(structure.units.length, [of], [], answers);
    const identity = between.map((_, i) => Number(i % (width + 1) === 0));
    const before = model.damageOf(of.units[2]);
    expect(before).toBeCloseTo(expectedDamage(of, identity, [2]), 10);
    model.remove(of.units[0]);
    const total = expectedDamage(of, identity, [0, 1, 2, 3, 4, 5]);
    const left = 1 - expectedDamage(of, identity, [0]) / total;
    expect(model.damageOf(of.units[2])).toBeCloseTo(before / left ** 2, 10);
  });

  it("counts results far from the average by their share of the answers, and others alike", () => {
    const { units, ...of } = source(between);
    // The average is 0.25: the last three have 0.04 of it, less than a tenth.
    const uneven = new Map([[result, Float64Array.of(0.97, 0.01, 0.01, 0.01)]]);
    const model = damageModel(structure.units.length, [{ ...of, units }], [], uneven);
    for (const channel of [0, 3, 5])
      expect(model.damageOf(units[channel])).toBeCloseTo(
        expectedDamage({ ...of, units }, between, [channel], [1, 0.4, 0.4, 0.4]),
        10,
      );
  });

  it("knows no units of measure where nothing normalizes", () => {
    const damagesOf = (scale: number) => {
      const original = source(between);
      const readers = original.readers.map((reader) => {
        const { weight } = reader;
        const values = weight.values.map((value) => scale * value);
        const changed = { ...reader, weight: { ...weight, values }, batchNorm: undefined };
        return { ...changed, resultVariance: resultVariance(changed, original) };
      });
      const { units } = original;
      const model = damageModel(structure.units.length, [{ ...original, readers }], [], answers);
      return [...units].map((unit) => model.damageOf(unit));
    };
    const [small, large] = [damagesOf(1), damagesOf(1000)];
    for (const [i, damage] of small.entries()) expect(large[i] / damage).toBeCloseTo(1, 10);
  });

  it("counts three times what a last layer computes that nothing normalizes", () => {
    const readers = readersOf(structure);
    expect(readers.map(({ source, isLast }) => [source, isLast])).toEqual(
      readers.map((reader) => [reader.source, reader === readers.at(-1)]),
    );
    const damagesOf = (isLast: boolean) => {
      const original = source(between);
      const own = original.readers.map((reader) => ({ ...reader, batchNorm: undefined, isLast }));
      const sources = [{ ...original, readers: own }];
      const model = damageModel(structure.units.length, sources, [], answers);
      return [...original.units].map((unit) => model.damageOf(unit));
    };
    const [last, other] = [damagesOf(true), damagesOf(false)];
    for (const [i, damage] of other.entries()) expect(last[i] / damage).toBeCloseTo(3, 10);
  });

  it("counts what is read otherwise by the share of its channels", () => {
    const { units } = source(between);
    const read = { source: "h", axis: 1, sourceUnits: units };
    const own = Float64Array.of(0.5, 0.1, 0.1, 0.1, 0.1, 0.1);
    const model = damageModel(structure.units.length, [], [read], new Map([["h", own]]));
    expect([...units].map((unit) => model.damageOf(unit))).toEqual([...own]);
  });

  it("orders the candidates so that each step does the least damage", () => {
    const of = source(between);
    const count = structure.units.length;
    const candidates = [...of.units];
    const model = damageModel(count, [of], [], answers);
    const order = removalOrder(model, count, candidates);
    const total = expectedDamage(of, between, [0, 1, 2, 3, 4, 5]);
    const open = [...Array(width).keys()];
    const gone: number[] = [];
    for (let step = 0; step < width - 1; step++) {
      const before = gone.length === 0 ? 0 : expectedDamage(of, between, gone);
      const damages = open.map((channel) => {
        const more = expectedDamage(of, between, [...gone, channel]) - before;
        return more / (1 - before / total) ** 2;
      });
      const best = open[damages.indexOf(Math.min(...damages))];
      expect(order[of.units[best]]).toBe(step);
      gone.push(best);
      open.splice(open.indexOf(best), 1);
    }
    for (let unit = 0; unit < count; unit++)
      expect(Number.isFinite(order[unit])).toBe(candidates.includes(unit));
  });
});

describe("substitutes", () => {
  it("solve the normal equations", () => {
    const between = correlations();
    const [kept, gone] = [Int32Array.of(0, 2, 5), Int32Array.of(1, 3, 4)];
    const stand = substitutes(source(between), kept, gone);
    const among = subMatrix(between, width, kept, kept);
    const left = product(among, stand?.shares ?? new Float64Array(), 3, 3, 3);
    const right = subMatrix(between, width, kept, gone);
    for (const [i, x] of left.entries()) expect(x).toBeCloseTo(right[i], 10);
    const factor = stand?.factor ?? new Float64Array();
    const again = productWithTranspose(factor, factor, 3, 3, 3);
    for (const [i, x] of again.entries()) expect(x).toBeCloseTo(among[i], 12);
  });
});
