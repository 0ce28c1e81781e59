/** @file What a pruned network shows, and what it is made of. */
import { expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { prune } from "./prune.ts";
import { partsOf } from "./pruned.ts";

const model = readModel(residualNetwork());
const pruned = prune(model, { method: "magnitude", targets: { macs: 0.5 } });

it("a pruned network shows no structure, but knows its parts, and so does a copy of it", () => {
  for (const hidden of ["structure", "removed", "zeros", "edits"])
    expect(pruned).not.toHaveProperty(hidden);
  const { removed, structure } = partsOf({ ...pruned, notes: [] });
  const gone = removed.reduce((sum, is) => sum + is, 0);
  const units = pruned.groups.reduce((sum, { before, after }) => sum + before - after, 0);
  expect(gone).toBe(units);
  expect(gone).toBeGreaterThan(0);
  expect(structure.analysis.graph).toBe(model.graph);
});

it("one that came from elsewhere is refused with what to do", () => {
  const { graph, bytes, ...told } = pruned;
  const sent = { ...structuredClone(told), graph, bytes };
  expect(() => partsOf(sent)).toThrow(
    expect.objectContaining({ code: "USAGE", hint: expect.stringContaining("verifyByPlan") }),
  );
});
