/**
 * @file A compression in a process of its own, as the commands `compress` and `resume` do it, but for a
 * shorter comparison of latencies: node --import tsx compress-process.ts RUN NETWORK DATA METHOD
 */
import { existsSync } from "node:fs";
import { compressRun } from "../../src/compress/compress-run.ts";
import { resumeRun } from "../../src/compress/resume-run.ts";
import { writeReportHtml } from "../../src/report/write.ts";

const [run, network, data, method] = process.argv.slice(2);
process.stderr.write("begin\n");
if (existsSync(run)) await resumeRun(run);
else
  await compressRun({
    run,
    network,
    data,
    settings: {
      method,
      maxDrop: 0.25,
      roundDrop: 0.15,
      rounds: 2,
      epochs: 1,
      finalEpochs: 1,
      benchSeconds: 0.1,
      tuning: { batchSize: 4, learningRate: 0.02, checkpointEvery: 7, threads: 1 },
    },
  });
await writeReportHtml(run);
