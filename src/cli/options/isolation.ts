/** @file Whether a command runs networks in a process of their own. */
import { advanced, offSwitch, toggle, type ValuesOf } from "./flag.ts";

/** The flag of commands whose files may come from anywhere. */
export const noIsolateFlags = {
  isolate: advanced(
    offSwitch(
      "Runs ONNX Runtime in this process, which saves about 0.2 s; a network that crashes ONNX Runtime then ends the command. Default: a process of its own.",
    ),
  ),
};

/** The flag of commands whose networks have usually been run before. */
export const isolateFlags = {
  isolate: advanced(
    toggle(
      "Runs ONNX Runtime in a process of its own, so that a network that crashes it ends in an error. This takes about 0.2 s more, and copies inputs and outputs. Default: this process.",
    ),
  ),
};

/** The process in which ONNX Runtime runs. */
export type IsolationFlags = Partial<ValuesOf<typeof noIsolateFlags>>;

/**
 * Does the work of a command in the process that its flags ask for. With a signal, a stop by the user ends the current
 * run of ONNX Runtime.
 */
export async function inHost<T>(
  { isolate }: IsolationFlags,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  if (!isolate) return work();
  const { isolated } = await import("../../runtime/shared-host.ts");
  return isolated(work, { signal });
}
