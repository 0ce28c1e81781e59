/** @file One thread at a time draws on the terminal. */

/** @param {Int32Array} shared */
export function enterDrawing(shared) {
  while (Atomics.compareExchange(shared, 0, 0, 1) !== 0) Atomics.wait(shared, 0, 1, 10);
}

/** @param {Int32Array} shared */
export function leaveDrawing(shared) {
  Atomics.store(shared, 0, 0);
  Atomics.notify(shared, 0);
}
