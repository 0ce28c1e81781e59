/** @file The evidence for the figures: the guard's tests on unseen data, and the verification of the removal. */
import type { CompressReport } from "../../compress/record/compress-report.ts";
import { formatInteger, formatScientific, inPercent } from "../../words/numbers.ts";
import { countedOnPage, formatDrop, metricOnPage } from "../page/figures.ts";
import { html, type Part } from "../page/html.ts";
import { dataTable, folded, type Section } from "../page/page.ts";
import { imageNoun } from "./headline.ts";

/** What the guard saw, what was lost on `test`, and that what was cut out was cut out exactly. */
export function checksOf(report: CompressReport): Section {
  return {
    id: "checks",
    title: "How it was checked",
    body: [guardOf(report), removalsOf(report)],
  };
}

function guardOf({ looks, asked, samples, metric, task }: CompressReport): Part {
  const words = metricOnPage(metric);
  if (asked.maxDrop === undefined)
    return html`<p>No largest drop was asked for, so nothing was tested against one.</p>`;
  const why = html`<p>The tolerance of ${words.shortDifference(asked.maxDrop)} of ${words.name} was tested on
${countedOnPage(samples.certify, imageNoun(task))} of <code>certify</code>, which the search never sees, in an order fixed beforehand.
A certificate is wrong with a chance of ${inPercent(1 - asked.confidence, 0)} at most.</p>`;
  if (looks.length === 0) return [why, html`<p>The guard was never asked.</p>`];
  return [
    why,
    dataTable(
      "Looks at the data of the guard",
      [
        { title: "look", kind: "number" },
        { title: "network after" },
        { title: `drop of ${words.name}${words.isShare ? `, ${words.unit}` : ""}`, kind: "number" },
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
    ),
  ];
}

function removalsOf({ verification, rounds }: CompressReport): Part {
  const { passed, maxError, samples } = verification;
  if (rounds.length === 0) return html`<p>Nothing was removed, so there was nothing to verify.</p>`;
  const rows = rounds.flatMap(({ round, attempts }) =>
    attempts.map(({ verification, isAccepted }, i): readonly Part[] => [
      `${round}.${i + 1}`,
      formatScientific(verification.maxError),
      formatInteger(verification.samples),
      verification.passed ? html`<b class="good">equal</b>` : html`<b class="bad">not equal</b>`,
      isAccepted ? "accepted" : "not accepted",
    ]),
  );
  return html`<p><b class="${passed ? "good" : "bad"}">Removal ${passed ? "is exact" : "failed"}.</b> Before fine-tuning, each
smaller network computes what the one before it does with the same channels silenced${
    samples > 0 &&
    html`: within <b>${formatScientific(maxError)}</b> of the output's range on ${countedOnPage(samples, "sample")}`
  }.</p>
${
  rows.length > 0 &&
  folded(
    "Verification by attempt",
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
    ),
  )
}`;
}
