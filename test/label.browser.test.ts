/** @file The labelling page in a real browser: answers by keyboard alone, kept whatever happens, for everybody, on any screen. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openFolder } from "../src/certify/session.ts";
import type { CertifyState } from "../src/certify/state.ts";
import { type LabelServer, serveLabels } from "../src/label/server.ts";
import { LabelService } from "../src/label/service.ts";
import { chromiumPath, launchOptions } from "./chromium.ts";
import { emptyFolder, espalier, startEspalier } from "./cli-io.ts";
import { type SeenImages, seenImages, writeSeen } from "./support/certify-fixture.ts";

const images = seenImages(500, { lost: 14, won: 14, neither: 8 });
const keys = "1234567890QWERTYUIOP";
const patience = { timeout: 20_000 };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A folder with questions about images on which two networks differ. */
async function questions(seen: SeenImages): Promise<string> {
  const root = await emptyFolder();
  const { photos, networks } = await writeSeen(root, seen);
  const folder = join(root, "cert");
  const { err } = await espalier([
    "certify",
    ...networks,
    "--data",
    photos,
    "--max-drop",
    "0.05",
    "-o",
    folder,
  ]);
  expect((await openFolder(folder))?.state.questions.length, err).toBeGreaterThan(0);
  return folder;
}

async function stateIn(folder: string): Promise<CertifyState> {
  const session = await openFolder(folder);
  if (session === undefined) throw new Error(`${folder} holds a certification`);
  return session.state;
}

async function answersIn(folder: string) {
  return (await openFolder(folder))?.answers ?? [];
}

async function serve(folder: string): Promise<LabelServer> {
  const session = await openFolder(folder);
  if (session === undefined) throw new Error(`${folder} holds a certification`);
  const server = await serveLabels(new LabelService(folder, session));
  onTestFinished(() => server.close());
  return server;
}

/** Starts `espalier label` in a process of its own, and gives its address. */
function startLabel(folder: string) {
  const child = startEspalier(["label", folder]);
  onTestFinished(() => void child.kill("SIGKILL"));
  const url = new Promise<string>((resolve, reject) => {
    let out = "";
    child.stdout.on("data", (part) => {
      out += part;
      const found = /^http:\S+/m.exec(out);
      if (found !== null) resolve(found[0]);
    });
    child.on("exit", () => reject(new Error(out)));
  });
  return { child, url };
}

