/**
 * @file Worker: one of several replicas that train a network together, each on its share of every batch.
 *
 * A step: every replica computes the gradients of its share. Each sum of them belongs to one replica, which adds
 * up what the others hand it, in a fixed order, and computes the next values of the parameters that follow from
 * it. These it hands to all. So every replica begins the next step with the same parameters, while what an
 * optimizer keeps of them lies with their owner alone.
 */
import * as ort from "onnxruntime-node";
import { Exchange } from "./replica-exchange.js";
import { fail, requireWhole, sizeOf } from "./replica-memory.js";
import { discard, fromTensor, toFeeds } from "./worker-tensors.js";
import { copyInto, emptyLike, overwrite } from "./worker-training.js";

/**
 * @typedef {import("./protocol.ts").Calls["openReplica"]["ask"]} ReplicaAsk
 * @typedef {import("./protocol.ts").WireTensor} WireTensor
 * @typedef {import("./worker-training.js").Stage} Stage
 * @typedef {import("./worker-training.js").Training} Training
 * @typedef {Record<string, ort.Tensor>} Tensors
 */

/**
 * The sessions, the state and the buffers of one replica.
 * @implements {Training}
 */
export class Replica {
  #ask;
  #share;
  #update;
  #measure;
  #exchange;
  /** What the next step reads, by input: what all shares read, and what this replica owns. */
  #current;
  /** Where the next values of what it owns are written, by input. @type {Tensors} */
  #spare = Object.create(null);
  /** What the share computes; those that this replica owns become the sums. @type {Tensors} */
  #summands = Object.create(null);
  /** What is told and measured, by name. @type {Tensors} */
  #scalars = Object.create(null);
  #guard = new ort.Tensor("bool", new Uint8Array(1), []);
  #isHalted = false;

