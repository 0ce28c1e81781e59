/** @file The next steps with a result: pack it, time it on its device, check it; each as a command to copy. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { speedOf } from "../../words/speed.ts";
import { countedOnPage } from "../page/figures.ts";
import { html } from "../page/html.ts";
import { copyable, type Section } from "../page/page.ts";
import { shellPath } from "../page/shell.ts";
import { isUnchanged, restsOnFew } from "./headline.ts";
import { packedTables, packedWords } from "./packing.ts";

/** Whether all that was asked for is there, and certain. */
export function isSafe(report: CompressReport): boolean {
  const { verification, outcome, drop, asked } = report;
  const isKept = asked.maxDrop === undefined || (drop.certified && !restsOnFew(report));
  return verification.passed && outcome.isReached && isKept;
}

/** The steps to the device; `run` is the name of the run's folder. */
export function shipOf(report: CompressReport, run: string): Section {
  const { latency } = report;
  if (isUnchanged(report))
    return {
      id: "ship",
      title: "What to do next",
      body: html`<p>There is nothing new to ship. A larger <code>--max-drop</code>, more <code>--epochs</code> or more
<code>--rounds</code> leave more room; <code>espalier sensitivity</code> shows which layers can spare what.</p>`,
    };
  const path = (file: string) => shellPath(`${run}/${file}`);
  return {
    id: "ship",
    title: isSafe(report) ? "Ready to ship" : "Before you ship it",
    body: html`${
      !isSafe(report) &&
      html`<p>Not all that was asked for is certain: read what is missing above, and decide whether it matters.</p>`
    }
<ol class="steps">
<li><b>Pack it.</b> ${packedWords(report)}
${copyable(`espalier pack ${shellPath(run)} -o ${shellPath(`${run}.esp`)}`)}</li>
<li><b>Time it on its device.</b>${
      latency &&
      html` Here, with ${countedOnPage(latency.threads, "thread")}, it ${speedOf(latency).predicate()}
(${speedOf(latency).interval}).`
    }
${copyable(`espalier bench ${path("original.onnx")} ${path("model.onnx")}`)}</li>
<li><b>Check it.</b> Every figure of this page is computed again.
${copyable(`espalier verify ${shellPath(run)}`)}</li>
</ol>
${packedTables(report)}`,
  };
}
