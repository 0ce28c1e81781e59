/**
 * @file `npm run bench:certify:networks -- A DATA B... [--mean LIST --std LIST]`: on labelled data, whether answers to the
 * disagreements alone give the counts and the bound of all labels, and how many of them it takes.
 */
import { parseArgs } from "node:util";
import { assess } from "../src/certify/assess.ts";
import { prepareCertificate } from "../src/certify/certify.ts";
import { orderOfRequest, type Prepared, type Subject } from "../src/certify/request.ts";
import { openDataset } from "../src/data/dataset.ts";
import type { DatasetOptions } from "../src/data/options.ts";
import { fileDigest } from "../src/files/file-digest.ts";
import { declare } from "../src/guard/disagreements/procedure.ts";
import type { Procedure } from "../src/guard/disagreements/procedures.ts";
import { measureOutcomes, pairedDrop } from "../src/measure/outcomes/outcomes.ts";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { mean: { type: "string" }, std: { type: "string" } },
});
const [first, data, ...others] = positionals;
if (others.length === 0)
  throw new Error("usage: npm run bench:certify:networks -- A DATA B... [--mean LIST --std LIST]");
const numbers = (text: string | undefined) => text?.split(",").map(Number);
const options: DatasetOptions = { mean: numbers(values.mean), std: numbers(values.std) };
const level = 0.025;

async function subject(path: string): Promise<Subject> {
  const dataset = await openDataset(data, options);
  return { path, digest: await fileDigest(path), source: { path }, dataset };
}

/** The fewest answers, in the order of the questions, that decide the verdict. */
function labelsFor({ state, answers }: Prepared, tolerance: number, procedure: Procedure): string {
  const order = orderOfRequest(state.request);
  const declaration = declare({ procedure, tolerance, level }, order.sizes);
  const statusWith = (count: number) =>
    assess({ ...state, declaration, order, answers: answers.slice(0, count) }).status;
  let [low, high] = [0, answers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (statusWith(middle) === "open") low = middle + 1;
    else high = middle;
  }
  return `${low}${statusWith(low) === "certified" ? "" : " (not certified)"}`;
}

function row(cells: readonly (string | number)[]): void {
  process.stdout.write(`| ${cells.join(" | ")} |\n`);
}

const a = await subject(first);
const before = await measureOutcomes(a.source, a.dataset);
row([
  "B",
  "disagreements",
  "all labels: lost, won, bound",
  "answers: lost, won, bound",
  "labels, 1 point, looks",
  "1 point, fixed",
  "2 points, looks",
  "2 points, fixed",
]);
row(new Array<string>(8).fill("---"));
for (const path of others) {
  const b = await subject(path);
  const after = await measureOutcomes(b.source, b.dataset);
  if (before.kind !== "classes" || after.kind !== "classes")
    throw new Error("classifiers are compared");
  const { upper } = pairedDrop(before, after, { level });
  const pairs = [...before.predictions.isCorrect].map(
    (one, i) => one - after.predictions.isCorrect[i],
  );
  const count = (difference: number) => pairs.filter((one) => one === difference).length;
  const prepared = await prepareCertificate(a, b, {
    maxDrop: 0.01,
    procedure: "fixed",
    groupBy: "none",
  });
  const { state, answers } = prepared;
  const declaration = {
    ...state.declaration,
    looks: state.declaration.looks.map((look) => ({ ...look, level })),
  };
  const found = assess({ ...state, declaration, answers, order: orderOfRequest(state.request) });
  const points = (share: number | undefined) => (100 * (share ?? Number.NaN)).toFixed(4);
  row([
    path.split("/").at(-1) ?? path,
    found.disagreements,
    `${count(1)}, ${count(-1)}, ${points(upper)}`,
    `${found.lost}, ${found.won}, ${points(found.judgement.decisive?.upper)}`,
    labelsFor(prepared, 0.01, "looks"),
    labelsFor(prepared, 0.01, "fixed"),
    labelsFor(prepared, 0.02, "looks"),
    labelsFor(prepared, 0.02, "fixed"),
  ]);
}
