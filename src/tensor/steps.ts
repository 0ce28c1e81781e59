/**
 * @file Long computations as generators that name each step before they take it, so that the same code runs in
 * one go, or in turns between which a page or a worker hears its messages.
 */
import { EspalierError } from "../errors.ts";

/** Which step of a computation begins. */
export interface StepProgress {
  /** What the step does, in a few words. */
  readonly step: string;
  /** Steps that are done, with the part of the one at work that is known to be done, and all that there are. */
  readonly done: number;
  readonly total: number;
}

/** A computation that tells of every step before it takes it. */
export type Steps<Result> = Generator<StepProgress, Result, void>;

/** How to take steps in turns. */
export interface StepOptions {
  /** The signal is heard before every step: what has begun is finished first. */
  readonly signal?: AbortSignal | undefined;
  /** Called before every step. */
  readonly onProgress?: ((progress: StepProgress) => void) | undefined;
}

/** Fails with `ABORTED` where a signal says that the work is to end. */
export function requireGoOn(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EspalierError("ABORTED", "The work was stopped.");
}

/** The result of all steps, in one go. */
export function atOnce<Result>(
  steps: Steps<Result>,
  onProgress?: (progress: StepProgress) => void,
): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    onProgress?.(value);
  }
}

/** Steps that are one step of a longer computation: what is done of them counts as part of it, under both names. */
export function* within<Result>(whole: StepProgress, steps: Steps<Result>): Steps<Result> {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    const step = `${whole.step}: ${value.step}`;
    yield { step, done: whole.done + value.done / value.total, total: whole.total };
  }
}

/**
 * The result of all steps, with a turn of the event loop before each; where steps are short, before the first that begins
 * `everyMs` or more after the last turn, and only those are told of. Fails with `ABORTED`.
 */
export async function inTurns<Result>(
  steps: Steps<Result>,
  { signal, onProgress }: StepOptions,
  everyMs = 0,
): Promise<Result> {
  let lastTurn = performance.now();
  for (;;) {
    requireGoOn(signal);
    const { done, value } = steps.next();
    if (done) return value;
    if (performance.now() - lastTurn < everyMs) continue;
    onProgress?.(value);
    await new Promise((resolve) => setTimeout(resolve, 0));
    lastTurn = performance.now();
  }
}
