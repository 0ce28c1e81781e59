/** @file Two values out of JSON, compared part by part: what a report says against what its files say. */

/** How far two values out of JSON agree. */
export interface JsonComparison {
  /** Numbers, texts and the like that were compared. */
  readonly compared: number;
  /** The largest absolute difference of two numbers in the same place; 0 where there are none. */
  readonly largestDifference: number;
  /** Where they differ, in words. */
  readonly differences: readonly string[];
}

/** Sums in another order differ by this much at most, of the number or of 1, whichever is more. */
const tolerance = 1e-12;

/**
 * Compares what was written with what was recomputed. Numbers agree to 1e-12, all else exactly; a part
 * that is undefined is one that is missing.
 */
export function compareJson(written: unknown, recomputed: unknown): JsonComparison {
  let compared = 0;
  let largestDifference = 0;
  const differences: string[] = [];
  const compare = (a: unknown, b: unknown, place: string): void => {
    if (isComposite(a) && isComposite(b) && Array.isArray(a) === Array.isArray(b)) {
      const [first, second] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
      for (const key of new Set([...first.keys(), ...second.keys()]))
        compare(first.get(key), second.get(key), place === "" ? key : `${place}.${key}`);
      return;
    }
    compared++;
    const isNumeric = typeof a === "number" && typeof b === "number";
    const distance = isNumeric && a !== b ? Math.abs(a - b) : 0;
    largestDifference = Math.max(largestDifference, distance);
    const isSame = isNumeric
      ? distance <= tolerance * Math.max(1, Math.abs(a))
      : JSON.stringify(a) === JSON.stringify(b);
    if (!isSame) differences.push(`${place} is written as ${shown(a)}, but is ${shown(b)}`);
  };
  compare(written, recomputed, "");
  return { compared, largestDifference, differences };
}

function isComposite(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "missing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
