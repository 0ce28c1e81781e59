/** @file What goes into a session and comes out of it. */
import type { Shape } from "../ir/graph.ts";
import type { Model } from "../onnx/model.ts";
import type { DType } from "../tensor/dtype.ts";
import type { HostTensor } from "../tensor/host-tensor.ts";

/**
 * A model as bytes, as pieces that are laid end to end, as a file that onnxruntime reads itself, or as
 * `loadModel` and `readModel` give it, which is written for it.
 */
export type ModelSource = Uint8Array | readonly Uint8Array[] | { readonly path: string } | Model;

/** An input or output as the network declares it. */
export interface SessionValue {
  readonly name: string;
  readonly dtype: DType;
  /** Sizes without a name have that of `nameOpenSizes`. onnxruntime gives an unknown rank as `[]`. */
  readonly shape: Shape;
}

/** Tensors by value name. */
export type Feeds = ReadonlyMap<string, HostTensor>;
