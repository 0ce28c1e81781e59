/**
 * @file Whether samples look to a network like those that it was trained on. Batch normalization keeps means and
 * variances of what it got in training: what the first one gets now should have them, too.
 */
import type { Dataset } from "../../data/dataset.ts";
import type { Batch } from "../../data/serve.ts";
import { type Role, roles } from "../../data/splits.ts";
import type { Graph, Node } from "../../ir/graph.ts";
import { nodesBehind } from "../../ir/live.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { type Session, type SessionOptions, withSession } from "../../runtime/session.ts";
import { type HostTensor, sizeOf, toNumbers } from "../../tensor/host-tensor.ts";
import { fitInput } from "./fit-input.ts";
import { type InputForm, knownForms, withForm } from "./input-forms.ts";

/** How to look. */
export interface InputCheckOptions extends SessionOptions {
  /** The role whose samples are looked at. Default: the first that has any. */
  readonly role?: Role | undefined;
}

/** What the first normalization expects and gets. */
export interface InputCheck {
  /** Name of its node. */
  readonly node: string;
  /** How far off it is, see {@link distanceOf}. */
  readonly distance: number;
  /** Medians over channels: by how many deviations means are off, and the ratio of deviations. */
  readonly shift: number;
  readonly ratio: number;
  /**
   * The known form of inputs that is nearest, the one at hand apart. `undefined` where the inputs raise no suspicion,
   * and where pixels are not known.
   */
  readonly nearest: { readonly form: InputForm; readonly distance: number } | undefined;
}

/** Images that are looked at, at most and at least; large ones are looked at as long as they hold so many numbers. */
const mostSamples = 48;
const fewestSamples = 4;
const enoughNumbers = 1 << 22;
/** Inputs that are off by more are wrong where a known form fits far better, see {@link inputWarning}. */
const suspicious = 0.5;
const convincing = 1 / 3;
/** Inputs that are off by more are wrong in some way that is not known. */
const impossible = 4;

/**
 * Looks at the first normalization that inputs reach, and tries known forms of inputs where what it gets is
 * suspicious. `undefined` for networks without one: where it was folded away nothing is left that tells.
 */
export async function checkInputs(
  graph: Graph,
  dataset: Dataset,
  { role: asked, ...session }: InputCheckOptions = {},
): Promise<InputCheck | undefined> {
  const first = firstNormalization(graph);
  const role = asked ?? roles.find((candidate) => dataset.size(candidate) > 0);
  if (first === undefined || role === undefined) return undefined;
  const part = {
    ...graph,
    nodes: nodesBehind(graph.nodes, [first.value]),
    outputs: [first.value],
  };
  const fitting = Math.floor(enoughNumbers / sizeOf(dataset.sampleShape));
  const limit = Math.min(mostSamples, Math.max(fewestSamples, fitting));
  const batches: Batch[] = [];
  for await (const batch of dataset.batches(role, { batchSize: 16, limit })) batches.push(batch);
  return withSession(encodeGraph(part).chunks, session, async (opened) => {
    const distanceFor = async (form: InputForm | undefined) =>
      distanceOf(first, await momentsOf(opened, dataset, batches, first.value, form));
    const own = await distanceFor(undefined);
    let nearest: InputCheck["nearest"];
    if (own.distance < suspicious) return { node: first.node.name, ...own, nearest };
    for (const form of knownForms(dataset, batches)) {
      const { distance } = await distanceFor(form);
      if (nearest === undefined || distance < nearest.distance) nearest = { form, distance };
    }
    return { node: first.node.name, ...own, nearest };
  });
}

/**
 * A warning where inputs are not what the network was trained on: they are off by more than half a deviation, and
 * a known form of inputs fits three times as well; or by more than any images could be.
 *
 * Measured on public networks for CIFAR-10 that keep batch normalization (ResNet-8, -20 and -56, VGG-16): distances
 * of 0.05 to 0.21 with the right form, 0.8 to 1.0 with pixels from -1 to 1 in place of a mean and a deviation, 1.4
 * to 1.8 without either, 5.8 with pixels from 0 to 1 in place of 0 to 255, and 24 and more the other way round.
 */
