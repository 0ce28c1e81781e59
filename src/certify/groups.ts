/** @file Which images belong together, so that they count as one. */
import { dirname } from "node:path";
import { EspalierError } from "../errors.ts";
import { worstDesignEffect } from "../guard/disagreements/clusters.ts";
import { nearDuplicateGroups, type Thumbnail } from "../measure/inputs/near-duplicates.ts";

/** Images in groups, and how these were found. */
export interface Grouping {
  readonly by: string;
  /** [N] the group of each image. */
  readonly ids: Int32Array;
}

/** What is found about the groups of images. */
export interface FoundGroups {
  /** `undefined` where images count one by one. */
  readonly grouping: Grouping | undefined;
  /** Images that resemble another one. */
  readonly nearDuplicates: number;
}

/** Near-duplicates that could change a variance by less are left as images by themselves. */
const negligibleEffect = 1.02;

/** How to group. */
export interface GroupOptions {
  /** `auto`: near-duplicates; `none`; `folder`: the files of a folder; else a pattern, whose first group names the group. */
  readonly by: string;
  /** [N] the file of each image. */
  readonly files: readonly string[];
  readonly thumbnails: readonly Thumbnail[] | undefined;
}

/** Groups images. Fails with `USAGE` where a pattern is none, matches nothing, or puts all images into one group. */
export function groupImages({ by, files, thumbnails }: GroupOptions): FoundGroups {
  const similar = thumbnails === undefined ? undefined : nearDuplicateGroups(thumbnails);
  const nearDuplicates = similar === undefined ? 0 : inCompany(similar);
  if (by === "none") return { grouping: undefined, nearDuplicates };
  if (by === "auto") {
    const isMuch = similar !== undefined && worstDesignEffect(sizesOf(similar)) > negligibleEffect;
    return {
      grouping: isMuch ? { by: "near-duplicates", ids: similar } : undefined,
      nearDuplicates,
    };
  }
  const names = by === "folder" ? files.map((file) => dirname(file)) : matchesOf(by, files);
  const numbers = new Map<string, number>();
  const ids = Int32Array.from(names, (name) => {
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  });
  if (numbers.size < 2)
    throw new EspalierError("USAGE", `by ${by}, all images are one group`, {
      hint: "One group says nothing about others: group by what tells videos, places or days apart.",
      data: { option: "groupBy", value: by },
    });
  return { grouping: numbers.size === files.length ? undefined : { by, ids }, nearDuplicates };
}

function matchesOf(pattern: string, files: readonly string[]): readonly string[] {
  let expression: RegExp;
  try {
    expression = new RegExp(pattern, "u");
  } catch (cause) {
    throw new EspalierError("USAGE", `${pattern} is no regular expression`, {
      data: { option: "groupBy", value: pattern },
      cause,
    });
  }
  return files.map((file) => {
    const match = expression.exec(file);
    if (match !== null) return match[1] ?? match[0];
    throw new EspalierError("USAGE", `the pattern ${pattern} matches nothing in ${file}`, {
      hint: "It must say the group of every image.",
      data: { option: "groupBy", value: pattern },
    });
  });
}

function sizesOf(ids: Int32Array): readonly { readonly size: number }[] {
  const sizes: number[] = [];
  for (const id of ids) sizes[id] = (sizes[id] ?? 0) + 1;
  return sizes.map((size) => ({ size }));
}

function inCompany(ids: Int32Array): number {
  return sizesOf(ids).reduce((sum, { size }) => sum + (size > 1 ? size : 0), 0);
}
