/** @file The core runs in a browser, and gives the same bytes there as in Node. */
import { resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as core from "../src/core.ts";
import { chromiumPath } from "./chromium.ts";
import { residualNetwork } from "./residual-network.ts";

/** What the page and Node both do. Base64, because pages and tests exchange JSON. */
function pruneInspected(library: typeof core, modelBase64: string) {
  const bytes = Uint8Array.from(atob(modelBase64), (char) => char.charCodeAt(0));
  const model = library.readModel(bytes);
  const inspection = library.inspect(model);
  const pruned = library.prune(model, { method: "bn", targets: { macs: 0.5 } });
  const written = library.concatBytes(pruned.bytes);
  const text = Array.from(written, (byte) => String.fromCharCode(byte)).join("");
  return {
    inspection: JSON.stringify(inspection),
    plan: JSON.stringify(pruned.plan),
    after: pruned.after,
    file: btoa(text),
  };
}

describe.skipIf(chromiumPath === undefined)(
  "in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    let browser: Browser;
    let script: string;

    beforeAll(async () => {
      script = await bundle();
      browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
    }, 60_000);
    afterAll(() => browser?.close());

    it("reads, inspects, prunes and writes as in Node, byte for byte", async () => {
      const model = Buffer.from(residualNetwork()).toString("base64");
      const page = await browser.newPage();
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      await page.addScriptTag({ content: script });
      const inBrowser = await page.evaluate(
        `(${pruneInspected.toString()})(espalier, ${JSON.stringify(model)})`,
      );
      const inNode = pruneInspected(core, model);
      expect(errors).toEqual([]);
      expect(inBrowser).toEqual(inNode);
      expect(inNode.after.macs).toBeGreaterThan(0);
      expect(Buffer.from(inNode.file, "base64").length).toBeLessThan(residualNetwork().length);
    });

    it("tells a damaged file by its typed error", async () => {
      const page = await browser.newPage();
      await page.addScriptTag({ content: script });
      const code = await page.evaluate(
        `(() => { try { espalier.readModel(new Uint8Array([255])); } catch (error) { return error.code; } })()`,
      );
      expect(code).toBe("MODEL_TRUNCATED");
    });
  },
);

/** The core as one classic script that defines `espalier`. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: {
        entry: resolve(import.meta.dirname, "../src/core.ts"),
        formats: ["iife"],
        name: "espalier",
      },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!("output" in output)) throw new Error("vite gave no output");
  return output.output[0].code;
}
