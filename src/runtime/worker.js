/**
 * @file The thread in which onnxruntime lives, of this process or of one of its own; the only code that calls it.
 *
 * Plain JavaScript, because Node starts this file by itself: from source (under tsx and vitest alike)
 * and from the build. Calls are served one after the other, so a timed run is never disturbed.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { enter, leave } from "./gate.js";
import { Replica } from "./worker-replica.js";
import { openReplicas, ReplicaError } from "./worker-replicas.js";
import {
  describe,
  discard,
  fromTensor,
  TypeFailure,
  toFeeds,
  typeFailureOf,
} from "./worker-tensors.js";
import { newTraining } from "./worker-training.js";

/**
 * @typedef {import("./protocol.ts").WireTensor} WireTensor
 * @typedef {import("./protocol.ts").WireValue} WireValue
 * @typedef {import("./protocol.ts").WireOptions} WireOptions
 * @typedef {import("./protocol.ts").WireModel} WireModel
 * @typedef {import("./protocol.ts").Failure} Failure
 * @typedef {import("./protocol.ts").Calls} Calls
 */

/**
 * @template {import("./protocol.ts").CallName} K
 * @typedef {(ask: Calls[K]["ask"]) => Promise<Calls[K]["answer"]>} Handler
 */

// onnxruntime writes to stderr on its own; what it has to say comes back as errors.
ort.env.logLevel = "fatal";
const silent = /** @type {const} */ (4);

/**
 * An open session, and the feeds that `time` runs it with.
 * @typedef {object} Open
 * @property {ort.InferenceSession} session
 * @property {Record<string, ort.Tensor>} held
 */

/** @type {Map<number, Open>} */
const sessions = new Map();
/** Sessions with state. @type {Map<number, import("./worker-training.js").OpenTraining>} */
const trainings = new Map();
let nextSession = 1;

/** Raised for a provider that is not there, so that the caller can tell it from a bad model. */
class ProviderError extends Error {
  /** @param {string} provider @param {string} message */
  constructor(provider, message) {
    super(message);
    this.provider = provider;
  }
}

/** @type {Int32Array} */
const gate = workerData;
leave(gate);

/**
 * Every call into onnxruntime goes through here.
 * @template T
 * @param {() => Promise<T>} call
 */
async function natively(call) {
  enter(gate);
  try {
    return await call();
  } finally {
    leave(gate);
  }
}

function providerNames() {
  return ort.listSupportedBackends().map((backend) => backend.name);
}

/**
 * @param {WireModel} model @param {WireOptions} options
 * @param {{ readonly profilePrefix?: string, readonly trains?: boolean }} [use]
 */
async function create(model, options, { profilePrefix, trains = false } = {}) {
  const available = providerNames();
  for (const provider of options.providers)
    if (!available.includes(provider)) throw new ProviderError(provider, "not in this build");
  /** @type {ort.InferenceSession.SessionOptions} */
  const settings = {
    executionProviders: [...options.providers],
    graphOptimizationLevel: options.optimization,
    logSeverityLevel: silent,
    // Sessions take turns in this thread; threads that spin after a run would slow the next session's.
    extra: { session: { force_spinning_stop: "1" } },
  };
  // After the first run onnxruntime plans one block for all values of a run, beside the blocks of that run, which it
  // keeps. The many large values of a training step would then lie in memory almost twice.
  if (trains) settings.enableMemPattern = false;
  if (options.threads !== undefined) settings.intraOpNumThreads = options.threads;
  if (profilePrefix !== undefined) {
    settings.enableProfiling = true;
    settings.profileFilePrefix = profilePrefix;
  }
  try {
    const source = typeof model === "string" ? model : new Uint8Array(model);
    // Two overloads, one call: the source is of either type.
    const create = () => ort.InferenceSession.create(/** @type {any} */ (source), settings);
    return await natively(create);
  } catch (error) {
    const message = messageOf(error);
    const refused = options.providers.find((provider) => refusedBy(provider, message));
    throw refused === undefined ? typeFailureOf(error) : new ProviderError(refused, message);
  } finally {
    if (typeof model !== "string") discard(model);
  }
}

