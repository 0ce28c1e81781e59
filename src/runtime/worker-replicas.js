/**
 * @file Worker: replicas that train together. The first is in this thread; the others have threads of their own, which
 * run `worker.js` as this one does. Whoever asks this thread knows neither of them nor in which process it is.
 */
import { Worker } from "node:worker_threads";
import { enter, leave } from "./gate.js";
import { fail, newMemory, otherFailed } from "./replica-memory.js";

/**
 * @typedef {import("./protocol.ts").Calls} Calls
 * @typedef {import("./protocol.ts").Failure} Failure
 * @typedef {import("./protocol.ts").WireTensor} WireTensor
 * @typedef {import("./worker-training.js").Training} Training
 * @typedef {import("./worker-training.js").OpenTraining} OpenTraining
 */

/** Raised for what went wrong in the thread of another replica. */
export class ReplicaError extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The thread of another replica, and the calls that wait for its answer. */
class Helper {
  /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: Error) => void }>} */
  #pending = new Map();
  #nextId = 1;
  /** @type {Error | undefined} */
  #end;
  #worker;

  /** @param {Int32Array} gate @param {() => void} onEnd */
  constructor(gate, onEnd) {
    // The thread begins inside the gate, as it loads the native library first.
    enter(gate);
    let isLoading = true;
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), {
      execArgv: [],
      workerData: gate,
    });
    const endWith = (/** @type {string} */ message) => {
      if (isLoading) leave(gate);
      isLoading = false;
      this.#end ??= new Error(`the thread of a replica ended: ${message}`);
      for (const { reject } of this.#pending.values()) reject(this.#end);
      this.#pending.clear();
      onEnd();
    };
    this.#worker.on("error", (error) => endWith(String(error)));
    this.#worker.on("exit", (code) => endWith(`exit code ${code}`));
    this.#worker.on("message", ({ id, answer, failure }) => {
      isLoading = false;
      const call = this.#pending.get(id);
      this.#pending.delete(id);
      if (failure === undefined) call?.resolve(answer);
      else call?.reject(new ReplicaError(failure));
    });
  }

  /**
   * @template {import("./protocol.ts").CallName} K
   * @param {K} call @param {Calls[K]["ask"]} ask @param {readonly ArrayBuffer[]} [transfer]
   * @returns {Promise<Calls[K]["answer"]>}
   */
  call(call, ask, transfer = []) {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      const id = this.#nextId++;
      this.#worker.postMessage({ id, call, ask }, transfer);
      this.#pending.set(id, { resolve, reject });
    });
  }

  async terminate() {
    await this.#worker.terminate();
  }
}

/** A replica in another thread. */
class RemoteReplica {
  /** @param {Helper} helper @param {number} session */
  constructor(helper, session) {
    this.helper = helper;
    this.session = session;
  }
}

/**
 * Opens all replicas; `openOne` opens one in this thread.
 * @param {Calls["openReplicas"]["ask"]} ask @param {Int32Array} gate
 * @param {(ask: Calls["openReplica"]["ask"]) => Promise<OpenTraining>} openOne @returns {Promise<OpenTraining>}
 */
export async function openReplicas({ replicas, ...ask }, gate, openOne) {
  const count = replicas.length;
  for (const input of ask.initial.keys())
    if (!ask.exchange.state.has(input)) throw new Error(`"${input}" is no state`);
  const memory = newMemory(ask.exchange, count);
  const helpers = replicas.slice(1).map(() => new Helper(gate, () => fail(memory)));
  const end = async () => void (await Promise.all(helpers.map((helper) => helper.terminate())));
  const askOf = (/** @type {number} */ index) => {
    const initial = [...ask.initial].filter(([input]) => holds(ask.exchange, index, input));
    return { ...ask, index, count, models: replicas[index], memory, initial: new Map(initial) };
  };
  const opening = helpers.map(async (helper, i) => {
    const one = askOf(i + 1);
    const models = Object.values(one.models).filter((model) => model instanceof ArrayBuffer);
    // What all shares read is copied to each; the rest has one owner.
    const ownState = [...one.initial].filter(([input]) => !ask.exchange.state.get(input)?.isShared);
    const transfer = [...models, ...buffersOf(new Map(ownState))];
    const { session } = await helper.call("openReplica", one, transfer);
    return new RemoteReplica(helper, session);
  });
  const own = openOne(askOf(0));
  try {
    await firstFailure([own, ...opening]);
  } catch (error) {
    const [opened] = await Promise.allSettled([own]);
    if (opened.status === "fulfilled") await opened.value.release();
    await end();
    throw error;
  }
  const { training, release } = await own;
  const others = await Promise.all(opening);
  return {
    training: together(training, others),
    async release() {
      await release();
      const closing = others.map(({ helper, session }) => helper.call("close", { session }));
      // A thread that has ended has released everything already.
      await Promise.allSettled(closing);
      await end();
    },
  };
}

/** @param {Calls["openReplicas"]["ask"]["exchange"]} exchange @param {number} index @param {string} input */
function holds({ state }, index, input) {
  const one = state.get(input);
  return one !== undefined && (one.isShared || one.owner === index);
}

/** @param {Training} own @param {readonly RemoteReplica[]} others @returns {Training} */
function together(own, others) {
  return {
    async step([feeds, ...shares], fetches, transfers) {
      const steps = others.map(({ helper, session }, i) =>
        helper.call("step", { session, feeds: [shares[i]], fetches: [] }, buffersOf(shares[i])),
      );
      const first = own.step([feeds], fetches, transfers);
      await firstFailure([first, ...steps]);
      return first;
    },

    async read(names, transfers) {
      const reads = others.map(({ helper, session }) =>
        helper.call("readState", { session, names }),
      );
      const first = own.read(names, transfers);
      await firstFailure([first, ...reads]);
      const parts = await Promise.all([first, ...reads]);
      const all = new Map(parts.flatMap((part) => [...part]));
      for (const part of parts.slice(1)) transfers.push(...buffersOf(part));
      return all;
    },

    async write(state) {
      const writes = others.map(({ helper, session }) =>
        helper.call("writeState", { session, state }),
      );
      await firstFailure([own.write(state), ...writes]);
    },
  };
}

/** @param {ReadonlyMap<string, WireTensor>} tensors @returns {ArrayBuffer[]} */
function buffersOf(tensors) {
  const buffers = [...tensors.values()].flatMap(({ data }) =>
    data instanceof ArrayBuffer ? [data] : [],
  );
  return [...new Set(buffers)];
}

/**
 * Waits for all; rejects with the first that failed, or rather with what made the others fail.
 * @param {readonly Promise<unknown>[]} calls
 */
async function firstFailure(calls) {
  const results = await Promise.allSettled(calls);
  const errors = results.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
  if (errors.length === 0) return;
  throw errors.find(({ message }) => message !== otherFailed) ?? errors[0];
}
