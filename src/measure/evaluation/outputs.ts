/** @file Which output of a network is measured, and what a network is for where nobody has labelled the samples. */
import type { LabelKind } from "../../data/table.ts";
import { EspalierError } from "../../errors.ts";
import type { Graph, Shape } from "../../ir/graph.ts";
import { inferTypes } from "../../ops/passes/infer.ts";
import type { SessionValue } from "../../runtime/values.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { type HostTensor, sizeOf } from "../../tensor/host-tensor.ts";

/** One score for each class, or one map for each class. */
export type OutputForm = "classes" | "maps";

const shapes = { classes: "[N, classes]", maps: "[N, classes, H, W]" } as const;

/** [N, C] or [N, C, 1, 1] for classes, [N, C, H, W] for maps. Sizes may be open. */
function hasForm({ shape }: SessionValue, form: OutputForm): boolean {
  if (form === "maps") return shape.length === 4;
  return shape.length === 2 || (shape.length === 4 && shape[2] === 1 && shape[3] === 1);
}

/** The outputs of a graph, as a session tells them; shapes are those that follow from its inputs. */
export function outputsOf(graph: Graph): readonly SessionValue[] {
  const { types } = inferTypes(graph);
  return graph.outputs.map((name) => {
    const type = types.get(name) ?? graph.types.get(name);
    const shape: Shape = type?.shape ?? [];
    return { name, dtype: type?.dtype ?? "float32", shape };
  });
}

/**
 * The output of this name; else the first that declares one of the forms, the first form first; else
 * the only one. Fails with `DATA_MISMATCH`.
 */
export function chooseOutput(
  outputs: readonly SessionValue[],
  wanted: string | undefined,
  ...forms: readonly OutputForm[]
): SessionValue {
  if (wanted !== undefined) return outputNamed(outputs, wanted);
  const byForm = forms.map((form) => outputs.find((output) => hasForm(output, form)));
  const found =
    byForm.find((output) => output !== undefined) ??
    (outputs.length === 1 ? outputs[0] : undefined);
  if (found !== undefined) return found;
  const list = listOf(outputs);
  throw new EspalierError(
    "DATA_MISMATCH",
    `the network has no output of shape ${forms.map((form) => shapes[form]).join(" or ")}; it has ${list}`,
    {
      hint: otherTasks,
      data: { outputs: list },
    },
  );
}

/** What to do where no output holds classes. */
export const otherTasks =
  "Name the output that holds the classes (`output`). A network that does something else, such as " +
  "a detector, is compared with its original on images without labels.";

/** The output that is trained on samples with such labels: the first of the form that they ask for, else the first. */
export function trainedOutput(graph: Graph, labelKind: LabelKind): string {
  const forms: readonly OutputForm[] =
    labelKind === "classes" || labelKind === "maps" ? [labelKind] : ["classes", "maps"];
  const outputs = graph.outputs.length === 1 ? [] : outputsOf(graph);
  const byForm = forms.map((form) => outputs.find((output) => hasForm(output, form)));
  return byForm.find((output) => output !== undefined)?.name ?? graph.outputs[0];
}

/** Fails with `DATA_MISMATCH` where there is no output of this name. */
export function outputNamed(outputs: readonly SessionValue[], wanted: string): SessionValue {
  const found = outputs.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const list = listOf(outputs);
  throw new EspalierError("DATA_MISMATCH", `the network has no output ${wanted}; it has ${list}`, {
    hint: "Name one of them with `output`.",
    data: { outputs: list },
  });
}

function listOf(outputs: readonly Pick<SessionValue, "name" | "shape">[]): string {
  return outputs.map(({ name, shape }) => `${name} [${shape.join(", ")}]`).join(", ");
}

/**
 * What a network is for, told by its outputs alone: to tell classes apart, for a sample or for each of its
 * pixels, or something else, such as to find objects. `outputs` are then those that can be compared
 * number by number.
 */
export type Task =
  | { readonly kind: OutputForm; readonly output: string }
  | { readonly kind: "outputs"; readonly outputs: readonly string[] };

/** What is known of a network's outputs for a few samples. */
export interface TaskFacts {
  /** What it gave for the samples, by name. */
  readonly results: ReadonlyMap<string, HostTensor>;
  readonly samples: number;
  /** Channels, height and width of a sample; `undefined` for vectors. */
  readonly image: readonly number[] | undefined;
  /** The output that the user named. */
  readonly wanted: string | undefined;
  /** Whether the caller knows that classes are told apart, so that maps may be of any size. */
  readonly wantsLabels?: boolean | undefined;
  /** Whether an output of one score is the probability of a class. */
  readonly isProbability: (output: string) => boolean;
}

/**
 * The task of a network. A class output is [N, C] or [N, C, 1, 1] with C > 1, or with one score that is a
 * probability; label maps are the same for each pixel, [N, C, H, W], as large as the sample and not such an
 * image themselves (as many channels, and no probabilities). The user may name an output of any size. They
 * are only taken for that where they are the only output, or named. All else is outputs to compare.
 *
 * Fails with `DATA_MISMATCH` where no output can be compared: none holds floating-point numbers, as many
 * for each sample.
 */
export function taskOf(facts: TaskFacts): Task {
  const { results, samples, wanted, image, isProbability } = facts;
  const { wantsLabels = wanted !== undefined } = facts;
  const own = [...results].filter(([name]) => wanted === undefined || name === wanted);
  const comparable = own.filter(
    ([, { dtype, shape }]) => isFloat(dtype) && shape[0] === samples && sizeOf(shape) > 0,
  );
  if (comparable.length === 0) throw incomparable(own);
  const [[output, { shape }]] = comparable;
  if (own.length === 1) {
    const [, channels, ...places] = shape;
    const isPlace = sizeOf(places) === 1 && places.length !== 1;
    const areScores = channels > 1 || isProbability(output) || (wantsLabels && !isPlace);
    if (areScores && isPlace) return { kind: "classes", output };
    const [colors, ...size] = image ?? [];
    const isImage = channels === colors && !isProbability(output);
    const isAsLarge = places.join() === size.join() && !isImage;
    if (areScores && places.length === 2 && !isPlace && (isAsLarge || wantsLabels))
      return { kind: "maps", output };
  }
  return { kind: "outputs", outputs: comparable.map(([name]) => name) };
}

function incomparable(outputs: readonly (readonly [string, HostTensor])[]): EspalierError {
  const list = outputs
    .map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape.join(", ")}]`)
    .join(", ");
  return new EspalierError(
    "DATA_MISMATCH",
    `no output of the network holds as many floating-point numbers for each sample; it gives ${list}`,
    {
      hint:
        "A network that chooses among its own findings (non-maximum suppression, TopK) cannot be compared " +
        "number by number: export it without that end.",
      data: { outputs: list },
    },
  );
}
