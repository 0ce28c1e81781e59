/** @file The posterior that a method learnt: figures of each epoch, and of the units of each group. */

import type { z } from "zod";
import type { CompressReport, epochEntry } from "../../compress/record/compress-report.ts";
import type { PosteriorRecord } from "../../compress/record/posterior-record.ts";
import { largestOf } from "../../tensor/extremes.ts";
import { formatInteger } from "../../words/numbers.ts";
import { drawChart } from "../page/chart.ts";
import { countedOnPage } from "../page/figures.ts";
import { type Html, html, nameOf, type Part, plainName } from "../page/html.ts";
import { dataTable, folded, keysOf, type Section } from "../page/page.ts";
import { type Curve, curveOption, type Phase } from "./training.ts";

type Epoch = z.output<typeof epochEntry>;
type Group = PosteriorRecord["groups"][number];

/** More groups are folded away, and still more are in the table and in `report.json`. */
const fewestGroups = 6;
const mostGroups = 48;

/** The posterior of the last round that led somewhere; else of the last. */
export function posteriorOf({ rounds }: CompressReport): Section | undefined {
  const learnt = rounds.filter(({ posterior }) => posterior !== undefined);
  const shown = learnt.findLast(({ isAccepted }) => isAccepted) ?? learnt.at(-1);
  if (shown?.posterior === undefined) return undefined;
  const { round, posterior, isAccepted } = shown;
  return {
    id: "posterior",
    title: "What the data tell of each unit",
    body: html`<p>KL, in nats, is how much the data told of a unit; signal to noise (SNR) how surely it is not nothing.
Units on the left go first.</p>
${curvesOf(learnt)}
<h3>Units by group, ${isAccepted ? "" : "not accepted, "}round ${round}</h3>
${keysOf([
  { mark: "bar", color: "after", text: "units that stayed" },
  { mark: "bar", color: "bad", text: "units that were removed" },
])}
<div class="panels">${posterior.groups.slice(0, fewestGroups).map((group) => panel(group, posterior))}</div>
${folded("All groups; scales are logarithmic, and the same for all", [
  html`<div class="panels">${posterior.groups.slice(fewestGroups, mostGroups).map((group) => panel(group, posterior))}</div>`,
  groupTable(posterior),
])}`,
  };
}

function groupTable({ groups }: PosteriorRecord): Html {
  const number = (title: string) => ({ title, kind: "number" as const });
  return dataTable(
    "Posterior by group",
    [
      { title: "group", kind: "words" },
      ...["units", "data tell nothing of", "removed"].map(number),
    ],
    groups.map((group): readonly Part[] => [
      nameOf(group.id),
      formatInteger(group.units),
      formatInteger(group.dead),
      formatInteger(sumOf(group.kl.removed)),
    ]),
  );
}

/** Data term and KL, and how many units live, over the epochs of learning. */
function curvesOf(rounds: readonly CompressReport["rounds"][number][]): Part {
  const phases: readonly Phase[] = rounds.map(({ round, learning }) => ({
    name: `round ${round}, learning`,
    isLearning: true,
    epochs: learning,
  }));
  const epochs = phases.flatMap((phase) => phase.epochs);
  const hasTerms = epochs.some(({ terms }) => terms?.kl !== undefined);
  const alive = aliveByEpoch(rounds);
  if (!hasTerms && alive.size === 0) return undefined;
  const part = ({ loss, terms }: Epoch) => (terms?.kl === undefined ? undefined : loss - terms.kl);
  return html`<div class="pair">
${
  hasTerms &&
  figureOf("posterior-loss", "parts of the loss", phases, numeral, [
    { color: "after", text: "data term on fit", pick: part },
    { color: "s2", text: "what the KL adds", pick: ({ terms }) => terms?.kl },
  ])
}
${
  alive.size > 0 &&
  figureOf("posterior-alive", "units above the threshold", phases, formatInteger, [
    { color: "after", text: "of all groups", pick: (epoch) => alive.get(epoch) },
  ])
}
</div>`;
}

