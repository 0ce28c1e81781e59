/** @file What the result of a run takes when it is packed, by part and by layer, as it stands in a report. */
import { z } from "zod";
import type { Model } from "../../onnx/model.ts";
import { pack } from "../../pack/pack.ts";
import { layerWeights } from "../../structure/weights/layer-weights.ts";

const tensorParts = { supports: z.number(), codes: z.number(), tables: z.number() };

/** Bytes of a pack without options; those of layers are shares of their section, and not always whole. */
export const packingRecord = z.union([
  z.object({
    bytes: z.number(),
    /** Bits of the whole pack per element of its tensors. */
    bitsPerWeight: z.number(),
    /** They add up to `bytes`. */
    parts: z.object({ structure: z.number(), ...tensorParts, framing: z.number() }),
    /** The weights of linear layers; layers that share one are told of with the first. */
    layers: z.array(
      z.object({
        layer: z.string(),
        weights: z.number(),
        /** Share of weights that are not 0 in the pack: rounding adds zeros. */
        density: z.number(),
        bytesBefore: z.number(),
        ...tensorParts,
      }),
    ),
    /** All other tensors: biases, statistics and constants. */
    others: z.object({ tensors: z.number(), bytesBefore: z.number(), ...tensorParts }),
  }),
  /** Why it was not packed. */
  z.object({ skipped: z.string() }),
]);

/** What a result takes when it is packed. */
export type PackingRecord = Readonly<z.output<typeof packingRecord>>;

/** Larger models would take more than some seconds. */
const mostBytes = 16e6;

/** Packs a model as `pack` does without options, and counts. */
export function packingRecordOf(model: Model): PackingRecord {
  if (model.sizeBytes > mostBytes)
    return { skipped: `packing more than ${mostBytes / 1e6} MB takes a while` };
  const { bytesAfter, bitsPerWeight, parts, tensors } = pack(model);
  const layers = new Map(
    layerWeights(model.graph)
      .toReversed()
      .map(({ node, constant }) => [constant.name, node.name]),
  );
  const ofLayers = tensors.flatMap(({ name = "", shape, density, bytesBefore, parts: own }) => {
    const layer = layers.get(name);
    const weights = shape.reduce((product, size) => product * size, 1);
    return layer === undefined ? [] : [{ layer, weights, density, bytesBefore, ...own }];
  });
  const others = tensors.filter(({ name = "" }) => !layers.has(name));
  const sum = (figureOf: (tensor: (typeof others)[number]) => number) =>
    others.reduce((total, tensor) => total + figureOf(tensor), 0);
  return {
    bytes: bytesAfter,
    bitsPerWeight,
    parts,
    layers: ofLayers,
    others: {
      tensors: others.length,
      bytesBefore: sum((tensor) => tensor.bytesBefore),
      supports: sum((tensor) => tensor.parts.supports),
      codes: sum((tensor) => tensor.parts.codes),
      tables: sum((tensor) => tensor.parts.tables),
    },
  };
}
