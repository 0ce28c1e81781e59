/** @file The browser that tests use, where one is installed. */
import { existsSync } from "node:fs";

const candidates = [
  process.env.CHROMIUM_PATH,
  ...["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
];

/** Path of Chromium; `undefined` where there is none. `CHROMIUM_PATH` names another. */
export const chromiumPath: string | undefined = candidates.find(
  (path) => path !== undefined && existsSync(path),
);

/** How tests start it. */
export const launchOptions = {
  args: ["--no-sandbox"],
  ...(chromiumPath !== undefined && { executablePath: chromiumPath }),
};
