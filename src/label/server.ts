/**
 * @file The server of the labelling page. It listens on this machine alone, at a port that the system chooses, and answers
 * only who knows its token: no page from elsewhere can read pictures or send answers.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { join } from "node:path";
import { z } from "zod";
import { pictureName } from "../certify/answer-table.ts";
import { certifyPaths, jsonOf } from "../certify/folder.ts";
import { assert, EspalierError } from "../errors.ts";
import { labelPage, labelPolicy } from "./page.ts";
import type { LabelService } from "./service.ts";

/** A server at work. */
export interface LabelServer {
  /** The address of the page, with its token. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

const answerBody = z.strictObject({
  question: z.string().max(20),
  labeller: z.string().max(200),
  /** `null` takes the answer back. */
  choice: z.union([z.int().nonnegative(), z.literal("other"), z.literal("unknown")]).nullable(),
});

/** Bytes of the largest answer. */
const largestBody = 4096;

const headers = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": labelPolicy,
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
} as const;

/** What is answered. */
interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
}

/** Serves the page until it is closed. Fails with `FILE_UNREADABLE` where no port can be had. */
export async function serveLabels(service: LabelService): Promise<LabelServer> {
  const token = randomBytes(24).toString("base64url");
  let host = "";
  const server = createServer((request, response) => {
    replyTo(request, { service, token, host })
      .catch(failed)
      .then(({ status, type, body }) => {
        response.writeHead(status, { ...headers, "Content-Type": type });
        response.end(body);
      })
      .catch(() => response.destroy());
  });
  server.requestTimeout = 10_000;
  const port = await listen(server);
  host = `127.0.0.1:${port}`;
  return { url: `http://${host}/${token}/`, close: () => closed(server) };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new EspalierError(
          "FILE_UNREADABLE",
          `no port on this machine can be had: ${cause.message}`,
          { cause },
        ),
      ),
    );
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      assert(address !== null && typeof address === "object", "a server that listens has a port");
      resolve(address.port);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

interface Place {
  readonly service: LabelService;
  readonly token: string;
  readonly host: string;
}

async function replyTo(request: IncomingMessage, place: Place): Promise<Reply> {
  const { service, token, host } = place;
  const { method = "GET", headers: asked } = request;
  const url = new URL(request.url ?? "/", `http://${host}`);
  const [, given = "", ...rest] = url.pathname.split("/");
  // A page elsewhere whose name leads here has another host, and every page elsewhere another origin.
  const isOwn = asked.host === host && [undefined, `http://${host}`].includes(asked.origin);
  if (!isOwn || !isSame(given, token))
    return text(403, "Start `espalier label` and open the address that it prints.");
  const path = rest.join("/");
  if (method === "GET" && path === "")
    return { status: 200, type: "text/html; charset=utf-8", body: labelPage() };
  if (method === "GET" && path === "questions") return json(service.page());
  if (method === "GET" && path === "standing")
    return json(service.standing(url.searchParams.get("labeller") ?? ""));
  const picture = /^pictures\/(q\d{4,9})\.png$/.exec(path);
  if (method === "GET" && picture !== null && service.has(picture[1])) {
    const file = join(certifyPaths(service.folder).pictures, pictureName(picture[1]));
    return { status: 200, type: "image/png", body: await readFile(file) };
  }
  if (method === "POST" && path === "answers") {
    if (asked["content-type"] !== "application/json") return text(415, "expected application/json");
    const parsed = answerBody.safeParse(jsonOf(await bodyOf(request)));
    if (!parsed.success) return text(400, "no answer");
    const { question, labeller, choice } = parsed.data;
    return json(await service.answer(question, labeller, choice ?? undefined));
  }
  return text(404, "nothing is here");
}

function isSame(given: string, token: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > largestBody) throw new EspalierError("ANSWERS_INVALID", "an answer is too long");
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString();
}

function failed(error: unknown): Reply {
  if (error instanceof EspalierError)
    return text(error.code === "ANSWERS_INVALID" ? 400 : 500, error.message);
  return text(500, "the answer could not be kept");
}

function json(value: unknown): Reply {
  return { status: 200, type: "application/json", body: JSON.stringify(value) };
}

function text(status: number, body: string): Reply {
  return { status, type: "text/plain; charset=utf-8", body };
}