  /**
   * Runs the stages `share`, `update` and, where the replica has something to measure, `measure`.
   * @param {readonly Stage[]} stages @param {ReplicaAsk} ask
   */
  constructor([share, update, measure], ask) {
    this.#ask = ask;
    this.#share = share;
    this.#update = update;
    this.#measure = measure;
    const { index, count, exchange, memory, initial } = ask;
    this.#exchange = new Exchange(memory, index, count);
    this.#current = toFeeds(initial);
    for (const input of this.#owned()) {
      if (this.#current[input] === undefined)
        throw new Error(`the state "${input}" has no initial value`);
      this.#spare[input] = emptyLike(this.#current[input]);
    }
    for (const { name, shape } of exchange.sums) this.#summands[name] = zeros(shape);
    for (const name of [...exchange.told, ...exchange.figures.map((figure) => figure.name)])
      this.#scalars[name] = zeros([]);
  }

  /** @type {Training["step"]} */
  async step(feeds, fetches, transfers) {
    try {
      return await this.#takeStep(feeds, fetches, transfers);
    } catch (error) {
      // The others wait for this one, or will.
      fail(this.#ask.memory);
      throw error;
    }
  }

  /** @type {Training["step"]} */
  async #takeStep([feeds], fetches, transfers) {
    if (this.#isHalted) return { status: "skipped", results: new Map() };
    requireWhole(this.#ask.memory);
    const batch = toFeeds(feeds);
    const told = this.#ask.exchange.told.map((name) => [name, this.#scalars[name]]);
    const computed = { ...this.#summands, ...Object.fromEntries(told) };
    await this.#share.run(pick(this.#share, this.#current, batch), computed);
    await this.#sumUp();
    await this.#learnFigures();
    await this.#computeNext(batch);
    // The batch is of no use any more, and the next garbage collection may be far.
    for (const { data } of feeds.values()) if (data instanceof ArrayBuffer) discard(data);
    // All computed the guard from the same numbers.
    this.#isHalted = this.#guard.data[0] === 0;
    if (!this.#isHalted) await this.#goOn();
    const results = new Map(
      [...new Set(fetches)].map((name) => {
        if (this.#scalars[name] === undefined) throw new Error(`replicas do not tell "${name}"`);
        return [name, fromTensor(copyOf(this.#scalars[name]), transfers)];
      }),
    );
    return { status: this.#isHalted ? "refused" : "done", results };
  }

  /** @type {Training["read"]} */
  async read(names = [...this.#ask.exchange.state.keys()], transfers) {
    for (const name of names) this.#requireState(name);
    const own = this.#owned().filter((name) => names.includes(name));
    return new Map(own.map((name) => [name, fromTensor(copyOf(this.#current[name]), transfers)]));
  }

  /** @type {Training["write"]} */
  async write(values) {
    for (const [name, tensor] of Object.entries(toFeeds(values))) {
      this.#requireState(name);
      const own = this.#current[name];
      if (own !== undefined) overwrite(name, own, tensor);
    }
    this.#isHalted = false;
  }

  /** Adds up what the shares computed: here the sums that this replica owns. */
  async #sumUp() {
    const { sums, told } = this.#ask.exchange;
    this.#exchange.tell(told.map((name) => floats(this.#scalars[name])[0]));
    await this.#exchange.sum(
      this.#byOwner((owner) =>
        sums.flatMap((sum) => (sum.owner === owner ? [floats(this.#summands[sum.name])] : [])),
      ),
    );
    for (const [i, sum] of this.#exchange.sumsOfTold(told.length).entries())
      floats(this.#scalars[told[i]])[0] = sum;
  }

  /** Measures the own sums, and learns what the others measured of theirs. */
  async #learnFigures() {
    const { index, exchange } = this.#ask;
    /** @type {Tensors} */
    const wanted = Object.create(null);
    for (const { name, owner } of exchange.figures)
      if (owner === index) wanted[name] = this.#scalars[name];
    await this.#measure?.run(pick(this.#measure, this.#summands), wanted);
    const own = exchange.figures.flatMap(({ name, owner }, i) =>
      owner === index ? [/** @type {const} */ ([i, floats(this.#scalars[name])[0]])] : [],
    );
    const all = await this.#exchange.figures(new Map(own));
    for (const [i, { name }] of exchange.figures.entries()) floats(this.#scalars[name])[0] = all[i];
  }

  /** Computes the guard, and the next values of what this replica owns. @param {Tensors} batch */
  async #computeNext(batch) {
    const { guard, exchange } = this.#ask;
    /** @type {Tensors} */
    const wanted = Object.create(null);
    for (const input of this.#owned())
      wanted[exchange.state.get(input)?.next ?? ""] = this.#spare[input];
    wanted[guard] = this.#guard;
    const feeds = pick(this.#update, this.#current, batch, this.#summands, this.#scalars);
    await this.#update.run(feeds, wanted);
  }

  /** Hands the next values of what all shares read to all, and takes the others'. */
  async #goOn() {
    const { index, exchange } = this.#ask;
    const shared = [...exchange.state].filter(([, { isShared }]) => isShared);
    await this.#exchange.broadcast(
      this.#byOwner((owner) =>
        shared.flatMap(([input, one]) => {
          const next = owner === index ? this.#spare : this.#current;
          return one.owner === owner ? [floats(next[input])] : [];
        }),
      ),
    );
    for (const input of this.#owned())
      [this.#current[input], this.#spare[input]] = [this.#spare[input], this.#current[input]];
  }

  /** @param {(owner: number) => readonly Float32Array[]} tensorsOf */
  #byOwner(tensorsOf) {
    return Array.from({ length: this.#ask.count }, (_, owner) => tensorsOf(owner));
  }

  /** The state inputs that this replica owns. */
  #owned() {
    const { index, exchange } = this.#ask;
    return [...exchange.state].flatMap(([input, { owner }]) => (owner === index ? [input] : []));
  }

  /** @param {string} name */
  #requireState(name) {
    if (!this.#ask.exchange.state.has(name)) throw new Error(`"${name}" is no state`);
  }
}

/** @param {readonly number[]} shape @returns {ort.Tensor} */
function zeros(shape) {
  return new ort.Tensor("float32", new Float32Array(sizeOf(shape)), shape);
}

/** @param {ort.Tensor} tensor @returns {ort.Tensor} */
function copyOf(tensor) {
  const copy = emptyLike(tensor);
  copyInto(copy, tensor);
  return copy;
}

/** @param {ort.Tensor} tensor @returns {Float32Array} */
function floats({ data }) {
  if (data instanceof Float32Array) return data;
  throw new Error("replicas exchange float32 alone");
}

/** What a stage reads of these, the last first. @param {Stage} stage @param {Tensors[]} sources */
function pick({ inputNames }, ...sources) {
  /** @type {Tensors} */
  const feeds = Object.create(null);
  for (const name of inputNames)
    for (const source of sources) if (source[name] !== undefined) feeds[name] = source[name];
  return feeds;
}