describe.skipIf(chromiumPath === undefined)(
  "the labelling page in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    let browser: Browser;
    let shots: string;
    beforeAll(async () => {
      browser = await chromium.launch(launchOptions);
      shots = process.env.ESPALIER_SHOTS ?? (await mkdtemp(join(tmpdir(), "espalier-label-")));
    }, 60_000);
    afterAll(async () => {
      await browser?.close();
      if (process.env.ESPALIER_SHOTS === undefined)
        await rm(shots, { recursive: true, force: true });
    });

    async function contextOf(
      options: Parameters<Browser["newContext"]>[0] = {},
    ): Promise<BrowserContext> {
      const context = await browser.newContext(options);
      onTestFinished(() => context.close());
      return context;
    }

    /** The page after somebody has given their name; what it complained about, and asked for elsewhere. */
    async function begin(
      url: string,
      name: string,
      options: Parameters<Browser["newContext"]>[0] = {},
    ) {
      const page = await (await contextOf(options)).newPage();
      const complaints: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("request", (asked) => {
        if (!asked.url().startsWith(url)) complaints.push(asked.url());
      });
      await page.goto(url);
      await page.keyboard.type(name);
      await page.keyboard.press("Enter");
      await page.locator("#choices button").first().waitFor();
      return { page, complaints };
    }

    /** Answers the shown question as somebody who knows the labels, by keyboard. */
    async function press(page: Page, state: CertifyState): Promise<void> {
      const place =
        Number(/\d+/.exec((await page.locator("#question").textContent()) ?? "")?.[0]) - 1;
      const { index } = state.questions[place];
      const before = await page.locator("#progress").textContent();
      await page.keyboard.press(keys[images.labels[index]]);
      await expect.poll(() => page.locator("#progress").textContent(), patience).not.toBe(before);
    }

    it("takes forty answers by keyboard alone, with a reload and a killed server in the middle", async () => {
      const folder = await questions(images);
      const state = await stateIn(folder);
      const all = state.questions.length;
      expect(all).toBeGreaterThanOrEqual(40);
      const first = startLabel(folder);
      const { page, complaints } = await begin(await first.url, "Ann");
      for (let i = 0; i < 10; i++) await press(page, state);
      await page.reload();
      await page.locator("#choices button").first().waitFor();
      expect(await page.locator("#progress").textContent()).toContain(
        `10 of at most ${all} answered`,
      );
      for (let i = 0; i < 10; i++) await press(page, state);
      expect(complaints).toEqual([]);

      first.child.kill("SIGKILL");
      await new Promise((resolve) => first.child.once("close", resolve));
      await page.keyboard.press("1");
      await expect
        .poll(() => page.locator("#notice").textContent(), patience)
        .toContain("was not kept");
      expect(await page.locator("#progress").textContent()).toContain("20 of");
      expect(await answersIn(folder)).toHaveLength(20);

      const second = startLabel(folder);
      const again = await begin(await second.url, "Ann");
      expect(await again.page.locator("#progress").textContent()).toContain("20 of");
      for (let i = 20; i < all; i++) await press(again.page, state);
      expect(await again.page.locator("#question").textContent()).toContain(
        "All questions are answered",
      );
      const over = new Promise((resolve) => second.child.once("exit", resolve));
      second.child.kill("SIGINT");
      await over;
      const answers = await answersIn(folder);
      expect(answers).toHaveLength(all);
      for (const { question, choice, labeller } of answers) {
        const index = state.questions.find(({ id }) => id === question)?.index ?? -1;
        expect([labeller, choice]).toEqual(["Ann", images.labels[index]]);
      }
      expect((await espalier(["verify", join(folder, "certificate.json")])).exitCode).toBe(0);
    }, 300_000);

    it("takes back, passes over, and tells two people how far they agree", async () => {
      const folder = await questions(images);
      const state = await stateIn(folder);
      const { url } = await serve(folder);
      const { page } = await begin(url, "Ann");
      for (let i = 0; i < 6; i++) await press(page, state);
      await page.keyboard.press("Backspace");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("5 of");
      expect(await page.locator("#question").textContent()).toContain("Question 6 ");
      await page.keyboard.press("n");
      expect(await page.locator("#question").textContent()).toContain("Question 7 ");
      await page.keyboard.press("c");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("6 of");
      await page.keyboard.press("x");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("7 of");
      expect((await answersIn(folder)).slice(-2).map(({ choice }) => choice)).toEqual([
        "unknown",
        "other",
      ]);

      const other = await begin(url, "Bo");
      for (let i = 0; i < 5; i++) await press(other.page, state);
      expect(await other.page.locator("#people").textContent()).toBe(
        "Bo · agreement with Ann: kappa 1.00 on 5",
      );
      expect(new Set((await answersIn(folder)).map(({ labeller }) => labeller))).toEqual(
        new Set(["Ann", "Bo"]),
      );
    }, 180_000);

    it("of many classes suggests two, and finds the others by name", async () => {
      const many = seenImages(300, { lost: 3, won: 3, neither: 2, classes: 30 });
      const folder = await questions(many);
      const state = await stateIn(folder);
      const { url } = await serve(folder);
      const { page, complaints } = await begin(url, "Ann");
      expect(await page.locator("#choices button").count()).toBe(2);
      await page.keyboard.press("/");
      await page.keyboard.type("29");
      await page.keyboard.press("Enter");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("1 of");
      await page.keyboard.press("2");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("2 of");
      await page.keyboard.press("3");
      await expect.poll(() => page.locator("#progress").textContent(), patience).toContain("3 of");
      const second = state.questions[1].suggestions[1];
      expect((await answersIn(folder)).map(({ choice }) => choice)).toEqual([29, second, "other"]);
      expect(complaints).toEqual([]);
    }, 180_000);

    it.each([
      { name: "desktop", width: 1440, height: 900, colorScheme: "light" },
      { name: "phone", width: 390, height: 844, colorScheme: "light" },
      { name: "dark", width: 1440, height: 900, colorScheme: "dark" },
    ] as const)(
      "has no fault of accessibility, and fits, on $name",
      async ({ name, width, height, colorScheme }) => {
        const folder = await questions(images);
        const { url } = await serve(folder);
        const naming = await (
          await contextOf({ viewport: { width, height }, colorScheme })
        ).newPage();
        await naming.goto(url);
        const { page } = await begin(url, "Ann", { viewport: { width, height }, colorScheme });
        await page.locator("#picture.small").waitFor();
        for (const one of [naming, page]) {
          await one.evaluate(axe);
          const violations: readonly { readonly id: string }[] = await one.evaluate(
            "axe.run().then(({ violations }) => violations.map(({ id, nodes }) => ({ id, html: nodes.map((node) => node.html) })))",
          );
          expect(violations).toEqual([]);
          const overflow: number = await one.evaluate(
            "document.documentElement.scrollWidth - innerWidth",
          );
          expect(overflow).toBeLessThanOrEqual(0);
        }
        await page.screenshot({ path: join(shots, `label-${name}.png`) });
        await naming.screenshot({ path: join(shots, `name-${name}.png`) });
      },
      60_000,
    );

    it("answers nobody without the token, and no page from elsewhere", async () => {
      const folder = await questions(images);
      const { url } = await serve(folder);
      const { origin, pathname } = new URL(url);
      const status = (path: string, options: RequestInit = {}) =>
        fetch(`${origin}${path}`, options).then((found) => found.status);
      expect(await status("/")).toBe(403);
      expect(await status("/questions")).toBe(403);
      expect(await status(`${pathname}questions`)).toBe(200);
      expect(
        await status(`${pathname}questions`, { headers: { Origin: "https://example.com" } }),
      ).toBe(403);
      expect(await status(`${pathname}pictures/..%2fcertify.json`)).toBe(404);
      expect(await status(`${pathname}pictures/q9999.png`)).toBe(404);
      const post = (body: string, type = "application/json") =>
        status(`${pathname}answers`, { method: "POST", body, headers: { "Content-Type": type } });
      const answer = { question: "q0001", labeller: "Ann", choice: 1 };
      expect(await post(JSON.stringify(answer), "text/plain")).toBe(415);
      expect(await post("{")).toBe(400);
      expect(await post(JSON.stringify({ ...answer, choice: 10 }))).toBe(400);
      expect(await post(JSON.stringify({ ...answer, question: "q9999" }))).toBe(400);
      expect(await post(JSON.stringify({ ...answer, labeller: " " }))).toBe(400);
      expect(await post(JSON.stringify({ ...answer, labeller: "x".repeat(5000) }))).toBe(400);
      expect(await answersIn(folder)).toEqual([]);
      expect(await post(JSON.stringify(answer))).toBe(200);
      expect(await answersIn(folder)).toHaveLength(1);
      // A name of somebody else's that leads to this machine.
      const rebound = await new Promise<number | undefined>((resolve) => {
        request(`${url}questions`, { headers: { Host: "example.com" } }, (found) =>
          resolve(found.statusCode),
        ).end();
      });
      expect(rebound).toBe(403);
      const shown = await fetch(`${url}questions`).then((found) => found.text());
      for (const word of ["isDecoy", "first", "second", "picture"])
        expect(shown).not.toContain(word);
    }, 60_000);
  },
);
