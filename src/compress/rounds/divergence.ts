/** @file Training that diverges to numbers that are not finite: the run goes on with a milder attempt. */
import { EspalierError } from "../../errors.ts";

/**
 * What `work` gives, or why it diverged: `TRAINING_DIVERGED`, or a network whose weights are finite but whose
 * outputs are not, as its sums overflow. All other failures pass.
 */
export async function unlessDiverged<T>(work: () => Promise<T>): Promise<T | EspalierError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof EspalierError && isDivergence(error)) return error;
    throw error;
  }
}

function isDivergence({ code, data }: EspalierError): boolean {
  return code === "TRAINING_DIVERGED" || (code === "RUNTIME_FAILED" && "sample" in data);
}