function figureOf(
  id: string,
  title: string,
  phases: readonly Phase[],
  write: (value: number) => string,
  curves: readonly (Curve & { readonly text: string })[],
): Html {
  const chart = drawChart({
    id: `${id}-chart`,
    span: "half",
    label: `${title} over the epochs of learning`,
    height: () => 170,
    option: (canvas) => curveOption(canvas, phases, title, write, curves),
  });
  return html`<figure>
${keysOf(curves.map(({ color, text }) => ({ mark: "dot", color, text })))}
${chart}
</figure>`;
}

function numeral(value: number): string {
  return String(Number(value.toPrecision(3)));
}

const aliveName = "alive ";

/** Units of all groups above the threshold; a group of which an epoch does not tell is as it was. */
function aliveByEpoch(
  rounds: readonly CompressReport["rounds"][number][],
): ReadonlyMap<Epoch, number> {
  const byEpoch = new Map<Epoch, number>();
  for (const { learning, posterior } of rounds) {
    const alive = new Map(posterior?.groups.map(({ id, units }) => [id, units]));
    for (const epoch of learning) {
      const told = Object.entries(epoch.select?.facts ?? {}).filter(([name]) =>
        name.startsWith(aliveName),
      );
      for (const [name, units] of told) alive.set(name.slice(aliveName.length), units);
      if (told.length > 0) byEpoch.set(epoch, sumOf([...alive.values()]));
    }
  }
  return byEpoch;
}

function panel(group: Group, { kl, snr }: PosteriorRecord): Html {
  const { id, units, dead } = group;
  const removed = sumOf(group.kl.removed);
  return html`<figure class="panel"><figcaption>${nameOf(id, 28)} ${formatInteger(removed)} of ${countedOnPage(units, "unit")}
removed${dead > 0 && `, ${formatInteger(dead)} below the threshold`}</figcaption>
<div class="two">
<div>${histogram(`KL of the units of ${plainName(id, 40)}`, group.kl)}<small>KL ${rangeOf(kl)} nats</small></div>
<div>${histogram(`signal to noise of the units of ${plainName(id, 40)}`, group.snr)}<small>SNR ${rangeOf(snr)}</small></div>
</div></figure>
`;
}

function rangeOf({ from, to }: PosteriorRecord["kl"]): string {
  const [low, high] = [from, to].map((power) => String(Number((10 ** power).toPrecision(2))));
  return `${low} to ${high}`;
}

const [chartWidth, chartHeight] = [144, 44];

/** Bars stacked: what was removed below, what stayed above. */
function histogram(label: string, { kept, removed }: Group["kl"]): Html {
  const most = Math.max(1, largestOf(kept.map((count, i) => count + removed[i])));
  const barWidth = chartWidth / kept.length;
  const place = (value: number) => Number(value.toFixed(2));
  const bar = (i: number, from: number, count: number, color: string) => {
    const height = place((count / most) * chartHeight);
    const y = place(chartHeight - ((from + count) / most) * chartHeight);
    return (
      count > 0 &&
      html`<rect x="${place(barWidth * i)}" y="${y}" width="${place(barWidth - 1)}" height="${height}" fill="var(--${color})"/>`
    );
  };
  const words = `${label}: ${sumOf(kept)} stayed, ${sumOf(removed)} removed`;
  return html`<svg role="img" aria-label="${words}" viewBox="0 0 ${chartWidth} ${chartHeight + 1}" width="${chartWidth}" height="${chartHeight + 1}">${kept.map(
    (count, i) => [bar(i, 0, removed[i], "bad"), bar(i, removed[i], count, "after")],
  )}<path d="M0 ${chartHeight + 0.5}H${chartWidth}" stroke="var(--muted)"/></svg>`;
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
