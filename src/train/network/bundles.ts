/**
 * @file How many small tensors are kept as one: parameters lie end to end in flat vectors, so that an
 * update is a few nodes for all of them. A node costs about as much as some thousand elements; a
 * large tensor stays alone, because cutting and joining it would cost more than it saves.
 */
import type { GraphEmitter } from "../../grad/emitter.ts";
import type { Constant } from "../../ir/graph.ts";
import type { Emitter, Value } from "../../ops/operator/gradient.ts";
import { codeOf } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";

/** Several constants as one float32 vector, or one in its own shape. */
export interface Bundle {
  readonly constants: readonly Constant[];
  readonly shape: readonly number[];
}

/** Tensors of more elements stand alone. */
const largestBundled = 1 << 14;

/** Bundles for constants that are treated alike, in order; the small ones share the first. */
export function bundlesOf(
  constants: readonly Constant[],
  largest = largestBundled,
): readonly Bundle[] {
  const small = constants.filter(({ shape }) => sizeOf(shape) <= largest);
  const large = constants.filter((constant) => !small.includes(constant));
  const shared =
    small.length > 1 ? [bundleOf(small)] : small.map((constant) => bundleOf([constant]));
  return [...shared, ...large.map((constant) => bundleOf([constant]))];
}

/** One bundle of all the constants, of which there is at least one. */
export function bundleOf(constants: readonly Constant[]): Bundle {
  if (constants.length === 1) return { constants, shape: constants[0].shape };
  return { constants, shape: [constants.reduce((sum, { shape }) => sum + sizeOf(shape), 0)] };
}

/** Values of all constants of a bundle, end to end. */
export function bundled(
  { constants, shape }: Bundle,
  read = (constant: Constant) => constant.read(),
): HostTensor {
  const data = new Float32Array(sizeOf(shape));
  let at = 0;
  for (const constant of constants) {
    const tensor = read(constant);
    data.set(tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor), at);
    at += sizeOf(constant.shape);
  }
  return { dtype: "float32", shape, data };
}

/** The constants of a bundle, by name, each in its own type. The inverse of {@link bundled}. */
export function unbundled({ constants }: Bundle, tensor: HostTensor): Map<string, HostTensor> {
  const data = tensor.data instanceof Float32Array ? tensor.data : toNumbers(tensor);
  const out = new Map<string, HostTensor>();
  let at = 0;
  for (const { name, dtype, shape } of constants) {
    const values = data.slice(at, at + sizeOf(shape));
    const own =
      values instanceof Float32Array && dtype === "float32"
        ? { dtype, shape, data: values }
        : tensorOf(dtype, shape, values);
    out.set(name, own);
    at += sizeOf(shape);
  }
  return out;
}

/** Emits the constants of a bundle, cut out of `vector`. */
export function emitUnbundled(emit: GraphEmitter, bundle: Bundle, vector: Value): readonly Value[] {
  const { constants } = bundle;
  const sizes = constants.map(({ shape }) => sizeOf(shape));
  const parts =
    constants.length === 1
      ? [vector]
      : emit.ops(
          "Split",
          [vector, emit.ints(sizes)],
          { axis: 0 },
          sizes.map(() => true),
        );
  return constants.map(({ dtype, shape }, i) => {
    const part = emit.reshape(parts[i] ?? vector, shape);
    return dtype === "float32" ? part : emit.op("Cast", [part], { to: codeOf[dtype] });
  });
}

/** Emits values as one tensor, end to end; a value that is alone keeps its shape. */
export function emitBundled(emit: Emitter, values: readonly Value[]): Value {
  if (values.length === 1) return values[0];
  const flat = values.map((value) => emit.reshape(value, [sizeOf(value.shape)]));
  return emit.op("Concat", flat, { axis: 0 });
}
