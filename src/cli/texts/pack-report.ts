/** @file A pack for people and for programs: its size, the bytes of each part, and the drop of the metric. */
import type { PackedTuned } from "../../compress/packing/pack-tuned.ts";
import type { PackedWithin } from "../../compress/packing/pack-within.ts";
import type { Packed } from "../../pack/pack.ts";
import { metricWords } from "../../words/metrics.ts";
import { counted, formatBytes, formatInteger, inPercent } from "../../words/numbers.ts";
import type { Io } from "../terminal/io.ts";
import { drawFacts, drawTable, type Fact } from "../terminal/table.ts";

/** A pack that was measured on data. */
type Measured = PackedWithin | PackedTuned;

/** The document of `--json`. Epochs are counted from 1, as in the reports of runs. */
export function packedFigures(packed: Packed, measured: Measured | undefined): object {
  const { bytes: _, unpacked: __, ...figures } = packed;
  if (measured === undefined) return figures;
  const { packed: ___, ...costs } = measured;
  if (!("training" in costs)) return { ...figures, ...costs, bits: costs.bits ?? null };
  const { training } = costs;
  const history = training.history.map((record) => ({ ...record, epoch: record.epoch + 1 }));
  return { ...figures, ...costs, training: { ...training, history } };
}

/** The text that the user reads. */
export function describePacked(
  packed: Packed,
  measured: Measured | undefined,
  { columns, hasColor }: Io,
): string {
  const { bytesBefore, bytesAfter, ratio, bitsPerWeight } = packed;
  const facts: Fact[] = [
    [
      "size",
      `${formatBytes(bytesBefore)} -> ${formatBytes(bytesAfter)}, ${ratio.toFixed(1)} times smaller`,
    ],
    ["bits per weight", bitsPerWeight.toFixed(2)],
    ...(measured === undefined ? [] : [howFact(measured), lossFact(measured)]),
  ];
  const share = (bytes: number) => inPercent(bytes / bytesAfter);
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
  ["supports", "supports: positions of nonzero weights"],
  ["codes", "codes: values of the weights"],
  ["tables", "tables: codebooks and steps of rows"],
  ["framing", "framing: header and checksums"],
]);

function howFact(measured: Measured): Fact {
  if ("training" in measured) {
    const epochs = measured.training.history.length;
    return ["tuned", `${counted(epochs, "epoch")} trained with rounded weights`];
  }
  const { bits, candidates } = measured;
  const isTuned = candidates.some(
    (tried) => tried.isTuned && tried.isWithin && tried.bits === bits,
  );
  const words = bits === undefined ? "all: no rounding was within the tolerance" : String(bits);
  return ["bits before coding", isTuned ? `${words}, after tuning` : words];
}

function lossFact({ baseline, result, drop }: Measured): Fact {
  const { name, value, difference, amount } = metricWords(baseline.metric);
  return [
    `${name} on test`,
    {
      prose:
        `${value(baseline.value)} -> ${value(result.value)}: a drop of ${difference(drop.drop)} ` +
        `(95 %: ${drop.ci95.map(amount).join(" to ")}), ${counted(drop.samples, "sample")}`,
    },
  ];
}
