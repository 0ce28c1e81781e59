/**
 * @file The process that a fuzz runs in: gets seeds from its parent, one after the other, and says
 * what came of each. Arguments: the module of the fuzz, and the folder to work in.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { EspalierError } from "../../../src/errors.ts";
import { type Fuzz, pickOf } from "./fuzz.ts";

const [module, root] = process.argv.slice(2);
const { fuzz }: { readonly fuzz: Fuzz } = await import(module);

async function outcomeOf(seed: number, folder: string): Promise<string> {
  try {
    return await fuzz.attempt({ seed, pick: pickOf(seed), folder });
  } catch (error) {
    if (error instanceof EspalierError) return error.code;
    const stack = error instanceof Error ? (error.stack ?? String(error)) : String(error);
    return `untyped: ${stack.split("\n").slice(0, 8).join(" | ")}`;
  }
}

process.on("message", async (seed: number) => {
  const folder = join(root, `case-${seed}`);
  mkdirSync(folder);
  const before = process.cpuUsage();
  const outcome = await outcomeOf(seed, folder);
  const { user, system } = process.cpuUsage(before);
  rmSync(folder, { recursive: true, force: true });
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  process.send?.({ seed, outcome, cpuSeconds: (user + system) / 1e6, peakMiB });
});
process.send?.("ready");
