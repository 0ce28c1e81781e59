/**
 * @file Loads every model of a folder the way commands do (read, inspect, write to memory), and
 * prints one JSON line each: `{ file, code, ms }` in CPU time, then `{ peakMiB }`. Run as a process of its own,
 * so that its memory can be measured. Files whose name begins with `allowed` may read other files.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { EspalierError } from "../../src/errors.ts";
import { loadModel } from "../../src/files/model-file.ts";
import { verifyGraph } from "../../src/ir/verify.ts";
import { writeModel } from "../../src/onnx/writing/write.ts";
import { inspect } from "../../src/structure/inspect.ts";

const folder = process.argv[2] ?? ".";
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith(".onnx")) continue;
  const before = process.cpuUsage();
  let code = "ok";
  let message = "";
  try {
    const model = await loadModel(join(folder, file), { externalData: file.startsWith("allowed") });
    verifyGraph(model.graph);
    inspect(model);
    writeModel(model);
  } catch (error) {
    code = error instanceof EspalierError ? error.code : `untyped: ${error}`;
    message = String(error);
  }
  const { user, system } = process.cpuUsage(before);
  const ms = Math.round((user + system) / 1000);
  process.stdout.write(`${JSON.stringify({ file, code, ms, message })}\n`);
}
const peakMiB = Math.round(process.resourceUsage().maxRSS / 1024);
process.stdout.write(`${JSON.stringify({ peakMiB })}\n`);
