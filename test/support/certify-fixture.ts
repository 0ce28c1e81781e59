/** @file Networks that read their answers from the pixels of an image, so that a test says what each of them sees. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { int64Vector, tensorOf } from "../../src/tensor/host-tensor.ts";
import { randomOf } from "../../src/tensor/random.ts";
import { idxFile } from "../data-files.ts";
import { modelOf } from "../tiny-models.ts";

/** Pixels of an image: 12 x 12. */
const side = 12;

/** What a test says of its images. */
export interface SeenImages {
  readonly classes: number;
  /** The right class of each image. */
  readonly labels: readonly number[];
  /** The class that each network sees, by image: one list for a network. */
  readonly seen: readonly (readonly number[])[];
}

/** Images on which two networks differ often enough: `lost` and `won` of them, and some on which both are wrong. */
export function seenImages(
  count: number,
  {
    lost,
    won,
    neither,
    classes = 10,
  }: {
    readonly lost: number;
    readonly won: number;
    readonly neither: number;
    readonly classes?: number;
  },
): SeenImages {
  const random = randomOf("seen", count);
  const kinds = random.shuffle(
    Array.from({ length: count }, (_, i) =>
      i < lost ? "lost" : i < lost + won ? "won" : i < lost + won + neither ? "neither" : "both",
    ),
  );
  const labels = kinds.map(() => random.integer(classes));
  const others = labels.map((label) => (label + 1 + random.integer(classes - 2)) % classes);
  const thirds = labels.map(
    (label, i) => [...new Array(classes).keys()].find((k) => k !== label && k !== others[i]) ?? 0,
  );
  const first = kinds.map((kind, i) =>
    kind === "won" || kind === "neither" ? others[i] : labels[i],
  );
  const second = kinds.map((kind, i) =>
    kind === "lost" ? others[i] : kind === "neither" ? thirds[i] : labels[i],
  );
  return { classes, labels, seen: [first, second] };
}

/** Writes `photos` (without labels), `labelled` (with labels) and a network `0.onnx`, `1.onnx` ... for each list. */
export async function writeSeen(folder: string, { classes, labels, seen }: SeenImages) {
  const count = labels.length;
  const random = randomOf("pixels");
  const pixels = new Uint8Array(count * side * side).map(() => random.integer(120));
  for (const [n, list] of seen.entries())
    for (const [i, k] of list.entries()) pixels[i * side * side + n * classes + k] = 255;
  const images = idxFile([count, side, side], pixels);
  const photos = join(folder, "photos");
  const labelled = join(folder, "labelled");
  for (const path of [photos, labelled]) {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "images-idx3-ubyte"), images);
  }
  await writeFile(join(labelled, "labels-idx1-ubyte"), idxFile([count], labels));
  const networks: string[] = [];
  for (const n of seen.keys()) {
    const path = join(folder, `${n}.onnx`);
    await writeFile(path, Buffer.concat(readerOf(classes, n * classes)));
    networks.push(path);
  }
  return { photos, labelled, networks };
}

/** Its scores are the pixels from `offset` on, ten times as bright. */
function readerOf(classes: number, offset: number) {
  const pixels = side * side;
  const weight = new Float32Array(pixels * classes);
  for (let k = 0; k < classes; k++) weight[(offset + k) * classes + k] = 10;
  return modelOf((b) => {
    b.input("x", "float32", ["N", 1, side, side]);
    b.constant("shape", int64Vector([-1, pixels]));
    b.constant("w", tensorOf("float32", [pixels, classes], weight));
    const [flat] = b.node("Reshape", ["x", "shape"]);
    b.node("MatMul", [flat, "w"], {}, { outputs: ["y"] });
    b.output("y", { dtype: "float32", shape: ["N", classes] });
  });
}
