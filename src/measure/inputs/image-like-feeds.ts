/**
 * @file Random inputs that resemble photographs, for networks of which nobody has given images.
 *
 * Images are dead leaves: flat shapes of random place, size and colour that cover each other, of which there are the
 * more the smaller they are (density r⁻³). Such images share with photographs what noise and sums of waves have not:
 * edges, occlusion, the same statistics at every scale, colours of a kind. Lee, Mumford and Huang, "Occlusion Models for
 * Natural Images", IJCV 41 (2001). Baradad et al., "Learning to See by Looking at Noise" (NeurIPS 2021), train networks on
 * them that then do well on photographs. On noise a classifier of photographs gives nearly the same answer for every input.
 */
import type { Graph } from "../../ir/graph.ts";
import type { Feeds } from "../../runtime/values.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { type Random, randomOf } from "../../tensor/random.ts";
import { cos, sin } from "../../tensor/trigonometry.ts";
import { boundInputs, declaredInputs, randomTensor } from "./feeds.ts";

/** What pixels are: around 0, less a mean and over a deviation, as networks are mostly trained, or from 0 to 255. */
export type PixelRange = "normalised" | "bytes";

/** A brightness from 0 to 1 as a pixel. ImageNet's means and deviations are near 0.45 and 0.225. */
const pixelOf = {
  normalised: (brightness: number) => (brightness - 0.45) / 0.225,
  bytes: (brightness: number) => 255 * brightness,
} as const satisfies Record<PixelRange, (brightness: number) => number>;

/** Which inputs are made. */
export interface ImageLikeOptions {
  readonly count: number;
  readonly range: PixelRange;
  readonly seed?: number;
  /** Images that earlier calls have made, where there were some of the same network, sizes and seed. */
  readonly known?: KnownImages;
}

/** Elements of images that are kept at most, in all. */
const mostKept = 2 ** 23;

/** Images as brightness, kept so that other ranges of pixels need not make them again. */
export class KnownImages {
  readonly #images = new Map<string, Float64Array>();
  #size = 0;

  /** The image of a name, from what was kept or made now. */
  image(name: string, make: () => Float64Array): Float64Array {
    const kept = this.#images.get(name);
    if (kept !== undefined) return kept;
    const made = make();
    if (this.#size + made.length <= mostKept) {
      this.#images.set(name, made);
      this.#size += made.length;
    }
    return made;
  }
}

/**
 * Inputs one after the other, made when they are asked for. Of 4 axes they are images; of 3, 5 and more, sums of waves in
 * the same range; all others are what `randomFeeds` gives.
 * Errors: `MODEL_UNSUPPORTED`, `DATA_MISMATCH` where a size cannot be known.
 */
export function* imageLikeFeeds(
  graph: Graph,
  dims: ReadonlyMap<string, number>,
  { count, range, seed = 0, known = new KnownImages() }: ImageLikeOptions,
): Iterable<Feeds> {
  const inputs = boundInputs(declaredInputs(graph), { dims });
  for (let i = 0; i < count; i++)
    yield new Map(
      inputs.map((input) => {
        const { name, dtype, shape } = input;
        const noise = () => randomTensor(input, `damage ${seed} ${i}`);
        if (!isFloat(dtype) || shape.length < 3) return [name, noise()];
        const key = `damage ${seed} ${i} ${name}`;
        const brightness = known.image(key, () =>
          shape.length === 4 ? leavesOf(shape, key) : wavesOver(noise(), key),
        );
        return [name, tensorOf(dtype, shape, brightness.map(pixelOf[range]))];
      }),
    );
}

/** Radii of leaves as shares of the image's side: from a detail to half of the picture. */
const radii = { least: 1 / 64, most: 1 / 2 } as const;
/** Leaves after which what is still bare stays of one colour; to cover all takes some 2,500. */
const mostLeaves = 4000;

/** Where the colours of an image lie: mean brightness, spread over leaves, and how far channels go apart. */
interface Palette {
  readonly mean: number;
  readonly spread: number;
  readonly tint: number;
}

interface Leaf {
  readonly center: readonly [y: number, x: number];
  readonly radius: number;
  readonly isSquare: boolean;
  /** The angle of a square, in radians. */
  readonly angle: number;
  /** A value for each channel. */
  readonly color: readonly number[];
}

