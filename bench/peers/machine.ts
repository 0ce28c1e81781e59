/** @file What Linux says of processes: their time, their memory, and how busy others keep the machine. */
import { readFileSync } from "node:fs";

/** Ticks of the clock by which Linux counts processor time, per second. */
const ticksPerSecond = 100;

/** Processor seconds of all processes together since the machine started. */
function busySeconds(): number {
  const [user, nice, system, , , irq, softIrq] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softIrq) / ticksPerSecond;
}

/** Processor seconds of one process, all its threads together. */
export function processSeconds(pid: number | "self"): number {
  const status = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses may hold anything; utime and stime are the 12th and 13th field behind it.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Starts to watch; the function tells how many processors others than these kept busy since. */
export function watchOthers(pids: readonly (number | "self")[]): () => number {
  const seconds = () => pids.reduce<number>((sum, pid) => sum - processSeconds(pid), busySeconds());
  const [before, start] = [seconds(), performance.now()];
  return () => Math.max(0, (seconds() - before) / ((performance.now() - start) / 1000));
}

/** The most memory that this process has held, VmHWM. */
export function peakBytes(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN);
}
