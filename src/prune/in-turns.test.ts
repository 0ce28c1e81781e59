/** @file Pruning and packing in turns: the same bytes as in one go, progress, and an end in between. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { residual } from "../../test/support/normalized-networks.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { pack, packAsync } from "../pack/pack.ts";
import type { StepProgress } from "../tensor/steps.ts";
import { prune, pruneAsync } from "./prune.ts";

const model = readModel(residualNetwork());
const options = { method: "magnitude", targets: { macs: 0.5 } };

describe("pruneAsync", () => {
  it("gives the bytes and the plan of prune, and tells its steps", async () => {
    const told: StepProgress[] = [];
    const pruned = await pruneAsync(model, { ...options, onProgress: (step) => told.push(step) });
    const expected = prune(model, options);
    expect(Buffer.compare(concatBytes(pruned.bytes), concatBytes(expected.bytes))).toBe(0);
    expect(pruned.plan).toEqual(expected.plan);
    expect(told.map(({ step }) => step)).toEqual(["analysing", "scoring", "choosing", "removing"]);
    expect(told.map(({ done }) => done)).toEqual([0, 1, 2, 3]);
  });

  it("tells of the layers and the removals that bn scores, and is stopped between them", async () => {
    const told: StepProgress[] = [];
    const bn = { method: "bn", targets: { macs: 0.5 } };
    const network = readModel(concatBytes(encodeGraph(residual(40, 2))));
    const pruned = await pruneAsync(network, { ...bn, onProgress: (step) => told.push(step) });
    expect(pruned.plan).toEqual(prune(network, bn).plan);
    const steps = told.map(({ step }) => step);
    expect(steps).toContain("scoring: correlations: layer 3 of 6");
    expect(steps.filter((step) => step.startsWith("scoring: order: removal "))).toHaveLength(2);
    const done = told.map((step) => step.done);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.every((each) => each < told[0].total)).toBe(true);

    const stop = new AbortController();
    const onProgress = ({ step }: StepProgress) => {
      if (step === "scoring: correlations: layer 3 of 6") setTimeout(() => stop.abort(), 0);
    };
    const stopped = pruneAsync(network, { ...bn, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("hears a signal that comes from elsewhere while it works", async () => {
    const stop = new AbortController();
    const told: string[] = [];
    const onProgress = ({ step }: StepProgress) => {
      told.push(step);
      // As a message to a worker: heard in a turn of the event loop, not within a step.
      if (step === "scoring") setTimeout(() => stop.abort(), 0);
    };
    const stopped = pruneAsync(model, { ...options, signal: stop.signal, onProgress });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
    expect(told.at(-1)).not.toBe("removing");
  });
});

describe("packAsync", () => {
  it("gives the bytes of pack, and tells of every tensor", async () => {
    const told: StepProgress[] = [];
    const packed = await packAsync(model, { bits: 5, onProgress: (step) => told.push(step) });
    expect(Buffer.compare(packed.bytes, pack(model, { bits: 5 }).bytes)).toBe(0);
    const coding = told.filter(({ step }) => step === "coding");
    expect(coding.length % packed.tensors.length).toBe(0);
    expect(coding[0]).toEqual({ step: "coding", done: 0, total: packed.tensors.length });
  });

  it("is stopped by its signal", async () => {
    const stop = new AbortController();
    const stopped = packAsync(model, {
      signal: stop.signal,
      onProgress: ({ done }) => done === 2 && stop.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: "ABORTED" });
  });
});
