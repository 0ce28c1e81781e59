/** @file The scores that the trained factors of the method `importance` give each unit. */
import { assert } from "../../errors.ts";
import type { Graph } from "../../ir/graph.ts";
import { toNumbers } from "../../tensor/host-tensor.ts";
import type { Gate, GateSite } from "../gates/filter-gates-sites.ts";
import { filterNorms, overSites, relative, weightAt } from "./importance-start.ts";

/**
 * The strength of each channel, relative to its layer's mean: the norm of its filter, or the root mean square √(γ² +
 * β²) of the output of its normalization, each with the factor folded in. Neither changes when a filter is divided by
 * what its factor is multiplied with. One value for each unit of a gate, the mean over the layers that compute it.
 */
export function magnitudes(folded: Graph, gate: Gate): Float64Array {
  return overSites(gate, (site) => relative(strengthsAt(folded, site)));
}

/**
 * The size |a| of each factor, rescaled to filters as strong as before training: scale that training moved from factors
 * into filters is moved back. One value for each unit of a gate, the mean over the layers that compute it.
 *
 * @param before The network in which training began, without factors.
 */
export function absoluteFactors(folded: Graph, before: Graph, gate: Gate): Float64Array {
  return overSites(gate, (site) => {
    const old = strengthsAt(before, site);
    return strengthsAt(folded, site).map((strength, c) => (old[c] > 0 ? strength / old[c] : 0));
  });
}

/** The strength of each channel of a site. [C] */
function strengthsAt(graph: Graph, site: GateSite): Float64Array {
  if (site.batchNorm === undefined) {
    const weight = weightAt(graph, site);
    assert(weight !== undefined, "a site without normalization has a constant weight");
    return filterNorms(weight);
  }
  const { node: name, role } = site.batchNorm;
  const node = graph.nodes.find((candidate) => candidate.name === name);
  const read = (input: number) => {
    const constant = graph.constants.get(node?.inputs[input] ?? "");
    assert(constant !== undefined, "the parameters of a site are constants");
    return toNumbers(constant.read());
  };
  const shift = read(role.biasInput);
  return read(role.scaleInput).map((scale, c) => Math.hypot(scale, shift[c]));
}
