/**
 * @file Runs backend tests in onnxruntime in a process of their own, and starts another one where
 * onnxruntime takes the process down with it (some element types make it end without an exception).
 */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What became of one model. */
export interface RunOutcome {
  readonly category: string;
  readonly why: string;
  /** What became of the graph in canonical form. */
  readonly lifted?: RunOutcome | undefined;
}

const workerPath = fileURLToPath(new URL("./backend-worker.ts", import.meta.url));

/** Seconds without an answer after which a model counts as hanging. */
const patienceS = 60;

/** Runs the models at `paths` one after the other; the outcome of each, in order. */
export async function runAll(paths: readonly string[]): Promise<readonly RunOutcome[]> {
  const outcomes: RunOutcome[] = [];
  while (outcomes.length < paths.length) {
    const end = await runSome(paths.slice(outcomes.length), (outcome) => outcomes.push(outcome));
    if (outcomes.length < paths.length)
      outcomes.push({ category: "onnxruntime ends the process", why: end });
  }
  return outcomes;
}

/** Runs models until all are done or the process ends; says how it ended. */
function runSome(paths: readonly string[], report: (outcome: RunOutcome) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = fork(workerPath, [], { stdio: ["ignore", "inherit", "ignore", "ipc"] });
    let reported = 0;
    let timer = setTimeout(() => child.kill(), patienceS * 1000);
    child.on("error", reject);
    child.on("message", (outcome: RunOutcome) => {
      report(outcome);
      clearTimeout(timer);
      timer = setTimeout(() => child.kill(), patienceS * 1000);
      reported++;
      if (reported === paths.length) child.disconnect();
    });
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(`${signal ?? `exit code ${code}`}`);
    });
    child.send(paths);
  });
}
