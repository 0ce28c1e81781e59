/**
 * @file Worker: a session whose state stays here. What a step computes becomes what the next step
 * reads, in two sets of buffers that change roles: onnxruntime writes into the one while it reads the
 * other, so that nothing is allocated, copied or posted per step.
 */
import * as ort from "onnxruntime-node";
import { discard, fromTensor, toFeeds } from "./worker-tensors.js";

/**
 * @typedef {import("./protocol.ts").WireTensor} WireTensor
 * @typedef {ReadonlyMap<string, WireTensor>} WireFeeds
 * @typedef {import("./protocol.ts").Calls["step"]["answer"]} StepAnswer
 * @typedef {import("./protocol.ts").Calls["openTraining"]["ask"]} TrainingAsk
 * @typedef {(feeds: Record<string, ort.Tensor>, fetches: Record<string, ort.Tensor | null>) => Promise<ort.InferenceSession.ReturnType>} Run
 */

/**
 * A loaded graph that a step runs.
 * @typedef {object} Stage
 * @property {readonly string[]} inputNames
 * @property {Run} run
 * @property {() => Promise<void>} release
 */

/**
 * @typedef {object} Training
 * @property {(feeds: readonly WireFeeds[], fetches: readonly string[], transfers: ArrayBuffer[]) => Promise<StepAnswer>} step
 * @property {(names: readonly string[] | undefined, transfers: ArrayBuffer[]) => Promise<Map<string, WireTensor>>} read
 * @property {(state: WireFeeds) => Promise<void>} write
 */

/** @typedef {{ readonly training: Training, readonly release: () => Promise<void> }} OpenTraining */

/**
 * State of a session that `run` runs.
 * @param {Run} run @param {Pick<TrainingAsk, "state" | "initial" | "guard">} ask @returns {Training}
 */
export function newTraining(run, { state, initial, guard }) {
  /** What the next step reads, by input. */
  let current = toFeeds(initial);
  /** Where the next step writes, by input. @type {Record<string, ort.Tensor>} */
  let spare = Object.create(null);
  let isHalted = false;
  for (const input of state.keys()) {
    if (current[input] === undefined) throw new Error(`the state "${input}" has no initial value`);
    spare[input] = emptyLike(current[input]);
  }
  for (const input of Object.keys(current))
    if (!state.has(input)) throw new Error(`"${input}" is no state`);

  return {
    async step([feeds], fetches, transfers) {
      if (isHalted) return { status: "skipped", results: new Map() };
      // A name asked for twice has one buffer, which can be posted once only.
      const names = [...new Set(fetches)];
      /** @type {Record<string, ort.Tensor | null>} */
      const wanted = Object.create(null);
      for (const [input, output] of state) wanted[output] = spare[input];
      for (const name of names) wanted[name] = null;
      if (guard !== undefined) wanted[guard] = null;
      const results = await run(Object.assign(toFeeds(feeds), current), wanted);
      // The batch is of no use any more, and the next garbage collection may be far.
      for (const { data } of feeds.values()) if (data instanceof ArrayBuffer) discard(data);
      isHalted = guard !== undefined && !results[guard].data[0];
      if (!isHalted) [current, spare] = [spare, current];
      return {
        status: isHalted ? "refused" : "done",
        results: new Map(names.map((name) => [name, fromTensor(results[name], transfers)])),
      };
    },

    async read(names = [...state.keys()], transfers) {
      return new Map(
        names.map((name) => {
          if (current[name] === undefined) throw new Error(`"${name}" is no state`);
          const copy = emptyLike(current[name]);
          copyInto(copy, current[name]);
          return [name, fromTensor(copy, transfers)];
        }),
      );
    },

    async write(values) {
      for (const [name, tensor] of Object.entries(toFeeds(values))) {
        const own = current[name];
        if (own === undefined) throw new Error(`"${name}" is no state`);
        overwrite(name, own, tensor);
      }
      isHalted = false;
    },
  };
}

/** @param {ort.Tensor} tensor @returns {ort.Tensor} */
export function emptyLike({ type, dims, data }) {
  if (Array.isArray(data)) throw new Error("text is no state");
  const Elements = /** @type {any} */ (data.constructor);
  return new /** @type {any} */ (ort.Tensor)(type, new Elements(data.length), dims);
}

/** Gives a state another value. @param {string} name @param {ort.Tensor} own @param {ort.Tensor} tensor */
export function overwrite(name, own, tensor) {
  if (own.type !== tensor.type || own.dims.join() !== tensor.dims.join())
    throw new Error(`"${name}" is ${own.type} [${own.dims}], not ${tensor.type} [${tensor.dims}]`);
  copyInto(own, tensor);
}

/** @param {ort.Tensor} to @param {ort.Tensor} from */
export function copyInto(to, from) {
  // Both have one element type, so both arrays are of one kind.
  /** @type {any} */ (to.data).set(from.data);
}
