/** @file Latency: a big network against a small one, and what goes wrong. */
import { describe, expect, it } from "vitest";
import { convModel, denseModel } from "../../../test/tiny-models.ts";
import { bench, profile } from "./bench.ts";

const big = { name: "big", model: convModel(32, 6) };
const small = { name: "small", model: convModel(8, 2) };

describe("bench", () => {
  it("finds the small network faster than the big one, with an interval that says so", async () => {
    const shares: number[] = [];
    const result = await bench([big, small], {
      runs: 40,
      threads: 1,
      batch: 2,
      onProgress: ({ fraction }) => shares.push(fraction),
    });
    expect(result.models.map(({ name }) => name)).toEqual(["big", "small"]);
    for (const { medianMs, ci95, runs } of result.models) {
      expect(runs).toBeGreaterThanOrEqual(40);
      expect(medianMs).toBeGreaterThanOrEqual(ci95[0]);
      expect(medianMs).toBeLessThanOrEqual(ci95[1]);
    }
    expect(result.models[0].inputs).toEqual(new Map([["x", [2, 32, 16, 16]]]));
    expect(result.ratios).toHaveLength(1);
    const [{ name, ratio, ci95 }] = result.ratios;
    expect(name).toBe("small");
    expect(ratio).toBeLessThan(1);
    expect(ci95[0]).toBeLessThanOrEqual(ratio);
    expect(ci95[1]).toBeLessThan(1);
    expect(result).toMatchObject({ threads: 1, provider: "cpu" });
    expect(shares.length).toBe(result.blocks);
    expect(shares.at(-1)).toBe(1);
  });

  it("finds a network as fast as itself", async () => {
    const { ratios } = await bench([big, big], { seconds: 1, threads: 1 });
    expect(ratios[0].ratio).toBeGreaterThan(0.7);
    expect(ratios[0].ratio).toBeLessThan(1.4);
  });

  it("stops when told", async () => {
    const controller = new AbortController();
    const running = bench([big, small], {
      seconds: 60,
      threads: 1,
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(running).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("names the provider that is missing", async () => {
    await expect(bench([small], { providers: ["abacus"] })).rejects.toMatchObject({
      code: "PROVIDER_MISSING",
    });
  });
});

describe("profile", () => {
  it("gives each node's time by name", async () => {
    const times = await profile(denseModel(), { optimization: "disabled", runs: 2 });
    expect([...times.keys()]).toEqual(["Gemm_0", "Relu_1"]);
  });
});
