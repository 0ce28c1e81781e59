/**
 * @file `npm run bench:guard [RUNS]`: how often the guard certifies too much, and how much it certifies,
 * as markdown tables. The search, the ladder, the guard and the bounds are the pipeline's own; only the
 * networks are simulated, so that their true drops are known. 500 runs of each row by default, and
 * two fifths of that for mean IoU, which takes longer.
 */

import {
  mostViolations,
  type Outcome,
  scenarios,
  simulate,
} from "../test/support/guard-simulation.ts";
import { mapScenarios, simulateMaps } from "../test/support/guard-simulation-maps.ts";

/** A scenario's place in its table: one row for all scenarios that differ in their curve alone. */
interface Table<S extends { readonly curve: string }> {
  readonly title: string;
  readonly scenarios: readonly S[];
  readonly runs: number;
  readonly heads: readonly string[];
  readonly cellsOf: (scenario: S) => readonly (string | number)[];
  readonly simulate: (scenario: S, runs: number) => Promise<Outcome>;
}

async function main([count = "500"]: readonly string[]): Promise<void> {
  const runs = Number(count);
  if (!Number.isInteger(runs) || runs < 5) throw new Error("usage: npm run bench:guard [RUNS]");
  await print({
    title: "top-1",
    scenarios,
    runs,
    simulate,
    heads: ["n", "tolerance", "churn", "discordance"],
    cellsOf: (of) => [of.samples, points(of.maxDrop), of.churn, points(of.discordance)],
  });
  await print({
    title: "mean IoU",
    scenarios: mapScenarios,
    runs: Math.round(0.4 * runs),
    simulate: simulateMaps,
    heads: ["n", "tolerance", "harmed"],
    cellsOf: (of) => [of.samples, points(of.maxDrop), points(of.harmed)],
  });
}

async function print<S extends { readonly curve: string }>(table: Table<S>): Promise<void> {
  const { runs } = table;
  const percent = (count: number) => ((100 * count) / runs).toFixed(1);
  const curves = [...new Set(table.scenarios.map(({ curve }) => curve))];
  const heads = curves.flatMap((curve) =>
    curve === "above" ? [`${curve}: wrong`] : [`${curve}: wrong`, "certified", "reach"],
  );
  process.stdout.write(`\n${table.title}, ${runs} runs\n\n`);
  row([...table.heads, ...heads]);
  row([...table.heads, ...heads].map(() => "---"));
  let most = 0;
  const cells = new Map<string, string[]>();
  for (const scenario of table.scenarios) {
    const outcome = await table.simulate(scenario, runs);
    most = Math.max(most, outcome.violations);
    const key = table.cellsOf(scenario).join(" | ");
    const values = cells.get(key) ?? [];
    cells.set(key, values);
    values.push(`${percent(outcome.violations)} (${percent(outcome.naiveViolations)})`);
    if (scenario.curve !== "above")
      values.push(percent(outcome.certified), (100 * outcome.reach).toFixed(1));
    if (scenario.curve === curves.at(-1)) row([key, ...values]);
  }
  process.stdout.write(`\nmost wrong: ${most} of ${runs}; bar: ${mostViolations(runs)}\n`);
}

function points(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}

function row(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}

await main(process.argv.slice(2));
