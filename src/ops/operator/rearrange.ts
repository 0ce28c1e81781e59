/** @file Moving the elements of small known tensors: the folds of shape arithmetic. */
import { bitsOf } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf, takeAlong } from "../../tensor/host-tensor.ts";

/** The same elements under a new shape. */
export function reshaped(tensor: HostTensor, shape: readonly number[]): HostTensor {
  return { dtype: tensor.dtype, shape, data: tensor.data };
}

/** Whether elements can be moved one by one: true for all but the types packed below a byte. */
export function isMovable({ dtype }: HostTensor): boolean {
  return dtype === "string" || bitsOf[dtype] >= 8;
}

/**
 * A tensor of `shape` whose element at `position` (per axis) is the element of `tensor` at the
 * position that `source` gives, axis by axis.
 */
export function rearranged(
  tensor: HostTensor,
  shape: readonly number[],
  source: (position: readonly number[]) => readonly number[],
): HostTensor {
  const indices = new Int32Array(sizeOf(shape));
  const position = shape.map(() => 0);
  for (let flat = 0; flat < indices.length; flat++) {
    let from = 0;
    for (const [axis, at] of source(position).entries()) from = from * tensor.shape[axis] + at;
    indices[flat] = from;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position[axis]++;
      if (position[axis] < shape[axis]) break;
      position[axis] = 0;
    }
  }
  const flat = reshaped(tensor, [sizeOf(tensor.shape)]);
  return reshaped(takeAlong(flat, 0, indices), shape);
}