/** Dead leaves of brightness 0 to 1, [N, C, H, W], or [N, H, W, C] where the last axis alone may be colours. */
function leavesOf(shape: readonly number[], key: string): Float64Array {
  const isLast = shape[3] <= mostColors && shape[1] > mostColors;
  const [batch, channels, height, width] = isLast
    ? [shape[0], shape[3], shape[1], shape[2]]
    : shape;
  const size = height * width;
  const pixels = new Float64Array(batch * channels * size);
  for (let n = 0; n < batch; n++) {
    const random = randomOf(0, key, n);
    const palette = { mean: random.uniform(), spread: 0.15 + 0.25 * random.uniform(), tint: 0.12 };
    const canvas = { height, width, channels };
    const owners = new Int32Array(size).fill(-1);
    const bare = new BarePixels(canvas);
    const colors: (readonly number[])[] = [];
    for (let left = size; left > 0 && colors.length < mostLeaves; ) {
      const leaf = drawLeaf(random, canvas, palette);
      left -= cover(owners, bare, canvas, leaf, colors.length);
      colors.push(leaf.color);
    }
    for (let at = 0; at < size; at++)
      for (let c = 0; c < channels; c++) {
        const grain = 0.02 * (random.uniform() - 0.5);
        const own = colors[owners[at]]?.[c] ?? palette.mean;
        const place = isLast ? at * channels + c : c * size + at;
        pixels[n * channels * size + place] = Math.min(1, Math.max(0, own + grain));
      }
  }
  return pixels;
}

/** Channels of an image in colour, with an alpha. */
const mostColors = 4;

interface Canvas {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

function drawLeaf(
  random: Random,
  { height, width, channels }: Canvas,
  { mean, spread, tint }: Palette,
): Leaf {
  const side = Math.sqrt(height * width);
  const [least, most] = [Math.max(0.7, side * radii.least), Math.max(1, side * radii.most)];
  // The inverse of the distribution of density r⁻³ between both.
  const share = random.uniform();
  const radius = 1 / Math.sqrt((1 - share) / (least * least) + share / (most * most));
  const brightness = mean + spread * random.normal();
  return {
    center: [random.uniform() * height, random.uniform() * width],
    radius,
    isSquare: random.uniform() < 0.5,
    angle: random.uniform() * Math.PI,
    color: Array.from({ length: channels }, () => brightness + tint * random.normal()),
  };
}

/** The pixels that no leaf covers yet: each leaf looks at these alone. */
class BarePixels {
  /** For each pixel, and the end of each row, a place at or before the next bare pixel of its row. */
  readonly #next: Int32Array;
  readonly #stride: number;

  constructor({ height, width }: Canvas) {
    this.#stride = width + 1;
    this.#next = Int32Array.from({ length: height * this.#stride }, (_, i) => i);
  }

  /** The first bare column of a row from one on; the width where there is none. */
  from(row: number, column: number): number {
    const next = this.#next;
    let at = row * this.#stride + column;
    while (next[at] !== at) {
      next[at] = next[next[at]];
      at = next[at];
    }
    return at - row * this.#stride;
  }

  cover(row: number, column: number): void {
    const at = row * this.#stride + column;
    this.#next[at] = at + 1;
  }
}

/** Gives the pixels of a leaf that nothing covers yet to it; returns how many. */
function cover(
  owners: Int32Array,
  bare: BarePixels,
  { height, width }: Canvas,
  leaf: Leaf,
  own: number,
): number {
  const { center, radius, isSquare, angle } = leaf;
  const c = isSquare ? cos(angle) : 0;
  const s = isSquare ? sin(angle) : 0;
  const reach = isSquare ? radius * Math.SQRT2 : radius;
  const [y, x] = center;
  const left = Math.max(0, Math.ceil(x - reach));
  const right = Math.min(width, x + reach);
  let covered = 0;
  for (let i = Math.max(0, Math.ceil(y - reach)); i < Math.min(height, y + reach); i++)
    for (let k = bare.from(i, left); k < right; k = bare.from(i, k + 1)) {
      const dy = i - y;
      const dx = k - x;
      const distance = isSquare
        ? Math.max(Math.abs(dx * c + dy * s), Math.abs(dy * c - dx * s))
        : Math.sqrt(dx * dx + dy * dy);
      if (distance > radius) continue;
      owners[i * width + k] = own;
      bare.cover(i, k);
      covered++;
    }
  return covered;
}

const waves = 5;
const highestFrequency = 6;

/** A sum of waves of random direction, phase and strength around a random brightness, and a little of the tensor's own noise. */
function wavesOver(noise: HostTensor, key: string): Float64Array {
  const { shape } = noise;
  const random = randomOf(0, key);
  const mean = 0.5 + 0.15 * random.normal();
  const values = toNumbers(noise).map((value) => mean + 0.05 * value);
  const strength = 0.25 * Math.sqrt(1.5 / waves);
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
