/** @file What `train` tells at the end: every figure whole, by its name, in any width. */
import { describe, expect, it } from "vitest";
import type { TrainReport } from "../../runs/training/train-report.ts";
import { describeTraining } from "./train-report.ts";

const report = (metric: string, value: number): TrainReport => ({
  command: "train",
  network: "net",
  seed: 0,
  epochs: 1,
  steps: 374,
  end: "completed",
  history: [],
  best: { epoch: 1, metric, value, loss: 0.2 },
  final: { split: "test", metric, value, loss: 0.114, samples: 10_000, ci95: [0.9595, 0.9669] },
  sizeBytes: 248_000,
  warnings: [],
});

describe("the end of a training", () => {
  it.each([
    ["top1", 0.9634, "accuracy 96.34 % (95 %: 95.95 % to 96.69 %)", "accuracy 96.34 % on select"],
    ["miou", 0.4759, "mean IoU 47.59 % (95 %: 95.95 % to 96.69 %)", "mean IoU 47.59 % on select"],
    ["PSNR", 31.25, "PSNR 31.25 (95 %: 0.9595 to 0.9669)", "PSNR 31.25 on select, epoch 1"],
  ])("names %s wherever a number stands", (metric, value, test, best) => {
    const text = describeTraining("run", report(metric, value), 120);
    expect(text).toContain(test);
    expect(text).toContain(best);
    expect(text).toContain("1 epoch, 374 steps");
  });

  it.each([40, 60, 80])(
    "goes on in the next line at %d columns, and leaves out nothing",
    (columns) => {
      const text = describeTraining("run", report("top1", 0.9634), columns);
      expect(text).not.toContain("…");
      for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
      expect(text.replace(/\s+/g, " ")).toContain(
        "95.95 % to 96.69 %), loss 0.1140, 10,000 samples",
      );
    },
  );
});
