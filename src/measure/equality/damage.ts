/**
 * @file Whether a smaller network still answers as its original does. Verification proves that nothing but the chosen
 * channels has changed; it does not tell whether what is left is of any use.
 *
 * Both networks run on the same few inputs, and each output is looked at element by element, as it moves around its
 * mean over the inputs: what does not depend on the input (a bias, a detector's anchors) agrees for free and tells nothing.
 * Inputs are the user's, or random ones that resemble images.
 */
import type { Graph } from "../../ir/graph.ts";
import type { ModelBytes } from "../../onnx/model.ts";
import { withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { log, square } from "../../tensor/elementary.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { randomOf } from "../../tensor/random.ts";
import { cos, sin } from "../../tensor/trigonometry.ts";
import { declaredInputs, randomFeeds } from "../inputs/feeds.ts";
import { withSource } from "./comparison.ts";

/** How one output of a smaller network follows that of its original. */
export interface OutputDamage {
  readonly output: string;
  /** Of what both do around their means over the inputs, in [-1, 1]; 1 is the same but for a factor. */
  readonly correlation: number;
  /** Variance over the inputs, as a share of the original's: 0 where the output no longer depends on the input. */
  readonly variation: number;
  /** Of outputs that hold classes along axis 1: how often both choose the same. */
  readonly agreement?: Agreement;
  /** Whether all but nothing is left of what the original said. */
  readonly isDestroyed: boolean;
}

/** How often two networks choose the same class. */
export interface Agreement {
  readonly share: number;
  /** The share that two networks would reach that choose classes as often as these do, but independently. */
  readonly chance: number;
  /** Samples, or pixels of label maps, that were looked at. */
  readonly decisions: number;
}

/** How to run the networks. */
export interface DamageOptions {
  /** Outputs that are probabilities: of these the log-odds are compared, since a saturated one hardly moves. */
  readonly probabilities?: ReadonlySet<string> | undefined;
  /** Whether the inputs are like those that the network was trained on. Default: random. */
  readonly inputs?: "given" | "random" | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Below these an output has all but lost what the original's said. Of healthy networks the correlation is over 0.8 on
 * images of their kind; on random inputs, for which no compensation was made, it may be a third of that.
 */
const leastCorrelation = { given: 0.5, random: 0.2 } as const;
const leastVariation = 0.05;
/** Of the way from chance to full agreement, below which choices are near chance. */
const leastAgreement = 0.2;
/** Decisions below which an agreement is too vague to judge by, and a chance above which there is nothing to choose. */
const fewestDecisions = 16;
const largestChance = 0.9;
/** A variance below this share of the mean square is rounding: the original does not depend on the inputs. */
const leastVariance = 1e-10;
/** Elements of one output that are looked at on each input, at even distances. */
const mostElements = 2 ** 16;

/**
 * Runs two networks of the same outputs on the same inputs. Outputs that are no floating point numbers, have no fixed
 * size or do not depend on the input in the original are left out.
 * Errors: `RUNTIME_FAILED`, `ABORTED`.
 */
export async function damageOn(
  original: ModelBytes,
  small: ModelBytes,
  feeds: readonly Feeds[],
  { threads, signal, probabilities, inputs = "random" }: DamageOptions = {},
): Promise<readonly OutputDamage[]> {
  const tallies = new Map<string, Tally>();
  const session = { threads, signal };
  await withSource(original, (first) =>
    withSource(small, (second) =>
      withSession(first, session, (before) =>
        withSession(second, session, async (after) => {
          for (const feed of feeds) {
            signal?.throwIfAborted();
            const [expected, actual] = [await before.run(feed), await after.run(feed)];
            for (const [name, a] of expected) {
              const b = actual.get(name);
              if (b === undefined || !isFloat(a.dtype) || a.shape.join() !== b.shape.join())
                continue;
              const tally =
                tallies.get(name) ?? new Tally(a.shape, probabilities?.has(name) ?? false);
              tallies.set(name, tally);
              tally.add(a, b);
            }
          }
        }),
      ),
    ),
  );
  return [...tallies].flatMap(([output, tally]) => {
    const damage = tally.damage(leastCorrelation[inputs]);
    return damage === undefined ? [] : [{ output, ...damage }];
  });
}

/** Sums over inputs, for each element of one output that is looked at. */
class Tally {
  readonly #shape: readonly number[];
  readonly #valueOf: (value: number) => number;
  /** Places of the elements in the tensor. */
  readonly #places: Int32Array;
  readonly #sums: Readonly<Record<"a" | "b" | "aa" | "bb" | "ab", Float64Array>>;
  #count = 0;
  #isFinite = true;
  /** Choices of both, as counts by class, and how often they were the same. */
  readonly #choices = { a: new Map<number, number>(), b: new Map<number, number>() };
  #same = 0;
  #decisions = 0;

  constructor(shape: readonly number[], isProbability: boolean) {
    this.#shape = shape;
    this.#valueOf = isProbability ? logOdds : (value) => value;
    const size = shape.reduce((product, dim) => product * dim, 1);
    const step = Math.max(1, Math.ceil(size / mostElements));
    this.#places = Int32Array.from(
      { length: Math.floor((size - 1) / step) + 1 },
      (_, i) => i * step,
    );
    const zeros = () => new Float64Array(this.#places.length);
    this.#sums = { a: zeros(), b: zeros(), aa: zeros(), bb: zeros(), ab: zeros() };
  }

  add(expected: HostTensor, actual: HostTensor): void {
    if (expected.shape.join() !== this.#shape.join()) return;
    const [x, y] = [toNumbers(expected), toNumbers(actual)];
    const { a, b, aa, bb, ab } = this.#sums;
    this.#count++;
    for (const [i, place] of this.#places.entries()) {
      const [p, q] = [this.#valueOf(x[place]), this.#valueOf(y[place])];
      if (!Number.isFinite(p)) continue;
      a[i] += p;
      aa[i] += p * p;
      if (!Number.isFinite(q)) {
        this.#isFinite = false;
        continue;
      }
      b[i] += q;
      bb[i] += q * q;
      ab[i] += p * q;
    }
    this.#choose(x, y);
  }

  /** Outputs [N, C, ...] with 2 classes or more: the largest along axis 1, at even distances over all others. */
  #choose(x: Float64Array, y: Float64Array): void {
    const [n, classes = 0, ...others] = this.#shape;
    if (classes < 2 || (others.length !== 0 && others.length !== 2)) return;
    const inner = others.reduce((product, dim) => product * dim, 1);
    const step = Math.max(1, Math.ceil((n * inner * classes) / mostElements));
    for (let at = 0; at < n * inner; at += step) {
      const first = Math.floor(at / inner) * classes * inner + (at % inner);
      const [p, q] = [x, y].map((values) => largestAt(values, first, inner, classes));
      for (const [counts, own] of [
        [this.#choices.a, p],
        [this.#choices.b, q],
      ] as const)
        counts.set(own, (counts.get(own) ?? 0) + 1);
      this.#decisions++;
      if (p === q) this.#same++;
    }
  }

  damage(least: number): Omit<OutputDamage, "output"> | undefined {
    const { a, b, aa, bb, ab } = this.#sums;
    const n = this.#count;
    let [before, after, both, power] = [0, 0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      before += Math.max(0, aa[i] - square(a[i]) / n);
      after += Math.max(0, bb[i] - square(b[i]) / n);
      both += ab[i] - (a[i] * b[i]) / n;
      power += aa[i];
    }
    if (n < 2 || before <= leastVariance * power) return undefined;
    const isAlive = this.#isFinite && after > leastVariance * power;
    const correlation = isAlive ? both / Math.sqrt(before * after) : 0;
    const variation = this.#isFinite ? after / before : 0;
    const agreement = this.#agreement();
    const isVague =
      agreement === undefined ||
      agreement.decisions < fewestDecisions ||
      agreement.chance > largestChance;
    const isNearChance =
      !isVague && agreement.share - agreement.chance < leastAgreement * (1 - agreement.chance);
    return {
      correlation,
      variation,
      ...(agreement && { agreement }),
      isDestroyed: correlation < least || variation < leastVariation || isNearChance,
    };
  }

  #agreement(): Agreement | undefined {
    const decisions = this.#decisions;
    if (decisions === 0) return undefined;
    let chance = 0;
    for (const [own, count] of this.#choices.a)
      chance += (count / decisions) * ((this.#choices.b.get(own) ?? 0) / decisions);
    return { share: this.#same / decisions, chance, decisions };
  }
}

/** ln(p / (1 - p)), for probabilities as near to 0 and 1 as float32 tells apart. */
function logOdds(p: number): number {
  const least = 1e-7;
  return log((p + least) / (1 - p + least));
}

function largestAt(values: Float64Array, first: number, step: number, count: number): number {
  let best = 0;
  for (let c = 1; c < count; c++)
    if (values[first + c * step] > values[first + best * step]) best = c;
  return best;
}

/** What pixels are: numbers around 0, as networks see them that were trained on normalised images, or bytes. */
export type PixelRange = "normalised" | "bytes";

/**
 * Inputs that resemble images more than noise does: a few waves along all axes but the first, of random direction,
 * phase and strength, around a random brightness, with a little noise. Inputs of less than 3 axes are normal values.
 * Errors: `MODEL_UNSUPPORTED`, `DATA_MISMATCH` where a size cannot be known.
 */
export function imageLikeFeeds(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  {
    count,
    range,
    seed = 0,
  }: { readonly count: number; readonly range: PixelRange; readonly seed?: number },
): readonly Feeds[] {
  const inputs = declaredInputs(graph);
  return Array.from({ length: count }, (_, i) => {
    const noise = randomFeeds(inputs, { dims, seed: `damage ${seed} ${i}` });
    return new Map(
      [...noise].map(([name, tensor]) => {
        if (!isFloat(tensor.dtype)) return [name, tensor];
        const values =
          tensor.shape.length < 3
            ? toNumbers(tensor)
            : wavesOver(tensor, `damage ${seed} ${i} ${name}`);
        const pixels = values.map((value) =>
          range === "bytes" ? Math.min(255, Math.max(0, 128 + 64 * value)) : value,
        );
        return [name, tensorOf(tensor.dtype, tensor.shape, pixels)];
      }),
    );
  });
}

const waves = 5;
const highestFrequency = 6;

/** A sum of waves of unit variance in all, and a little of the tensor's own noise. */
function wavesOver(noise: HostTensor, key: string): Float64Array {
  const { shape } = noise;
  const random = randomOf(0, key);
  const brightness = 0.7 * random.normals(1)[0];
  const values = toNumbers(noise).map((value) => 0.2 * value + brightness);
  const strength = Math.sqrt(1.5 / waves);
  for (let wave = 0; wave < waves; wave++) {
    // cos(Σ angles) and sin(Σ angles), one axis after the other, from tables of each axis.
    let [real, imaginary] = [Float64Array.of(1), Float64Array.of(0)];
    for (const [axis, size] of shape.entries()) {
      const frequency = axis === 0 ? 0 : random.uniform() * highestFrequency;
      const phase = random.uniform() * 2 * Math.PI;
      const angles = Float64Array.from(
        { length: size },
        (_, k) => phase + (2 * Math.PI * frequency * k) / size,
      );
      const [c, s] = [angles.map(cos), angles.map(sin)];
      const next = {
        real: new Float64Array(real.length * size),
        imaginary: new Float64Array(real.length * size),
      };
      for (let i = 0; i < real.length; i++)
        for (let k = 0; k < size; k++) {
          next.real[i * size + k] = real[i] * c[k] - imaginary[i] * s[k];
          next.imaginary[i * size + k] = real[i] * s[k] + imaginary[i] * c[k];
        }
      [real, imaginary] = [next.real, next.imaginary];
    }
    for (let i = 0; i < values.length; i++) values[i] += strength * real[i];
  }
  return values;
}
