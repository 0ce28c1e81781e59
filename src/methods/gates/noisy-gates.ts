/**
 * @file Random factors per filter: h_c ← θ_c h_c with θ_c = μ_c + σ_c ε, and a new ε for each example and
 * unit. All layers that compute a unit share its draw.
 */
import { assert } from "../../errors.ts";
import { type Graph, type Node, newNode } from "../../ir/graph.ts";
import type { Structure } from "../../structure/units/units.ts";
import { tensorOf } from "../../tensor/host-tensor.ts";
import { type Maker, makerOf } from "../variational/variational-noise.ts";
import { type GatedGraph, insertGates } from "./filter-gates.ts";
import type { Gate, GateSite } from "./filter-gates-sites.ts";
import { firstSpread, type GateForm, spreadLimits } from "./gate-posterior.ts";

/** A network with random gates in it; `names` are the constants with the means. */
export interface NoisyGraph extends GatedGraph {
  /** The constant with φ or ln α of each gate, in the order of the gates. [units] */
  readonly spreads: readonly string[];
}

/**
 * The gates that can be drawn once for each example: the values of all their sites begin with the same axis of
 * examples.
 */
export function randomizable(
  gates: readonly Gate[],
  { analysis: { inference } }: Structure,
): readonly Gate[] {
  const examplesOf = (value: string) => inference.types.get(value)?.shape?.[0];
  return gates.filter(({ sites: [first, ...others] }) => {
    const examples = examplesOf(first.value);
    return [first, ...others].every((s) => s.axis > 0 && examplesOf(s.value) === examples);
  });
}

/**
 * The network with random gates, which begin at μ = 1 with little noise. Every value keeps its name; what
 * `foldGates` gives back is the network at the means.
 */
export function insertNoisyGates(graph: Graph, gates: readonly Gate[], form: GateForm): NoisyGraph {
  const gated = insertGates(graph, gates, ({ units }) => new Float64Array(units.length).fill(1));
  const make = makerOf(gated.graph);
  const products = new Map(gated.graph.nodes.map((node) => [node.outputs[0], node]));
  const order = new Map([...products.keys()].map((value, place) => [value, place]));
  const before = new Map<Node, readonly Node[]>();
  const replaced = new Map<Node, Node>();
  const spreads = gates.map((gate, i) => {
    const [{ dtype }] = gate.sites;
    const first = new Float64Array(gate.units.length).fill(firstSpread);
    const spread = make.constant(
      `${gated.names[i]}/spread`,
      tensorOf(dtype, [gate.units.length], first),
    );
    // The first that is computed draws for all.
    const placeOf = (site: GateSite) => order.get(gated.products.get(site) ?? "") ?? 0;
    let draw: string | undefined;
    for (const site of [...gate.sites].sort((a, b) => placeOf(a) - placeOf(b))) {
      const product = products.get(gated.products.get(site) ?? "");
      assert(product !== undefined, "a gate multiplies the value of its site");
      const nodes: Node[] = [];
      const [ungated] = product.inputs;
      draw ??= drawFactors(make, nodes, {
        gate,
        form,
        mean: gated.names[i],
        spread,
        ungated,
        rank: site.rank,
      });
      const factors = aligned(make, nodes, site, gate, draw);
      before.set(product, nodes);
      replaced.set(product, { ...product, inputs: [ungated, factors] });
    }
    return spread;
  });
  const original = new Set(graph.nodes.map(({ name }) => name));
  const nodes = gated.graph.nodes.flatMap((node) => {
    const own = replaced.get(node);
    if (own !== undefined) return [...(before.get(node) ?? []), own];
    // The nodes that shaped a gate's constant for its sites have no reader any more.
    return original.has(node.name) ? [node] : [];
  });
  return { ...gated, spreads, graph: { ...gated.graph, nodes, constants: make.constants } };
}

/** θ for each example and unit: [N, units]. */
function drawFactors(
  make: Maker,
  nodes: Node[],
  drawing: {
    readonly gate: Gate;
    readonly form: GateForm;
    readonly mean: string;
    readonly spread: string;
    readonly ungated: string;
    readonly rank: number;
  },
): string {
  const { gate, form, mean, spread, ungated, rank } = drawing;
  const [{ dtype }] = gate.sites;
  const { least, most } = spreadLimits;
  const limits = [least, most].map((limit) => make.scalar(dtype, limit));
  const within = make.node(nodes, "Clip", [spread, ...limits]);
  const half = make.node(nodes, "Mul", [within, make.scalar(dtype, 0.5)]);
  const root = make.node(nodes, "Exp", [half]);
  const deviation = form === "gaussian" ? root : make.node(nodes, "Mul", [mean, root]);
  // One element of each example, broadcast to the units; only its shape is used.
  const rest = Array.from({ length: rank - 1 }, (_, i) => i + 1);
  const [starts, ends] = [0, 1].map((place) => make.ints(rest.map(() => place)));
  const corner = make.node(nodes, "Slice", [ungated, starts, ends, make.ints(rest)]);
  const flat = rank === 2 ? corner : make.node(nodes, "Reshape", [corner, make.ints([-1, 1])]);
  const wide = make.node(nodes, "Expand", [flat, make.ints([1, gate.units.length])]);
  const normal = make.node(nodes, "RandomNormalLike", [wide]);
  return make.node(nodes, "Add", [make.node(nodes, "Mul", [normal, deviation]), mean]);
}

/** The factors of a site's channels, in a shape that broadcasts to its value. */
function aligned(
  make: Maker,
  nodes: Node[],
  { entries, axis, rank }: GateSite,
  gate: Gate,
  draw: string,
): string {
  const isWhole = entries.length === gate.units.length && entries.every((entry, k) => entry === k);
  let factors = draw;
  if (!isWhole) {
    factors = make.fresh(`${draw}/units`);
    const gather = newNode(make.fresh(factors), "Gather", [draw, make.ints([...entries])], factors);
    nodes.push({ ...gather, attributes: new Map([["axis", { kind: "int", value: 1 }]]) });
  }
  if (rank === 2) return factors;
  const ones = (count: number) => Array.from({ length: count }, () => 1);
  const shape = [-1, ...ones(axis - 1), entries.length, ...ones(rank - 1 - axis)];
  return make.node(nodes, "Reshape", [factors, make.ints(shape)]);
}
