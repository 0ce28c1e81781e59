/** @file Union-find over element ids, with the reasons why some classes must stay, and limits on the number of ids. */

/**
 * Indices along the axes of all tensors that one analysis may list. Networks of a few hundred layers have some
 * ten thousand.
 */
const mostIndices = 2 ** 22;

/**
 * Positions that views over several axes at once may list. A group norm that is written as Reshape and
 * InstanceNormalization takes as many as its map has elements, twice.
 */
const mostPositions = 2 ** 25;

/** Element ids, the classes that unite them, and why a class is fixed. */
export class IdPool {
  #parent = new Int32Array(1024);
  #size = 0;
  #indices = 0;
  #positions = 0;
  /**
   * For each class representative: 0, or one more than the index of its reason in `#reasons`. The first reason wins.
   */
  #reasonOf = new Int32Array(1024);
  readonly #reasons: string[] = [];
  readonly #places = new Map<string, number>();

  /** Number of ids handed out. */
  get size(): number {
    return this.#size;
  }

  /** Counts indices that a layout is about to list; false, and not counted, where they are too many. */
  takeIndices(count: number): boolean {
    if (this.#indices + count > mostIndices) return false;
    this.#indices += count;
    return true;
  }

  /** Counts positions that a view is about to list; false, and not counted, where they are too many. */
  takePositions(count: number): boolean {
    if (this.#positions + count > mostPositions) return false;
    this.#positions += count;
    return true;
  }

  /** `count` new ids, each a class of its own. */
  fresh(count: number): Int32Array {
    const size = this.#size + count;
    if (size > this.#parent.length) {
      const capacity = Math.max(size, 2 * this.#parent.length);
      this.#parent = grown(this.#parent, capacity);
      this.#reasonOf = grown(this.#reasonOf, capacity);
    }
    const ids = new Int32Array(count);
    for (let i = 0; i < count; i++) {
      ids[i] = this.#size;
      this.#parent[this.#size] = this.#size;
      this.#size++;
    }
    return ids;
  }

  /** The representative of an id's class: the smallest id in it. */
  find(id: number): number {
    const parent = this.#parent;
    let root = id;
    while (parent[root] !== root) root = parent[root];
    let at = id;
    while (parent[at] !== root) {
      const next = parent[at];
      parent[at] = root;
      at = next;
    }
    return root;
  }

  /** Unites the classes of two ids. */
  unite(a: number, b: number): void {
    const rootA = this.find(a);
    const rootB = this.find(b);
    if (rootA === rootB) return;
    // The smaller id stays representative, so that classes come out in the order of the graph.
    const [kept, gone] = rootA < rootB ? [rootA, rootB] : [rootB, rootA];
    this.#parent[gone] = kept;
    if (this.#reasonOf[kept] === 0) this.#reasonOf[kept] = this.#reasonOf[gone];
  }

  /** Marks the class of `id` as one that must stay. */
  fix(id: number, reason: string): void {
    const root = this.find(id);
    if (this.#reasonOf[root] !== 0) return;
    let place = this.#places.get(reason);
    if (place === undefined) {
      place = this.#reasons.push(reason);
      this.#places.set(reason, place);
    }
    this.#reasonOf[root] = place;
  }

  /** Why the class of `id` must stay, or `undefined` where it may go. */
  reasonFor(id: number): string | undefined {
    return this.#reasons[this.#reasonOf[this.find(id)] - 1];
  }
}

function grown(array: Int32Array, capacity: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(capacity);
  larger.set(array);
  return larger;
}
