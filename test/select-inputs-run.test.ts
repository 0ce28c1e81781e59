/** @file `--select-inputs` from the command line: compressing, pruning, verifying, applying a plan. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { espalier } from "./cli-io.ts";
import { makeWorkplace, type Workplace } from "./support/small-cnn.ts";

let made: Workplace;
beforeAll(async () => {
  made = await makeWorkplace();
});
afterAll(() => rm(made.folder, { recursive: true, force: true }));

const json = async (...argv: readonly string[]) => {
  const { exitCode, out, err } = await espalier([...argv, "--json"]);
  expect({ exitCode, err: exitCode === 0 ? "" : err }).toEqual({ exitCode: 0, err: "" });
  return JSON.parse(out);
};

/** Groups of features that a layer selects. */
const features = (group: { readonly id: string }) => group.id.endsWith("/inputs");

describe("a compression that selects inputs", () => {
  it.each([
    ["magnitude", []],
    ["vib", ["--option", "epochs=1", "--option", "lambda=1"]],
    ["snr", ["--option", "epochs=1", "--option", "posterior=keep"]],
  ] as const)("by %s over two rounds is what its files say", async (method, options) => {
    const run = join(made.folder, `run-${method}`);
    const report = await json(
      ...["compress", made.net, "--data", made.data, "-o", run, "--method", method],
      ...["--select-inputs", "--params", "0.4", "--rounds", "2", "--epochs", "1"],
      ...["--batch", "20", "--threads", "1", "--bench-seconds", "0.05", ...options],
    );
    expect(report.selected).toHaveLength(1);
    const [{ layer, before, after }] = report.selected;
    expect(report.groups.filter(features)).toEqual([
      { id: `${layer}/inputs`, layers: [layer], before, after },
    ]);
    expect(after).toBeLessThan(before);
    const plan = JSON.parse(await readFile(join(run, "plan.json"), "utf8"));
    expect(plan.selectsInputs).toBe(true);
    const { passed } = await json("verify", run, "--threads", "1");
    expect(passed).toBe(true);
  });
});

describe("pruning that selects inputs", () => {
  it("is verified from its plan, which gives the same network again", async () => {
    const [small, again] = ["small.onnx", "again.onnx"].map((name) => join(made.folder, name));
    const pruned = await json(
      ...["prune", made.net, "-o", small, "--method", "magnitude"],
      ...["--params", "0.5", "--select-inputs"],
    );
    expect(pruned.selected[0].after).toBeLessThan(pruned.selected[0].before);
    expect((await json("verify", made.net, small)).passed).toBe(true);
    await json("prune", made.net, "-o", again, "--plan", `${small}.plan.json`);
    expect(await readFile(again)).toEqual(await readFile(small));
  });

  it("is told to people", async () => {
    const { out } = await espalier([
      ...["prune", made.net, "--method", "random", "--params", "0.3"],
      ...["--select-inputs", "--dry-run"],
    ]);
    expect(out).toMatch(/reads \d+ of \d+ features, selected by a Gather that costs no MACs/);
  });
});
