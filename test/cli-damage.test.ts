/** @file `espalier prune` says when little is left of what the original answers, and which method it took. */
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { concatBytes, writeModel } from "../src/onnx/writing/write.ts";
import { espalier } from "./cli-io.ts";
import { op, plainNetwork } from "./support/partly-normalized.ts";

async function pruned(isNormalized: boolean, macs: string, ...more: readonly string[]) {
  const layers = [12, 12].map((filters) => ({ filters, isNormalized, activation: op("Relu") }));
  const model = plainNetwork([...layers, { filters: 4, kernel: 1 }]);
  const folder = await mkdtemp(join(tmpdir(), "espalier-damage-"));
  const path = join(folder, "net.onnx");
  await writeFile(path, concatBytes(writeModel(model)));
  return espalier(["prune", path, "-o", join(folder, "small.onnx"), "--macs", macs, ...more]);
}

it("warns of a network that is down to its floor, with figures in --json, and ends as before", async () => {
  const { exitCode, out, err } = await pruned(false, "0.01", "--json");
  const result = JSON.parse(out);
  expect(exitCode).toBe(3);
  expect(result).toMatchObject({
    method: "magnitude",
    verification: { passed: true },
    damage: { isDestroyed: true, inputs: "random", samples: 32 },
  });
  expect(result.damage.atFloor.map(({ id }: { id: string }) => id)).toEqual(["conv1", "conv2"]);
  expect(result.damage.outputs[0]).toMatchObject({
    correlation: expect.any(Number),
    variation: expect.any(Number),
    isDestroyed: true,
  });
  expect(err).toMatch(/little is left of what the network answered: on 32 random inputs/);
  expect(err).toMatch(/No images were given.*real ones tell more/);
  expect(err).toMatch(/Choose a milder target/);
});

it("does not warn of one that has lost little, and says which method it took and why", async () => {
  const { exitCode, out, err } = await pruned(true, "0.95");
  expect(exitCode).toBe(0);
  expect(out).toMatch(/method bn: batch normalization tells of 100 %/);
  expect(err).not.toMatch(/little is left/);
});
