/** @file Decides whether a quantised tensor takes fewer bytes than the unchanged tensor. */

import type { Geometry } from "../coding/geometry.ts";
import { Models } from "../file/tensor-code.ts";
import { Chooser, type Content, sumOf } from "./choose.ts";

/** A tensor's contents, and whether keeping every bit costs about as much. */
export interface Worth {
  readonly content: Content;
  /**
   * Whether keeping every bit costs about as much. Only whole packs can be compared then, because what was learnt
   * from one tensor helps with the next.
   */
  readonly isClose: boolean;
}

/** Elements by which large tensors are judged, where that leaves no doubt. */
const sample = 4096;
/** Quantised, the sample takes at most this share where there is no doubt. */
const clearShare = 0.8;

/** The smaller of a quantised tensor and the tensor as it is, each coded alone; without loss where equal. */
export function worthwhile(
  geometry: Geometry & { readonly width: number },
  lossy: Content,
  exact: Extract<Content, { readonly kind: "exact" }>,
): Worth {
  const { count, row } = geometry;
  const rows = Math.max(1, Math.floor(sample / row));
  if (rows * row < count) {
    const first = { ...geometry, count: rows * row };
    const isClear =
      bitsOf(first, firstOf(lossy, first)) < clearShare * bitsOf(first, firstOf(exact, first));
    if (isClear) return { content: lossy, isClose: false };
  }
  const [less, all] = [bitsOf(geometry, lossy), bitsOf(geometry, exact)];
  return { content: less < all ? lossy : exact, isClose: less > clearShare * all };
}

/** Bits of a tensor by itself. */
function bitsOf(geometry: Geometry & { readonly width: number }, content: Content): number {
  const draft = { ...geometry, gap: 0, beginsSection: true, content };
  return sumOf(new Chooser().best(draft, new Models()).cost);
}

/** The content of the first elements. */
function firstOf(
  content: Content,
  { count, row, width }: Geometry & { readonly width: number },
): Content {
  switch (content.kind) {
    case "exact":
      return { ...content, bytes: content.bytes.slice(0, count * width) };
    case "steps":
      return {
        ...content,
        codes: content.codes.slice(0, count),
        shifts: content.shifts.slice(0, count / row),
      };
    case "table":
      return { ...content, places: content.places.slice(0, count) };
    default:
      return content satisfies never;
  }
}
