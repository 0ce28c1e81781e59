/**
 * @file `npm run sweep -- DIR [METHOD...]`: every .onnx file of a folder through the whole path.
 *
 * Inspected, pruned to 70 % of its MACs by each method, verified, written, read again and run; a
 * method that refuses a network says why. Exit code 1 when anything else goes wrong.
 */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EspalierError } from "../src/errors.ts";
import { loadModel, saveModel } from "../src/files/model-file.ts";
import { randomFeeds } from "../src/measure/inputs/feeds.ts";
import { prune } from "../src/prune/prune.ts";
import { verifyPruned } from "../src/prune/verify.ts";
import { withSession } from "../src/runtime/session.ts";
import { inspect } from "../src/structure/inspect.ts";

const [dir, ...asked] = process.argv.slice(2);
if (dir === undefined) {
  process.stderr.write("usage: npm run sweep -- DIR [METHOD...]\n");
  process.exit(2);
}
const methods = asked.length > 0 ? asked : ["magnitude", "bn"];
const scratch = await mkdtemp(join(tmpdir(), "espalier-sweep-"));
let failures = 0;

for (const file of (await readdir(dir)).sort()) {
  if (!file.endsWith(".onnx")) continue;
  const model = await loadModel(join(dir, file));
  const { params, macs, units, prunableUnits, opset } = inspect(model);
  process.stdout.write(
    `${file}: opset ${opset}, ${params} params, ${(macs / 1e6).toFixed(1)} M MACs, ${prunableUnits} of ${units} units prunable\n`,
  );
  for (const method of methods)
    process.stdout.write(`  ${method.padEnd(10)} ${await run(model, method)}\n`);
}
await rm(scratch, { recursive: true });
process.exit(failures === 0 ? 0 : 1);

async function run(model: Awaited<ReturnType<typeof loadModel>>, method: string): Promise<string> {
  try {
    const pruned = prune(model, { method, targets: { macs: 0.7 } });
    const { passed, maxError } = await verifyPruned(model, pruned);
    const out = join(scratch, "small.onnx");
    await saveModel(out, pruned.bytes);
    const again = inspect(await loadModel(out));
    const outputs = await withSession({ path: out }, {}, (session) =>
      session.run(randomFeeds(session.inputs, {})),
    );
    const isSame = again.macs === pruned.after.macs && outputs.size === model.graph.outputs.length;
    if (!passed || !isSame || !pruned.isReached) failures++;
    const share = (value: number) => `${(100 * value).toFixed(1)} %`;
    return [
      `MACs ${share(pruned.after.macs / pruned.before.macs)}`,
      `params ${share(pruned.after.params / pruned.before.params)}`,
      `size ${share(pruned.after.sizeBytes / pruned.before.sizeBytes)}`,
      `max error ${maxError.toExponential(1)} ${passed ? "verified" : "FAILED"}`,
      isSame ? "read again and run" : "DIFFERS when read again",
    ].join(", ");
  } catch (error) {
    if (error instanceof EspalierError && error.code.startsWith("METHOD_"))
      return `${error.code}: ${error.message}`;
    failures++;
    return `FAILED: ${String(error)}`;
  }
}
