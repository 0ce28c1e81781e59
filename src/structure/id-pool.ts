/** @file Union-find over element ids, with the reasons why some classes must stay, and how many there may be. */

/**
 * Indices that the layouts of one analysis may list: those of every axis of every tensor, and the positions
 * of views over several axes. Networks of a few hundred layers list some ten thousand.
 */
const mostIndices = 2 ** 22;

/** Element ids, the classes that unite them, and why a class is fixed. */
export class IdPool {
  #parent = new Int32Array(1024);
  #size = 0;
  #listed = 0;
  /** By class representative: 0, or one more than the place of its reason in `#reasons`. The first given wins. */
  #reasonOf = new Int32Array(1024);
  readonly #reasons: string[] = [];
  readonly #places = new Map<string, number>();

  /** Number of ids handed out. */
  get size(): number {
    return this.#size;
  }

  /** Counts indices that a layout is about to list; false, and not counted, where they are too many. */
  takeRoom(count: number): boolean {
    if (this.#listed + count > mostIndices) return false;
    this.#listed += count;
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
