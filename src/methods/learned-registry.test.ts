/** @file Methods with options of their own, as the library gives them. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { readModel } from "../onnx/reading/read.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { prune } from "../prune/prune.ts";
import { compressSettingsOf } from "../runs/settings/compress-settings.ts";
import { allMethods, learnedMethods, methods } from "./learned-registry.ts";
import { learnedNames } from "./registry.ts";

const model = readModel(residualNetwork());
const targets = { macs: 0.7 };

describe("methods", () => {
  it("are all there, with the options that are given, as they may be written down", () => {
    const chosen = Object.values(methods).map((choose) => choose().method);
    expect(new Set<unknown>(chosen)).toEqual(new Set(allMethods));
    expect(learnedMethods.map(({ name }) => name)).toEqual(learnedNames);
    const { method, options } = methods.vib({ gateRate: 0.1, stream: true, lambda: undefined });
    expect(method.name).toBe("vib");
    expect(options).toEqual({ "gate-rate": 0.1, stream: true });
  });

  it("prune as their names do with the same options", () => {
    const bytesOf = (options: Parameters<typeof prune>[1]) =>
      Buffer.from(concatBytes(prune(model, options).bytes));
    const named = bytesOf({
      method: "bn",
      methodOptions: { mode: "rms", compensate: "off" },
      targets,
    });
    expect(bytesOf({ method: methods.bn({ mode: "rms", compensate: false }), targets })).toEqual(
      named,
    );
    expect(bytesOf({ method: methods.bn(), targets })).not.toEqual(named);
  });

  it("are written into settings by name, with their options as the command line has them", () => {
    const method = methods.snr({ lambda: 0.3, compensate: false });
    const given = { methodOptions: { lambda: 0.3, compensate: "off" }, maxDrop: 0.01 };
    const settings = compressSettingsOf({ method: "snr", ...given });
    expect(compressSettingsOf({ method, maxDrop: 0.01 })).toEqual(settings);
    expect(settings.methodOptions).toEqual({ lambda: "0.3", compensate: "off" });
  });

  it("refuse options that they do not have, at once", () => {
    const untyped: Record<string, number> = { lambda: -1 };
    expect(() => methods.snr(untyped)).toThrow(
      expect.objectContaining({
        code: "USAGE",
        data: expect.objectContaining({ option: "lambda" }),
      }),
    );
  });

  it.each([
    ["given twice", { method: methods.bn({ mode: "rms" }), methodOptions: { mode: "std" } }],
    ["given without a method", { methodOptions: { mode: "std" } }],
    ["that the method does not have", { method: "fpgm", methodOptions: { mode: "std" } }],
  ])("refuse to prune with options %s", (_, options) => {
    expect(() => prune(model, { ...options, targets })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
  });

  it("of a program's own do not make a run, which is resumed by name", () => {
    const own = { method: { ...methods.random().method }, options: {} };
    expect(() => compressSettingsOf({ method: own, maxDrop: 0.01 })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
  });
});
