/** @file The latency of pruned networks against their originals: faster, slower and why, or not to be measured. */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../test/residual-network.ts";
import { crashingNetwork } from "../../test/support/crashing.ts";
import { readModel } from "../onnx/reading/read.ts";
import { writeModel } from "../onnx/writing/write.ts";
import { isolated } from "../runtime/shared-host.ts";
import { latencyOfPruned } from "./latency-of-pruned.ts";
import { prune } from "./prune.ts";

const short = { threads: 1, seconds: 0.3 };

describe("the latency of a pruned network", () => {
  it("is shown to be lower where most of its work is gone", async () => {
    const model = readModel(residualNetwork({ width: 64, side: 32 }));
    const pruned = prune(model, { method: "magnitude", targets: { macs: 0.1 } });
    const latency = await latencyOfPruned(model, pruned, short);
    expect(latency).toMatchObject({ verdict: "faster", threads: 1, slowerOperators: [] });
  });

  it("is explained by operators where it is higher, also where it was measured before", async () => {
    const model = readModel(residualNetwork({ width: 8, side: 32 }));
    // What stands for the pruned network is wider, with nodes of the same names.
    const wide = readModel(residualNetwork({ width: 64, side: 32 }));
    const same = prune(model, { method: "magnitude", targets: { macs: 1 } });
    const slow = { ...same, graph: wide.graph, bytes: writeModel(wide) };
    const measured = {
      originalMs: 5,
      medianMs: 10,
      ratio: 2,
      ci95: [1.9, 2.1] as const,
      threads: 1,
      provider: "cpu",
    };
    const latency = await latencyOfPruned(model, slow, { threads: 1, measured });
    expect(latency).toMatchObject({ ...measured, verdict: "slower" });
    const slower = "skipped" in latency ? [] : latency.slowerOperators;
    expect(slower.length).toBeGreaterThan(2);
    const names = new Set(model.graph.nodes.map(({ name }) => name));
    for (const { name, isInserted, beforeMs, afterMs } of slower) {
      expect(names.has(name)).toBe(!isInserted);
      expect(afterMs).toBeGreaterThan(beforeMs);
    }
  });

  it("is not measured where ONNX Runtime ends, and says why", async () => {
    const model = readModel(crashingNetwork());
    const pruned = prune(model, { method: "magnitude", targets: { macs: 0.9 } });
    const latency = await isolated(() => latencyOfPruned(model, pruned, short));
    expect(latency).toEqual({ skipped: expect.stringContaining("ONNX Runtime") });
  });

  it("stops when told", async () => {
    const model = readModel(residualNetwork());
    const pruned = prune(model, { method: "magnitude", targets: { macs: 0.5 } });
    await expect(
      latencyOfPruned(model, pruned, { ...short, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: "ABORTED" });
  });
});
