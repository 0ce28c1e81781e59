/**
 * @file How far off weights may be, from a posterior: what decides how many bits of each are worth keeping.
 *
 * After the idea of Louizos, Ullrich and Welling, "Bayesian Compression for Deep Learning" (NeurIPS 2017,
 * section 3.3), who take the bits of a layer from the mean variance of its weights; which mean, derived
 * here. Near the posterior's means the loss is quadratic, with curvature 1/σ² in each weight. Steps of
 * width Δ add Δ²/24 Σ 1/σ² to it on average, and n weights cost n log2(1/Δ) + const bits. At the least
 * sum of both, Δ² is proportional to n / Σ 1/σ²: the harmonic mean of the variances.
 */
import { EspalierError } from "../../errors.ts";
import { loadModel } from "../../files/model-file.ts";
import { allMethods, anyMethodNamed } from "../../methods/learned-registry.ts";
import {
  type AnyMethod,
  isLearned,
  type LearnedMethod,
} from "../../methods/method/learned-method.ts";
import { readConfig, runPaths } from "../../runs/folder/run-folder.ts";
import { structureOf } from "../../structure/units/units.ts";
import { type HostTensor, toNumbers } from "../../tensor/host-tensor.ts";
import { roundsTaken } from "../record/round-figures.ts";
import { lastMemory } from "../result/posterior-of-run.ts";
import { finishedReport } from "../resume-run.ts";

/**
 * For each weight of a run's `model.onnx`, by the constant's name, the root of the harmonic mean of the
 * posterior variances of its elements that are not 0; for `tolerances` of `pack`. Weights of which the
 * method learnt nothing are left out.
 *
 * Fails with `RUN_INVALID` where the run is not over, or has no posterior of single weights.
 */
export async function posteriorTolerances(run: string): Promise<ReadonlyMap<string, number>> {
  const { command } = await readConfig(run);
  const report = await finishedReport(run);
  if (report?.command !== "compress") throw withoutDeviations(run, command);
  const { rounds, chosenRound } = report;
  const method = anyMethodNamed(report.method);
  const memory = await lastMemory(run, roundsTaken(rounds, chosenRound));
  if (!tellsDeviations(method) || memory === undefined) throw withoutDeviations(run, report.method);
  const { graph } = await loadModel(runPaths(run).model);
  const tolerances = new Map<string, number>();
  for (const [name, deviations] of method.weightDeviations(structureOf(graph), memory)) {
    const tolerance = harmonicDeviation(deviations);
    if (deviations.shape.length >= 2 && tolerance > 0) tolerances.set(name, tolerance);
  }
  if (tolerances.size === 0) throw withoutDeviations(run, report.method);
  return tolerances;
}

/** (n / Σ 1/σ²)^½ over those above 0; 0 where there are none. */
function harmonicDeviation(deviations: HostTensor): number {
  let [count, sum] = [0, 0];
  for (const deviation of toNumbers(deviations)) {
    if (deviation <= 0) continue;
    count++;
    sum += deviation ** -2;
  }
  return count === 0 ? 0 : Math.sqrt(count / sum);
}

/** Whether a method learns deviations of single weights. */
function tellsDeviations(
  method: AnyMethod,
): method is LearnedMethod & Required<Pick<LearnedMethod, "weightDeviations">> {
  return isLearned(method) && method.weightDeviations !== undefined;
}

function withoutDeviations(run: string, method: string): EspalierError {
  const names = allMethods.filter(tellsDeviations).map(({ name }) => name);
  return new EspalierError("RUN_INVALID", `${run} keeps no variances of its weights`, {
    hint: `Runs of compress that are over keep them where the method learns them (${names.join(", ")}) and something was removed; this is a run of ${method}.`,
    data: { run, method },
  });
}
