/** @file The page of ONNX Runtime Web in headless Chromium: served on this machine alone, with the headers that give pages threads and a fine clock. */
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { cpus } from "node:os";
import { basename, join, resolve } from "node:path";
import { chromium, type Page } from "playwright-core";
import { build } from "vite";
import { z } from "zod";
import { type Estimate, ratioOfMedians } from "../../src/measure/statistics/statistics.ts";
import { chromiumPath, launchOptions } from "../../test/chromium.ts";

const root = resolve(import.meta.dirname, "../..");
const runtime = join(root, "node_modules/onnxruntime-web");

/** The page's own script. */
async function bundled(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      target: "es2022",
      lib: { entry: join(import.meta.dirname, "page.ts"), formats: ["iife"], name: "espalier" },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!("output" in output)) throw new Error("vite gave no output");
  return output.output[0].code;
}

const html = `<!doctype html><title>costs</title>
<script src="/ort/ort.wasm.min.js"></script><script src="/page.js"></script>`;

function serve(script: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? "/";
    const headers = {
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    };
    const send = (type: string, content: string | Buffer) =>
      response.writeHead(200, { ...headers, "Content-Type": type }).end(content);
    if (path === "/") return send("text/html", html);
    if (path === "/page.js") return send("text/javascript", script);
    const [, name] = /^\/ort\/([\w.-]+)$/.exec(path) ?? [];
    if (name === undefined) return response.writeHead(404).end();
    const type = name.endsWith(".wasm") ? "application/wasm" : "text/javascript";
    return send(type, await readFile(join(runtime, "dist", name)));
  });
  return new Promise((started) => {
    server.listen(0, "127.0.0.1", () => started(server));
  });
}

/** Opens the page, and gives it to `use`. */
async function inPage<T>(use: (page: Page) => Promise<T>): Promise<T> {
  if (chromiumPath === undefined) throw new Error("no Chromium; CHROMIUM_PATH may name one");
  const server = await serve(await bundled());
  const browser = await chromium.launch(launchOptions);
  try {
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no port");
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(error.message));
    await page.goto(`http://127.0.0.1:${address.port}/`);
    return await use(page);
  } finally {
    await browser.close();
    server.close();
  }
}

async function settingOf(threads: number) {
  const manifest = z.object({ version: z.string() });
  const { version } = manifest.parse(
    JSON.parse(await readFile(join(runtime, "package.json"), "utf8")),
  );
  return { threads, version, machine: `${cpus()[0]?.model.trim()} (Chromium)` };
}

const base64Of = async (path: string) => (await readFile(path)).toString("base64");

/** A cost table of a network, as the file says; progress goes to `onShare`. */
export async function profileInPage(
  model: string,
  threads: number,
  onShare: (share: number) => void = () => {},
): Promise<string> {
  const setting = await settingOf(threads);
  const table = await inPage(async (page) => {
    await page.exposeFunction("tell", onShare);
    const given = [setting, basename(model), await base64Of(model)].map((each) =>
      JSON.stringify(each),
    );
    return page.evaluate(`espalier.profile(${given.join(", ")}, tell)`);
  });
  return z.string().parse(table);
}

/** The ratio of the latencies of two networks, second over first, with its interval. */
export async function raceInPage(
  paths: readonly string[],
  seconds: number,
  threads: number,
): Promise<Estimate> {
  const setting = await settingOf(threads);
  const networks = await Promise.all(paths.map(base64Of));
  const given = [setting, networks, seconds].map((each) => JSON.stringify(each)).join(", ");
  const series = z
    .array(z.array(z.number()))
    .length(2)
    .parse(await inPage((page) => page.evaluate(`espalier.race(${given})`)));
  return ratioOfMedians(series[1], series[0]);
}
