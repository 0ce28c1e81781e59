/** @file Scores from supports, and notes about them. */
import type { Graph } from "../../ir/graph.ts";
import type { Structure } from "../../structure/units/units.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import { inPercent } from "../../words/numbers.ts";
import { fromMatrix, type LayerBeliefs, perWeight, type TurboLayer } from "./turbo-layer.ts";
import { sigmoid } from "./turbo-messages.ts";
import type { Beliefs } from "./turbo-precision.ts";
import { weightsPerBit } from "./turbo-support.ts";

/** A weight below this share of its layer's root mean square counts as 0. */
const leastSize = 1e-3;
/** The score of such weights, below all log odds. */
const leastScore = -1e6;
/**
 * The weight of a weight's size in its score, which decides between equal log odds; for shares it counts in proportion.
 */
const sizeShare = 1e-6;

/** The support found in one layer. */
export interface SupportFacts {
  /** The constant's name. */
  readonly weight: string;
  readonly weights: number;
  /** The number of weights that are more probably active than not, and that do not count as 0. */
  readonly active: number;
  /** The number of runs of active weights along the incoming weights of a neuron. */
  readonly clusters: number;
  /** The number of neurons or filters, and of those without active weights. */
  readonly neurons: number;
  readonly empty: number;
}

/**
 * The log odds of each element of a weight being active, in the layout of its constant; where they are equal the larger
 * weight has more. Elements that count as 0 have the lowest scores.
 *
 * Where weights share bits, an active bit counts by its share of the log odds of all that outlast it in its layer,
 * as in LAMP: those of a layer are much alike, and would go all at once.
 */
export function weightScores(
  graph: Graph,
  layer: TurboLayer,
  { logits: bits }: Pick<Beliefs, "logits">,
): Float64Array {
  const logits = fromMatrix(layer, perWeight(layer, comparable(layer, bits)));
  const constant = graph.constants.get(layer.weight);
  const values = constant ? toNumbers(constant.read()) : logits;
  const squares = values.reduce((sum, value) => sum + value ** 2, 0);
  const rms = Math.sqrt(squares / values.length);
  const isShared = weightsPerBit(layer.layout) > 1;
  return logits.map((own, i) => {
    const size = rms > 0 ? Math.abs(values[i]) / rms : 0;
    const order = (sizeShare * size) / (1 + size);
    if (size < leastSize) return leastScore + order;
    return own + (isShared && own > 0 ? own * order : order);
  });
}

/** Log odds of active bits as shares in (0, 1] of those that are no lower, where bits are of several weights. */
function comparable({ layout }: TurboLayer, logits: Float64Array): Float64Array {
  if (weightsPerBit(layout) === 1) return logits;
  const shares = Float64Array.from(logits);
  const descending = [...logits.keys()].sort((a, b) => logits[b] - logits[a]);
  let sum = 0;
  for (const bit of descending) {
    if (logits[bit] <= 0) break;
    sum += logits[bit];
    shares[bit] = logits[bit] / sum;
  }
  return shares;
}

/**
 * The expected number of active weights that come into each unit, over all its filters; +∞ for units
 * without random weights.
 */
export function unitScores(
  structure: Structure,
  layers: readonly TurboLayer[],
  beliefs: readonly LayerBeliefs[],
): Float64Array {
  const scores = new Float64Array(structure.units.length).fill(Number.POSITIVE_INFINITY);
  for (const { node, input, tensor, axis, units } of structure.filterAxes) {
    const at = layers.findIndex(
      ({ weight, filterAxis, layers: own }) =>
        weight === tensor &&
        filterAxis === axis &&
        own.some((layer) => layer.node === node.name && layer.input === input),
    );
    if (at < 0) continue;
    const { columns } = layers[at].layout;
    const active = perWeight(layers[at], beliefs[at].logits).map(sigmoid);
    for (const [row, unit] of units.entries()) {
      const own = active.subarray(row * columns, (row + 1) * columns);
      const sum = own.reduce((total, chance) => total + chance, 0);
      scores[unit] = (Number.isFinite(scores[unit]) ? scores[unit] : 0) + sum;
    }
  }
  return scores;
}

/** The support of the elements with scores above 0: its density and its clusters. */
export function supportFacts(layer: TurboLayer, scores: Float64Array): SupportFacts {
  const { weight, layout, places } = layer;
  const { rows, columns } = layout;
  let [active, clusters, empty] = [0, 0, 0];
  for (let row = 0; row < rows; row++) {
    let [own, isInside] = [0, false];
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const isActive = scores[places?.[i] ?? i] > 0;
      if (isActive) own++;
      if (isActive && !isInside) clusters++;
      isInside = isActive;
    }
    active += own;
    if (own === 0) empty++;
  }
  return { weight, weights: rows * columns, active, clusters, neurons: rows, empty };
}

/** The number of layers that get a sentence of their own. */
const mostNotes = 12;

/** A sentence for each layer, those with most weights first where there are many, and one for all. */
export function supportNotes(facts: readonly SupportFacts[]): readonly string[] {
  const chosen = new Set([...facts].sort((a, b) => b.weights - a.weights).slice(0, mostNotes));
  const sum = (figureOf: (own: SupportFacts) => number) =>
    facts.reduce((total, own) => total + figureOf(own), 0);
  const [active, weights] = [sum((own) => own.active), sum((own) => own.weights)];
  return [
    `${active} of ${weights} weights are active (${inPercent(active / weights)})`,
    ...facts
      .filter((own) => chosen.has(own))
      .map((own) => {
        const length = own.clusters > 0 ? own.active / own.clusters : 0;
        return (
          `${own.weight}: ${inPercent(own.active / own.weights)} active, in ${own.clusters} clusters ` +
          `of ${length.toFixed(1)} on average, ${(own.clusters / own.neurons).toFixed(1)} a neuron; ` +
          `${own.empty} of ${own.neurons} neurons are empty`
        );
      }),
  ];
}
