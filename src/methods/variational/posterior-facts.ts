/** @file Facts and notes about a posterior, group by group. */

import { quantile } from "../../measure/statistics/statistics.ts";
import type { Structure } from "../../structure/units/units.ts";
import type { PosteriorFacts } from "../method/learned-method.ts";
import { deadKl, type ScoredAxis, scoreUnits } from "./snr-scores.ts";

/** The facts of every group that has units which may go. */
export function posteriorFacts(
  structure: Structure,
  axes: readonly ScoredAxis[],
): readonly PosteriorFacts[] {
  const kl = scoreUnits(structure, axes, "kl");
  const snr = scoreUnits(structure, axes, "snr-l2");
  const weights = new Float64Array(structure.units.length);
  for (const { units, filters } of axes)
    for (const [i, filter] of filters.entries()) weights[units[i]] += filter.weights;
  return structure.groups.flatMap(({ id, units }): PosteriorFacts[] => {
    const own = units.filter(
      (unit) => weights[unit] > 0 && structure.units[unit].reason === undefined,
    );
    if (own.length === 0) return [];
    const dead = own.filter((unit) => kl[unit] < deadKl * weights[unit]).length;
    const ofUnits = (values: Float64Array) => own.map((unit) => values[unit]);
    return [
      { group: id, units: own.length, members: own, dead, kl: ofUnits(kl), snr: ofUnits(snr) },
    ];
  });
}

/** The number of groups that get a sentence of their own. */
const mostNotes = 6;

/** A sentence for each group; where there are many, for those in which most is dead. */
export function factNotes(facts: readonly PosteriorFacts[]): readonly string[] {
  const share = ({ dead, units }: PosteriorFacts) => dead / units;
  const chosen = new Set([...facts].sort((a, b) => share(b) - share(a)).slice(0, mostNotes));
  const notes = facts
    .filter((own) => chosen.has(own))
    .map(({ group, units, dead, kl }) => {
      const [least, middle, most] = [0, 0.5, 1].map((q) => quantile(kl, q).toPrecision(2));
      const range = `KL from ${Number(least)} over ${Number(middle)} to ${Number(most)} nats`;
      return `${group}: the data say nothing about ${dead} of ${units} units (${range})`;
    });
  const rest = facts.length - notes.length;
  return rest > 0 ? [...notes, `${rest} more groups have a smaller share of such units`] : notes;
}

/** The factor of the wider prior under which the evidence is computed as well. */
const widerPrior = 3;

/**
 * The number of units that the evidence speaks against, under the prior and under a wider one: evidence depends on the
 * width of the prior, which the data do not determine.
 */
export function evidenceNotes(
  { units }: Structure,
  axes: readonly ScoredAxis[],
): readonly string[] {
  const [plain, wide] = [new Float64Array(units.length), new Float64Array(units.length)];
  for (const { units: own, filters } of axes)
    for (const [i, { evidence, weights }] of filters.entries()) {
      plain[own[i]] += evidence;
      wide[own[i]] += evidence + weights * Math.log(widerPrior);
    }
  const count = (values: Float64Array) =>
    units.filter(({ index, reason }) => reason === undefined && values[index] > 0).length;
  return [
    `the evidence speaks against ${count(plain)} units; with a prior ${widerPrior} times as wide, ` +
      `against ${count(wide)}`,
  ];
}
