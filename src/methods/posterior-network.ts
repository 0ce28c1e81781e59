/**
 * @file A posterior as a network: parameters that are drawn anew at every run of an ordinary ONNX file.
 *
 * The memory of a method that learns is the network with deviations in place of parameters, pruned like the network: 0
 * where a parameter is not random. The means are the parameters of the network as it is now: tuning after the removal
 * moves them, while deviations stay as they were learnt. To second order that is the mean-field posterior still: its
 * variance of a parameter, 1 over the curvature, does not depend on where the others stand. The means of gates are
 * folded into the parameters, so their deviations are relative to the means.
 *
 * A run draws once for all examples of its batch, so positions of an example see the same draw, as they
 * must before pooling; of a single example the distribution is that of draws of its own.
 */
import { type Constant, constantOf, type Graph, type Node, newNode } from "../ir/graph.ts";
import { freshNames } from "../ir/names.ts";
import { weightOf } from "../ops/operator/linear-layer.ts";
import { type Structure, structureOf } from "../structure/units/units.ts";
import { type HostTensor, sizeOf, tensorOf, toNumbers } from "../tensor/host-tensor.ts";
import { insertGates, scaleFilters } from "./gates/filter-gates.ts";
import { type Gate, type GateSite, gatesOf } from "./gates/filter-gates-sites.ts";
import type { GatePosterior } from "./gates/gate-posterior.ts";
import { variationalScales, variationalWeights } from "./variational/variational-layers.ts";

/** The network with w = μ + σ ε for the weights and scales of which `memory` holds σ. */
export function withRandomWeights(structure: Structure, memory: Graph): Graph {
  const { graph } = structure.analysis;
  const drawing = newDrawing(graph);
  const drawn = new Map(
    [...weightDeviations(structure, memory)].map(([weight, deviations]): [string, string] => [
      weight,
      drawing.draw(weight, weight, deviations),
    ]),
  );
  return drawing.build(graph, (name) => drawn.get(name) ?? name);
}

/**
 * σ of each element of the weights and scales of which `memory` holds it, by the name and in the layout
 * of the network's constant; 0 where the element is 0.
 */
export function weightDeviations(
  structure: Structure,
  memory: Graph,
): ReadonlyMap<string, HostTensor> {
  const { graph } = structure.analysis;
  const nodes = new Map(memory.nodes.map((node) => [node.name, node]));
  const weights = variationalWeights(structure, "weight");
  const found = new Map<string, HostTensor>();
  for (const { weight, shape, layers } of [...weights, ...variationalScales(structure, weights)]) {
    const [{ node, input }] = layers;
    const deviations = memory.constants.get(nodes.get(node)?.inputs[input] ?? "")?.read();
    if (deviations?.shape.join() !== shape.join()) continue;
    const values = toNumbers(deviations);
    // A weight that could not be random when the posterior was learnt is remembered by its value, which may be
    // negative.
    if (values.some((value) => value < 0) || values.every((value) => value === 0)) continue;
    const means = graph.constants.get(weight)?.read();
    found.set(weight, means ? certainAt0(deviations, means) : deviations);
  }
  return found;
}

/** Weights that were set to 0 are not drawn. */
function certainAt0(deviations: HostTensor, means: HostTensor): HostTensor {
  const own = toNumbers(means);
  return tensorOf(
    deviations.dtype,
    deviations.shape,
    toNumbers(deviations).map((value, i) => (own[i] === 0 ? 0 : value)),
  );
}

/** The network with θ = 1 + ρ ε behind the filters of which `memory` holds the relative deviation ρ. */
export function withRandomGates(structure: Structure, memory: Graph): Graph {
  const ratios = new Map(
    gatesOf(structureOf(memory)).flatMap(({ sites }) =>
      sites.map((site) => [site.layer, ratiosOf(memory, site)]),
    ),
  );
  const ratiosOfGate = ({ units, sites }: Gate): Float64Array => {
    const own = new Float64Array(units.length);
    for (const { layer, entries } of sites)
      for (const [channel, entry] of entries.entries())
        own[entry] = Math.max(own[entry], ratios.get(layer)?.[channel] ?? 0);
    return own;
  };
  const gates = gatesOf(structure).filter((gate) => ratiosOfGate(gate).some((ratio) => ratio > 0));
  const ones = ({ units }: Gate) => new Float64Array(units.length).fill(1);
  const { graph, names } = insertGates(structure.analysis.graph, gates, ones);
  const drawing = newDrawing(graph);
  const drawn = new Map(
    gates.map((gate, i): [string, string] => {
      const { dtype } = gate.sites[0];
      const ratio = tensorOf(dtype, [gate.units.length], ratiosOfGate(gate));
      return [names[i], drawing.draw(names[i], names[i], ratio)];
    }),
  );
  return drawing.build(graph, (name) => drawn.get(name) ?? name);
}

