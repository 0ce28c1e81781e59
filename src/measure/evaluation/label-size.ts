/**
 * @file Scores at the size of the label maps. A network whose maps are smaller than the labels, 1/4 of their height
 * and width say, is measured and trained at the resolution of the labels: its output is resized to them as ONNX
 * Resize does in mode linear with half pixels, in float32.
 */
import type { Dataset } from "../../data/dataset.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph, Shape } from "../../ir/graph.ts";
import { algebraOf } from "../../ops/operator/algebra.ts";
import type { Emitter, Value } from "../../ops/operator/gradient.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import { bilinear, neighboursAlong } from "../../ops/resize/interpolation.ts";
import { fitInput } from "../inputs/fit-input.ts";
import { trainedOutput } from "./outputs.ts";

/** The size of a map. */
export type MapSize = readonly [height: number, width: number];

/** Whether these axes are height and width, both known. */
export function isPlane(axes: Shape): axes is MapSize {
  return axes.length === 2 && axes.every((size) => typeof size === "number");
}

/**
 * Whether the maps of an output have another size than the labels. Fails with `DATA_MISMATCH` where they cannot show
 * the same picture: no one factor leads from the labels to both sides of the maps, each rounded up or down.
 */
export function differsFromLabels(output: string, own: MapSize, labels: MapSize): boolean {
  if (own.every((size, axis) => size === labels[axis])) return false;
  // A side of h places that was rounded comes of a factor between H / (h + 1) and H / (h - 1).
  const least = Math.max(...own.map((size, axis) => labels[axis] / (size + 1)));
  const most = Math.min(...own.map((size, axis) => labels[axis] / (size - 1)));
  const isOne = own[0] * own[1] <= 1;
  if (least < most && !isOne) return true;
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network's output ${output} is ${sizeText(own)} pixels, the label maps are ${sizeText(labels)}: ` +
      (isOne ? "one place is no map" : "their sides are not in the same ratio"),
    {
      hint:
        "Choose another output with `output`, or give images and label maps the sides that the network's maps " +
        "have: `resize`, `crop`. Maps of the same aspect may be of any size.",
      data: { output, expected: labels, got: own },
    },
  );
}

/** Resizes [channels, height, width] scores of one image; the result is overwritten by the next call. */
export type Resizer = (scores: Float32Array | Float64Array) => Float32Array;

/** What resizes scores. Sums are taken in the order in which onnxruntime takes them. */
export function newResizer(channels: number, own: MapSize, labels: MapSize): Resizer {
  const [height, width] = own;
  const down = neighboursAlong(height, labels[0]);
  const across = neighboursAlong(width, labels[1]);
  const resized = new Float32Array(channels * labels[0] * labels[1]);
  const f = Math.fround;
  return (scores) => {
    let at = 0;
    for (let k = 0; k < channels; k++)
      for (let y = 0; y < labels[0]; y++) {
        const above = (k * height + down.low[y]) * width;
        const below = (k * height + down.high[y]) * width;
        const [top, bottom] = [down.lowWeight[y], down.highWeight[y]];
        for (let x = 0; x < labels[1]; x++) {
          const [left, right] = [across.low[x], across.high[x]];
          const [near, far] = [across.lowWeight[x], across.highWeight[x]];
          const upper = f(
            f(f(near * top) * f(scores[above + left])) + f(f(far * top) * f(scores[above + right])),
          );
          const withLeft = f(upper + f(f(near * bottom) * f(scores[below + left])));
          resized[at++] = withLeft + f(f(far * bottom) * f(scores[below + right]));
        }
      }
    return resized;
  };
}

/** The same in a graph, of scores [N, C, height, width]. */
export function emitResized(emit: Emitter, scores: Value, labels: MapSize): Value {
  const { mode, coordinates } = bilinear;
  const sizes = emit.ints([...scores.shape.slice(0, 2), ...labels]);
  const inputs = [algebraOf(emit, emit.scalar(0)).cast(scores), undefined, undefined, sizes];
  return emit.op("Resize", inputs, { mode, coordinate_transformation_mode: coordinates });
}

/**
 * What to say of an output that is resized to the labels; `undefined` where nothing is, or sizes are known only when
 * the network runs. Fails with `DATA_MISMATCH` where samples or maps do not fit.
 */
export function labelSizeNote(
  graph: Graph,
  dataset: Dataset,
  wanted: string | undefined,
): string | undefined {
  if (dataset.labelKind !== "maps") return undefined;
  const output = wanted ?? trainedOutput(graph, "maps");
  const [, , ...own] = shapesFor(graph, dataset).get(output)?.shape ?? [];
  const labels = labelSizeOf(dataset);
  if (!isPlane(own) || !isPlane(labels) || !differsFromLabels(output, own, labels))
    return undefined;
  return (
    `The network's maps are ${sizeText(own)}, the labels ${sizeText(labels)}: scores are resized to the labels, ` +
    "linear."
  );
}

/** Height and width of the label maps: those of the samples, but where a network labelled them at its own size. */
export function labelSizeOf({ labelSize, sampleShape, preprocessing }: Dataset): readonly number[] {
  if (labelSize !== undefined) return labelSize;
  const [a, b, c] = sampleShape;
  return preprocessing.layout === "nchw" ? [b, c] : [a, b];
}

/** Types with the shape of the samples in the place of sizes that the file leaves open. */
function shapesFor(graph: Graph, dataset: Dataset): ReturnType<typeof inferTypes>["types"] {
  const inputs = graph.inputs.map((name) => {
    const { dtype = "float32", shape = [] } = graph.types.get(name) ?? {};
    return { name, dtype, shape };
  });
  const { name, sampleShape } = fitInput(inputs, dataset);
  const [{ dtype, shape }] = inputs;
  const fed = { dtype, shape: [shape[0] ?? 1, ...sampleShape] };
  return inferTypes({ ...graph, types: new Map(graph.types).set(name, fed) }).types;
}

function sizeText([height, width]: MapSize): string {
  return `${width} x ${height}`;
}
