/**
 * @file Whether a smaller network still answers as its original does. Verification proves that nothing but the chosen
 * channels has changed; it does not tell whether what is left is of any use.
 *
 * Both networks run on the same few inputs, and each output is looked at element by element, as it moves around its
 * mean over the inputs: what does not depend on the input (a bias, a detector's anchors) agrees for free and tells nothing.
 * Inputs are the user's, or random ones that resemble photographs (`src/measure/inputs/image-like-feeds.ts`).
 */
import type { ModelBytes } from "../../onnx/model.ts";
import { withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { log, square } from "../../tensor/elementary.ts";
import { type HostTensor, toNumbers } from "../../tensor/host-tensor.ts";
import { requireGoOn } from "../../tensor/steps.ts";
import { withSource } from "./comparison.ts";

/** How one output of a smaller network follows that of its original. */
export interface OutputDamage {
  readonly output: string;
  /** Correlation of both outputs around their means over the inputs, in [-1, 1]; 1 is the same but for a factor. */
  readonly correlation: number;
  /** Variance over the inputs, as a share of the original's: 0 where the output no longer depends on the input. */
  readonly variation: number;
  /** How far the mean over inputs has moved, in deviations of the original's answers around theirs; 0 is not at all. */
  readonly offset: number;
  /** How often both choose the same class, where the output holds classes along axis 1. */
  readonly agreement?: Agreement;
  /** Whether little is left of what the original said. */
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
  /** Outputs that are probabilities: their log-odds are compared, since a saturated one hardly moves. */
  readonly probabilities?: ReadonlySet<string> | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Below this an output shares less than a quarter of its variance with the original's (r² < 0.25). On random inputs it
 * parts classifiers where they give the same answer for half of all real images: of eight of CIFAR-10 and MNIST at 50 to
 * 97 % of their multiply-accumulates, those above it (15 results) agree on 59 to 100 % of real images, those below it (9) on
 * 8 to 66 %, and all that agree on more than 80 % are above 0.66.
 */
const leastCorrelation = 0.5;
const leastVariation = 0.05;
/** The share of the way from chance to full agreement below which choices are near chance. */
const leastAgreement = 0.2;
/**
 * Where the mean has moved by more deviations than this, the move decides which class is the largest. It stands in for
 * agreement on random inputs, where the original is so little sure of its classes that agreement tells little: 19 % of a
 * network that agrees on 88 % of real images, 22 % of one that agrees on 24 %.
 */
const largestOffset = 2;
/** Decisions below which an agreement is too vague to judge by, and a chance above which there is nothing to choose. */
const fewestDecisions = 16;
const largestChance = 0.9;
/** A variance below this share of the mean square is rounding: the original does not depend on the inputs. */
const leastVariance = 1e-10;
/** Elements of one output that are looked at on each input, at even distances. */
const mostElements = 2 ** 16;

/** Two networks of the same outputs, loaded to answer the same inputs. */
export interface Answering {
  /**
   * How the outputs of the smaller one follow the original's. Outputs that are no floating point numbers, have no fixed
   * size or do not depend on the input in the original are left out.
   */
  readonly damageOn: (
    feeds: Iterable<Feeds>,
    inputs?: "given" | "random",
  ) => Promise<readonly OutputDamage[]>;
  /**
   * How much of what the original answers depends on these inputs: the variance over inputs as a share of the mean square,
   * the mean over outputs, in [0, 1]. Inputs of a kind that it was not trained on give nearly the same answer all.
   */
  readonly dependenceOn: (feeds: Iterable<Feeds>) => Promise<number>;
}

/**
 * Loads two networks for as long as they are looked at. Errors, of what is done with them as well: `RUNTIME_FAILED`,
 * `ABORTED`.
 */
export async function withAnswers<T>(
  original: ModelBytes,
  small: ModelBytes,
  { threads, signal, probabilities }: DamageOptions,
  look: (answering: Answering) => Promise<T>,
): Promise<T> {
  const options = { threads, signal };
  return withSource(original, (first) =>
    withSource(small, (second) =>
      withSession(first, options, (before) =>
        withSession(second, options, (after) =>
          look({
            async damageOn(feeds, inputs = "random") {
              const tallies = new Tallies(probabilities);
              for (const feed of feeds) {
                requireGoOn(signal);
                tallies.add(await before.run(feed), await after.run(feed));
              }
              return [...tallies.byOutput].flatMap(([output, tally]) => {
                const damage = tally.damage(inputs);
                return damage === undefined ? [] : [{ output, ...damage }];
              });
            },
            async dependenceOn(feeds) {
              const tallies = new Tallies(probabilities);
              for (const feed of feeds) {
                requireGoOn(signal);
                const answers = await before.run(feed);
                tallies.add(answers, answers);
              }
              const shares = [...tallies.byOutput.values()].map((tally) => tally.dependence());
              return shares.reduce((sum, share) => sum + share / shares.length, 0);
            },
          }),
        ),
      ),
    ),
  );
}

/** One tally for each output that both give as floating point numbers of one shape. */
class Tallies {
  readonly byOutput = new Map<string, Tally>();
  readonly #probabilities: ReadonlySet<string> | undefined;

  constructor(probabilities: ReadonlySet<string> | undefined) {
    this.#probabilities = probabilities;
  }

  add(expected: Feeds, actual: Feeds): void {
    for (const [name, a] of expected) {
      const b = actual.get(name);
      if (b === undefined || !isFloat(a.dtype) || a.shape.join() !== b.shape.join()) continue;
      const isProbability = this.#probabilities?.has(name) ?? false;
      const tally = this.byOutput.get(name) ?? new Tally(a.shape, isProbability);
      this.byOutput.set(name, tally);
      tally.add(a, b);
    }
  }
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

  /** Sums of squares around the means, of products of both, and of the original's squares. */
  #moments() {
    const { a, b, aa, bb, ab } = this.#sums;
    const n = this.#count;
    let [before, after, both, power, moved] = [0, 0, 0, 0, 0];
    for (let i = 0; i < a.length; i++) {
      before += Math.max(0, aa[i] - square(a[i]) / n);
      after += Math.max(0, bb[i] - square(b[i]) / n);
      both += ab[i] - (a[i] * b[i]) / n;
      power += aa[i];
      moved += square(b[i] - a[i]) / n;
    }
    return { n, before, after, both, power, moved };
  }

  /** The original's variance as a share of its mean square. */
  dependence(): number {
    const { before, power } = this.#moments();
    return power > 0 ? before / power : 0;
  }

  damage(inputs: "given" | "random"): Omit<OutputDamage, "output"> | undefined {
    const { n, before, after, both, power, moved } = this.#moments();
    if (n < 2 || before <= leastVariance * power) return undefined;
    const isAlive = this.#isFinite && after > leastVariance * power;
    const correlation = isAlive ? both / Math.sqrt(before * after) : 0;
    const variation = this.#isFinite ? after / before : 0;
    const offset = this.#isFinite ? Math.sqrt(moved / before) : Number.MAX_VALUE;
    const agreement = this.#agreement();
    const isVague =
      agreement === undefined ||
      agreement.decisions < fewestDecisions ||
      agreement.chance > largestChance;
    const isNearChance =
      !isVague && agreement.share - agreement.chance < leastAgreement * (1 - agreement.chance);
    const hasMoved = agreement !== undefined && offset > largestOffset;
    const areChoicesLost = inputs === "given" ? isNearChance : hasMoved;
    return {
      correlation,
      variation,
      offset,
      ...(agreement && { agreement }),
      isDestroyed: correlation < leastCorrelation || variation < leastVariation || areChoicesLost,
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