/** The largest relative deviation: a factor beyond it is pure noise, and its unit was kept only by a target. */
const largestRatio = 1;

/** The memory of gates: the network with ρ = σ/|μ| in place of all parameters that they could scale. */
export function gateMemory(
  structure: Structure,
  graph: Graph,
  posteriors: ReadonlyMap<Gate, GatePosterior>,
): Graph {
  const ratios = new Float64Array(structure.units.length);
  for (const [{ units }, { means, variances }] of posteriors)
    for (const [i, unit] of units.entries())
      ratios[unit] = Math.min(largestRatio, Math.sqrt(variances[i]) / Math.abs(means[i]));
  // Features that layers select are remembered as certain, because their gates share weights with those of filters.
  const gates = gatesOf(structure).filter(({ sites }) =>
    sites.every(({ selects }) => selects === undefined),
  );
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const constants = new Map<string, Constant>(graph.constants);
  for (const { sites } of gates)
    for (const { parameters } of sites)
      for (const { node, input } of parameters) {
        const old = graph.constants.get(nodes.get(node)?.inputs[input] ?? "");
        if (old === undefined) continue;
        const ones = new Float64Array(sizeOf(old.shape)).fill(1);
        constants.set(old.name, { ...old, read: () => tensorOf(old.dtype, old.shape, ones) });
      }
  return scaleFilters({ ...graph, constants }, gates, ({ units }) =>
    Float64Array.from(units, (unit) => ratios[unit]),
  );
}

/** ρ of each channel of a site, out of a network that {@link gateMemory} made. */
function ratiosOf(graph: Graph, { role, parameters }: GateSite): Float64Array {
  const [{ node: name, input, axis }] = parameters;
  const node = graph.nodes.find((candidate) => candidate.name === name);
  const constant = graph.constants.get(node?.inputs[input] ?? "");
  if (constant === undefined) return new Float64Array(0);
  const tensor = constant.read();
  if (axis === "filters") {
    const { values, inputs, taps } = weightOf(role, tensor);
    const firsts = values.filter((_, i) => i % (inputs * taps) === 0);
    return firsts.map((value) => value / role.weightFactor);
  }
  const inner = sizeOf(tensor.shape.slice(axis + 1));
  const values = toNumbers(tensor);
  return Float64Array.from({ length: tensor.shape[axis] }, (_, channel) => values[channel * inner]);
}

/** Collects the nodes that draw. */
interface Drawing {
  /** A value `mean` + deviations · ε; gives its name. */
  readonly draw: (stem: string, mean: string, deviations: HostTensor) => string;
  /** The graph whose nodes read other values in place of some. */
  readonly build: (graph: Graph, valueFor: (name: string) => string) => Graph;
}

function newDrawing(graph: Graph): Drawing {
  const fresh = freshNames(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const drawing: Node[] = [];
  const add = (opType: string, inputs: readonly string[], stem: string): string => {
    const output = fresh(stem);
    drawing.push(newNode(fresh(stem), opType, inputs, output));
    return output;
  };
  return {
    draw(stem, mean, deviations) {
      const deviation = fresh(`deviation/${stem}`);
      constants.set(deviation, constantOf(deviation, deviations));
      const normal = add("RandomNormalLike", [mean], `normal/${stem}`);
      return add("Add", [mean, add("Mul", [normal, deviation], `noise/${stem}`)], `drawn/${stem}`);
    },
    build: (graph, valueFor) => ({
      ...graph,
      constants,
      nodes: [
        ...drawing,
        ...graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(valueFor) })),
      ],
    }),
  };
}
