/** @file Whether a command runs networks in a process of their own. */
import { advanced, offSwitch, toggle, type ValuesOf } from "./flag.ts";

/** For commands whose files may come from anywhere. */
export const noIsolateFlags = {
  isolate: advanced(
    offSwitch(
      "Runs ONNX Runtime in this process, which a network that crashes it then ends. It takes some 0.2 s less. Default: a process of its own.",
    ),
  ),
};

/** For commands whose networks have usually been run before. */
export const isolateFlags = {
  isolate: advanced(
    toggle(
      "Runs ONNX Runtime in a process of its own, so that a network that crashes it ends in an error. It takes some 0.2 s more, and copies what goes in and out. Default: this process.",
    ),
  ),
};

/** Where ONNX Runtime lives. */
export type IsolationFlags = Partial<ValuesOf<typeof noIsolateFlags>>;

/** Does the work of a command as its flags say. With a signal, the user's stop ends a run that is going on. */
export async function inHost<T>(
  { isolate }: IsolationFlags,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  if (!isolate) return work();
  const { isolated } = await import("../../runtime/shared-host.ts");
  return isolated(work, { signal });
}
