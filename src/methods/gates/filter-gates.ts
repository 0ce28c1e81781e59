/** @file Factors per filter: inserted into a network, trained there, and folded into its parameters again. */
import { assert } from "../../errors.ts";
import { type Constant, constantOf, type Graph, type Node, newNode } from "../../ir/graph.ts";
import { freePrefix, freshNames } from "../../ir/names.ts";
import { storedWeight, weightOf } from "../../ops/operator/linear-layer.ts";
import {
  type HostTensor,
  int64Vector,
  sizeOf,
  tensorOf,
  toNumbers,
} from "../../tensor/host-tensor.ts";
import type { Gate, GatedParameter, GateSite } from "./filter-gates-sites.ts";

/** A network with gates in it. */
export interface GatedGraph {
  readonly graph: Graph;
  /** The constant that holds the factors of each gate, in the order of the gates. */
  readonly names: readonly string[];
  /** A prefix that the names of all gates have, and those of no other constant. */
  readonly prefix: string;
  /** The name of each site's product. */
  readonly products: ReadonlyMap<GateSite, string>;
}

/**
 * The network with a product by factors at every site: one constant [units] for each gate, from which a site takes the
 * factors of its channels. Every value keeps its name; a site's value is the product, except where a layer selects its
 * inputs: there only this layer reads the product.
 *
 * @param values The factors of a gate, one for each unit; 1 changes nothing.
 */
