/** @file `verify RUN`: weights that rounds and the plan made 0 are 0 still. */
import { loadModel } from "../../files/model-file.ts";
import { loadPlan } from "../../files/plan-file.ts";
import { problemsOf, type VerifyOptions } from "../../measure/equality/compare.ts";
import type { Model } from "../../onnx/model.ts";
import { writeModel } from "../../onnx/writing/write.ts";
import { verifyZeros } from "../../prune/verify.ts";
import { type CompressConfig, roundPaths, runPaths } from "../../runs/folder/run-folder.ts";
import { removeUnits } from "../../structure/change/surgery.ts";
import { removalOf, zerosOf } from "../../structure/plan.ts";
import { structureOf } from "../../structure/units/units.ts";
import { countZeros, withZeros, type Zeros, zerosIn } from "../../structure/weights/zeros.ts";
import type { Found } from "./verify-run-figures.ts";

/**
 * Weights that a round sets to 0 stay 0 in tuning, and what is removed with them was superfluous: the network
 * without it computes what that with the zeros alone does.
 */
export async function roundZeros(run: string, round: number, how: VerifyOptions): Promise<Found> {
  const paths = roundPaths(run, round);
  const plan = await loadPlan(paths.plan);
  const [before, pruned] = await modelsAt(paths.before, paths.pruned);
  const tuned = zerosIn((await loadModel(paths.tuned)).graph);
  const kept = zerosIn(pruned.graph);
  const problems = lostZeros(kept, tuned).map((lost) => `${paths.tuned}: ${lost}`);
  const structure = structureOf(before.graph, plan);
  const verification = await verifyZeros(
    before,
    {
      structure,
      removed: removalOf(structure, plan),
      zeros: zerosOf(before.graph, plan),
      graph: pruned.graph,
      bytes: writeModel(pruned),
    },
    how,
  );
  return {
    figures: { zeros: countZeros(kept), maxError: verification.maxError },
    problems: [...problems, ...problemsOf(verification)],
  };
}

/** What the plan makes 0 of the original is 0 in the result. */
export async function planZeros(run: string, settings: CompressConfig["settings"]): Promise<Found> {
  const paths = runPaths(run);
  const [original, result] = await modelsAt(paths.original, paths.model);
  const plan = await loadPlan(paths.plan);
  const { analysis } = structureOf(original.graph, settings);
  const zeroed = withZeros(original.graph, zerosOf(original.graph, plan));
  const structure = structureOf(zeroed, analysis);
  const expected = zerosIn(removeUnits(structure, removalOf(structure, plan)));
  const found = zerosIn(result.graph);
  return {
    figures: { zeros: countZeros(expected), found: countZeros(found) },
    problems: lostZeros(expected, found).map((lost) => `${paths.model}: ${lost}`),
  };
}

/** What is wrong, in words, for each weight of which elements should be 0 and are not. */
function lostZeros(expected: Zeros, found: Zeros): readonly string[] {
  return [...expected].flatMap(([name, flags]) => {
    const now = found.get(name);
    const lost = flags.reduce((sum, flag, i) => sum + (flag === 1 && now?.[i] !== 1 ? 1 : 0), 0);
    return lost === 0 ? [] : [`${lost} weights of "${name}" are 0 no longer`];
  });
}

/** The networks at two paths. */
export async function modelsAt(...paths: readonly [string, string]): Promise<[Model, Model]> {
  return [await loadModel(paths[0]), await loadModel(paths[1])];
}
