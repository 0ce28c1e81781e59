/**
 * @file `npm run bench:guard [RUNS]`: how often the guard certifies too much, and how much it certifies,
 * as markdown tables. The search, the ladder, the guard and the bounds are the pipeline's own; only the
 * networks are simulated, so that their true drops are known. 500 runs of each row by default.
 */
import {
  type Curve,
  mostViolations,
  type Outcome,
  scenarios,
  simulate,
} from "../test/support/guard-simulation.ts";

const curves: readonly Curve[] = ["dense", "noisy", "above"];

async function main([count = "500"]: readonly string[]): Promise<void> {
  const runs = Number(count);
  if (!Number.isInteger(runs) || runs < 1) throw new Error("usage: npm run bench:guard [RUNS]");
  const percent = (count: number) => ((100 * count) / runs).toFixed(1);
  const cellsOf = (curve: Curve, outcome: Outcome) => {
    const wrong = `${percent(outcome.violations)} (${percent(outcome.naiveViolations)})`;
    if (curve === "above") return [wrong];
    return [wrong, percent(outcome.certified), (100 * outcome.reach).toFixed(1)];
  };
  print(["n", "tolerance", "churn", "discordance"], curves.flatMap(headOf));
  let worst = 0;
  for (const of of scenarios.filter(({ curve }) => curve === curves[0])) {
    const cells: string[] = [];
    for (const curve of curves) {
      const outcome = await simulate({ ...of, curve }, runs);
      worst = Math.max(worst, outcome.violations);
      cells.push(...cellsOf(curve, outcome));
    }
    const { samples, maxDrop, churn, discordance } = of;
    row([samples, 100 * maxDrop, churn, `${100 * discordance} %`, ...cells]);
  }
  process.stdout.write(`\nmost violations: ${worst} of ${runs}; bar ${mostViolations(runs)}\n`);
}

function headOf(curve: Curve): readonly string[] {
  return curve === "above" ? [`${curve}: wrong`] : [`${curve}: wrong`, "certified", "reach"];
}

function print(names: readonly string[], values: readonly string[]): void {
  row([...names, ...values]);
  row([...names, ...values].map(() => "---"));
}

function row(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}

await main(process.argv.slice(2));
