/** @file Whether a command runs networks in a process of their own. */
import type { Command } from "commander";

/** Where ONNX Runtime lives. */
export interface IsolationFlags {
  readonly isolate?: boolean;
}

/** Adds `--no-isolate` to a command whose files may come from anywhere. */
export function addNoIsolateOption(command: Command): Command {
  return command.option(
    "--no-isolate",
    "run ONNX Runtime in this process, which a network that crashes it ends; by default it has a process of its own, which takes some 0.2 s more",
  );
}

/** Adds `--isolate` to a command whose networks have usually been run before. */
export function addIsolateOption(command: Command): Command {
  return command.option(
    "--isolate",
    "run ONNX Runtime in a process of its own, so that a network that crashes it ends in an error; takes some 0.2 s more, and copies what goes in and out",
  );
}

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
