/** @file 20,000 damaged and forged packs, and 1,000 random networks. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildProgram, programs } from "../../test/random-graphs.ts";
import { damageRuns } from "../../test/support/damage-runs.ts";
import { readModel } from "../onnx/reading/read.ts";
import { encodeGraph } from "../onnx/writing/encode-graph.ts";
import { concatBytes } from "../onnx/writing/write.ts";
import { pack } from "./pack.ts";
import { unpack } from "./unpack.ts";

describe("unpack", () => {
  it("tells 20,000 damaged and forged packs by typed errors, at once and in little memory", async () => {
    const before = process.memoryUsage().rss;
    const report = await damageRuns(20_000, 2);
    process.stdout.write(`${JSON.stringify({ ...report, codes: [...report.codes] })}\n`);
    expect(report.untyped).toEqual([]);
    expect(report.silent).toBe(0);
    expect(report.slowestMs).toBeLessThan(2000);
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 29);
  });

  it("gives back 1,000 random networks byte for byte", async () => {
    await fc.assert(
      fc.asyncProperty(programs(20), async (program) => {
        const bytes = concatBytes(encodeGraph(buildProgram(program)));
        const packed = pack(readModel(bytes), { isLossless: true });
        expect(Buffer.compare(await unpack(packed.bytes), bytes)).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
});
