/** @file Scores and notes about units, from the posteriors of their gates. */
import type { Structure } from "../../structure/units/units.ts";
import type { PosteriorFacts } from "../method/learned-method.ts";
import { type MethodContext, unscoredNotes } from "../method/method.ts";
import type { Gate } from "./filter-gates-sites.ts";
import type { Lambda } from "./gate-lambda.ts";
import { type GatePosterior, gateKl, snrSquared } from "./gate-posterior.ts";

/** The largest number of groups that a sentence names. */
const mostNamed = 8;

/** μ²/σ² of every unit; infinite where no gate stands. */
export function gateScores(
  { units }: Structure,
  posteriors: ReadonlyMap<Gate, GatePosterior>,
): Float64Array {
  const scores = new Float64Array(units.length).fill(Number.POSITIVE_INFINITY);
  for (const [gate, posterior] of posteriors)
    for (const [i, ratio] of snrSquared(posterior).entries()) scores[gate.units[i]] = ratio;
  return scores;
}

/**
 * The loss that closing a gate causes, in nats over all data: λ A μ²/(2 σ²). For a loss that is quadratic in the gate,
 * whose optimum is that of `gate-posterior.ts` with k > 1, the expected loss rises by λ A (k - 1)/2 when it closes, and
 * μ²/σ² is k - 1. Infinite where no gate stands.
 *
 * @param weights λ A of the units of each gate.
 */
export function gateLosses(
  { units }: Structure,
  posteriors: ReadonlyMap<Gate, GatePosterior>,
  weights: (gate: Gate) => Float64Array,
): Float64Array {
  const losses = new Float64Array(units.length).fill(Number.POSITIVE_INFINITY);
  for (const [gate, posterior] of posteriors) {
    const own = weights(gate);
    for (const [i, ratio] of snrSquared(posterior).entries())
      losses[gate.units[i]] = (own[i] * ratio) / 2;
  }
  return losses;
}

/** The posterior figures of the units of each gate; units up to the threshold are dead. */
export function gateFacts(
  { groups }: Pick<Structure, "groups">,
  posteriors: ReadonlyMap<Gate, GatePosterior>,
  threshold: number,
): readonly PosteriorFacts[] {
  return [...posteriors].map(([{ group, units }, posterior]) => {
    const ratios = snrSquared(posterior);
    return {
      group: groups[group].id,
      units: units.length,
      members: [...units],
      dead: ratios.filter((ratio) => ratio <= threshold).length,
      kl: Array.from(posterior.means, (mean, i) => gateKl(mean, posterior.variances[i])),
      snr: Array.from(ratios, Math.sqrt),
    };
  });
}

/** Notes about the gates: λ, the number of live units in each group, and groups without any. */
export function gateNotes(
  { structure, rules }: Pick<MethodContext, "structure" | "rules">,
  posteriors: ReadonlyMap<Gate, GatePosterior>,
  { lambda, threshold }: { readonly lambda: Lambda; readonly threshold: number },
): readonly string[] {
  const { groups } = structure;
  let kl = 0;
  const collapsed: string[] = [];
  const widths = [...posteriors].map(([{ group, units: own }, posterior]) => {
    const ratios = snrSquared(posterior);
    for (const [i, mean] of posterior.means.entries()) kl += gateKl(mean, posterior.variances[i]);
    const alive = ratios.filter((ratio) => ratio > threshold).length;
    if (alive === 0) collapsed.push(groups[group].id);
    return `${groups[group].id} ${alive} of ${own.length}`;
  });
  const more = widths.length > mostNamed ? `, and ${widths.length - mostNamed} more groups` : "";
  return [
    `λ is ${Number(lambda.value.toPrecision(4))} (${lambda.reason}); all gates hold ${kl.toFixed(1)} nats`,
    `with a squared signal-to-noise ratio above ${threshold}: ${widths.slice(0, mostNamed).join(", ")}${more}`,
    ...collapsed.map((id) => `all gates of ${id} have closed: λ is too large for it`),
    ...unscoredNotes({ structure, rules }, gateScores(structure, posteriors), "they have no gate"),
  ];
}
