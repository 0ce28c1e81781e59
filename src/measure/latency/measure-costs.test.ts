/**
 * @file Cost tables, measured on an engine whose times are known in closed form, and on ONNX Runtime.
 */
import { describe, expect, it } from "vitest";
import { residualNetwork } from "../../../test/residual-network.ts";
import { readModel } from "../../onnx/reading/read.ts";
import { isFoldedInto } from "../../ops/passes/folded.ts";
import { roleOf } from "../../ops/passes/roles.ts";
import { prune } from "../../prune/prune.ts";
import { partsOf } from "../../prune/pruned.ts";
import { costOf } from "../../structure/cost/cost.ts";
import { timeModel } from "../../structure/timing/time-model.ts";
import { structureOf } from "../../structure/units/units.ts";
import { requestFor } from "./cost-request.ts";
import { type CostRequest, measureCosts, type TimingEngine } from "./measure-costs.ts";
import { nodeEngine } from "./node-engine.ts";

const nodeMs = 0.001;
const msPerMac = 1e-6;
const startMs = 0.05;

/** An engine that takes a fixed time to start, for each node, and for each multiply-accumulate. */
const exactEngine: TimingEngine = {
  source: { machine: "paper", engine: "arithmetic 1", provider: "cpu", threads: 1 },
  async open(chunks) {
    const { graph } = readModel(joined(chunks));
    const isFolded = isFoldedInto(graph, (node) => roleOf(node).kind === "linear");
    const nodes = graph.nodes.filter((node) => !isFolded(node)).length;
    const ms =
      startMs + nodes * nodeMs + costOf(graph, structureOf(graph).analysis.dims).macs * msPerMac;
    return { time: async (runs) => new Array<number>(runs).fill(ms), close: async () => {} };
  },
};

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

const network = () => readModel(residualNetwork({ width: 32, blocks: 3 }));

async function measured() {
  const model = network();
  const structure = structureOf(model.graph);
  const table = await measureCosts(exactEngine, requestFor("net", model, structure));
  return { model, structure, table };
}

describe("on an engine of known times", () => {
  it("a table holds the time of every layer at every width", async () => {
    const { table } = await measured();
    expect(table.nodeMs).toBeCloseTo(nodeMs, 9);
    expect(table.layers.length).toBeGreaterThan(0);
    for (const { kernel, output, inputs, outputs, ms } of table.layers) {
      const perWidth = [...kernel, ...output].reduce((size, each) => size * each, 1);
      for (const [i, input] of inputs.entries())
        for (const [o, filters] of outputs.entries())
          expect(ms[i][o]).toBeCloseTo(nodeMs + input * filters * perWidth * msPerMac, 6);
    }
  });

  it("the time that a removal leaves is that of the network without it", async () => {
    const { model, structure, table } = await measured();
    const { msAfter, originalMs, unmeasured } = timeModel(structure, table);
    expect(unmeasured).toEqual([]);
    const timeOf = async (chunks: readonly Uint8Array[]) =>
      (await (await exactEngine.open(chunks, new Map())).time(1))[0];
    for (const macs of [0.9, 0.6, 0.3]) {
      const pruned = prune(model, { targets: { macs }, rules: { roundTo: 8 } });
      const exact = (await timeOf(pruned.bytes.chunks)) / originalMs;
      expect(msAfter(partsOf(pruned).removed) / originalMs).toBeCloseTo(exact, 2);
    }
  });

  it("what a table holds is not measured again", async () => {
    const { model, structure, table } = await measured();
    const request = requestFor("net", model, structure, table);
    expect(request).toEqual({ layers: [], others: [], networks: [] });
  });

  it("a measurement tells how far it is, and stops when told", async () => {
    const model = network();
    const request = requestFor("net", model, structureOf(model.graph));
    const controller = new AbortController();
    const done: number[] = [];
    const running = measureCosts(exactEngine, request, {
      signal: controller.signal,
      onProgress: (progress) => {
        done.push(progress.done / progress.total);
        if (done.length === 2) controller.abort();
      },
    });
    await expect(running).rejects.toMatchObject({ code: "ABORTED" });
    expect(done[1]).toBeGreaterThan(done[0]);
    expect(done[1]).toBeLessThanOrEqual(1);
  });
});

describe("on ONNX Runtime", () => {
  it("every micro network of every form of layer runs, and wide layers take longer than narrow ones", async () => {
    const common = { dtype: "float32", strides: [1, 1], dilations: [1, 1], groups: 1 } as const;
    const square = { kernel: [3, 3], input: [1, 20, 20], output: [1, 20, 20] };
    const request: CostRequest = {
      layers: [
        {
          kind: { ...common, ...square, operator: "Conv", form: "dense" },
          inputs: [4, 64],
          outputs: [8, 64],
        },
        {
          kind: { ...common, ...square, operator: "Conv", form: "depthwise" },
          inputs: [1],
          outputs: [8, 256],
        },
        {
          kind: { ...common, ...square, operator: "Conv", form: "grouped", groups: 2 },
          inputs: [8, 32],
          outputs: [16, 64],
        },
        {
          kind: {
            ...common,
            operator: "ConvTranspose",
            form: "dense",
            kernel: [2, 2],
            strides: [2, 2],
            input: [1, 10, 10],
            output: [1, 20, 20],
          },
          inputs: [4, 64],
          outputs: [4, 64],
        },
        {
          kind: {
            ...common,
            operator: "Conv",
            form: "dense",
            kernel: [3, 3],
            strides: [2, 2],
            dilations: [2, 2],
            input: [2, 21, 20],
            output: [2, 10, 10],
          },
          inputs: [4, 32],
          outputs: [8, 32],
        },
        {
          kind: {
            ...common,
            operator: "Gemm",
            form: "dense",
            kernel: [],
            strides: [],
            dilations: [],
            input: [8],
            output: [8],
          },
          inputs: [8, 512],
          outputs: [8, 512],
        },
      ],
      others: [],
      networks: [],
    };
    const { layers } = await measureCosts(nodeEngine({ threads: 1 }), request);
    for (const { operator, form, ms } of layers)
      expect(ms.at(-1)?.at(-1), `${operator} ${form}`).toBeGreaterThan(ms[0][0]);
  }, 60_000);
});
