/** @file A cost table filled by ONNX Runtime Web in headless Chromium, by the code that fills it in Node. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { profileInPage, raceInPage } from "../bench/browser/in-page.ts";
import { readModel } from "../src/onnx/reading/read.ts";
import { parseCosts } from "../src/structure/timing/cost-table-text.ts";
import { timeModel } from "../src/structure/timing/time-model.ts";
import { structureOf } from "../src/structure/units/units.ts";
import { chromiumPath } from "./chromium.ts";
import { emptyFolder } from "./cli-io.ts";
import { residualNetwork } from "./residual-network.ts";

describe.skipIf(chromiumPath === undefined)(
  "in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    it("every layer of a network is timed, and a wide network takes longer than a narrow one", async () => {
      const folder = await emptyFolder();
      const files = [8, 32].map((width) => ({
        path: join(folder, `${width}.onnx`),
        bytes: residualNetwork({ width, side: 16 }),
      }));
      for (const { path, bytes } of files) await writeFile(path, bytes);
      const shares: number[] = [];
      const table = parseCosts(
        await profileInPage(files[0].path, 1, (share) => shares.push(share)),
      );
      expect(shares.at(-1)).toBe(1);
      expect(table.source).toMatchObject({ provider: "wasm", threads: 1 });
      expect(table.source.engine).toMatch(/^onnxruntime-web \d/);
      const { unmeasured, originalMs } = timeModel(
        structureOf(readModel(files[0].bytes).graph),
        table,
      );
      expect(unmeasured).toEqual([]);
      expect(originalMs).toBe(table.networks[0].ms);
      const { ci95 } = await raceInPage(
        files.map(({ path }) => path),
        1,
        1,
      );
      expect(ci95[0]).toBeGreaterThan(1);
    }, 120_000);
  },
);
