/**
 * @file A layer of random weights under the prior of Turbo-VBI: support, then precisions, then weights.
 *
 * The hyper-parameters are free of scale. An active weight is of the size m of the largest fifth of its
 * layer (of its weights, or of its groups with one bit), an inactive one c times as large: ρ ~ Gamma(1, m²) or Gamma(1, (c m)²).
 */
import { EspalierError } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Structure } from "../../structure/units/units.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../../tensor/host-tensor.ts";
import {
  type NoiseForm,
  type VariationalWeight,
  variationalWeights,
} from "../variational/variational-layers.ts";
import { type WeightStart, weightStartOf } from "../variational/variational-start.ts";
import { digamma } from "./turbo-gamma.ts";
import { activeShare, type Transitions } from "./turbo-messages.ts";
import {
  type BeliefForm,
  type Beliefs,
  factorisedBeliefs,
  factorisedEvidence,
  firstBeliefs,
  jointBeliefs,
  jointEvidence,
  type PrecisionPrior,
} from "./turbo-precision.ts";
import {
  independent,
  type SupportLayout,
  type SupportStructure,
  supportMessages,
  weightsPerBit,
} from "./turbo-support.ts";

/** The ways to set the transitions: as given, with the length of clusters learnt, or learnt altogether. */
export const transitionForms = ["fixed", "length", "em"] as const;
/** One of {@link transitionForms}. */
export type TransitionForm = (typeof transitionForms)[number];

/** The prior of every layer, and the settings of the inference. */
export interface TurboPrior {
  readonly structure: SupportStructure;
  readonly form: BeliefForm;
  /** The shape d that a weight adds: ½ or 1. */
  readonly dof: number;
  /** Expected share of active weights, in (0, 1). */
  readonly density: number;
  /** Mean length of clusters of active weights, at least 1 / (1 - density). */
  readonly length: number;
  /** c: the size of inactive weights beside active ones, in (0, 1). */
  readonly contrast: number;
  readonly transitions: TransitionForm;
  /** Turns of q(s) and q(ρ) between messages, in the factorised form. */
  readonly turns: number;
  readonly noise: NoiseForm | "auto";
}

/** A random weight with its support. */
export interface TurboLayer extends VariationalWeight, Omit<WeightStart, "prior"> {
  readonly layout: SupportLayout;
  /** Place in the constant of each element of the matrix [rows, columns]; absent where they agree. */
  readonly places: Int32Array | undefined;
  readonly precisions: PrecisionPrior;
  readonly transitions: Transitions;
  /** Least share of active weights: with less, a weight of the size of active ones would be inactive. */
  readonly leastShare: number;
}

/** The beliefs about a layer, all in the order of its matrix. */
export interface LayerBeliefs extends Beliefs {
  readonly transitions: Transitions;
}

/** Share of a layer's bits from whose weights the size of active ones is taken. */
const largestShare = 0.2;

/**
 * The layers whose weights are random, in graph order; those of zeros alone are left out.
 * Fails with `MODEL_UNSUPPORTED` where there is none, `USAGE` where the prior contradicts itself.
 */
export function turboLayers(structure: Structure, prior: TurboPrior): readonly TurboLayer[] {
  const { graph } = structure.analysis;
  const layers = variationalWeights(structure, prior.noise).flatMap((own) => {
    const constant = graph.constants.get(own.weight);
    const values = constant ? toNumbers(constant.read()) : new Float64Array(1);
    if (!values.some((value) => value !== 0)) return [];
    const isFixed = prior.structure === "neuron" && !hasRemovable(structure, own);
    return [layerOf(graph, own, values, isFixed ? { ...prior, structure: "iid" } : prior)];
  });
  if (layers.length > 0) return layers;
  throw new EspalierError("MODEL_UNSUPPORTED", "no layer's weights could be random", {
    hint: "They are those of convolutions and matrix products, as constants of the graph.",
  });
}

/** Whether any neuron of a layer may be removed: those of the last layer, the classes, may not. */
function hasRemovable(
  { units, filterAxes }: Structure,
  { weight, filterAxis }: VariationalWeight,
): boolean {
  return filterAxes.some(
    ({ tensor, axis, units: own }) =>
      tensor === weight &&
      axis === filterAxis &&
      own.some((unit) => units[unit]?.reason === undefined),
  );
}

