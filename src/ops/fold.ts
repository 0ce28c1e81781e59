/** @file Computing small known tensors: the arithmetic behind shapes. */
import { assert } from "../errors.ts";
import { allocate, bytesOf, type HostTensor, isStrings, sizeOf } from "../tensor/host-tensor.ts";

/** Concat of known tensors, or `undefined` when one is not known. */
export function concatTensors(
  inputs: readonly (HostTensor | undefined)[],
  axis: number,
): readonly HostTensor[] | undefined {
  const known = inputs.filter((input) => input !== undefined);
  if (known.length < inputs.length || known.some((input) => isStrings(input.data)))
    return undefined;
  const [first] = known;
  const at = axis < 0 ? axis + first.shape.length : axis;
  const shape = first.shape.map((dim, i) =>
    i === at ? known.reduce((sum, input) => sum + input.shape[at], 0) : dim,
  );
  const out = allocate(first.dtype, sizeOf(shape));
  const target = bytesOf(out);
  const outer = sizeOf(shape.slice(0, at));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data } of known) {
      assert(!isStrings(data), "strings were excluded above");
      const run = data.byteLength / outer;
      target.set(bytesOf(data).subarray(o * run, (o + 1) * run), to);
      to += run;
    }
  }
  return [{ dtype: first.dtype, shape, data: out }];
}
