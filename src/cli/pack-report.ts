/** @file A pack for people and for programs: its size, what the bytes are for, and what it lost. */
import type { PackedWithin } from "../compress/pack-within.ts";
import type { Packed } from "../pack/pack.ts";
import { formatBytes, formatInteger, formatPercent } from "../report/text.ts";
import type { Io } from "./io.ts";
import { drawFacts, drawTable } from "./table.ts";

/** What `--json` holds. */
export function packedFigures(packed: Packed, within: PackedWithin | undefined): object {
  const { bytes: _, unpacked: __, ...figures } = packed;
  if (within === undefined) return figures;
  const { bits = null, candidates, baseline, result, drop } = within;
  return { ...figures, bits, candidates, baseline, result, drop };
}

/** What the user reads. */
export function describePacked(
  packed: Packed,
  within: PackedWithin | undefined,
  { columns, hasColor }: Io,
): string {
  const { bytesBefore, bytesAfter, ratio, bitsPerWeight } = packed;
  const facts: (readonly [string, string])[] = [
    [
      "size",
      `${formatBytes(bytesBefore)} -> ${formatBytes(bytesAfter)}, ${ratio.toFixed(1)} times smaller`,
    ],
    ["bits per weight", bitsPerWeight.toFixed(2)],
    ...(within === undefined ? [] : lossFacts(within)),
  ];
  const share = (bytes: number) => formatPercent(bytes / bytesAfter);
  const parts = Object.entries(packed.parts).filter(([, bytes]) => bytes >= 0.5);
  const table = drawTable(
    [{ title: "part" }, { title: "bytes", align: "right" }, { title: "share", align: "right" }],
    parts.map(([name, bytes]) => [names.get(name) ?? name, formatInteger(bytes), share(bytes)]),
    { columns, hasColor },
  );
  return `${drawFacts(facts, columns)}\n${table}`;
}

const names: ReadonlyMap<string, string> = new Map([
  ["structure", "structure: the graph without weights"],
  ["supports", "supports: where weights are not zero"],
  ["codes", "codes: their values"],
  ["tables", "tables: codebooks and steps of rows"],
  ["framing", "framing: header and checksums"],
]);

function lossFacts({ bits, baseline, result, drop }: PackedWithin): (readonly [string, string])[] {
  const points = (value: number) => (100 * value).toFixed(2);
  const [low, high] = drop.ci95;
  return [
    ["bits before coding", bits === undefined ? "all: no rounding was within" : String(bits)],
    [
      `${baseline.metric} on test`,
      `${points(baseline.value)} -> ${points(result.value)}: a drop of ${points(drop.drop)} ` +
        `[${points(low)}, ${points(high)}], ${formatInteger(drop.samples)} samples`,
    ],
  ];
}
