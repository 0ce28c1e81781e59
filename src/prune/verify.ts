/** @file `verify`: a pruned network equals the original with zeros where removed channels were read. */
import { EspalierError } from "../errors.ts";
import {
  compareModels,
  type Verification,
  type VerifyOptions,
} from "../measure/equality/compare.ts";
import type { Model } from "../onnx/model.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { placesOf } from "../structure/change/places.ts";
import { editsOf, type Plan, removalOf, zerosOf } from "../structure/plan.ts";
import { structureOf } from "../structure/units/units.ts";
import { withZeros } from "../structure/weights/zeros.ts";
import { referenceFor } from "./prune.ts";
import { type Pruned, type PrunedParts, partsOf } from "./pruned.ts";

/**
 * Verifies a fresh removal. Errors: `RUNTIME_FAILED` when onnxruntime refuses one of the networks.
 */
export async function verifyPruned(
  original: Model,
  pruned: Pruned,
  options: VerifyOptions = {},
): Promise<Verification> {
  const { graph, bytes } = pruned;
  const parts = partsOf(pruned);
  const { structure, removed } = parts;
  const reference = referenceFor(original, parts);
  const places = placesOf(structure, removed, graph);
  const { dims } = structure.analysis;
  const found = await compareModels(original, reference, bytes, dims, options, places);
  return withWrittenOut(found, original, dims, options);
}

/**
 * The verification, and that of what was written out when the original was read: the graph that its
 * references are made of must compute what the file computes.
 */
async function withWrittenOut(
  found: Verification,
  original: Model,
  dims: ReadonlyMap<string, number>,
  options: VerifyOptions,
): Promise<Verification> {
  if (original.file.bytes === original.file.original) return found;
  const writtenOut = writeModel(original, { ...original.graph });
  const own = await compareModels(original, writeModel(original), writtenOut, dims, options);
  return {
    ...found,
    passed: found.passed && own.checks.every((check) => check.passed),
    maxError: Math.max(found.maxError, own.maxError),
    checks: [
      ...found.checks,
      ...own.checks.map((check) => ({ ...check, name: `written out, ${check.name}` })),
    ],
  };
}

/**
 * Verifies that a network without the units that zeros have left superfluous computes what it computes with
 * them: nothing is lost but by the zeros. Where no weights became 0 there is nothing to verify.
 */
export async function verifyZeros(
  original: Model,
  {
    zeros,
    removed,
    structure,
    graph,
    bytes,
  }: Pick<PrunedParts, "structure" | "removed" | "zeros"> & Pick<Pruned, "bytes" | "graph">,
  options: VerifyOptions = {},
): Promise<Pick<Verification, "passed" | "maxError" | "checks">> {
  if (zeros.size === 0 || !removed.includes(1)) return { passed: true, maxError: 0, checks: [] };
  const zeroed = writeModel(original, withZeros(original.graph, zeros));
  const places = placesOf(structure, removed, graph);
  return compareModels(original, zeroed, bytes, structure.analysis.dims, options, places);
}

/**
 * Verifies a network that was read from a pruned file against its original, by the plan that lies beside that
 * file. It takes what was read of the three files, not their paths. `dims` gives sizes that the original
 * leaves open.
 *
 * Errors: `PLAN_INVALID`, `VERIFY_FAILED` when the two files are no pair, `RUNTIME_FAILED`.
 *
 * @example
 * const original = await loadModel("net.onnx");
 * const small = await loadModel("small.onnx");
 * const plan = await loadPlan("small.onnx.plan.json");
 * const { passed } = await verifyByPlan(original, small, plan);
 */
export async function verifyByPlan(
  original: Model,
  small: Model,
  plan: Plan,
  options: VerifyOptions & { readonly dims?: ReadonlyMap<string, number> } = {},
): Promise<Verification> {
  const { inputs, outputs } = small.graph;
  if (
    inputs.join() !== original.graph.inputs.join() ||
    outputs.join() !== original.graph.outputs.join()
  )
    throw new EspalierError("VERIFY_FAILED", "the two networks have different inputs or outputs", {
      hint: "Give the original first, then the network that was pruned from it.",
    });
  const { selectsInputs } = plan;
  const structure = structureOf(original.graph, { ...options, selectsInputs });
  const removed = removalOf(structure, plan);
  const zeros = zerosOf(original.graph, plan);
  const reference = referenceFor(original, { structure, removed, zeros, edits: editsOf(plan) });
  const places = placesOf(structure, removed, small.graph);
  const { dims } = structure.analysis;
  const found = await compareModels(original, reference, writeModel(small), dims, options, places);
  return withWrittenOut(found, original, dims, options);
}
