/** @file Why the figures can be believed: the guard's looks at unseen data, and the check of the surgery. */
import type { CompressReport } from "../compress/compress-report.ts";
import { inPercent } from "../measure/words.ts";
import { counted, formatDrop, metricWords } from "./figures.ts";
import { imageNoun, isUnchanged } from "./headline.ts";
import { html, type Part } from "./html.ts";
import { dataTable, type Section } from "./page.ts";
import { formatInteger, formatScientific } from "./text.ts";

/** What the guard saw. */
export function guardOf(report: CompressReport): Section {
  const { looks, asked, samples, metric, drop, task } = report;
  const words = metricWords(metric);
  const isAsked = asked.maxDrop !== undefined;
  const why = isAsked
    ? html`<p>A search that may try as often as it likes finds luck. So the tolerance of
${words.difference(asked.maxDrop ?? 0)} is tested on ${counted(samples.certify, imageNoun(task))} of the role
<code>certify</code>, which the search never sees, along a ladder of candidates that was fixed beforehand, the mildest
first. It stops at the first that fails; the chance that a certified network breaks the tolerance is at most
${inPercent(1 - asked.confidence, 0)}.</p>`
    : html`<p>No largest drop was asked for, so nothing was tested against one.</p>`;
  const onTest =
    drop.value !== null &&
    !isUnchanged(report) &&
    html`<p>Afterwards, once, on ${counted(report.result.samples, `test ${imageNoun(task)}`)}: a drop of
<b>${formatDrop(drop.value, words.difference)}</b>${
      drop.ci95 !== null &&
      `, 95 % interval ${formatDrop(drop.ci95[0], words.difference)} to ${formatDrop(drop.ci95[1], words.difference)}, both networks on the same data`
    }.</p>`;
  const table =
    looks.length === 0
      ? isAsked && html`<p>The guard was never asked.</p>`
      : dataTable(
          "Looks at the data of the guard",
          [
            { title: "look", kind: "number" },
            { title: "network after" },
            { title: `drop seen, ${words.unit}`, kind: "number" },
            { title: "at most", kind: "number" },
            { title: "at confidence", kind: "number" },
            { title: "samples", kind: "number" },
            { title: "verdict" },
          ],
          looks.map((look, i): readonly Part[] => [
            i + 1,
            `round ${look.round}${look.ladder === "milder" ? ", milder ladder" : ""}`,
            formatDrop(look.drop, words.amount),
            formatDrop(look.upper, words.amount),
            inPercent(1 - look.level, 1),
            formatInteger(look.samples),
            look.passed ? html`<b class="good">within</b>` : html`<b class="bad">not certain</b>`,
          ]),
        );
  return {
    id: "guard",
    title: "How sure the tolerance is",
    body: html`${why}
${table}
${onTest}`,
  };
}

/** That what was cut out was cut out exactly. */
export function verificationOf({ verification, rounds }: CompressReport): Section {
  const { passed, maxError, samples } = verification;
  const rows = rounds.flatMap(({ round, attempts }) =>
    attempts.map(({ verification, isAccepted }, i): readonly Part[] => [
      `${round}.${i + 1}`,
      formatScientific(verification.maxError),
      formatInteger(verification.samples),
      verification.passed ? html`<b class="good">equal</b>` : html`<b class="bad">not equal</b>`,
      isAccepted ? "accepted" : "not accepted",
    ]),
  );
  return {
    id: "verification",
    title: "Verification",
    body:
      rounds.length === 0
        ? html`<p>Nothing was removed, so there was nothing to verify.</p>`
        : html`<p><b class="${passed ? "good" : "bad"}">${passed ? "Passed." : "Failed."}</b> Before any fine-tuning,
each smaller network was run against the one that it came from with the same channels silenced; both must compute the
same. ${
            samples > 0 &&
            html`On ${counted(samples, "sample")} the largest difference was <b>${formatScientific(maxError)}</b> of the
output's range.`
          }</p>
${
  rows.length > 0 &&
  dataTable(
    "Verification by attempt",
    [
      { title: "round.attempt" },
      { title: "largest error", kind: "number" },
      { title: "samples", kind: "number" },
      { title: "result" },
      { title: "attempt" },
    ],
    rows,
  )
}`,
  };
}
