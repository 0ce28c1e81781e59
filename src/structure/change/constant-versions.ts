/**
 * @file The constants of a graph that is being rewritten. Several nodes may read one constant, each cut in
 * another way: each way is a version of it, and only the first keeps the name.
 */
import { type Constant, constantOf } from "../../ir/graph.ts";
import type { HostTensor } from "../../tensor/host-tensor.ts";

/** The new contents of one use of a constant. */
export interface Version {
  /** Equal signatures mean equal contents. */
  readonly signature: string;
  readonly make: () => Constant;
}

/** The unchanged version of a constant. */
export function unchanged(constant: Constant): Version {
  return { signature: "", make: () => constant };
}

/** Constants of the new graph, with the versions of those of the old one. */
export class ConstantVersions {
  readonly #fresh: (stem: string) => string;
  /** Constants of the new graph by name. */
  readonly #constants = new Map<string, Constant>();
  /** Old constant name → signature → name in the new graph. */
  readonly #versions = new Map<string, Map<string, string>>();

  /** @param fresh Names that nothing in the graph has. */
  constructor(fresh: (stem: string) => string) {
    this.#fresh = fresh;
  }

  /** A constant of the new graph, by its name there. */
  get(name: string): Constant | undefined {
    return this.#constants.get(name);
  }

  /** Takes a constant over under its own name, whoever reads it. */
  keep(name: string, constant: Constant): void {
    this.#constants.set(name, constant);
  }

  /** Adds a constant that was not there, and gives its name. */
  add(stem: string, tensor: HostTensor): string {
    const name = this.#fresh(stem);
    this.#constants.set(name, constantOf(name, tensor));
    return name;
  }

  /** Registers a version of a constant, and gives its name; the first one keeps the constant's. */
  nameOf(constant: Constant, { signature, make }: Version): string {
    const versions = this.#versions.get(constant.name) ?? new Map<string, string>();
    this.#versions.set(constant.name, versions);
    const known = versions.get(signature);
    if (known !== undefined) return known;
    const isFirst = versions.size === 0;
    const name = isFirst ? constant.name : this.#fresh(constant.name);
    versions.set(signature, name);
    const made = make();
    this.#constants.set(name, isFirst ? made : { ...made, name, origin: { kind: "new" } });
    return name;
  }

  /**
   * All constants that stay, in the order of the old ones: each with its further versions behind it, then those
   * that were added.
   *
   * @param stays Whether a constant of the old graph stays under its name.
   * @param isLive Whether anything reads a name.
   */
  all(
    old: ReadonlyMap<string, Constant>,
    stays: (name: string) => boolean,
    isLive: (name: string) => boolean,
  ): Map<string, Constant> {
    const constants = new Map<string, Constant>();
    for (const name of old.keys()) {
      const own = this.#constants.get(name);
      if (own && stays(name)) constants.set(name, own);
      for (const clone of this.#versions.get(name)?.values() ?? []) {
        const made = this.#constants.get(clone);
        if (clone !== name && made && isLive(clone)) constants.set(clone, made);
      }
    }
    for (const [name, constant] of this.#constants)
      if (!constants.has(name) && isLive(name) && !old.has(name)) constants.set(name, constant);
    return constants;
  }
}
