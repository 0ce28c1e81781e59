/**
 * @file Refitting on a few images, without labels: each layer behind a removal gets the weights that come nearest to
 * the original's result there.
 *
 * Layer by layer in the order of the graph, with U the patches that the layer reads in the network as pruned and
 * refitted so far, and T its result in the original (both centred):
 *
 *     W' = (T Uᵀ + r W) (U Uᵀ + r I)⁻¹,   r = ridge · mean diagonal of U Uᵀ
 *
 * where W are the weights so far: a ridge regression that pulls towards the method's own compensation. Since U comes
 * from the pruned network and T from the original, each layer also compensates for errors of earlier layers; for the
 * same reason, layers that lose no channel but come after one that does are refitted too. Means go into the running
 * mean of the batch normalization behind, or into a bias.
 */

import { EspalierError } from "../../errors.ts";
import { consumersOf, type Graph } from "../../ir/graph.ts";
import { encodeGraph } from "../../onnx/writing/encode-graph.ts";
import { concatBytes } from "../../onnx/writing/write.ts";
import { storedWeight, weightOf } from "../../ops/operator/linear-layer.ts";
import { type SessionOptions, withSession } from "../../runtime/session.ts";
import type { Feeds } from "../../runtime/values.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import type { Removed } from "../../structure/units/removal.ts";
import { type Structure, structureOf } from "../../structure/units/units.ts";
import { applyEdits, type Edit } from "../../structure/weights/edits.ts";
import { sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import { cholesky, choleskySolve } from "../../tensor/linear-algebra.ts";
import { requireGoOn } from "../../tensor/steps.ts";
import { raiseBias } from "./compensation.ts";
import { type PatchSite, patchGraph, patchOutputs } from "./patch-graph.ts";
import { type Reader, readersOf } from "./readers.ts";

/** Settings of refitting. */
export interface RefitOptions extends SessionOptions {
  /** Strength of the pull towards the weights so far. Default 0.03. */
  readonly ridge?: number | undefined;
  /** Called after every layer. */
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number }) => void)
    | undefined;
}

const defaultRidge = 0.03;
/** Number of positions per image that are used: neighbouring positions add little. */
const mostPositions = 1024;

/**
 * The given edits with new parameters for the layers behind the removal. Grouped and transposed convolutions, and
 * layers that share their weights, keep theirs.
 *
 * @param batches one set of the network's inputs per batch, all of one shape
 * @throws EspalierError `RUNTIME_FAILED`, `MODEL_UNSUPPORTED` for networks with If, Loop or Scan
 */
export async function refit(
  structure: Structure,
  removed: Removed,
  edits: readonly Edit[],
  batches: readonly Feeds[],
  options: RefitOptions = {},
): Promise<readonly Edit[]> {
  const original = structure.analysis.graph;
  const nested = original.nodes.find((node) => node.captures.length > 0);
  if (nested)
    throw new EspalierError(
      "MODEL_UNSUPPORTED",
      `refitting cannot look inside ${nested.opType} "${nested.name}"`,
      { hint: "Prune without refitting.", data: { node: nested.name } },
    );
  const dims = dimsOf(original, batches);
  const how = { ...structure.analysis, dims };
  const readers = affectedReaders(structureOf(original, how), removed);
  const current = new Map(edits.map((edit) => [keyOf(edit), edit]));
  for (const [done, reader] of readers.entries()) {
    requireGoOn(options.signal);
    const edited = applyEdits(original, [...current.values()]);
    const repaired = removeUnits(structureOf(edited, how), removed);
    const now = repaired.nodes.find(({ name }) => name === reader.node.name);
    if (now === undefined) continue; // nothing reads its result any more
    const source = now.inputs[reader.role.dataInput];
    const sums = await patchSums({ repaired, original, source, reader }, batches, options);
    for (const edit of fit(edited, reader, removed, sums, options.ridge ?? defaultRidge))
      current.set(keyOf(edit), edit);
    options.onProgress?.({ done: done + 1, total: readers.length });
  }
  return [...current.values()];
}