export function insertGates(
  graph: Graph,
  gates: readonly Gate[],
  values: (gate: Gate) => ArrayLike<number>,
): GatedGraph {
  const fresh = freshNames(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const constant = (stem: string, tensor: HostTensor): string => {
    const name = fresh(stem);
    constants.set(name, constantOf(name, tensor));
    return name;
  };
  const prefix = freePrefix(graph, "gate/");
  const behind = new Map<string, ProductBehind>();
  const before = new Map<string, ProductBefore>();
  const products = new Map<GateSite, string>();
  const names = gates.map((gate, i) => {
    const [{ dtype }] = gate.sites;
    const name = constant(`${prefix}${i}`, tensorOf(dtype, [gate.units.length], values(gate)));
    for (const site of gate.sites) {
      const { value, entries, axis, rank, selects, layer } = site;
      const nodes: Node[] = [];
      const add = (opType: string, inputs: readonly string[], output: string): string => {
        nodes.push(newNode(fresh(`${value}/${opType}`), opType, inputs, output));
        return output;
      };
      let factors = name;
      if (entries.length !== gate.units.length || entries.some((entry, k) => entry !== k)) {
        const indices = constant(`${value}/units`, int64Vector(entries));
        factors = add("Gather", [factors, indices], fresh(`${value}/factors`));
      }
      if (axis < rank - 1) {
        const ones = Array.from({ length: rank - 1 - axis }, () => 1);
        const shape = constant(`${value}/shape`, int64Vector([entries.length, ...ones]));
        factors = add("Reshape", [factors, shape], fresh(`${value}/aligned`));
      }
      if (selects !== undefined) {
        const own = before.get(layer);
        const gated = add("Mul", [value, factors], fresh(`${value}/gated`));
        before.set(layer, {
          inputs: new Map(own?.inputs).set(selects, gated),
          nodes: [...(own?.nodes ?? []), ...nodes],
        });
        products.set(site, gated);
        continue;
      }
      const ungated = fresh(`${value}/ungated`);
      products.set(site, add("Mul", [ungated, factors], value));
      behind.set(value, { ungated, nodes });
    }
    return name;
  });
  const nodes = withProducts(graph.nodes, behind, before);
  return { graph: { ...graph, nodes, constants }, names, prefix, products };
}

/** Nodes that multiply a value behind the node that computes it; that node's own result gets a new name. */
interface ProductBehind {
  readonly ungated: string;
  readonly nodes: readonly Node[];
}

/** Nodes that multiply what a layer reads, and the product at each of its inputs. */
interface ProductBefore {
  readonly inputs: ReadonlyMap<number, string>;
  readonly nodes: readonly Node[];
}

/** The nodes with products among them: `behind` by the value that they multiply, `before` by the layer that reads them. */
function withProducts(
  nodes: readonly Node[],
  behind: ReadonlyMap<string, ProductBehind>,
  before: ReadonlyMap<string, ProductBefore>,
): readonly Node[] {
  return nodes.flatMap((node) => {
    const selected = before.get(node.name);
    const inputs = node.inputs.map((name, i) => selected?.inputs.get(i) ?? name);
    const reading = selected ? [...selected.nodes, { ...node, inputs }] : [node];
    const gated = behind.get(node.outputs[0]);
    if (gated === undefined) return reading;
    const outputs = node.outputs.with(0, gated.ungated);
    return [...reading.slice(0, -1), { ...reading[reading.length - 1], outputs }, ...gated.nodes];
  });
}

/**
 * The trained network without its gates, which are folded into the parameters before them: the same
 * function up to rounding, with the nodes and values of `original`, into which the gates were put.
 *
 * @param trained The gated network with other constants, or with constants of their own for nodes
 *   that shared one.
 */
export function foldGates(
  original: Graph,
  trained: Graph,
  gates: readonly Gate[],
  names: readonly string[],
): Graph {
  const before = new Map(original.nodes.map((node) => [node.name, node]));
  const nodes = trained.nodes.flatMap((node): Node[] => {
    const own = before.get(node.name);
    if (own === undefined) return [];
    // Inputs of a node are those of the original again, except constants, which training may have changed.
    const inputs = own.inputs.map((name, i) =>
      original.constants.has(name) ? node.inputs[i] : name,
    );
    const isSame = inputs.every((name, i) => name === own.inputs[i]);
    return [isSame ? own : { ...node, inputs, outputs: own.outputs }];
  });
  const live = new Set(nodes.flatMap(({ inputs, captures }) => [...inputs, ...captures]));
  const constants = [...trained.constants].filter(
    ([name]) => original.constants.has(name) || live.has(name),
  );
  const restored = { ...original, nodes, constants: new Map(constants) };
  const values = new Map(
    gates.map((gate, i) => {
      const constant = trained.constants.get(names[i]);
      assert(constant !== undefined, "training keeps the gates");
      return [gate, toNumbers(constant.read())];
    }),
  );
  return scaleFilters(restored, gates, (gate) => values.get(gate) ?? []);
}

/**
 * The network with every site's value multiplied by factors, through the parameters that compute it.
 * A constant that other nodes need as it is, or with other factors, is copied.
 */
export function scaleFilters(
  graph: Graph,
  gates: readonly Gate[],
  factors: (gate: Gate) => ArrayLike<number>,
): Graph {
  const changes = changesTo(graph, gates, factors);
  const uses = new Map<string, number>();
  for (const { inputs, captures } of graph.nodes)
    for (const name of [...inputs, ...captures]) uses.set(name, (uses.get(name) ?? 0) + 1);
  const fresh = freshNames(graph);
  const constants = new Map<string, Constant>(graph.constants);
  const renamed = new Map<string, Map<number, string>>();
  for (const [name, own] of changes) {
    const old = graph.constants.get(name);
    assert(old !== undefined, "a gated parameter is a constant");
    const scaled = new Map(own.map((change) => [change.key, change]));
    let isFree = own.length === uses.get(name) && !graph.outputs.includes(name);
    for (const { key, scale } of scaled.values()) {
      const tensor = scale(old.read());
      if (isFree) {
        isFree = false;
        constants.set(name, { ...old, read: () => tensor });
        continue;
      }
      const copy = fresh(name);
      constants.set(copy, constantOf(copy, tensor));
      for (const { parameter } of own.filter((change) => change.key === key)) {
        const inputs = renamed.get(parameter.node) ?? new Map();
        renamed.set(parameter.node, inputs.set(parameter.input, copy));
      }
    }
  }
  const nodes = graph.nodes.map((node) => {
    const inputs = renamed.get(node.name);
    if (inputs === undefined) return node;
    return { ...node, inputs: node.inputs.map((name, i) => inputs.get(i) ?? name) };
  });
  return { ...graph, nodes, constants };
}

/** The change to one use of a constant. Equal keys mean equal contents. */
interface Change {
  readonly key: string;
  readonly parameter: GatedParameter;
  readonly scale: (tensor: HostTensor) => HostTensor;
}

/** The changes to each constant, by name; one for each use. */
function changesTo(
  graph: Graph,
  gates: readonly Gate[],
  factors: (gate: Gate) => ArrayLike<number>,
): ReadonlyMap<string, readonly Change[]> {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const changes = new Map<string, Change[]>();
  for (const [i, gate] of gates.entries()) {
    const values = factors(gate);
    for (const site of gate.sites) {
      const perChannel = Float64Array.from(site.entries, (entry) => values[entry]);
      for (const parameter of site.parameters) {
        const name = nodes.get(parameter.node)?.inputs[parameter.input] ?? "";
        const key = `${i} ${parameter.axis} ${site.entries.join()}`;
        const scale = (tensor: HostTensor) => scaled(tensor, site, parameter, perChannel);
        const known = changes.get(name) ?? [];
        const isSameUse = ({ parameter: { node, input } }: Change) =>
          node === parameter.node && input === parameter.input;
        const others = known.filter((change) => !isSameUse(change));
        // Both rows and columns are multiplied in a layer that selects what it reads.
        const both = known.filter(isSameUse).reduce<Change>(
          (after, { key: first, scale: before }) => ({
            key: `${first}, ${after.key}`,
            parameter,
            scale: (tensor) => after.scale(before(tensor)),
          }),
          { key, parameter, scale },
        );
        changes.set(name, [...others, both]);
      }
    }
  }
  return changes;
}

function scaled(
  tensor: HostTensor,
  { role }: GateSite,
  { axis }: GatedParameter,
  factors: Float64Array,
): HostTensor {
  if (axis === "filters") {
    const { values, inputs, taps } = weightOf(role, tensor);
    const perFilter = inputs * taps;
    const product = values.map((value, i) => value * factors[Math.floor(i / perFilter)]);
    return storedWeight(role, tensor, product);
  }
  const inner = sizeOf(tensor.shape.slice(axis + 1));
  const numbers = toNumbers(tensor).map(
    (value, i) => value * factors[Math.floor(i / inner) % factors.length],
  );
  return tensorOf(tensor.dtype, tensor.shape, numbers);
}
