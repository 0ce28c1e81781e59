/**
 * @file Worker: one of several replicas that train a network together, each on its share of every batch.
 *
 * A step: every replica computes the gradients of its share. Each sum of them belongs to one replica, which adds
 * up what the others hand it, in the order of the replicas, and computes the next values of the parameters that
 * follow from it. These it hands to all. So every replica begins the next step with the same parameters, while
 * what an optimizer keeps of them lies with their owner alone.
 */
import * as ort from "onnxruntime-node";
import { addTo, fail, newMeeting, newRow, requireWhole, sizeOf } from "./replica-memory.js";
import { discard, fromTensor, toFeeds } from "./worker-tensors.js";
import { copyInto, emptyLike } from "./worker-training.js";

/**
 * @typedef {import("./protocol.ts").Calls["openReplica"]["ask"]} ReplicaAsk
 * @typedef {import("./worker-training.js").Training} Training
 * @typedef {Record<string, ort.Tensor>} Tensors
 * @typedef {import("./worker-training.js").Stage} Stage
 */

/**
 * The state of a replica that runs the stages `share`, `update` and, where it has something to measure, `measure`.
 * @param {readonly Stage[]} stages @param {ReplicaAsk} ask @returns {Training}
 */
export function newReplica([share, update, measure], ask) {
  const { index, count, exchange, guard, memory } = ask;
  const { sums, told, figures, state } = exchange;
  const owners = Array.from({ length: count }, (_, owner) => owner);
  const others = owners.filter((other) => other !== index);
  const meet = newMeeting(memory, count);

  /** What the next step reads, by input. */
  const current = toFeeds(ask.initial);
  /** Where the next values of owned state are written, by input. @type {Tensors} */
  const spare = Object.create(null);
  for (const [input, { owner }] of state) {
    if (owner === index && current[input] === undefined)
      throw new Error(`the state "${input}" has no initial value`);
    if (owner === index) spare[input] = emptyLike(current[input]);
  }
  /** What the share computes; those that this replica owns become the sums. @type {Tensors} */
  const summands = Object.create(null);
  for (const { name, shape } of sums) summands[name] = zeros(shape);
  /** @type {Tensors} */
  const scalars = Object.create(null);
  for (const name of [...told, ...figures.map((figure) => figure.name)]) scalars[name] = zeros([]);
  const guarded = new ort.Tensor("bool", new Uint8Array(1), []);

  const rows = owners.map((owner) =>
    newRow(sums.flatMap((sum) => (sum.owner === owner ? [floats(summands[sum.name])] : []))),
  );
  const pieces = (/** @type {readonly { length: number }[]} */ all) =>
    Math.ceil(Math.max(1, ...all.map(({ length }) => length)) / memory.piece);
  const shared = [...state].filter(([, { isShared }]) => isShared);
  let turn = 0;
  let isHalted = false;

  /** Where a writer puts the piece for a reader. */
  const slot = (/** @type {number} */ writer, /** @type {number} */ reader) => {
    const place = writer * (count - 1) + (reader > writer ? reader - 1 : reader);
    return place * memory.piece;
  };

  /** Hands summands to their owners, and adds up what arrives here. */
  async function sumUp() {
    for (const [i, name] of told.entries())
      memory.told[index * told.length + i] = floats(scalars[name])[0];
    const own = rows[index];
    for (let piece = 0; piece < pieces(rows); piece++) {
      const area = memory.areas[turn++ % 2];
      const [from, to] = [piece * memory.piece, (piece + 1) * memory.piece];
      for (const other of others) {
        const start = slot(index, other);
        rows[other].forParts(from, to, (part, at) => area.set(part, start + at));
      }
      await meet();
      own.forParts(from, to, (part, at) => {
        for (const other of others) {
          const start = slot(other, index) + at;
          addTo(part, area.subarray(start, start + part.length));
        }
      });
    }
    for (const [i, name] of told.entries())
      floats(scalars[name])[0] = owners.reduce(
        (sum, owner) => sum + memory.told[owner * told.length + i],
        0,
      );
  }

  /** Measures the own sums, and learns what the others measured of theirs. */
  async function measureSums() {
    /** @type {Tensors} */
    const wanted = Object.create(null);
    for (const { name, owner } of figures) if (owner === index) wanted[name] = scalars[name];
    await measure?.run(pick(measure, summands), wanted);
    for (const [i, { name, owner }] of figures.entries())
      if (owner === index) memory.figures[i] = floats(scalars[name])[0];
    await meet();
    for (const [i, { name }] of figures.entries()) floats(scalars[name])[0] = memory.figures[i];
  }

  /** Hands the next values of shared state to all. */
  async function broadcast() {
    const next = owners.map((owner) =>
      newRow(
        shared.flatMap(([input, one]) =>
          one.owner === owner ? [floats((owner === index ? spare : current)[input])] : [],
        ),
      ),
    );
    for (let piece = 0; piece < pieces(next); piece++) {
      const area = memory.areas[turn++ % 2];
      const [from, to] = [piece * memory.piece, (piece + 1) * memory.piece];
      // All read the same, so each writes to one place: that for the first of the others.
      const placeOf = (/** @type {number} */ owner) => slot(owner, owner === 0 ? 1 : 0);
      next[index].forParts(from, to, (part, at) => area.set(part, placeOf(index) + at));
      await meet();
      for (const other of others)
        next[other].forParts(from, to, (part, at) => {
          const start = placeOf(other) + at;
          part.set(area.subarray(start, start + part.length));
        });
    }
  }

  /** @type {Training["step"]} */
  async function takeStep([feeds], fetches, transfers) {
    if (isHalted) return { status: "skipped", results: new Map() };
    requireWhole(memory);
    const batch = toFeeds(feeds);
    await share.run(pick(share, current, batch), {
      ...summands,
      ...Object.fromEntries(told.map((name) => [name, scalars[name]])),
    });
    await sumUp();
    await measureSums();
    /** @type {Tensors} */
    const wanted = Object.create(null);
    for (const [input, { owner, next }] of state) if (owner === index) wanted[next] = spare[input];
    wanted[guard] = guarded;
    await update.run(pick(update, current, batch, summands, scalars), wanted);
    // The batch is of no use any more, and the next garbage collection may be far.
    for (const { data } of feeds.values()) if (data instanceof ArrayBuffer) discard(data);
    isHalted = guarded.data[0] === 0;
    // All computed the guard from the same numbers.
    if (!isHalted) {
      await broadcast();
      for (const input of Object.keys(spare))
        [current[input], spare[input]] = [spare[input], current[input]];
    }
    const results = new Map(
      [...new Set(fetches)].map((name) => {
        if (scalars[name] === undefined) throw new Error(`replicas do not tell "${name}"`);
        const copy = zeros([]);
        copyInto(copy, scalars[name]);
        return [name, fromTensor(copy, transfers)];
      }),
    );
    return { status: isHalted ? "refused" : "done", results };
  }

  return {
    async step(...ask) {
      try {
        return await takeStep(...ask);
      } catch (error) {
        // The others wait for this one, or will.
        fail(memory);
        throw error;
      }
    },

    async read(names = [...state.keys()], transfers) {
      const own = names.filter((name) => {
        const one = state.get(name);
        if (one === undefined) throw new Error(`"${name}" is no state`);
        return one.owner === index;
      });
      return new Map(
        own.map((name) => {
          const copy = emptyLike(current[name]);
          copyInto(copy, current[name]);
          return [name, fromTensor(copy, transfers)];
        }),
      );
    },

    async write(values) {
      for (const [name, tensor] of Object.entries(toFeeds(values))) {
        if (!state.has(name)) throw new Error(`"${name}" is no state`);
        if (current[name] !== undefined) copyInto(current[name], tensor);
      }
      isHalted = false;
    },
  };
}

/** @param {readonly number[]} shape @returns {ort.Tensor} */
function zeros(shape) {
  return new ort.Tensor("float32", new Float32Array(sizeOf(shape)), shape);
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