export function inputWarning(check: InputCheck | undefined): string | undefined {
  if (check === undefined || check.distance < suspicious) return undefined;
  const { node, distance, shift, ratio, nearest } = check;
  const looks =
    `Inputs look unlike those that this network was trained on: the first normalization (${node}) gets means that ` +
    `are ${shift.toFixed(1)} deviations off, and deviations ${ratio.toPrecision(2)} times those that it expects.`;
  if (nearest !== undefined && nearest.distance < convincing * distance)
    return `${looks} ${nearest.form.words} would fit: ${nearest.form.options}.`;
  return distance > impossible
    ? `${looks} Check \`scale\`, \`mean\`, \`std\` and \`color\`: no known form of inputs fits.`
    : undefined;
}

/** The normalization that no other one comes before, and what it expects. */
interface First {
  readonly node: Node;
  readonly value: string;
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

function firstNormalization(graph: Graph): First | undefined {
  for (const node of graph.nodes) {
    const role = roleOf(node);
    if (role.kind !== "batch-norm") continue;
    const [mean, variance] = [role.meanInput, role.varianceInput].map((index) =>
      graph.constants.get(node.inputs[index]),
    );
    const value = node.inputs[role.dataInput];
    const before = nodesBehind(graph.nodes, [value]);
    const readsInput = before.some(({ inputs }) =>
      inputs.some((name) => graph.inputs.includes(name)),
    );
    const isFirst = before.every((other) => roleOf(other).kind !== "batch-norm");
    if (!mean || !variance || !isFirst || !readsInput || before.length === 0) continue;
    const own = { mean: toNumbers(mean.read()), variance: toNumbers(variance.read()) };
    // The statistics that a normalization begins with, before any training, expect nothing yet.
    const isNew = own.mean.every((value) => value === 0) && own.variance.every((v) => v === 1);
    if (!isNew) return { node, value, ...own };
  }
  return undefined;
}

interface Moments {
  readonly mean: Float64Array;
  readonly variance: Float64Array;
}

async function momentsOf(
  session: Session,
  dataset: Dataset,
  batches: readonly Batch[],
  value: string,
  form: InputForm | undefined,
): Promise<Moments> {
  const input = fitInput(session.inputs, dataset);
  let sums = new Float64Array();
  let squares = new Float64Array();
  let count = 0;
  for (const own of batches) {
    const batch = form === undefined ? own : withForm(own, dataset.preprocessing, form);
    const total = batch.indices.length;
    const step = input.fixedBatch ?? total;
    for (let from = 0; from + step <= total; from += step) {
      const feeds = new Map([[input.name, input.tensor(batch, from, from + step)]]);
      const tensor = (await session.run(feeds, [value])).get(value);
      if (tensor === undefined) continue;
      const [, channels, ...places] = tensor.shape;
      if (sums.length === 0)
        [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
      addMoments(tensor, sums, squares);
      count += tensor.shape[0] * sizeOf(places);
    }
  }
  const mean = sums.map((sum) => sum / count);
  return { mean, variance: squares.map((square, c) => square / count - mean[c] ** 2) };
}

function addMoments({ shape, ...tensor }: HostTensor, sums: Float64Array, squares: Float64Array) {
  const values = toNumbers({ shape, ...tensor });
  const [, channels, ...places] = shape;
  const size = sizeOf(places);
  for (let from = 0, map = 0; from < values.length; from += size, map++) {
    let [sum, square] = [0, 0];
    for (let i = from; i < from + size; i++) {
      sum += values[i];
      square += values[i] ** 2;
    }
    sums[map % channels] += sum;
    squares[map % channels] += square;
  }
}

/**
 * How far the inputs of a normalization are from what it expects: the median over channels of |m - μ| / σ, plus that
 * of |ln(s / σ)|. Channels that hardly vary are left out.
 */
function distanceOf(
  { mean, variance }: First,
  got: Moments,
): Pick<InputCheck, "distance" | "shift" | "ratio"> {
  const largest = variance.reduce((most, own) => Math.max(most, own), 0);
  const shifts: number[] = [];
  const logs: number[] = [];
  for (const [c, expected] of variance.entries()) {
    if (!(expected > 1e-6 * largest)) continue;
    shifts.push(Math.abs(got.mean[c] - mean[c]) / Math.sqrt(expected));
    logs.push(Math.log(Math.max(got.variance[c], 1e-12 * expected) / expected) / 2);
  }
  const shift = medianOf(shifts);
  return {
    distance: shift + medianOf(logs.map(Math.abs)),
    shift,
    ratio: Math.exp(medianOf(logs)),
  };
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0 ? 0 : sorted[sorted.length >> 1];
}
