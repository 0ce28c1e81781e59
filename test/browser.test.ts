/** @file The core runs in a browser, and gives the same bytes there as in Node. */
import { resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as core from "../src/core.ts";
import { chromiumPath, launchOptions } from "./chromium.ts";
import { residualNetwork } from "./residual-network.ts";
import { smoothNetwork } from "./smooth-network.ts";
import { functions } from "./support/elementary-functions.ts";

/** What the page and Node both do. Base64, because pages and tests exchange JSON. */
function pruneInspected(library: typeof core, modelBase64: string) {
  const bytes = Uint8Array.from(atob(modelBase64), (char) => char.charCodeAt(0));
  const model = library.readModel(bytes);
  const inspection = library.inspect(model);
  const pruned = library.prune(model, { method: "bn", targets: { macs: 0.5 } });
  const written = library.concatBytes(pruned.bytes);
  const base64Of = (bytes: Uint8Array) =>
    btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return {
    inspection: JSON.stringify(inspection),
    plan: JSON.stringify(pruned.plan),
    before: pruned.before,
    after: pruned.after,
    file: base64Of(written),
    pack: base64Of(library.pack(model, { bits: 5.5, hasRowSteps: true }).bytes),
  };
}

/** What every function gives for many numbers of all sizes, as a text that holds every bit, by its name. */
function resultsOf(functions: Readonly<Record<string, unknown>>, seed: number) {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
  const numbers = Array.from({ length: 2000 }, () => {
    const size = 2 ** Math.floor(uniform() * 40 - 30) * (1 + uniform());
    return uniform() < 0.5 ? size : -size;
  });
  const results: Record<string, string> = {};
  for (const [name, own] of Object.entries(functions))
    if (typeof own === "function")
      results[name] = numbers.map((x, i) => own(x, numbers[(i + 1) % numbers.length])).join(" ");
  return results;
}

describe.skipIf(chromiumPath === undefined)(
  "in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    let browser: Browser;
    let script: string;

    beforeAll(async () => {
      script = await bundle("src/core.ts");
      browser = await chromium.launch(launchOptions);
    }, 60_000);
    afterAll(() => browser?.close());

    it.each([
      ["a residual network", residualNetwork],
      ["a wider one", () => residualNetwork({ width: 24, blocks: 3 })],
      ["all smooth activations", smoothNetwork],
    ] as const)(
      "reads, inspects, prunes, packs and writes %s as in Node, byte for byte",
      async (_, build) => {
        const model = Buffer.from(build()).toString("base64");
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
        expect(inNode.after.macs).toBeLessThan(0.6 * inNode.before.macs);
        expect(Buffer.from(inNode.file, "base64").length).toBeLessThan(build().length);
      },
    );

    it("computes elementary functions to the same bits", async () => {
      const page = await browser.newPage();
      await page.addScriptTag({ content: await bundle("test/support/elementary-functions.ts") });
      const inBrowser: Readonly<Record<string, string>> = await page.evaluate(
        `(${resultsOf.toString()})(espalier.functions, 5)`,
      );
      const inNode = resultsOf(functions, 5);
      const differing = Object.keys(inNode).filter((name) => inBrowser[name] !== inNode[name]);
      expect(differing).toEqual([]);
      expect(Object.keys(inNode).length).toBeGreaterThan(20);
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

/** A module as one classic script that defines `espalier`. */
async function bundle(entry: string): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      lib: {
        entry: resolve(import.meta.dirname, "..", entry),
        formats: ["iife"],
        name: "espalier",
      },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!("output" in output)) throw new Error("vite gave no output");
  return output.output[0].code;
}
