/**
 * @file The time budget of a run. A decision that depends on the clock is put on record: a resumed run reads it there,
 * and decides the same.
 */
import { z } from "zod";
import type { CompressContext } from "./context.ts";

type Timed = Pick<CompressContext, "settings" | "journal">;

/** Seconds that the work of this name may take, 0 where none are left; `undefined` without a budget. */
export async function secondsLeft(
  { settings: { timeBudgetSeconds }, journal }: Timed,
  name: string,
): Promise<number | undefined> {
  if (timeBudgetSeconds === undefined) return undefined;
  return journal.once(`${name}/seconds left`, z.number(), () =>
    Math.max(0, timeBudgetSeconds - journal.seconds),
  );
}

/** Whether the budget is spent at the place of this name. */
export async function isTimeSpent(
  { settings: { timeBudgetSeconds }, journal }: Timed,
  name: string,
): Promise<boolean> {
  if (timeBudgetSeconds === undefined) return false;
  return journal.once(name, z.boolean(), () => journal.seconds >= timeBudgetSeconds);
}