function layerOf(
  graph: Graph,
  own: VariationalWeight,
  values: Float64Array,
  { structure, form, dof, density, length, contrast }: TurboPrior,
): TurboLayer {
  const { shape, filterAxis, weight } = own;
  const taps = sizeOf(shape.slice(2));
  const [rows, columns] = [shape[filterAxis], shape[1 - filterAxis] * taps];
  const layout = { structure, rows, columns, taps };
  const places = filterAxis === 0 ? undefined : matrixPlaces(rows, columns, taps);
  const size = activeSize(toMatrix({ places }, values), weightsPerBit(layout));
  const precisions = precisionPrior(size, contrast, dof);
  const leastShare = leastActiveShare(form, precisions, weightsPerBit(layout));
  if (density < leastShare)
    throw new EspalierError(
      "USAGE",
      `with density=${density} and contrast=${contrast} even the largest weights of ${weight} would count as inactive`,
      {
        hint: `Give a density of at least ${leastShare.toPrecision(2)}, or a smaller contrast.`,
        data: { weight, density, contrast, leastDensity: leastShare },
      },
    );
  const isAlone = structure === "iid" || structure === "neuron";
  const p10 = 1 / length;
  const chain = { p01: (p10 * density) / (1 - density), p10 };
  const { deviation, limit } = weightStartOf(graph, own, {
    sigma: "weight",
    isPriorLearnt: false,
    memory: undefined,
  });
  return {
    ...own,
    deviation,
    limit,
    layout,
    places,
    precisions,
    leastShare,
    transitions: isAlone ? independent(density) : chain,
  };
}

/** Beliefs about precisions around a weight's size m. */
export function precisionPrior(size: number, contrast: number, dof: number): PrecisionPrior {
  const active = { shape: 1, rate: size ** 2 };
  return { active, inactive: { shape: 1, rate: (contrast * size) ** 2 }, dof };
}

/**
 * The share of active bits below which a bit is inactive though all its weights have the size of active
 * ones: where logit λ + Σ e < 0. For one weight and the joint form with d = ½ that is
 *
 *     logit λ < 2 ln c - 1.5 ln((c² + ½) / 1.5)
 */
export function leastActiveShare(
  form: BeliefForm,
  prior: PrecisionPrior,
  weightsPerBit: number,
): number {
  const { active, dof } = prior;
  const m2 = active.rate / active.shape;
  const [shape, rate] = [active.shape + dof, active.rate + dof * m2];
  const evidence =
    form !== "factorised"
      ? jointEvidence(prior)(m2)
      : factorisedEvidence(prior)(shape / rate, digamma(shape) - Math.log(rate));
  return 1 / (1 + Math.exp(weightsPerBit * evidence));
}

