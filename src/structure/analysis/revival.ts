/**
 * @file The places where a channel has nonzero values although all of its parameters are 0.
 *
 * Such a channel is *dead*: its filters, bias, scale and shift are 0. An axis of a tensor is *revived*
 * where dead channels along it may hold anything else than 0: by a constant (sigmoid(0)), or by what
 * other channels or inputs bring there (the mean over channels, subtracted). A sum over a revived axis
 * counts what removal would take away, so `TieSession` fixes it.
 */

import type { Node } from "../../ir/graph.ts";
import type { AtZero, TiedTensor } from "../../ops/operator/operator.ts";
import { trainedInputs } from "../../ops/passes/training.ts";
import { isStrings, toNumbers } from "../../tensor/host-tensor.ts";
import { blockOf, type Layout } from "./layout.ts";

/** Axes of a tensor that are revived. */
export type Revived = ReadonlySet<number>;

/** No axis is revived. */
export const nothingRevived: Revived = new Set();

/** A tensor beside what is known about its axes. */
export interface Held {
  readonly tensor: TiedTensor;
  /** Which input of the node it is. */
  readonly index: number;
  readonly revived: Revived;
}

/** The inputs of a node whose numbers go with a channel, so that they are 0 where it is dead. */
export function goesWith(node: Node): ReadonlySet<number> {
  const { weights, affine } = trainedInputs(node);
  return new Set([...weights, ...affine]);
}

/** The revived axes of an elementwise output. */
export function revivedByFormula(
  node: Node,
  shape: readonly number[],
  inputs: readonly Held[],
  atZero: AtZero,
): Revived {
  const own = goesWith(node);
  const held = ({ tensor, index, revived }: Held, axis: number): number | undefined => {
    const at = axis - (shape.length - tensor.shape.length);
    const isAlong = at >= 0 && tensor.shape[at] === shape[axis];
    if (!isAlong) return sameNumber(tensor);
    if (!tensor.isParameter) return revived.has(at) ? undefined : 0;
    return own.has(index) ? 0 : sameNumber(tensor);
  };
  return axesWhere(shape, (axis) => !atZero(inputs.map((input) => held(input, axis))));
}

/** The revived axes of a view: those that show a revived axis of what it is a view of. */
export function revivedInView(to: Layout, from: Layout, revived: Revived): Revived {
  if (revived.size === 0) return nothingRevived;
  const bases = new Set([...revived].flatMap((axis) => blockOf(from, axis).baseAxes));
  return axesWhere(to.shape, (axis) => blockOf(to, axis).baseAxes.some((base) => bases.has(base)));
}

/** What a rule tells of an output that is neither elementwise nor a view. */
export interface Composed {
  readonly node: Node;
  readonly shape: readonly number[];
  readonly inputs: readonly Held[];
  /** Whether the rule says that zeros do not stay zeros. */
  readonly revives: boolean;
  /** Whether any index of an axis of an input goes with one of the output's axis. */
  readonly isShared: (input: TiedTensor, inputAxis: number, outputAxis: number) => boolean;
}

/**
 * The revived axes of any other output: zeros stay zeros but where the rule says that they don't, and
 * a weight of this node that goes with a channel makes all 0.
 */
export function revivedElsewhere({ node, shape, inputs, revives, isShared }: Composed): Revived {
  const own = goesWith(node);
  const keeps = (input: Held) =>
    input.tensor.isParameter
      ? !own.has(input.index) && sameNumber(input.tensor) !== 0
      : input.revived.size > 0;
  const kept = inputs.filter(keeps);
  if (!revives && kept.length === 0) return nothingRevived;
  return axesWhere(shape, (axis) => {
    const shares = ({ tensor }: Held, at: number) => isShared(tensor, at, axis);
    const isSilenced = inputs.some(
      (input) =>
        own.has(input.index) &&
        input.tensor.isParameter &&
        input.tensor.shape.some((_, at) => shares(input, at)),
    );
    const isRevivedBy = (input: Held): boolean => {
      const { tensor, index, revived } = input;
      if (isSilenced && (tensor.isParameter || index === 0)) return false;
      const axes = tensor.isParameter ? tensor.shape.keys() : revived;
      return [...axes].some((at) => shares(input, at));
    };
    return (revives && !isSilenced) || kept.some(isRevivedBy);
  });
}

function axesWhere(shape: readonly number[], isWanted: (axis: number) => boolean): Revived {
  const axes = [...shape.keys()].filter(isWanted);
  return axes.length === 0 ? nothingRevived : new Set(axes);
}

/** The number that a known tensor holds everywhere. */
function sameNumber({ value }: TiedTensor): number | undefined {
  if (value === undefined || isStrings(value.data)) return undefined;
  const numbers = toNumbers(value);
  return numbers.length > 0 && numbers.every((number) => number === numbers[0])
    ? numbers[0]
    : undefined;
}
