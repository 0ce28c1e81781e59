/** @file Reports in a real browser: nothing overflows, is clipped, loads or fails, on any screen and in print. */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { drawReport } from "../src/report/draw.ts";
import { chromiumPath, launchOptions } from "./chromium.ts";
import {
  cellExamples,
  certifiedReport,
  emptyReport,
  hostileName,
  hostileReport,
  learntRound,
  someExtras,
  uncertifiedReport,
} from "./reports.ts";

const pages = {
  certified: () => drawReport(certifiedReport(), someExtras),
  uncertified: () => drawReport(uncertifiedReport(), { ...someExtras, examples: cellExamples() }),
  learnt: () => {
    const names = Array.from({ length: 30 }, (_, i) => `/features/features.${i}/Conv`);
    const report = { ...certifiedReport(), rounds: [learntRound(names)] };
    return drawReport(report, someExtras);
  },
  empty: () => drawReport(emptyReport(), someExtras),
  hostile: () =>
    drawReport(
      { ...hostileReport(uncertifiedReport()), metric: hostileName },
      {
        config: { [hostileName]: hostileName },
        run: hostileName,
        data: hostileName,
        examples: cellExamples(2, 32),
      },
    ),
};

const screens = [
  { name: "desktop", width: 1280, colorScheme: "light", media: "screen" },
  { name: "phone", width: 360, colorScheme: "light", media: "screen" },
  { name: "dark", width: 1280, colorScheme: "dark", media: "screen" },
  { name: "paper", width: 718, colorScheme: "dark", media: "print" },
] as const;

/** What the page looks like from inside; runs in the browser. */
const inspection = `(() => {
  const drawings = [...document.querySelectorAll("svg")].filter((svg) => svg.checkVisibility());
  const clipped = drawings.flatMap((svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")]
      .filter((text) => {
        const box = text.getBoundingClientRect();
        return box.left < frame.left - 2 || box.right > frame.right + 2 ||
          box.top < frame.top - 2 || box.bottom > frame.bottom + 2;
      })
      .map((text) => text.textContent);
  });
  const brightness = (color) => color.match(/[\\d.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0) / 765;
  const style = getComputedStyle(document.body);
  return {
    overflow: document.documentElement.scrollWidth - innerWidth,
    drawings: drawings.length,
    charts: drawings.filter((svg) => svg.getAttribute("role") === "img").length,
    empty: drawings.filter((svg) => {
      const { width, height } = svg.getBoundingClientRect();
      return width < 10 || height < 10;
    }).length,
    clipped,
    broken: [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).length,
    unlabelled: [...document.querySelectorAll("img:not([alt]), svg[role=img]:not([aria-label])")].length,
    intruders: [...document.querySelectorAll("script:not(body > script:last-child), iframe, object, embed, form")].length +
      [...document.querySelectorAll("*")].filter((element) =>
        element.getAttributeNames().some((name) => name.startsWith("on"))).length,
    page: brightness(style.backgroundColor),
    ink: brightness(style.color),
    chartInk: [...new Set([...document.querySelectorAll(".chart text")].map((text) => getComputedStyle(text).fill))]
      .map(brightness),
  };
})()`;

interface Inspection {
  readonly [figure: string]: unknown;
  readonly overflow: number;
  readonly drawings: number;
  readonly charts: number;
  readonly page: number;
  readonly ink: number;
  readonly chartInk: readonly number[];
}