/** Root mean square of the weights that belong to the largest bits, above 0 where any weight is. */
function activeSize(values: Float64Array, weightsPerBit: number): number {
  const squares = new Float64Array(values.length / weightsPerBit);
  for (const [i, value] of values.entries()) squares[Math.floor(i / weightsPerBit)] += value ** 2;
  squares.sort();
  const largest = squares.subarray(Math.floor((1 - largestShare) * squares.length));
  return Math.sqrt(mean(largest) / weightsPerBit);
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Places of [row, input, tap] in a constant [input, row, tap]. */
function matrixPlaces(rows: number, columns: number, taps: number): Int32Array {
  const places = new Int32Array(rows * columns);
  for (let row = 0, i = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, i++) {
      const input = Math.floor(column / taps);
      places[i] = (input * rows + row) * taps + (column % taps);
    }
  return places;
}

/** Elements of a constant in the order of their matrix. */
export function toMatrix(
  { places }: Pick<TurboLayer, "places">,
  values: Float64Array,
): Float64Array {
  return places === undefined ? values : values.map((_, i) => values[places[i]]);
}

/** Elements of a matrix in the order of their constant. */
export function fromMatrix(
  { places }: Pick<TurboLayer, "places">,
  values: Float64Array,
): Float64Array {
  if (places === undefined) return values;
  const out = new Float64Array(values.length);
  for (const [i, value] of values.entries()) out[places[i]] = value;
  return out;
}

/** The number of times that transitions are learnt and messages are sent again. */
const learningSteps = 3;
/** The limits of learnt transitions. */
const [mostShare, leastChange] = [0.95, 0.005];
/** The share of the old messages in the new ones (damping), in the factorised form. */
const damping = 0.5;

/**
 * Messages over the support, then beliefs about bits and precisions, given q(w) = N(μ, σ²).
 *
 * @param moments μ and σ of each weight, in the layout of the constant.
 * @param isAlone Whether bits exchange no messages yet.
 * @param earlier Where the factorised form goes on, and transitions that were learnt.
 */
export function believe(
  layer: TurboLayer,
  how: Pick<TurboPrior, "form" | "transitions" | "turns">,
  moments: { readonly means: Float64Array; readonly deviations: Float64Array },
  earlier: LayerBeliefs | undefined,
  isAlone = false,
): LayerBeliefs {
  const { precisions: prior } = layer;
  const layout: SupportLayout = isAlone ? alone(layer.layout) : layer.layout;
  const bits = (layout.rows * layout.columns) / weightsPerBit(layer.layout);
  const { means, deviations } = moments;
  const squares = toMatrix(
    layer,
    means.map((mean) => mean ** 2),
  );
  const variances = toMatrix(
    layer,
    deviations.map((deviation) => deviation ** 2),
  );
  const secondMoments = squares.map((square, i) => square + variances[i]);
  const isJoint = how.form !== "factorised";
  const judged = how.form === "collapsed" ? squares : secondMoments;
  const before = isJoint
    ? jointBeliefs(prior, secondMoments, new Float64Array(bits), judged)
    : (earlier ?? firstBeliefs(prior, bits, secondMoments));
  let transitions = earlier?.transitions ?? layer.transitions;
  let messages = supportMessages(layout, before.evidence, transitions);
  if (how.transitions !== "fixed" && !isAlone)
    for (let step = 0; step < learningSteps; step++) {
      transitions = allowed(layer, how.transitions, messages.learnt);
      messages = supportMessages(layout, before.evidence, transitions);
    }
  if (isJoint)
    return { ...jointBeliefs(prior, secondMoments, messages.logits, judged), transitions };
  const toldBefore = earlier?.logits.map((own, bit) => own - earlier.evidence[bit]);
  const logits = toldBefore
    ? messages.logits.map((now, bit) => damping * toldBefore[bit] + (1 - damping) * now)
    : messages.logits;
  const beliefs = factorisedBeliefs(prior, secondMoments, logits, before, how.turns);
  return { ...beliefs, transitions };
}

/** The layout with the same bits, each independent of others. */
function alone(layout: SupportLayout): SupportLayout {
  return { ...layout, structure: weightsPerBit(layout) === 1 ? "iid" : "neuron" };
}

/** Learnt transitions, within limits; where only the length is learnt, with the share that was given. */
function allowed(
  { transitions: given, leastShare }: TurboLayer,
  form: TransitionForm,
  { p01, p10 }: Transitions,
): Transitions {
  const change = Math.min(1, Math.max(leastChange, p01 + p10));
  const wanted = activeShare(form === "length" ? given : { p01, p10 });
  const share = Math.min(mostShare, Math.max(leastShare, wanted));
  return { p01: change * share, p10: change * (1 - share) };
}

/** The deviations 1/√E[ρ] of the weights' prior, in the layout of the constant. */
export function priorDeviations(layer: TurboLayer, { precisions }: Beliefs): HostTensor {
  const deviations = fromMatrix(
    layer,
    precisions.map((precision) => 1 / Math.sqrt(precision)),
  );
  return tensorOf(layer.dtype, layer.shape, deviations);
}

/** A value of each weight's bit, such as its log odds of being active, in the order of the matrix. */
export function perWeight({ layout }: TurboLayer, bits: Float64Array): Float64Array {
  const width = weightsPerBit(layout);
  const weights = new Float64Array(layout.rows * layout.columns);
  return weights.map((_, i) => bits[Math.floor(i / width)]);
}

/** Checks that a prior is consistent. Fails with `USAGE`. */
export function requirePrior({ density, length, structure }: TurboPrior): void {
  const least = 1 / (1 - density);
  if (structure === "iid" || structure === "neuron" || length >= least) return;
  throw new EspalierError(
    "USAGE",
    `clusters of ${length} weights are shorter than those of independent ones`,
    {
      hint: `With density=${density} they have ${least.toPrecision(3)} or more.`,
      data: { option: "length" },
    },
  );
}
