/** @file What a report says of packing, against the pack itself. */
import { describe, expect, it } from "vitest";
import { smallCnn } from "../../../test/support/small-cnn.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { pack } from "../../pack/pack.ts";
import { packingRecord, packingRecordOf } from "./packing-record.ts";

describe("what a report says of packing", () => {
  const model = readModel(smallCnn());
  const record = packingRecord.parse(packingRecordOf(model));

  it("is what the pack takes, and its layers and other tensors add up to the parts", () => {
    if ("skipped" in record) throw new Error(record.skipped);
    const { bytes, parts, layers, others, bitsPerWeight } = record;
    expect(bytes).toBe(pack(model).bytes.length);
    expect(layers.map(({ layer, weights }) => [layer, weights])).toEqual([
      ...[["conv1", 72] as const, ["conv2", 576] as const, ["fc", 128] as const],
    ]);
    for (const part of ["supports", "codes", "tables"] as const) {
      const sum = layers.reduce((total, layer) => total + layer[part], others[part]);
      expect(sum).toBeCloseTo(parts[part], 6);
    }
    const all = Object.values(parts).reduce((total, part) => total + part, 0);
    expect(all).toBeCloseTo(bytes, 6);
    expect(bitsPerWeight).toBeGreaterThan(7);
  });

  it("says that large models were not packed", () => {
    const large = packingRecordOf({ ...model, sizeBytes: 60e6 });
    expect(large).toEqual({ skipped: expect.stringContaining("16 MB") });
  });
});