describe.skipIf(chromiumPath === undefined)(
  "a report in headless Chromium (skipped where none is installed; CHROMIUM_PATH names another)",
  () => {
    let browser: Browser;
    let folder: string;

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "espalier-report-"));
      for (const [name, draw] of Object.entries(pages))
        await writeFile(join(folder, `${name}.html`), draw());
      browser = await chromium.launch(launchOptions);
    }, 60_000);
    afterAll(async () => {
      await browser?.close();
      await rm(folder, { recursive: true, force: true });
    });

    /** The page on a screen, and what it complained about and asked for. */
    async function open(name: string, screen: (typeof screens)[number]) {
      const { width, colorScheme, media } = screen;
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
      onTestFinished(() => context.close());
      const page = await context.newPage();
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on("console", (message) => complaints.push(message.text()));
      page.on("pageerror", (error) => complaints.push(error.message));
      page.on("dialog", (dialog) => complaints.push(dialog.message()));
      page.on("request", (request) => requests.push(request.url()));
      await page.emulateMedia({ media, colorScheme });
      const address = pathToFileURL(join(folder, `${name}.html`)).href;
      await page.goto(address);
      const others = requests.filter((url) => url !== address && !url.startsWith("data:"));
      return { page, complaints, others };
    }

    /** A picture of the whole page; large enough that something is on it. */
    async function photograph(page: Page, name: string): Promise<void> {
      const path = join(folder, `${name}.png`);
      await page.screenshot({ path, fullPage: true });
      expect((await stat(path)).size).toBeGreaterThan(20_000);
    }

    describe.each(screens)("on $name", (screen) => {
      it.each(Object.keys(pages))("%s fits, whole and silent", async (name) => {
        const { page, complaints, others } = await open(name, screen);
        for (const isOpen of [false, true]) {
          await page.evaluate(
            `for (const part of document.querySelectorAll("details")) part.open = ${isOpen}`,
          );
          const seen: Inspection = await page.evaluate(inspection);
          expect(seen).toMatchObject({
            empty: 0,
            clipped: [],
            broken: 0,
            unlabelled: 0,
            intruders: 0,
          });
          expect(seen.overflow).toBeLessThanOrEqual(0);
          if (name !== "empty") expect(seen.charts).toBeGreaterThan(2);
          const isDark = screen.colorScheme === "dark" && screen.media === "screen";
          expect(seen.page > 0.5).toBe(!isDark);
          for (const ink of [seen.ink, ...seen.chartInk])
            expect(Math.abs(ink - seen.page)).toBeGreaterThan(0.35);
        }
        await photograph(page, `${name} ${screen.name}`);
        expect(complaints).toEqual([]);
        expect(others).toEqual([]);
      });
    });

    it.each([
      ["by the clipboard", true],
      ["without one", false],
    ])("copies each command %s", async (_, hasClipboard) => {
      const { page, complaints } = await open("certified", screens[0]);
      if (!hasClipboard)
        await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
      const permissions = hasClipboard ? ["clipboard-read", "clipboard-write"] : [];
      await page.context().grantPermissions(permissions);
      await page.evaluate("document.body.append(document.createElement('textarea'))");
      const rows = page.locator(".command");
      expect(await rows.count()).toBe(5);
      for (const row of await rows.all()) {
        await row.getByRole("button").click();
        await expect.poll(() => row.getByRole("button").textContent()).toBe("copied");
        await page.locator("textarea").fill("");
        await page.locator("textarea").focus();
        await page.keyboard.press("Control+V");
        expect(await page.locator("textarea").inputValue()).toBe(
          await row.locator("code").textContent(),
        );
      }
      expect(complaints).toEqual([]);
    });

    it("runs no script but its own", async () => {
      const { page, complaints } = await open("certified", screens[0]);
      await page.evaluate(`{
        const script = document.createElement("script");
        script.textContent = "document.title = 'run'";
        document.body.append(script);
      }`);
      expect(await page.title()).not.toBe("run");
      expect(complaints.join()).toContain("Content Security Policy");
    });

    it("keeps headings with what they head on paper, and tables with few rows whole", async () => {
      const { page } = await open("certified", screens[3]);
      const rules: { readonly [rule: string]: string } = await page.evaluate(`({
        heading: getComputedStyle(document.querySelector("section > h2")).breakAfter,
        introduction: getComputedStyle(document.querySelector("h2 + p")).breakAfter,
        keys: getComputedStyle(document.querySelector(".keys")).breakAfter,
        figure: getComputedStyle(document.querySelector("figure")).breakInside,
        table: getComputedStyle(document.querySelector(".whole")).breakInside,
      })`);
      expect(new Set(Object.values(rules))).toEqual(new Set(["avoid"]));
    });

    it("shows by a shade at its edge that a table goes on on a phone", async () => {
      const { page } = await open("certified", screens[1]);
      const seen: { readonly isWide: boolean; readonly background: string } = await page.evaluate(`{
        const table = document.querySelector("#layers .scroll");
        ({ isWide: table.scrollWidth > table.clientWidth, background: getComputedStyle(table).backgroundImage });
      }`);
      expect(seen.isWide).toBe(true);
      expect(seen.background.match(/linear-gradient/g)).toHaveLength(4);
    });

    it("is printed on pages", async () => {
      const { page } = await open("certified", screens[0]);
      const pdf = await page.pdf({ format: "A4" });
      expect(pdf.subarray(0, 5).toString("latin1")).toBe("%PDF-");
    });
  },
);
