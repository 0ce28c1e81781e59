/**
 * @file How a replica exchanges tensors with all others: summands that go to the owner of their sum, values that go
 * from their owner to all, and scalars that all know. Every replica calls the same in the same order.
 */
import { addTo, newMeeting, newRow } from "./replica-memory.js";

/** @typedef {import("./protocol.ts").ReplicaMemory} Memory */
/** @typedef {import("./replica-memory.js").Row} Row */

/** The part of one replica in all exchanges. */
export class Exchange {
  #memory;
  #index;
  #count;
  #others;
  #meet;
  /** Which of the two areas is next. */
  #turn = 0;

  /** @param {Memory} memory @param {number} index @param {number} count */
  constructor(memory, index, count) {
    this.#memory = memory;
    this.#index = index;
    this.#count = count;
    this.#others = Array.from({ length: count }, (_, other) => other).filter(
      (other) => other !== index,
    );
    this.#meet = newMeeting(memory, count);
  }

  /**
   * Adds what the others have of the sums that this replica owns to its own summands, in the order of the others.
   * @param {readonly (readonly Float32Array[])[]} summands By the owner of their sums.
   */
  async sum(summands) {
    const rows = summands.map(newRow);
    await this.#inPieces(rows, {
      write: (area, from, to) => {
        for (const other of this.#others) {
          const start = this.#slot(this.#index, other);
          rows[other].forParts(from, to, (part, at) => area.set(part, start + at));
        }
      },
      read: (area, from, to) =>
        rows[this.#index].forParts(from, to, (part, at) => {
          for (const other of this.#others) {
            const start = this.#slot(other, this.#index) + at;
            addTo(part, area.subarray(start, start + part.length));
          }
        }),
    });
  }

  /**
   * Copies what each replica owns to all others.
   * @param {readonly (readonly Float32Array[])[]} values By their owner: where they are, or where they are to be.
   */
  async broadcast(values) {
    const rows = values.map(newRow);
    // All read the same, so each writes to one place: that for the first of the others.
    const placeOf = (/** @type {number} */ owner) => this.#slot(owner, owner === 0 ? 1 : 0);
    await this.#inPieces(rows, {
      write: (area, from, to) => {
        const place = placeOf(this.#index);
        rows[this.#index].forParts(from, to, (part, at) => area.set(part, place + at));
      },
      read: (area, from, to) => {
        for (const other of this.#others)
          rows[other].forParts(from, to, (part, at) => {
            const start = placeOf(other) + at;
            part.set(area.subarray(start, start + part.length));
          });
      },
    });
  }

  /** Tells the scalars of this replica's share, before `sum`. @param {readonly number[]} scalars */
  tell(scalars) {
    this.#memory.told.set(scalars, this.#index * scalars.length);
  }

  /** The sums over all shares of so many scalars that were told, after `sum`. @param {number} length */
  sumsOfTold(length) {
    const { told } = this.#memory;
    return Array.from({ length }, (_, i) => {
      let sum = 0;
      for (let share = 0; share < this.#count; share++) sum += told[share * length + i];
      return sum;
    });
  }

  /** All figures, of which this replica measured some. @param {ReadonlyMap<number, number>} own By their number. */
  async figures(own) {
    const { figures } = this.#memory;
    for (const [i, figure] of own) figures[i] = figure;
    await this.#meet();
    return figures.slice();
  }

  /**
   * @param {readonly Row[]} rows
   * @param {Record<"write" | "read", (area: Float32Array, from: number, to: number) => void>} moves
   */
  async #inPieces(rows, { write, read }) {
    const { piece, areas } = this.#memory;
    // At least once: what else was written meanwhile is read after a meeting.
    const length = Math.max(1, ...rows.map((row) => row.length));
    for (let from = 0; from < length; from += piece) {
      const area = areas[this.#turn++ % 2];
      write(area, from, from + piece);
      await this.#meet();
      read(area, from, from + piece);
    }
  }

  /** Where a writer puts the piece for a reader. @param {number} writer @param {number} reader */
  #slot(writer, reader) {
    const place = writer * (this.#count - 1) + (reader > writer ? reader - 1 : reader);
    return place * this.#memory.piece;
  }
}
