/** @file A page that downloads a pack, unpacks it while it comes in, and runs it with onnxruntime-web. */
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { resolve } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { build } from "vite";
import { z } from "zod";
import { launchOptions } from "../chromium.ts";

const root = resolve(import.meta.dirname, "../..");

/** The second half of the pack is sent when something has come out of the first. */
const page = `<!doctype html><title>unpack</title><script type="module">
import * as ort from "/ort/ort.wasm.bundle.min.mjs";
import { unpack, unpackPieces } from "/unpack.js";

async function streamed() {
  const { body } = await fetch("/net.esp");
  const pieces = [];
  for await (const piece of unpackPieces(body)) {
    if (pieces.length === 0) await fetch("/more");
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

window.timeUnpacking = async () => {
  const pack = new Uint8Array(await (await fetch("/whole.esp")).arrayBuffer());
  const start = performance.now();
  const { length } = await unpack(pack);
  return length / 1e3 / (performance.now() - start);
};

window.runPack = async (values, shape) => {
  const bytes = await streamed();
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const input = new ort.Tensor("float32", Float32Array.from(values), shape);
  const outputs = await session.run({ [session.inputNames[0]]: input });
  return {
    sha256: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    logits: [...outputs[session.outputNames[0]].data],
    megabytesPerSecond: await timeUnpacking(),
  };
};
</script>`;

const pageRun = z.object({
  /** Of what was unpacked. */
  sha256: z.string(),
  logits: z.array(z.number()),
  /** Of what comes out, in 10^6 bytes, the second time that it is unpacked. */
  megabytesPerSecond: z.number(),
});

/** What a page has made of a pack. */
export type PageRun = z.infer<typeof pageRun>;

/** Runs a packed network in headless Chromium, on `values` of a shape for its one input. */
export async function runInPage(
  pack: Uint8Array,
  values: Float32Array,
  shape: readonly number[],
): Promise<PageRun> {
  const call = `runPack(${JSON.stringify([...values])}, ${JSON.stringify(shape)})`;
  return pageRun.parse(await callInPage(pack, call));
}

/** MB (10^6 bytes) a second that come out of a pack in headless Chromium, the second time it is unpacked. */
export async function speedInPage(pack: Uint8Array): Promise<number> {
  return z.number().parse(await callInPage(pack, "timeUnpacking().then(timeUnpacking)"));
}

/** What a call of the page's functions comes to. */
async function callInPage(pack: Uint8Array, call: string): Promise<unknown> {
  const server = createServer();
  const answers = await answersFor(pack);
  server.on("request", ({ url = "" }, response) => {
    answers(url, response).catch(() => response.writeHead(404).end());
  });
  await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  let browser: Browser | undefined;
  try {
    browser = await chromium.launch(launchOptions);
    const tab = await browser.newPage();
    const failed = new Promise<never>((_, fails) => tab.on("pageerror", fails));
    await tab.goto(`http://127.0.0.1:${address.port}/`);
    return await Promise.race([tab.evaluate(call), failed]);
  } finally {
    await browser?.close();
    server.closeAllConnections();
    server.close();
  }
}

/** Answers requests for the page, its two libraries and the pack. */
async function answersFor(
  pack: Uint8Array,
): Promise<(url: string, response: ServerResponse) => Promise<void>> {
  const unpack = await bundle();
  const half = pack.length >> 1;
  let sendMore = () => {};
  const more = new Promise<void>((resolves) => {
    sendMore = resolves;
  });
  return async (url, response) => {
    const send = (type: string, body: string | Uint8Array) =>
      response.writeHead(200, { "content-type": type }).end(body);
    if (url === "/") send("text/html", page);
    else if (url === "/unpack.js") send("text/javascript", unpack);
    else if (url === "/whole.esp") send("application/octet-stream", pack);
    else if (url === "/more") {
      sendMore();
      send("text/plain", "");
    } else if (url === "/net.esp") {
      response.write(pack.subarray(0, half));
      await more;
      response.end(pack.subarray(half));
    } else {
      const [name] = /(?<=^\/ort\/)[\w.-]+$/.exec(url) ?? ["none"];
      const type = name.endsWith(".wasm") ? "application/wasm" : "text/javascript";
      send(type, await readFile(resolve(root, "node_modules/onnxruntime-web/dist", name)));
    }
  };
}

/** `espalier/unpack` as one module. */
async function bundle(): Promise<string> {
  const result = await build({
    configFile: false,
    logLevel: "warn",
    build: {
      write: false,
      target: "es2022",
      lib: { entry: resolve(root, "src/unpack.ts"), formats: ["es"] },
    },
  });
  const [output] = Array.isArray(result) ? result : [result];
  if (!("output" in output)) throw new Error("vite gave no output");
  return output.output[0].code;
}
