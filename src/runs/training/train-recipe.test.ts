/** @file What networks that are built are trained with, where nothing else is asked for. */
import { describe, expect, it } from "vitest";
import { architectures } from "../../models/registry.ts";
import { settingsOf } from "../settings/train-settings.ts";
import { withRecipe } from "./train-run.ts";

describe("the recipe of a network", () => {
  it("fills in what was left open, and nothing else", () => {
    const recipe = { learningRate: 0.1, schedule: "one-cycle", decay: 0 };
    expect(withRecipe("lenet5", {})).toEqual(recipe);
    expect(withRecipe("lenet5", { learningRate: undefined, epochs: 3 })).toEqual({
      ...recipe,
      epochs: 3,
    });
    expect(withRecipe("lenet5", { learningRate: 0.01 })).toMatchObject({
      learningRate: 0.01,
      schedule: "one-cycle",
    });
  });
  it("is none for another optimizer, a file, and networks without one", () => {
    expect(withRecipe("lenet5", { optimizer: "adam" })).toEqual({ optimizer: "adam" });
    expect(withRecipe("net.onnx", { epochs: 2 })).toEqual({ epochs: 2 });
    expect(withRecipe("unet", {})).toEqual({});
  });
  it("is what settings allow, for every network", () => {
    for (const { name } of architectures)
      expect(settingsOf(withRecipe(name, {})).epochs).toBeGreaterThan(0);
  });
});
