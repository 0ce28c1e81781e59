/** @file Union-find over element ids, with the reasons why some classes must stay. */

/** Element ids, the classes that unite them, and why a class is fixed. */
export class IdPool {
  #parent = new Int32Array(1024);
  #size = 0;
  /** By class representative. The first reason given wins. */
  #reasons = new Map<number, string>();

  /** Number of ids handed out. */
  get size(): number {
    return this.#size;
  }

  /** `count` new ids, each a class of its own. */
  fresh(count: number): Int32Array {
    while (this.#size + count > this.#parent.length) {
      const grown = new Int32Array(this.#parent.length * 2);
      grown.set(this.#parent);
      this.#parent = grown;
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
    const reason = this.#reasons.get(gone);
    if (reason !== undefined) {
      this.#reasons.delete(gone);
      if (!this.#reasons.has(kept)) this.#reasons.set(kept, reason);
    }
  }

  /** Marks the class of `id` as one that must stay. */
  fix(id: number, reason: string): void {
    const root = this.find(id);
    if (!this.#reasons.has(root)) this.#reasons.set(root, reason);
  }

  /** Why the class of `id` must stay, or `undefined` where it may go. */
  reasonFor(id: number): string | undefined {
    return this.#reasons.get(this.find(id));
  }
}
