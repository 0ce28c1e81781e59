/** @file The lines of `events.jsonl` about a method's learning. */
import { collapsedGroups } from "../../methods/posterior/monitors.ts";
import { logEvent } from "../../runs/folder/events.ts";
import type { EpochRecord } from "../../train/loop/checkpoint.ts";

/**
 * Logs an epoch of learning: its loss and the parts of it, the score on `select`, and what the method tells of
 * its posterior (KL in nats, quantiles of signal over noise, units above the threshold by group). Where a
 * group collapsed, that is an event of its own.
 */
export function logEpoch(run: string, round: number, record: EpochRecord): void {
  const { epoch, step, loss, terms, select } = record;
  const place = { round, epoch: epoch + 1 };
  const { facts, ...score } = select ?? {};
  logEvent(run, "epoch", {
    ...place,
    phase: "learning",
    step,
    loss,
    ...(terms && { terms }),
    ...(select && { select: score }),
    ...(facts && { facts }),
  });
  const groups = collapsedGroups(record);
  if (groups.length > 0) logEvent(run, "collapse", { ...place, groups });
}