/** True where the message says that `provider` cannot start here (no library, no adapter). */
function refusedBy(/** @type {string} */ provider, /** @type {string} */ message) {
  if (provider === "cpu") return false;
  return new RegExp(
    `ExecutionProvider_${provider}|providers[/_]${provider}|${provider} adapter`,
    "i",
  ).test(message);
}

/** @param {number} id @returns {Open} */
function opened(id) {
  const entry = sessions.get(id);
  if (entry === undefined) throw new Error("the session is closed");
  return entry;
}

/** @param {number} id */
function trainingOf(id) {
  const open = trainings.get(id);
  if (open === undefined) throw new Error("the session is closed, or holds no state");
  return open.training;
}

/** @param {Pick<Open, "session" | "held">} entry */
function runHeld({ session, held }) {
  return natively(() => session.run(held, { logSeverityLevel: silent }));
}

/** @typedef {import("./worker-training.js").Stage} Stage */
/** @typedef {import("./worker-training.js").OpenTraining} OpenTraining */

/** Sessions that a step runs one after the other. @param {readonly WireModel[]} models @param {WireOptions} options */
async function openStages(models, options) {
  /** @type {Stage[]} */
  const stages = [];
  try {
    for (const model of models) {
      const session = await create(model, options, { trains: true });
      stages.push({
        inputNames: session.inputNames,
        run: (feeds, fetches) =>
          natively(() => session.run(feeds, fetches, { logSeverityLevel: silent })),
        release: () => natively(() => session.release()),
      });
    }
  } catch (error) {
    await releaseAll(stages);
    throw error;
  }
  return stages;
}

/** @param {readonly Stage[]} stages */
async function releaseAll(stages) {
  for (const { release } of stages) await release();
}

/**
 * The state of stages, which are released with it, or at once where there can be no state.
 * @param {readonly Stage[]} stages @param {() => import("./worker-training.js").Training} begin @returns {Promise<OpenTraining>}
 */
async function stateOf(stages, begin) {
  try {
    return { training: begin(), release: () => releaseAll(stages) };
  } catch (error) {
    await releaseAll(stages);
    throw error;
  }
}

/** @param {Calls["openReplica"]["ask"]} ask */
async function openReplica(ask) {
  const { share, measure, update } = ask.models;
  const models = [share, update, ...(measure === undefined ? [] : [measure])];
  const stages = await openStages(models, ask.options);
  return stateOf(stages, () => new Replica(stages, ask));
}

/** @param {OpenTraining} training */
function register(training) {
  const id = nextSession++;
  trainings.set(id, training);
  return { session: id };
}

/** Buffers of the answer at hand that change owner with it. @type {ArrayBuffer[]} */
let transfers = [];

