/** @file The version of this package, and of what it runs on. */
import { readFileSync } from "node:fs";

/** The version as package.json says it; the file lies two folders up, in a clone as in the package. */
export function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  const manifest: unknown = JSON.parse(text);
  const isObject = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return isObject ? String(manifest.version) : "unknown";
}

/** One line for a bug report. */
export function versions(): string {
  return `espalier ${version()}, Node ${process.version}, ${process.platform} ${process.arch}`;
}
