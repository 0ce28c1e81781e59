/**
 * @file The gate between threads: a thread must not be ended while it is inside onnxruntime.
 *
 * Native code that finds its thread's JavaScript gone aborts the whole process, so `process.exit` in
 * the middle of a run would end in a crash. A worker enters the gate before every native call; whoever
 * ends the thread closes the gate first and waits until the worker, and those that it started, are outside.
 *
 * Each side writes its own word before it reads the other's, so one of them always sees the other.
 */

/** The number of threads that are inside. */
const inside = 0;
const isClosed = 1;

/**
 * The state that the threads see. The first begins inside: loading the native library is its first call.
 * @returns {Int32Array}
 */
export function newGate() {
  const gate = new Int32Array(new SharedArrayBuffer(8));
  gate[inside] = 1;
  return gate;
}

/**
 * Worker: begins a native call, its own or that of a thread which it starts, whose first call is loading the
 * native library. Never returns once the gate is closed; the thread is about to end.
 * @param {Int32Array} gate
 */
export function enter(gate) {
  Atomics.add(gate, inside, 1);
  if (Atomics.load(gate, isClosed) === 0) return;
  leave(gate);
  while (true) Atomics.wait(gate, isClosed, 1);
}

/**
 * Worker: ends a native call.
 * @param {Int32Array} gate
 */
export function leave(gate) {
  Atomics.sub(gate, inside, 1);
  Atomics.notify(gate, inside);
}

/**
 * Lets no further native call begin.
 * @param {Int32Array} gate
 * @returns {boolean} True when none is going on.
 */
export function close(gate) {
  Atomics.store(gate, isClosed, 1);
  return Atomics.load(gate, inside) === 0;
}

/**
 * Closes the gate and blocks this thread until no native call is going on, or for `timeoutMs`.
 * @param {Int32Array} gate @param {number} timeoutMs
 */
export function closeBlocking(gate, timeoutMs) {
  const end = Date.now() + timeoutMs;
  let isEmpty = close(gate);
  while (!isEmpty && Date.now() < end) {
    Atomics.wait(gate, inside, Atomics.load(gate, inside) || 1, end - Date.now());
    isEmpty = close(gate);
  }
}