/** @type {{ [K in import("./protocol.ts").CallName]: Handler<K> }} */
const handlers = {
  async providers() {
    return providerNames();
  },

  async open({ model, options }) {
    const session = await create(model, options);
    try {
      const inputs = describe(session.inputMetadata);
      const outputs = describe(session.outputMetadata);
      const id = nextSession++;
      sessions.set(id, { session, held: {} });
      return { session: id, inputs, outputs };
    } catch (error) {
      await natively(() => session.release());
      throw error;
    }
  },

  async run({ session: id, feeds, fetches }) {
    const { session } = opened(id);
    const options = { logSeverityLevel: silent };
    const tensors = toFeeds(feeds);
    const results =
      fetches === undefined
        ? await natively(() => session.run(tensors, options))
        : await natively(() => session.run(tensors, fetches, options));
    return new Map(
      Object.entries(results).map(([name, tensor]) => [name, fromTensor(tensor, transfers)]),
    );
  },

  async openTraining({ model, options, ...ask }) {
    const [stage] = await openStages([model], options);
    return register(await stateOf([stage], () => newTraining(stage.run, ask)));
  },

  async openReplicas(ask) {
    return register(await openReplicas(ask, gate, openReplica));
  },

  async openReplica(ask) {
    return register(await openReplica(ask));
  },

  async step({ session, feeds, fetches }) {
    return trainingOf(session).step(feeds, fetches, transfers);
  },

  async readState({ session, names }) {
    return trainingOf(session).read(names, transfers);
  },

  async writeState({ session, state }) {
    await trainingOf(session).write(state);
    return null;
  },

  async hold({ session, feeds }) {
    opened(session).held = toFeeds(feeds);
    return null;
  },

  async time({ session, runs, warmup }) {
    const entry = opened(session);
    const times = new Float64Array(runs);
    for (let i = 0; i < warmup; i++) await runHeld(entry);
    for (let i = 0; i < runs; i++) {
      const start = performance.now();
      await runHeld(entry);
      times[i] = performance.now() - start;
    }
    transfers.push(times.buffer);
    return times;
  },

  async profile({ model, options, feeds, runs, warmup }) {
    // onnxruntime hands a profile out as a file only.
    const folder = mkdtempSync(join(tmpdir(), "espalier-profile-"));
    try {
      const session = await create(model, options, { profilePrefix: join(folder, "profile") });
      try {
        const held = toFeeds(feeds);
        for (let i = 0; i < warmup + runs; i++) await runHeld({ session, held });
        await natively(async () => session.endProfiling());
      } finally {
        await natively(() => session.release());
      }
      const [file] = readdirSync(folder);
      return nodeTimes(JSON.parse(readFileSync(join(folder, file), "utf8")), runs);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  async close({ session: id }) {
    const [entry, training] = [sessions.get(id), trainings.get(id)];
    sessions.delete(id);
    trainings.delete(id);
    if (entry !== undefined) await natively(() => entry.session.release());
    await training?.release();
    return null;
  },
};

/**
 * Mean and median time of each node over the last `runs` runs, in the order in which they ran.
 * @param {{ cat: string, name: string, dur: number, args?: { op_name?: string } }[]} events
 * @param {number} runs
 */
function nodeTimes(events, runs) {
  /** @type {Map<string, { opType: string, durations: number[] }>} */
  const nodes = new Map();
  const suffix = "_kernel_time";
  for (const { cat, name, dur, args } of events) {
    if (cat !== "Node" || !name.endsWith(suffix)) continue;
    const key = name.slice(0, -suffix.length);
    const node = nodes.get(key) ?? { opType: args?.op_name ?? "", durations: [] };
    node.durations.push(dur);
    nodes.set(key, node);
  }
  return [...nodes].map(([name, { opType, durations }]) => {
    const last = durations.slice(-runs);
    const middle = last.toSorted((a, b) => a - b)[Math.floor(last.length / 2)];
    const mean = last.reduce((sum, us) => sum + us, 0) / last.length;
    return { name, opType, ms: mean / 1000, medianMs: middle / 1000 };
  });
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** @param {unknown} error @returns {Failure} */
function failureOf(error) {
  const message = messageOf(error);
  if (error instanceof ReplicaError) return error.failure;
  if (error instanceof TypeFailure) return { kind: "type", message };
  if (!(error instanceof ProviderError)) return { kind: "failed", message };
  return { kind: "provider", provider: error.provider, available: providerNames(), message };
}

/** @param {import("./protocol.ts").Request} request */
async function serve({ id, call, ask }) {
  try {
    // One request's `call` and `ask` belong together, which the index type cannot say.
    const answer = await handlers[call](/** @type {never} */ (ask));
    parentPort?.postMessage({ id, answer }, transfers);
  } catch (error) {
    parentPort?.postMessage({ id, failure: failureOf(error) });
  }
  transfers = [];
}

/** @type {Promise<void>} */
let queue = Promise.resolve();
parentPort?.on("message", (request) => {
  queue = queue.then(() => serve(request));
});
