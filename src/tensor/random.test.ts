/** @file Random numbers: published answers, moments, and independence of streams. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalQuantile } from "./normal-quantile.ts";
import { philox, randomOf } from "./random.ts";

/** "philox 4x32 10" of kat_vectors in the Random123 distribution. */
const knownAnswers = [
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    answer: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    answer: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    answer: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
] as const;

/** Mean, variance and fourth central moment. */
function momentsOf(values: ArrayLike<number>) {
  const list = Array.from(values);
  const average = (of: (x: number) => number) => list.reduce((s, x) => s + of(x), 0) / list.length;
  const mean = average((x) => x);
  return {
    mean,
    variance: average((x) => (x - mean) ** 2),
    fourth: average((x) => (x - mean) ** 4),
  };
}

/** Figure 2 of the paper, in BigInt. */
function philoxOfBigInts(counter: readonly number[], key: readonly number[]): readonly number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt);
  let [k0, k1] = key.map(BigInt);
  const word = (value: bigint) => BigInt.asUintN(32, value);
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, word(p1), (p0 >> 32n) ^ c3 ^ k1, word(p0)];
    [k0, k1] = [word(k0 + 0x9e3779b9n), word(k1 + 0xbb67ae85n)];
  }
  return [c0, c1, c2, c3].map(Number);
}

describe("philox", () => {
  it("multiplies exactly, as with whole numbers of any size", () => {
    const word = fc.oneof(
      fc.nat(0xffffffff),
      fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
    );
    fc.assert(
      fc.property(fc.tuple(word, word, word, word), fc.tuple(word, word), (counter, key) => {
        expect(philox(counter, key)).toEqual(philoxOfBigInts(counter, key));
      }),
    );
  });

  it.each(knownAnswers)("maps counter $counter under key $key to the published words", (known) => {
    expect(philox(known.counter, known.key)).toEqual(known.answer);
  });
});

describe("normalQuantile", () => {
  // The first two are the check values of the AS 241 paper, the others from standard tables.
  it.each([
    [0.25, -0.6744897501960817],
    [0.001, -3.090232306167814],
    [1e-20, -9.262340089798409],
    [0.5, 0],
    [0.975, 1.959963984540054],
  ])("of %d is %d", (probability, z) => {
    expect(normalQuantile(probability)).toBeCloseTo(z, 13);
  });
});

describe("randomOf", () => {
  it("gives the moments of the uniform distribution", () => {
    const { mean, variance } = momentsOf(randomOf(1).uniforms(100_000));
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(4 * Math.sqrt(1 / 12 / 100_000));
    expect(variance).toBeCloseTo(1 / 12, 3);
  });

  it("gives the moments of the normal distribution", () => {
    const { mean, variance, fourth } = momentsOf(randomOf(2).normals(100_000));
    expect(Math.abs(mean)).toBeLessThan(4 / Math.sqrt(100_000));
    expect(Math.abs(variance - 1)).toBeLessThan(4 * Math.sqrt(2 / 100_000));
    expect(Math.abs(fourth - 3)).toBeLessThan(4 * Math.sqrt(96 / 100_000));
  });

  it("gives each whole number below the bound equally often", () => {
    const random = randomOf("dice");
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 60_000; i++) counts[random.integer(6)]++;
    const chi2 = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    // The 99.9 % quantile of chi-squared with 5 degrees of freedom.
    expect(chi2).toBeLessThan(20.5);
  });

  it("shuffles to a permutation, each as likely as the others", () => {
    const random = randomOf(3);
    const seen = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const key = random.permutation(3).join("");
      seen.set(key, (seen.get(key) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual(["012", "021", "102", "120", "201", "210"]);
    const chi2 = [...seen.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(chi2).toBeLessThan(20.5);
  });

  it("repeats a stream for the same seed and keys, whatever was drawn elsewhere", () => {
    const parent = randomOf(7);
    const before = parent.split("layer1", 3).normals(5);
    parent.uniforms(11);
    expect(parent.split("layer1", 3).normals(5)).toEqual(before);
    expect(randomOf(7, "layer1", 3).normals(5)).toEqual(before);
    expect(parent.split("layer1").split(3).normals(5)).toEqual(before);
  });

  it("tells seeds and keys apart: numbers from text, order, and text of any length", () => {
    const streams = [
      randomOf(1),
      randomOf("1"),
      randomOf(1.5),
      randomOf(2 ** 32 + 1),
      randomOf(1, "a", "b"),
      randomOf(1, "b", "a"),
      randomOf(1, "ab"),
      randomOf(1, "ab\0"),
      randomOf(1, ""),
      randomOf(1, "a name longer than one block of the hash"),
    ];
    const first = streams.map((stream) => stream.uint32());
    expect(new Set(first).size).toBe(streams.length);
  });

  it("has no correlation between neighbouring streams", () => {
    const a = randomOf(0).normals(20_000);
    const b = randomOf(1).normals(20_000);
    const correlation = a.reduce((sum, x, i) => sum + x * b[i], 0) / a.length;
    expect(Math.abs(correlation)).toBeLessThan(4 / Math.sqrt(20_000));
  });
});