function keyOf({ node, input }: Edit): string {
  return `${node}\u0000${input}`;
}

/** The sizes of symbolic dims that the batches have. */
function dimsOf(graph: Graph, batches: readonly Feeds[]): ReadonlyMap<string, number> {
  const dims = new Map<string, number>();
  for (const [name, { shape }] of batches[0] ?? [])
    for (const [axis, dim] of (graph.types.get(name)?.shape ?? []).entries())
      if (typeof dim === "string") dims.set(dim, shape[axis]);
  return dims;
}

/** The layers that can be refitted and come after the first removal, in graph order. */
function affectedReaders(structure: Structure, removed: Removed): readonly Reader[] {
  const { graph } = structure.analysis;
  const readers = readersOf(structure);
  const changed = new Set<string>();
  for (const { source, sourceUnits } of readers)
    if (sourceUnits.some((unit) => unit >= 0 && removed[unit] === 1)) changed.add(source);
  for (const node of graph.nodes)
    if ([...node.inputs, ...node.captures].some((name) => changed.has(name)))
      for (const name of node.outputs) changed.add(name);
  return readers.filter(
    ({ weight, isShared, axis, role, source }) =>
      changed.has(source) && weight.group === 1 && !isShared && axis === 1 && !role.isTransposed,
  );
}

/** The sums for one layer over all images; a patch lists its values as [tap, kept channel]. */
interface PatchSums {
  readonly count: number;
  readonly gram: Float64Array;
  readonly cross: Float64Array;
  readonly sourceSum: Float64Array;
  readonly targetSum: Float64Array;
}

async function patchSums(
  layer: {
    readonly repaired: Graph;
    readonly original: Graph;
    readonly source: string;
    readonly reader: Reader;
  },
  batches: readonly Feeds[],
  options: RefitOptions,
): Promise<PatchSums> {
  const { repaired, original, source } = layer;
  const { axes, result } = layer.reader;
  const widest = Math.max(1, ...axes.map(({ output }) => output));
  const perAxis = Math.ceil(mostPositions ** (1 / Math.max(1, axes.length)));
  const positionStep = Math.ceil(widest / perAxis);
  const site: PatchSite = { source, target: result, axes, positionStep };
  const model = concatBytes(encodeGraph(patchGraph(repaired, original, site)));
  const perImage = sizeOf(axes.map(({ output }) => Math.ceil(output / positionStep)));
  return withSession(model, options, async (session) => {
    const totals = new Map<string, Float64Array>();
    let count = 0;
    for (const feeds of batches) {
      requireGoOn(options.signal);
      const [first] = feeds.values();
      count += first.shape[0] * perImage;
      for (const [name, tensor] of await session.run(feeds)) {
        const values = toNumbers(tensor);
        const total = totals.get(name);
        if (total === undefined) totals.set(name, values);
        else for (let i = 0; i < values.length; i++) total[i] += values[i];
      }
    }
    const total = (name: keyof typeof patchOutputs): Float64Array =>
      totals.get(patchOutputs[name]) ?? new Float64Array();
    return {
      count,
      gram: total("gram"),
      cross: total("cross"),
      sourceSum: total("sourceSum"),
      targetSum: total("targetSum"),
    };
  });
}

