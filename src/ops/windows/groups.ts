/** @file How the channels of grouped convolutions hang together. */
import type { Ids, Ties } from "../operator/operator.ts";

/** The four axes that a (possibly grouped) convolution connects. */
export interface GroupedAxes {
  readonly group: number;
  /** The weight's output axis over all groups: [O]. */
  readonly outer: Ids;
  /** The weight's input axis within one group: [C / group]. */
  readonly inner: Ids;
  /** The channels of X over all groups: [C]. */
  readonly channels: Ids;
}

/**
 * Ties the axes of a grouped convolution. With one group, X's channels are the weight's input axis.
 * With more, either whole groups go, with all channels and filters in them, or every group loses the
 * same indices: whichever leaves more units. (Depthwise is the first with one channel per group.)
 * For a transposed convolution X and Y exchange their roles: `outer` are the weight's rows for X's
 * channels, `channels` those of Y. Returns what goes together.
 */
export function tieGroups<A>(
  t: Ties<A>,
  { group, outer, inner, channels }: GroupedAxes,
): "channels" | "whole groups" | "index in each group" {
  if (group === 1) {
    t.unite(channels, inner);
    return "channels";
  }
  const channelsPerGroup = channels.length / group;
  const filtersPerGroup = outer.length / group;
  if (group >= channelsPerGroup + filtersPerGroup - 1) {
    for (let g = 0; g < group; g++) {
      const ofGroup = channels.subarray(g * channelsPerGroup, (g + 1) * channelsPerGroup);
      const filters = outer.subarray(g * filtersPerGroup, (g + 1) * filtersPerGroup);
      t.uniteAll(Int32Array.from([...ofGroup, ...filters]));
    }
    t.fix(inner, "an index inside a convolution group");
    return "whole groups";
  }
  for (let g = 0; g < group; g++) {
    t.unite(channels.slice(g * channelsPerGroup, (g + 1) * channelsPerGroup), inner);
    t.unite(
      outer.slice(g * filtersPerGroup, (g + 1) * filtersPerGroup),
      outer.slice(0, filtersPerGroup),
    );
  }
  return "index in each group";
}
