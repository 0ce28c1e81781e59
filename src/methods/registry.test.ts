/** @file What every method must do, whatever it is: run over the whole registry. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { compareModels } from "../measure/equality/compare.ts";
import { readModel } from "../onnx/reading/read.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { maskReads } from "../structure/change/masks.ts";
import { removeUnits } from "../structure/change/surgery.ts";
import { selectUnits } from "../structure/choice/select.ts";
import { costModel } from "../structure/cost/cost.ts";
import { structureOf } from "../structure/units/units.ts";
import { applyEdits } from "../structure/weights/edits.ts";
import type { Method } from "./method/method.ts";
import { type GivenOptions, writtenName } from "./method/options.ts";
import { methodNamed, untrainedMethods } from "./registry.ts";

const model = readModel(residualNetwork());
const structure = structureOf(model.graph);

function propose(method: Method, seed = 0, options: GivenOptions = {}) {
  return method.propose({ structure, seed, options, rules: {} });
}

interface Case {
  readonly method: Method;
  readonly name: string;
  readonly options: GivenOptions;
}

/** Every single option of every method, each value in turn. */
const cases: readonly Case[] = untrainedMethods.flatMap((method) => [
  { method, name: method.name, options: {} },
  ...Object.entries(method.options).flatMap(([name, option]) =>
    option.values.map((value) => ({
      method,
      name: `${method.name}, ${name}=${value}`,
      options: { [writtenName(name)]: value },
    })),
  ),
]);

describe.each(cases)("method $name", ({ method, options }) => {
  it("scores every prunable unit finitely, and no unit NaN", () => {
    const { scores } = propose(method, 0, options);
    expect(scores.length).toBe(structure.units.length);
    expect(scores.some(Number.isNaN)).toBe(false);
    for (const { index, reason } of structure.units)
      if (reason === undefined) expect(Number.isFinite(scores[index])).toBe(true);
  });

  it("says beforehand whether it judges weights", () => {
    const { weightScores } = propose(method, 0, options);
    expect(method.judgesWeights?.(options) ?? false).toBe(weightScores !== undefined);
  });

  it("gives the same for the same seed", () => {
    expect(propose(method, 3, options).scores).toEqual(propose(method, 3, options).scores);
  });

  it("proposes a removal that computes what the masked original computes", async () => {
    const { scores, edits } = propose(method, 0, options);
    const cost = costModel(structure);
    const whole = cost(new Uint8Array(structure.units.length)).macs;
    const { removed, isReached } = selectUnits(structure, scores, [
      { name: "macs", fraction: 0.5, remaining: (of) => cost(of).macs / whole },
    ]);
    expect(isReached).toBe(true);
    const edited = structureOf(applyEdits(model.graph, edits(removed)));
    const check = await compareModels(
      model,
      writeModel(model, maskReads(edited, removed)),
      writeModel(model, removeUnits(edited, removed)),
      structure.analysis.dims,
      { samples: 1 },
    );
    expect(check.passed).toBe(true);
  });
});

describe("the registry", () => {
  it("knows what it does not have", () => {
    expect(() => methodNamed("guess")).toThrow(
      expect.objectContaining({
        code: "METHOD_UNKNOWN",
        hint: expect.stringContaining("magnitude"),
      }),
    );
  });
});