/** The ridge regression of one layer as edits. */
function fit(
  edited: Graph,
  reader: Reader,
  removed: Removed,
  sums: PatchSums,
  ridge: number,
): Edit[] {
  const node = edited.nodes.find(({ name }) => name === reader.node.name);
  const { role, sourceUnits, batchNorm } = reader;
  const stored = node && edited.constants.get(node.inputs[role.weightInput]);
  if (!node || !stored || sums.count === 0) return [];
  const now = weightOf(role, stored.read());
  const kept = [...sourceUnits.keys()].filter(
    (c) => !(sourceUnits[c] >= 0 && removed[sourceUnits[c]]),
  );
  const fitted = regress(now, kept, sums, ridge);
  if (fitted === undefined) return [];
  const { values, mean, targetMean } = fitted;
  const edits: Edit[] = [
    { node: node.name, input: role.weightInput, tensor: storedWeight(role, stored, values) },
  ];
  // T was taken with the original's bias, which stays where a normalization follows.
  const bias = biasOf(reader, edited, node.inputs[role.biasInput ?? -1], now.outputs);
  if (batchNorm === undefined) {
    const loss = targetMean.map((t, o) => t - mean[o] - bias[o]);
    const edit = raiseBias(edited, consumersOf(edited), { ...reader, node }, loss);
    return edit ? [...edits, edit] : [];
  }
  const set = (input: number, numbers: Float64Array): void => {
    const old = edited.constants.get(batchNorm.node.inputs[input]);
    if (old)
      edits.push({
        node: batchNorm.node.name,
        input,
        tensor: tensorOf(old.dtype, old.shape, numbers),
      });
  };
  set(
    batchNorm.role.meanInput,
    batchNorm.mean.map((m, o) => m + mean[o] + bias[o] - targetMean[o]),
  );
  // A least-squares fit varies less than its target by the part that it cannot predict; scaling it up would only add
  // noise. So the original's variance is kept, whatever was corrected before.
  set(batchNorm.role.varianceInput, batchNorm.variance);
  return edits;
}

/** What the regression of one layer comes to. */
interface Fitted {
  /** The weights: new ones for what is kept, and those so far for the rest. [O, I, K] */
  readonly values: Float64Array;
  /** The mean of the results with these weights, without a bias. [O] */
  readonly mean: Float64Array;
  /** The mean of what the original computed. [O] */
  readonly targetMean: Float64Array;
}

/** Solves the ridge regression over the `kept` channels; `undefined` where they do not vary, so that nothing can be learnt. */
function regress(
  now: ReturnType<typeof weightOf>,
  kept: readonly number[],
  sums: PatchSums,
  ridge: number,
): Fitted | undefined {
  const { outputs, inputs, taps } = now;
  const size = kept.length * taps;
  /** Where weight (o, kept channel j, tap k) lies in [O, I, K]. */
  const at = (o: number, column: number) =>
    (o * inputs + kept[column % kept.length]) * taps + Math.floor(column / kept.length);

  const mean = sums.sourceSum.map((sum) => sum / sums.count);
  const targetMean = sums.targetSum.map((sum) => sum / sums.count);
  const covariance = sums.gram.map(
    (sum, i) => sum / sums.count - mean[Math.floor(i / size)] * mean[i % size],
  );
  let trace = 0;
  for (let i = 0; i < size; i++) trace += covariance[i * size + i];
  const pull = (ridge * trace) / size;
  if (!(pull > 0)) return undefined;
  const regularized = covariance.slice();
  for (let i = 0; i < size; i++) regularized[i * size + i] += pull;
  const right = new Float64Array(size * outputs);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < size; i++)
      right[i * outputs + o] =
        sums.cross[o * size + i] / sums.count -
        targetMean[o] * mean[i] +
        pull * now.values[at(o, i)];
  const solution = choleskySolve(cholesky(regularized, size), right, size, outputs);

  const values = now.values.slice();
  const fittedMean = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < size; i++) {
      values[at(o, i)] = solution[i * outputs + o];
      fittedMean[o] += solution[i * outputs + o] * mean[i];
    }
  return { values, mean: fittedMean, targetMean };
}

/** The layer's current bias, times its factor. [O] */
function biasOf(
  { role }: Reader,
  graph: Graph,
  name: string | undefined,
  outputs: number,
): Float64Array {
  const constant = graph.constants.get(name ?? "");
  const numbers = constant ? toNumbers(constant.read()) : Float64Array.of(0);
  return Float64Array.from(
    { length: outputs },
    (_, o) => role.biasFactor * numbers[numbers.length === outputs ? o : 0],
  );
}
