/**
 * @file The questions: the images on which two networks differ, in random order, and decoys among them that look alike.
 *
 * Order and suggestions come from a seed, so that whoever holds a certificate can draw them again. Which image is asked,
 * and when, depends on nothing that the answer could change.
 */
import { assert } from "../errors.ts";
import { randomOf } from "../tensor/random.ts";
import type { ClassAnswers } from "./predict.ts";

/** An image that a person is asked about. */
export interface Question {
  /** `q0001`, in the order of the questions. */
  readonly id: string;
  /** Where the image stands among those served, from 0. */
  readonly position: number;
  /** The number of the sample in its data set. */
  readonly index: number;
  /** SHA-256 of the picture. */
  readonly picture: string;
  /** Both networks give the same classes: the answer is known, and never counted. */
  readonly isDecoy: boolean;
  /** The classes that count as right for the first network: one, or k for top-k. */
  readonly first: readonly number[];
  readonly second: readonly number[];
  /** Classes to show beside "another class", in random order. */
  readonly suggestions: readonly number[];
}

/** A question before its picture is known. */
export type Draft = Omit<Question, "picture" | "id">;

/** The random order of units, and of images within it. */
export interface ImageOrder {
  /** [N] positions of images in the order in which looks take them in. */
  readonly positions: Int32Array;
  /** [N] the unit of the image at each place of that order, from 0. */
  readonly units: Int32Array;
  /** [units] images of each unit. */
  readonly sizes: readonly number[];
}

/**
 * Puts the units into random order; the images of a unit stay together.
 * @param groups [N] the group of each image; `undefined` where each stands by itself.
 */
export function orderOf(count: number, groups: Int32Array | undefined, seed: number): ImageOrder {
  const members = new Map<number, number[]>();
  for (let position = 0; position < count; position++) {
    const group = groups === undefined ? position : groups[position];
    const own = members.get(group);
    if (own === undefined) members.set(group, [position]);
    else own.push(position);
  }
  const units = [...members.values()];
  const shuffled = [...randomOf(seed, "certify", "order").permutation(units.length)].map(
    (k) => units[k],
  );
  return {
    positions: Int32Array.from(shuffled.flat()),
    units: Int32Array.from(shuffled.flatMap((unit, k) => unit.map(() => k))),
    sizes: shuffled.map((unit) => unit.length),
  };
}

/** How questions are made. */
export interface QuestionOptions {
  /** Classes of each network that count as right: 1 for top-1. */
  readonly top: number;
  /** Share of all questions that are decoys; in [0, 0.5]. */
  readonly decoyShare: number;
  readonly seed: number;
}

/** Both networks are that sure of a decoy, where there are enough such images. */
const sureDecoy = 0.9;

/** The questions, in the order of the images. */
export function draftQuestions(
  first: ClassAnswers,
  second: ClassAnswers,
  order: ImageOrder,
  { top, decoyShare, seed }: QuestionOptions,
): readonly Draft[] {
  const setAt = ({ classes, kept }: ClassAnswers, position: number) =>
    [...classes.subarray(position * kept, position * kept + Math.min(top, kept))].sort(
      (a, b) => a - b,
    );
  const differing: number[] = [];
  const agreeing: number[] = [];
  for (const position of order.positions) {
    const isSame = setAt(first, position).join() === setAt(second, position).join();
    (isSame ? agreeing : differing).push(position);
  }
  const decoys = new Set(
    decoysAmong(
      agreeing,
      differing.length,
      (position) => Math.min(first.confidences[position], second.confidences[position]),
      { decoyShare, seed },
    ),
  );
  const asked = new Set(differing);
  return [...order.positions]
    .filter((position) => asked.has(position) || decoys.has(position))
    .map((position) => {
      const [ours, theirs] = [setAt(first, position), setAt(second, position)];
      const isDecoy = decoys.has(position);
      const runnersUp = [
        ...first.classes.subarray(position * first.kept, (position + 1) * first.kept),
      ];
      const suggested = isDecoy
        ? [...ours.slice(0, 1), ...runnersUp.filter((k) => !ours.includes(k)).slice(0, 1)]
        : differenceOf(ours, theirs);
      const index = first.indices[position];
      return {
        position,
        index,
        isDecoy,
        first: ours,
        second: theirs,
        suggestions: shuffledSuggestions(suggested, index, seed),
      };
    });
}

/** The classes in random order: another one for each image. */
export function shuffledSuggestions(
  classes: readonly number[],
  index: number,
  seed: number,
): readonly number[] {
  const sorted = [...classes].sort((a, b) => a - b);
  return randomOf(seed, "certify", "suggestions", index).shuffle(sorted);
}

/** The classes that only one of the two sets holds. */
export function differenceOf(
  first: readonly number[],
  second: readonly number[],
): readonly number[] {
  return [...first.filter((k) => !second.includes(k)), ...second.filter((k) => !first.includes(k))];
}

function decoysAmong(
  agreeing: readonly number[],
  disagreements: number,
  confidenceAt: (position: number) => number,
  { decoyShare, seed }: Pick<QuestionOptions, "decoyShare" | "seed">,
): readonly number[] {
  assert(decoyShare >= 0 && decoyShare <= 0.5, `a share of decoys, got ${decoyShare}`);
  const wanted = Math.round((disagreements * decoyShare) / (1 - decoyShare));
  const sure = agreeing.filter((position) => confidenceAt(position) >= sureDecoy);
  const pool =
    sure.length >= wanted
      ? sure
      : [...agreeing].sort((a, b) => confidenceAt(b) - confidenceAt(a)).slice(0, wanted);
  const random = randomOf(seed, "certify", "decoys");
  return random.shuffle([...pool].sort((a, b) => a - b)).slice(0, wanted);
}

/** The id of the question at this place. */
export function questionId(place: number): string {
  return `q${String(place + 1).padStart(4, "0")}`;
}
