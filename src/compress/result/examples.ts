/** @file A few images of `test` with their labels and the predictions of both networks, for the report. */
import type { Dataset } from "../../data/dataset.ts";
import type { Preprocessing } from "../../data/preprocessing.ts";
import type { Batch } from "../../data/serve.ts";
import { saveTensors } from "../../files/tensor-file.ts";
import { trainedOutput } from "../../measure/evaluation/outputs.ts";
import { withLabelsFrom } from "../../measure/unlabelled/pseudo-labels.ts";
import type { ModelSource } from "../../runtime/values.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";
import type { CompressContext } from "../context/context.ts";

const count = 6;

/**
 * Writes `images` uint8 [K, H, W, 3], and `truth`, `original` and `compressed` uint8 [K, H, W]. `truth` is
 * left out where there are no labels but the original's.
 */
export async function saveExamples(
  { dataset, original, settings, session }: CompressContext,
  networks: { readonly original: ModelSource; readonly compressed: ModelSource },
  hasLabels: boolean,
  path: string,
): Promise<void> {
  const limit = Math.min(count, dataset.size("test"));
  const shown = await firstOf(dataset, limit);
  const images = imagesOf(shown, dataset.preprocessing);
  const tensors = new Map([["images", images]]);
  const truth = hasLabels ? mapsOf(shown) : undefined;
  if (truth !== undefined) tensors.set("truth", truth);
  const [, height, width] = images.shape;
  const output = settings.tuning.outputName ?? trainedOutput(original.model.graph, "maps");
  const labelling = { ...session, output, labelSize: [height, width] } as const;
  for (const [name, network] of Object.entries(networks)) {
    const maps = mapsOf(await firstOf(await withLabelsFrom(dataset, network, labelling), limit));
    if (maps !== undefined) tensors.set(name, maps);
  }
  await saveTensors(path, { tensors, note: "" });
}

async function firstOf(dataset: Dataset, limit: number): Promise<Batch> {
  for await (const batch of dataset.batches("test", { batchSize: limit, limit })) return batch;
  throw new Error("espalier bug: a role with samples serves a batch");
}

/** Labels above 255 cannot be drawn apart anyway. */
function mapsOf({ labelMaps }: Batch): HostTensor | undefined {
  return (
    labelMaps && { dtype: "uint8", shape: labelMaps.shape, data: Uint8Array.from(labelMaps.data) }
  );
}

/** The pixels that became the input, as they were before scaling: x = (input · std + mean) / scale. */
function imagesOf({ input }: Batch, how: Preprocessing): HostTensor {
  const isFirst = how.layout === "nchw";
  const [images, a, b, c] = input.shape;
  const [channels, height, width] = isFirst ? [a, b, c] : [c, a, b];
  const places = height * width;
  const data = new Uint8Array(images * places * 3);
  for (let n = 0; n < images; n++)
    for (let place = 0; place < places; place++)
      for (let rgb = 0; rgb < 3; rgb++) {
        const channel = channels < 3 ? 0 : how.color === "bgr" ? 2 - rgb : rgb;
        const at = isFirst
          ? (n * channels + channel) * places + place
          : (n * places + place) * channels + channel;
        const [mean, std] = [how.mean, how.std].map((list) => list[channel] ?? list[0]);
        const pixel = (input.data[at] * std + mean) / how.scale;
        data[(n * places + place) * 3 + rgb] = Math.max(0, Math.min(255, Math.round(pixel)));
      }
  return { dtype: "uint8", shape: [images, height, width, 3], data };
}
