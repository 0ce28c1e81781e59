/**
 * @file How weights start. Every parameter has a random stream of its own, named after it, so that a
 * layer's values depend on the seed and its name alone.
 */
import type { Random } from "../tensor/random.ts";

/** How many terms one output of a layer sums: input channels times kernel positions. */
export type FanIn = number;

/** Draws the `length` values of a parameter of a layer with this fan-in. */
export type Initializer = (
  random: Random,
  length: number,
  fanIn: FanIn,
) => Float32Array<ArrayBuffer>;

/**
 * N(0, 2 / fan-in): a ReLU halves the second moment, and this makes up for it.
 * He, Zhang, Ren, Sun, "Delving Deep into Rectifiers", ICCV 2015, eq. 10.
 */
export const heNormal: Initializer = (random, length, fanIn) =>
  scaled(random.normals(length), Math.sqrt(2 / fanIn));

/** N(0, `deviation`²). */
export function normal(deviation: number): Initializer {
  return (random, length) => scaled(random.normals(length), deviation);
}

/**
 * U(-b, b) with variance 1 / fan-in: the form of Glorot and Bengio's rule (AISTATS 2010) that Caffe
 * calls "xavier".
 */
export const caffeXavier: Initializer = (random, length, fanIn) =>
  symmetric(random, length, Math.sqrt(3 / fanIn));

/**
 * U(-b, b) with variance 2 / (fan-in + fan-out): Glorot and Bengio, "Understanding the Difficulty of
 * Training Deep Feedforward Neural Networks", AISTATS 2010, eq. 16. For dense layers.
 */
export const glorotUniform: Initializer = (random, length, fanIn) =>
  symmetric(random, length, Math.sqrt(6 / (fanIn + length / fanIn)));

/** U(-b, b) with b = 1 / √fan-in: what PyTorch's layers start from, weights and biases alike. */
export const torchUniform: Initializer = (random, length, fanIn) =>
  symmetric(random, length, 1 / Math.sqrt(fanIn));

/** All zeros. */
export const zeros: Initializer = (_, length) => new Float32Array(length);

function scaled(values: Float32Array<ArrayBuffer>, factor: number): Float32Array<ArrayBuffer> {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
  return values;
}

function symmetric(random: Random, length: number, bound: number): Float32Array<ArrayBuffer> {
  const values = random.uniforms(length);
  for (let i = 0; i < length; i++) values[i] = (2 * values[i] - 1) * bound;
  return values;
}
