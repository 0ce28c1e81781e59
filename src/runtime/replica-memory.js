/**
 * @file Memory that replicas share, and how they meet and hand tensors over in it.
 *
 * A tensor is handed over in pieces of a fixed length, so that the shared memory stays small beside the tensors
 * and mostly in the processor's cache. Two areas take turns: whoever writes a piece into the one has met all
 * others after they had read what was there.
 */
import { setImmediate } from "node:timers/promises";

/**
 * @typedef {import("./protocol.ts").ReplicaExchange} Exchange
 * @typedef {import("./protocol.ts").ReplicaMemory} Memory
 */

/** Elements of both areas together, at most: 32 MiB. */
const largestAreas = 1 << 23;
/** How often a replica looks for the others before it sleeps: some 20 µs. */
const looks = 1000;
/** How long a replica sleeps before it looks whether a thread has ended. */
const napMs = 100;

const hasFailed = 0;
const meetings = 1;

/** @param {number} length */
function sharedFloats(length) {
  return new Float32Array(new SharedArrayBuffer(4 * length));
}

/** Memory for so many replicas. @param {Exchange} exchange @param {number} count @returns {Memory} */
export function newMemory({ sums, told, figures }, count) {
  const lengths = new Array(count).fill(0);
  for (const { owner, shape } of sums) lengths[owner] += sizeOf(shape);
  // What is broadcast has the shapes of what is summed, but for a state that nothing is summed for.
  const pairs = count * (count - 1);
  const piece = Math.max(1, Math.min(Math.max(...lengths), Math.floor(largestAreas / 2 / pairs)));
  return {
    control: new Int32Array(new SharedArrayBuffer(8)),
    told: sharedFloats(count * told.length),
    figures: sharedFloats(figures.length),
    areas: [sharedFloats(pairs * piece), sharedFloats(pairs * piece)],
    piece,
  };
}

/** @param {readonly number[]} shape */
export function sizeOf(shape) {
  return shape.reduce((size, dim) => size * dim, 1);
}

/** Tells all replicas that one has failed, and wakes them. @param {Memory} memory */
export function fail({ control }) {
  Atomics.store(control, hasFailed, 1);
  Atomics.notify(control, meetings);
}

/** What replicas say that had to stop because of another one. */
export const otherFailed = "another replica has failed";

/** @param {Memory} memory */
export function requireWhole({ control }) {
  if (Atomics.load(control, hasFailed) !== 0) throw new Error(otherFailed);
}

/**
 * The meetings of one replica with all others: the function settles when all have called it as often.
 * It rejects where one has failed that will never come.
 * @param {Memory} memory @param {number} count
 */
export function newMeeting(memory, count) {
  const { control } = memory;
  let goal = 0;
  return async () => {
    goal = (goal + count) | 0;
    const isMet = () => ((Atomics.load(control, meetings) - goal) | 0) >= 0;
    Atomics.add(control, meetings, 1);
    if (isMet()) Atomics.notify(control, meetings);
    for (let look = 0; look < looks && !isMet(); look++);
    while (!isMet()) {
      requireWhole(memory);
      const seen = Atomics.load(control, meetings);
      if (((seen - goal) | 0) >= 0) break;
      // The end of a thread is an event, which arrives between naps only.
      if (Atomics.wait(control, meetings, seen, napMs) === "timed-out") await setImmediate();
    }
  };
}

/**
 * Tensors end to end, as they are handed over.
 * @param {readonly Float32Array[]} tensors
 */
export function newRow(tensors) {
  const length = tensors.reduce((sum, tensor) => sum + tensor.length, 0);
  /**
   * Calls `use` with each part of a tensor that lies in the range, and its place behind `from`.
   * @param {number} from @param {number} to @param {(part: Float32Array, at: number) => void} use
   */
  const forParts = (from, to, use) => {
    let start = 0;
    for (const tensor of tensors) {
      const [first, last] = [Math.max(from, start), Math.min(to, start + tensor.length)];
      if (first < last) use(tensor.subarray(first - start, last - start), first - from);
      start += tensor.length;
    }
  };
  return { length, forParts };
}

/** @typedef {ReturnType<typeof newRow>} Row */

/** a ← a + b, element by element. @param {Float32Array} a @param {Float32Array} b */
export function addTo(a, b) {
  const whole = a.length - (a.length % 4);
  // Four at a time: V8 spends most of a plain loop on its bounds.
  for (let i = 0; i < whole; i += 4) {
    a[i] += b[i];
    a[i + 1] += b[i + 1];
    a[i + 2] += b[i + 2];
    a[i + 3] += b[i + 3];
  }
  for (let i = whole; i < a.length; i++) a[i] += b[i];
}
