/**
 * @file `npm run bench:browser -- profile MODEL FILE.json [threads]`: a cost table of ONNX Runtime Web (wasm) in headless
 * Chromium, for `espalier prune --costs FILE.json`; `npm run bench:browser -- race A.onnx B.onnx [seconds] [threads]`: the
 * ratio of the latencies of two networks there.
 */
import { writeFile } from "node:fs/promises";
import { profileInPage, raceInPage } from "./in-page.ts";

const [command, first, second, ...rest] = process.argv.slice(2);
const numbers = rest.map(Number);
if (first === undefined || second === undefined) throw new Error("two files are needed");
if (command === "profile") {
  let shown = 0;
  const table = await profileInPage(first, numbers[0] ?? 1, (share) => {
    if (share - shown < 0.1 && share < 1) return;
    shown = share;
    console.error(`${Math.round(100 * share)} %`);
  });
  await writeFile(second, table);
} else if (command === "race") {
  const { value, ci95 } = await raceInPage([first, second], numbers[0] ?? 5, numbers[1] ?? 1);
  console.log(`${value.toFixed(3)} (${ci95.map((end) => end.toFixed(3)).join(" to ")})`);
} else throw new Error(`no such command: ${command}; profile and race are there`);
