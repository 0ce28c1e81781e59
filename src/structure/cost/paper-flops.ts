/**
 * @file FLOPs as the literature on LeNets counts them: multiply-accumulates, and one addition for every
 * element that a layer with weights computes (its bias).
 *
 * The rows of "FLOPs as a direct optimization objective" (Tang et al., 2018) for LeNet-5-Caffe follow this
 * convention; for widths a-b-c-d it is 25·576 a + 25·64 ab + cd + 10 d + (576 a + 64 b + d + 10).
 */
import { sizeOf } from "../../tensor/host-tensor.ts";
import type { Cost } from "./cost.ts";

/** The FLOPs of one run at the sizes that the cost was taken at. */
export function paperFlops({ layers }: Cost): number {
  return layers.reduce(
    (sum, { macs, outputShape = [] }) => sum + (macs > 0 ? macs + sizeOf(outputShape) : 0),
    0,
  );
}
