/**
 * @file The support of a layer, and the messages between its bits (module B of Turbo-VBI).
 *
 * A layer's weights are seen as a matrix [rows, columns]: a row for each neuron or filter, with its
 * incoming weights along it, the taps of one kernel side by side.
 */
import {
  activeShare,
  addChainMessages,
  addGridMessages,
  type Flooding,
  logit,
  type PairCounts,
  sigmoid,
  type Transitions,
} from "./turbo-messages.ts";

/** The forms of the prior of the support. */
export const supportStructures = [
  "chain",
  "rows-columns",
  "grid",
  "kernel",
  "neuron",
  "iid",
] as const;

/**
 * - `chain`: a Markov chain along each neuron's incoming weights;
 * - `rows-columns`: such a chain, and one along each column, whose log odds add up;
 * - `grid`: a Markov random field of neighbours in rows and columns;
 * - `kernel`: one bit for the taps of a kernel, these in `rows-columns`;
 * - `neuron`: one bit for all incoming weights of a neuron, independent of others (in a layer whose neurons may
 *   not go, such as the last one's classes: `iid`);
 * - `iid`: one bit for each weight, independent of others.
 */
export type SupportStructure = (typeof supportStructures)[number];

/** A layer's support. */
export interface SupportLayout {
  readonly structure: SupportStructure;
  readonly rows: number;
  /** Inputs times taps. */
  readonly columns: number;
  /** Taps of a kernel; 1 for matrices. */
  readonly taps: number;
}

/** The number of adjacent weights of the matrix that share a bit. */
export function weightsPerBit({ structure, columns, taps }: SupportLayout): number {
  if (structure === "kernel") return taps;
  return structure === "neuron" ? columns : 1;
}

/** The messages to each bit from the others. */
export interface SupportMessages {
  /** The log odds of each bit without its own evidence. [bits] */
  readonly logits: Float64Array;
  /** The transitions that would be most probable now. */
  readonly learnt: Transitions;
}

/**
 * The extrinsic log odds of each bit, from all other bits and the prior.
 *
 * @param evidence Log odds of each bit from its own weights alone. [bits]
 * @param transitions For independent bits only their λ counts.
 */
export function supportMessages(
  layout: SupportLayout,
  evidence: Float64Array,
  transitions: Transitions,
  flooding: Flooding = {},
): SupportMessages {
  const { structure, rows } = layout;
  const columns = evidence.length / rows;
  const prior = logit(activeShare(transitions));
  const logits = new Float64Array(evidence.length).fill(prior);
  if (structure === "iid" || structure === "neuron") {
    const mean = evidence.reduce((sum, own) => sum + sigmoid(own + prior), 0) / evidence.length;
    return { logits, learnt: independent(mean) };
  }
  const pairs = new Float64Array(4);
  if (structure === "grid")
    addGridMessages(evidence, columns, transitions, logits, flooding, pairs);
  else {
    for (let row = 0; row < rows; row++) {
      const line = { offset: row * columns, stride: 1, length: columns };
      addChainMessages(evidence, line, transitions, logits, pairs);
    }
    if (structure !== "chain")
      for (let column = 0; column < columns; column++) {
        const line = { offset: column, stride: columns, length: rows };
        addChainMessages(evidence, line, transitions, logits, pairs);
      }
  }
  return { logits, learnt: transitionsOf(pairs) ?? transitions };
}

/** Bits of which a `share` is active, whatever their neighbours are. */
export function independent(share: number): Transitions {
  return { p01: share, p10: 1 - share };
}

/**
 * The transitions under which such numbers of neighbours are most probable (the M step of EM). Both
 * directions count alike: a line has no direction. `undefined` where there are no neighbours.
 */
export function transitionsOf([none, begins, ends, both]: PairCounts): Transitions | undefined {
  const changes = (begins + ends) / 2;
  const transitions = { p01: changes / (none + changes), p10: changes / (both + changes) };
  const isKnown = Number.isFinite(transitions.p01) && Number.isFinite(transitions.p10);
  return isKnown && changes > 0 ? transitions : undefined;
}
