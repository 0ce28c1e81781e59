/** @file What `evaluate RUN --posterior-samples` shows. */

import type { LabelledEvaluation } from "../../measure/evaluation/evaluate.ts";
import type { Estimate } from "../../measure/statistics/statistics.ts";
import type { RunEvaluation } from "../../runs/evaluate-run.ts";
import { metricWords } from "../../words/metrics.ts";
import { formatInteger, inPercent, inPoints } from "../../words/numbers.ts";
import type { Io } from "../terminal/io.ts";
import { drawFacts, drawTable } from "../terminal/table.ts";

/** The JSON document: both evaluations without the outcomes of single samples. */
export function figuresOfRun({ mean, posterior, ...rest }: RunEvaluation): unknown {
  const figuresOf = ({ predictions, ...figures }: LabelledEvaluation) => figures;
  return { ...rest, mean: figuresOf(mean), posterior: figuresOf(posterior) };
}

/** Both networks side by side with the differences; single classes where they are asked for. */
export function describeRunEvaluation(found: RunEvaluation, showsClasses: boolean, io: Io): string {
  const { mean, posterior, change, draws, seed, split } = found;
  const row = (
    name: string,
    write: (value: number) => string,
    sides: readonly [Estimate, Estimate],
    difference: Estimate | undefined,
    writeDifference = write,
  ) => [
    name,
    ...sides.map(({ value }) => write(value)),
    ...(difference === undefined
      ? ["", ""]
      : [
          signed(difference.value, writeDifference),
          difference.ci95.map((end) => signed(end, writeDifference)).join(" to "),
        ]),
  ];
  const rows = [
    row(metricWords(mean.metric).name, percent, [mean, posterior], change.value, points),
    row("loss (nats)", plain, [mean.crossEntropy, posterior.crossEntropy], change.nll),
    row("Brier score", plain, [mean.brier, posterior.brier], change.brier),
    row(
      "calibration error",
      percent,
      [mean.calibrationError, posterior.calibrationError],
      change.ece,
      points,
    ),
  ];
  if (mean.metric === "top1" && posterior.metric === "top1") {
    const [first, second] = [mean.selective, posterior.selective];
    for (const [i, { share, accuracy }] of first.coverage.entries())
      if (share < 1) {
        const sides = [accuracy, second.coverage[i].accuracy] as const;
        rows.push(row(`surest ${inPercent(share, 0)}`, percent, sides, undefined));
      }
    rows.push(row("risk-coverage area", plain, [first.riskArea, second.riskArea], change.riskArea));
  }
  const table = drawTable(
    [
      { title: "metric", isFlexible: true },
      { title: "means", align: "right" },
      { title: "draws", align: "right" },
      { title: "change", align: "right" },
      { title: "95 % interval", align: "right" },
    ],
    rows,
    io,
  );
  const facts = drawFacts(
    [
      ["samples", `${formatInteger(mean.samples)} (${split})`],
      ["draws", `${formatInteger(draws)}, seed ${seed}`],
    ],
    io.columns,
  );
  return [table, facts, ...(showsClasses ? [describeClasses(mean, posterior, io)] : [])].join("\n");
}

/** The IoU of each class for label maps, else the accuracy of each class. */
function describeClasses(mean: LabelledEvaluation, posterior: LabelledEvaluation, io: Io): string {
  const [first, second] = [classesOf(mean), classesOf(posterior)];
  return drawTable(
    [
      { title: "class", isFlexible: true },
      { title: mean.metric === "miou" ? "pixels" : "samples", align: "right" },
      { title: `${mean.metric === "miou" ? "IoU" : "right"}, means`, align: "right" },
      { title: "draws", align: "right" },
    ],
    first.map(({ name, count, value }, i) => [
      name,
      formatInteger(count),
      ...[value, second[i].value].map((each) => (each === null ? "" : percent(each))),
    ]),
    io,
  );
}

interface ClassFigure {
  readonly name: string;
  readonly count: number;
  /** The figure is null where there are no samples to measure it on. */
  readonly value: number | null;
}

function classesOf(evaluation: LabelledEvaluation): readonly ClassFigure[] {
  const nameOf = (entry: { readonly name: string | undefined; readonly label: number }) =>
    entry.name ?? String(entry.label);
  if (evaluation.metric === "miou")
    return evaluation.perClass.map(({ pixels: count, iou: value, ...entry }) => ({
      name: nameOf(entry),
      count,
      value,
    }));
  return evaluation.perClass.map(({ samples: count, correct, ...entry }) => ({
    name: nameOf(entry),
    count,
    value: count === 0 ? null : correct / count,
  }));
}

function percent(value: number): string {
  return inPercent(value, 2);
}

function points(value: number): string {
  return `${inPoints(value)} points`;
}

function plain(value: number): string {
  return value.toFixed(4);
}

function signed(value: number, write: (value: number) => string): string {
  return `${value < 0 ? "-" : "+"}${write(Math.abs(value))}`;
}
