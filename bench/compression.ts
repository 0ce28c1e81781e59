/**
 * @file `npm run bench:compression -- FOLDER MODELS DATA [CASE ...]`: what each method reaches on real
 * networks, by the command that users run. Each case is a run in FOLDER that is begun, resumed or, where it
 * is over, only read; a case ends in a line of a table. `*` in a case matches anything.
 *
 * MODELS holds the ResNets as `akamaster_resnet20_bn.onnx` and `akamaster_resnet56_bn.onnx`, DATA CIFAR-10
 * with `test_first5000.bin`. The networks have seen the train images, so all roles but `fit` are cut from
 * the test file.
 */
import { join } from "node:path";
import type { CompressReport } from "../src/compress/record/compress-report.ts";
import { casesNamed, compressCase } from "./compress-case.ts";
import { cases, cifarOptions } from "./compression-cases.ts";
import { percent, tableHead, tableLine } from "./table-cells.ts";

async function main([folder, models, data, ...wanted]: readonly string[]): Promise<void> {
  if (data === undefined)
    throw new Error("usage: bench:compression -- FOLDER MODELS DATA [CASE ...]");
  const measured = ["latency", "test before", "after", "drop, 95 %", "certified"];
  console.log(tableHead(["case", "MACs", "params", ...measured]));
  for (const { name, network, settings } of casesNamed(cases, wanted)) {
    const report = await compressCase(name, {
      network: join(models, network),
      data,
      dataOptions: cifarOptions,
      run: join(folder, name),
      settings,
    });
    console.log(rowOf(name, report));
  }
}

function rowOf(name: string, { baseline, result, latency, drop, asked }: CompressReport): string {
  const certified = asked.maxDrop === undefined ? "" : drop.certified ? "yes" : "no";
  return tableLine([
    name,
    percent(result.macs / baseline.macs),
    percent(result.params / baseline.params),
    latency?.ratio.toFixed(3) ?? "",
    percent(baseline.value),
    percent(result.value),
    `${percent(drop.value)} (${drop.ci95?.map(percent).join(" to ")})`,
    certified,
  ]);
}

await main(process.argv.slice(2));
