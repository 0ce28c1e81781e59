/**
 * @file `npm run bench:certify [RUNS [PART]...]`: how often certificates from disagreements are wrong, how often they come about,
 * and how many labels they take, as markdown tables. The verdicts are the guard's own; only images and people are
 * simulated. 2,000 runs of each cell by default; a part is one of the tables.
 */
import { passProbability } from "../src/guard/disagreements/enumeration.ts";
import type { Procedure } from "../src/guard/disagreements/procedures.ts";
import {
  type CertificateScenario,
  declarationOf,
  type Labeller,
  mostFalse,
  perfectLabeller,
  simulateCertificates,
  simulateSelection,
} from "../test/support/certificate-simulation.ts";

const order: readonly Procedure[] = ["fixed", "looks", "anytime"];
const cells = [
  { samples: 200, tolerance: 0.03 },
  { samples: 500, tolerance: 0.02 },
  { samples: 1150, tolerance: 0.01 },
  { samples: 5000, tolerance: 0.01 },
].flatMap((cell) =>
  [0.01, 0.03, 0.1].map((share) => ({ ...cell, discordance: Math.max(share, cell.tolerance) })),
);
const distinct = cells.filter(
  (cell, i) =>
    cells.findIndex(
      (other) => other.samples === cell.samples && other.discordance === cell.discordance,
    ) === i,
);

/** Errs in 2 % of the answers, always towards the other network; decoys show it in part. */
const erring: Labeller = { ...perfectLabeller, error: 0.02, toTheOther: 1, decoys: 0.15 };

/** Runs in which labels are counted. */
const counted = 200;

const parts = {
  false: printFalse,
  power: printPower,
  suggestions: printSuggestions,
  selection: printSelection,
} as const;

function main([count = "2000", ...names]: readonly string[]): void {
  const runs = Number(count);
  const known = Object.keys(parts);
  if (!Number.isInteger(runs) || runs < 100 || names.some((name) => !known.includes(name)))
    throw new Error(`usage: npm run bench:certify [RUNS [${known.join("|")}]...]`);
  for (const [name, print] of Object.entries(parts))
    if (names.length === 0 || names.includes(name)) print(runs, Math.min(counted, runs));
}

/** False certificates where the true drop is the tolerance. */
function printFalse(runs: number): void {
  title(`False certificates in %, ${runs} runs; the bar is ${percent(mostFalse(runs))}`);
  row([
    "n",
    "tolerance",
    "discordance",
    "fixed, exact",
    "looks, exact",
    ...order,
    ...order.map((name) => `${name}, 2 % wrong`),
  ]);
  row(new Array<string>(11).fill("---"));
  let most = 0;
  for (const cell of distinct) {
    const rates = [perfectLabeller, erring].flatMap((labeller) =>
      order.map((procedure) => {
        const scenario = { ...cell, procedure, drop: cell.tolerance, labeller };
        const rate = simulateCertificates(scenario, runs, 0).certified / runs;
        most = Math.max(most, rate);
        return percent(rate);
      }),
    );
    row([
      cell.samples,
      percent(cell.tolerance),
      percent(cell.discordance),
      percent(exactRate(cell, "fixed")),
      percent(exactRate(cell, "looks")),
      ...rates,
    ]);
  }
  process.stdout.write(`\nmost: ${percent(most)}\n`);
}

function exactRate(cell: (typeof cells)[number], procedure: Procedure): number {
  const lost = (cell.discordance + cell.tolerance) / 2;
  const declared = declarationOf({ ...cell, procedure });
  return passProbability(declared, lost, cell.discordance - lost);
}

/** Certificates and labels where the true drop is 0 or a quarter of the tolerance. */
function printPower(runs: number, limited: number): void {
  title(`Certificates in %, and mean labels, ${runs} runs (labels: ${limited})`);
  row([
    "n",
    "tolerance",
    "discordance",
    "drop",
    "disagreements",
    ...order.map((name) => `${name}: certified`),
    ...order.map((name) => `${name}: labels`),
  ]);
  row(new Array<string>(11).fill("---"));
  for (const cell of distinct)
    for (const drop of [0, cell.tolerance / 4]) {
      const found = order.map((procedure) =>
        simulateCertificates(
          { ...cell, procedure, drop, labeller: perfectLabeller },
          runs,
          limited,
        ),
      );
      row([
        cell.samples,
        percent(cell.tolerance),
        percent(cell.discordance),
        percent(drop),
        found[0].disagreements.toFixed(0),
        ...found.map(({ certified }) => percent(certified / runs)),
        ...found.map(({ labels }) => labels.toFixed(0)),
      ]);
    }
}

/** What becomes of somebody who takes a suggestion where none is right. */
function printSuggestions(runs: number, limited: number): void {
  title(
    "People who take a suggestion where none is right (n = 5,000, tolerance 1 point, discordance 3 %)",
  );
  row(["takes one", "order of suggestions", "false", "certified at drop 0", "labels"]);
  row(new Array<string>(5).fill("---"));
  const base: Omit<CertificateScenario, "drop" | "labeller"> = {
    procedure: "looks",
    samples: 5000,
    tolerance: 0.01,
    discordance: 0.03,
  };
  for (const prefersSecond of [0.5, 1])
    for (const takesSuggestions of [0, 0.5, 1]) {
      const labeller = { ...perfectLabeller, takesSuggestions, prefersSecond };
      const wrong = simulateCertificates({ ...base, drop: base.tolerance, labeller }, runs, 0);
      const right = simulateCertificates({ ...base, drop: 0, labeller }, runs, limited);
      row([
        percent(takesSuggestions),
        prefersSecond === 0.5 ? "random" : "the second network's first",
        percent(wrong.certified / runs),
        percent(right.certified / runs),
        right.labels.toFixed(0),
      ]);
    }
}

/** The best of ten candidates that are all too lossy. */
function printSelection(runs: number): void {
  title("The best of ten candidates, all just above the tolerance: false certificates in %");
  row(["n", "tolerance", "discordance", "on other images", "on the same images"]);
  row(new Array<string>(5).fill("---"));
  for (const cell of distinct) {
    const { wrong, wrongOnSame } = simulateSelection(cell, runs);
    row([
      cell.samples,
      percent(cell.tolerance),
      percent(cell.discordance),
      percent(wrong / runs),
      percent(wrongOnSame / runs),
    ]);
  }
}

function title(text: string): void {
  process.stdout.write(`\n${text}\n\n`);
}

function percent(share: number): string {
  return String(Number((100 * share).toFixed(2)));
}

function row(line: readonly (string | number)[]): void {
  process.stdout.write(`| ${line.join(" | ")} |\n`);
}

main(process.argv.slice(2));
