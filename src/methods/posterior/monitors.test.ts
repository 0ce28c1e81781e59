/** @file What methods tell of their posteriors, epoch by epoch, and what they do where one collapses. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { contextOf, learning } from "../../../test/support/learning.ts";
import { openQuadrants } from "../../../test/support/quadrants.ts";
import { scratchFolder } from "../../../test/support/scratch.ts";
import { quadrantNetwork } from "../../../test/support/training.ts";
import type { Dataset } from "../../data/dataset.ts";
import { quantile } from "../../measure/statistics/statistics.ts";
import { concatBytes, writeModel } from "../../onnx/writing/write.ts";
import type { LearnedMethod, LearningContext, LearningOptions } from "../method/learned-method.ts";
import { rbp } from "../rbp.ts";
import { snr } from "../snr.ts";
import { vib } from "../vib.ts";
import { collapsedGroups, collapseNotes, epochFacts } from "./monitors.ts";

const folder = scratchFolder("monitors");
let dataset: Dataset;
beforeAll(async () => {
  dataset = await openQuadrants(join(folder, "data"));
});

const gates = { "gate-rate": "0.05", lambda: "100000", warmup: "0" };
/** Options under which all filters lose their meaning within some epochs, but not at once. */
const strong: readonly (readonly [LearnedMethod, Readonly<Record<string, string>>])[] = [
  [vib, { epochs: "6", ...gates }],
  [rbp, { epochs: "6", ...gates }],
  [snr, { epochs: "8", rate: "0.01", lambda: "1000" }],
];

describe.each(strong)("$name", (method, options) => {
  const learn = async (training: LearningOptions, more: Readonly<Record<string, string>> = {}) => {
    const graph = quadrantNetwork();
    const context: LearningContext = contextOf(
      graph,
      dataset,
      { ...options, ...more },
      { training },
    );
    const { graph: network, history, notes, posteriorFacts = [] } = await method.learn(context);
    const bytes = Buffer.from(concatBytes(writeModel(context.model, network))).toString("base64");
    return { bytes, history, notes, posteriorFacts };
  };

  it("tells of each epoch what was learnt", async () => {
    const { history, posteriorFacts } = await learn(learning, { lambda: "0.1" });
    expect(history).toHaveLength(Number(options.epochs));
    for (const { loss, terms, select } of history) {
      expect(terms?.kl).toBeGreaterThan(0);
      expect(terms?.kl).toBeLessThan(loss);
      expect(Object.keys(select?.facts ?? {})).toEqual([
        "kl",
        "snr p05",
        "snr p25",
        "snr p50",
        "snr p75",
        "snr p95",
        "alive Conv_0",
      ]);
    }
    // What the method ends with is what its last epoch told, and nothing was removed yet.
    expect(history.at(-1)?.select?.facts).toEqual(epochFacts(posteriorFacts));
    const [{ group, units, members, kl, snr: ratios }] = posteriorFacts;
    expect(group).toBe("Conv_0");
    expect([members.length, kl.length, ratios.length]).toEqual([units, units, units]);
  });

  it("goes back behind a collapse, also when it is interrupted", async () => {
    const whole = await learn(learning);
    const { history, notes, posteriorFacts } = whole;
    expect(history.length).toBeGreaterThan(1);
    expect(history.length).toBeLessThan(Number(options.epochs));
    const broken = history.map(collapsedGroups);
    expect(broken.at(-1)).toEqual(["Conv_0"]);
    expect(broken.slice(0, -1).flat()).toEqual([]);
    // What it gives is the state after the epoch before.
    expect(epochFacts(posteriorFacts)).toEqual(history.at(-2)?.select?.facts);
    const last = history.length;
    expect(notes.join()).toContain(`in epoch ${last} all units of Conv_0 fell below the threshold`);
    expect(notes.join()).toContain(`went back to epoch ${last - 1}; lower lambda`);

    const path = join(folder, `${method.name}.safetensors`);
    const checkpoint = { path, everySteps: 5 };
    for (const stop of [7, 12 * last - 3, 12 * last]) {
      const controller = new AbortController();
      const training: LearningOptions = {
        ...learning,
        checkpoint,
        signal: controller.signal,
        onProgress: ({ step }) => step >= stop && controller.abort(),
      };
      await learn(training).catch((error) => expect(error).toMatchObject({ code: "ABORTED" }));
    }
    const uninterrupted = await learn({
      ...learning,
      checkpoint: { ...checkpoint, path: join(folder, `${method.name}-whole.safetensors`) },
    });
    expect(await learn({ ...learning, checkpoint })).toEqual(uninterrupted);
  });

  it("goes on where that is asked for", async () => {
    const { history, notes } = await learn(learning, { collapse: "go-on" });
    expect(history).toHaveLength(Number(options.epochs));
    expect(notes.join()).not.toContain("fell below the threshold");
  });
});

describe("what is told of an epoch", () => {
  const facts = [
    { group: "a", units: 3, members: [0, 1, 2], dead: 1, kl: [1, 2, 3], snr: [0.5, 2, 4] },
    { group: "b", units: 1, members: [3], dead: 1, kl: [0.5], snr: [Number.POSITIVE_INFINITY] },
  ];

  it("is sums, quantiles and counts", () => {
    const told = epochFacts(facts);
    expect(told).toMatchObject({ kl: 6.5, "alive a": 2, "alive b": 0 });
    expect(told["snr p25"]).toBe(quantile([0.5, 2, 4], 0.25));
  });

  it("says which groups collapsed, and when", () => {
    const record = { epoch: 0, step: 9, rate: 1, loss: 1 };
    const select = { metric: "top1", value: 0.5, loss: 1, facts: epochFacts(facts) };
    expect(collapseNotes([{ ...record, select }], 0.123456, 4)).toEqual([
      "in epoch 5 all units of b fell below the threshold: learning ended there and went back to the state at the beginning; lower lambda (it was 0.1235) to learn on, or say collapse=go-on",
    ]);
    expect(collapseNotes([record], 1)).toEqual([]);
  });
});
