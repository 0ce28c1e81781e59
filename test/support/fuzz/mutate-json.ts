/** @file Changes of a JSON text that know what they change: numbers, texts, lists, keys. */
import { oddNames } from "../hostile-parts.ts";
import type { Pick } from "./fuzz.ts";

const numbers = [0, 1, -1, 2, 7, 0.5, 1e308, -1e308, 1e6, 100_000, 2 ** 31, 2 ** 53, 2 ** 64];
const texts = [...oddNames, "", "../../x", "/etc/passwd", "AAAA", "x".repeat(10_000)];

/** The text with one or two changes, sometimes cut off or with other bytes. */
export function mutatedText(text: string, pick: Pick): string {
  if (pick.onceIn(20)) return text.slice(0, pick.below(text.length + 1));
  let value: unknown = JSON.parse(text);
  for (let changes = 1 + pick.below(2); changes > 0; changes--) value = changed(value, pick);
  const result = JSON.stringify(value);
  // JSON cannot write what is too large for a number, but a file can say it.
  return pick.onceIn(20) ? result.replace(/:\d+/, ":1e999") : result;
}

/** The value with one change at a random depth. */
function changed(value: unknown, pick: Pick): unknown {
  if (Array.isArray(value)) return changedList(value, pick);
  if (typeof value === "object" && value !== null) return changedObject(value, pick);
  return other(value, pick);
}

function changedList(list: readonly unknown[], pick: Pick): unknown {
  const at = list.length > 0 ? pick.below(list.length) : 0;
  switch (pick.below(8)) {
    case 0:
      return list.toSpliced(at, 1);
    case 1:
      return list.toSpliced(at, 0, list[at]);
    case 2:
      return [];
    case 3:
    case 4:
      return Array.from({ length: 20_000 }, () => list[at]);
    case 5:
      return other(list, pick);
    default:
      return list.length === 0 ? [anything(pick)] : list.with(at, changed(list[at], pick));
  }
}

function changedObject(object: object, pick: Pick): unknown {
  const entries: [string, unknown][] = Object.entries(object);
  const at = entries.length > 0 ? pick.below(entries.length) : 0;
  switch (pick.below(8)) {
    case 0:
      return Object.fromEntries(entries.toSpliced(at, 1));
    case 1:
      return Object.fromEntries([...entries, [pick.from(texts), anything(pick)]]);
    case 2:
      return other(object, pick);
    default: {
      if (entries.length === 0) return object;
      const [key, value] = entries[at];
      return Object.fromEntries(entries.with(at, [key, changed(value, pick)]));
    }
  }
}

/** Another value, mostly of the same type. */
function other(value: unknown, pick: Pick): unknown {
  if (pick.onceIn(5)) return anything(pick);
  if (typeof value === "number")
    return pick.onceIn(3) ? value + pick.from([-1, 1]) : pick.from(numbers);
  if (typeof value === "string")
    return pick.onceIn(3) ? value.slice(0, pick.below(value.length + 1)) : pick.from(texts);
  if (typeof value === "boolean") return !value;
  return anything(pick);
}

function anything(pick: Pick): unknown {
  return pick.from([null, true, {}, [], pick.from(numbers), pick.from(texts), [[1]], [0, 0]]);
}
