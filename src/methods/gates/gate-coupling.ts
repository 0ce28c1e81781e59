/** @file The share of a filter's inputs that is still alive. */
import { channelOf, weightOf } from "../../ops/operator/linear-layer.ts";
import type { Structure } from "../../structure/units/units.ts";
import type { Gate } from "./filter-gates-sites.ts";

/**
 * For each unit of a gate the share of its incoming energy that the factors of earlier units leave:
 *
 *     Σ over inputs i of θ_i² ‖W[c, i]‖² / Σ over i of ‖W[c, i]‖²
 *
 * over all layers of the gate, with the weights of the structure's graph; 1 where there are none.
 *
 * @param factors θ of every unit, 1 where it has no gate.
 */
export function incomingShares(
  structure: Structure,
  { units, sites }: Gate,
  factors: Float64Array,
): Float64Array {
  const { graph, operands } = structure.analysis;
  const [alive, all] = [0, 1].map(() => new Float64Array(units.length));
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  for (const { layer, role, entries, selects } of sites) {
    // A selected feature is not computed from other units.
    if (selects !== undefined) continue;
    const node = nodes.get(layer);
    const own = node && operands.get(node);
    const constant = graph.constants.get(node?.inputs[role.weightInput] ?? "");
    const data = own?.inputs[role.dataInput];
    if (own === undefined || constant === undefined || !data) continue;
    const weight = weightOf(role, constant.read());
    const axis = role.dataAxis < 0 ? role.dataAxis + data.shape.length : role.dataAxis;
    const sources = structure.unitsAlong(own.layoutOf(data), axis);
    const { inputs, taps, values } = weight;
    for (const [o, entry] of entries.entries())
      for (let i = 0; i < inputs; i++) {
        const from = (o * inputs + i) * taps;
        const energy = values.subarray(from, from + taps).reduce((sum, w) => sum + w * w, 0);
        const unit = sources[channelOf(weight, o, i)];
        all[entry] += energy;
        alive[entry] += energy * (unit < 0 ? 1 : factors[unit] ** 2);
      }
  }
  return alive.map((energy, i) => (all[i] > 0 ? energy / all[i] : 1));
}
